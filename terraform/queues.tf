# The queue between bucket and function, and the queue of messages that were given up.

resource "aws_sqs_queue" "ingest" {
  name                       = local.name
  visibility_timeout_seconds = var.visibility_timeout
  message_retention_seconds  = var.queue_retention
  sqs_managed_sse_enabled    = true # a key of your own would have to grant S3 access
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${local.name}-dlq"
  message_retention_seconds = var.dlq_retention
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letter" {
  queue_url = aws_sqs_queue.dead_letter.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.ingest.arn]
  })
}

resource "aws_sqs_queue_policy" "ingest" {
  queue_url = aws_sqs_queue.ingest.id
  policy    = data.aws_iam_policy_document.queue.json
}

data "aws_iam_policy_document" "queue" {
  statement {
    sid       = "TheBucketOfItsAccount"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.ingest.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["${local.arn}:s3:::${var.bucket}"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.bucket_account == "" ? local.account : var.bucket_account]
    }
  }

  dynamic "statement" {
    for_each = var.topic_arn == "" ? [] : [var.topic_arn]
    content {
      sid       = "TheTopic"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.ingest.arn]
      principals {
        type        = "Service"
        identifiers = ["sns.amazonaws.com"]
      }
      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value]
      }
    }
  }

  dynamic "statement" {
    for_each = var.rule_arn == "" ? [] : [var.rule_arn]
    content {
      sid       = "TheRule"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.ingest.arn]
      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }
      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value]
      }
    }
  }
}
