# What wakes someone. docs/stack.md says what each alarm means, docs/runbook.md what to do.

locals {
  our_dimensions      = { service = local.name }
  function_dimensions = { FunctionName = local.name }

  alarms = {
    "dlq-not-empty" = {
      description = "Messages were given up. Their lines are not indexed until the queue is redriven."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead_letter.name }
      statistic   = "Maximum"
      periods     = 1
      threshold   = 0
    }
    "oldest-message" = {
      description = "Messages wait for their first deliveries. The function does not keep up, or does not run."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = aws_sqs_queue.ingest.name }
      statistic   = "Maximum"
      periods     = 1
      threshold   = var.oldest_message
    }
    "objects-failed" = {
      description = "Objects fail again and again. Elasticsearch is down or refuses, or an object is damaged."
      namespace   = "alb-logs"
      metric      = "ObjectsFailed"
      dimensions  = local.our_dimensions
      statistic   = "Sum"
      periods     = 6
      datapoints  = 4 # what passes by itself needs nobody
      threshold   = 0
    }
    "notification-errors" = {
      description = "Messages are not S3 notifications. Something else feeds the queue, or a transformation strips them."
      namespace   = "alb-logs"
      metric      = "NotificationErrors"
      dimensions  = local.our_dimensions
      statistic   = "Sum"
      periods     = 1
      threshold   = 0
    }
    "errors" = {
      description = "Invocations failed as a whole. A setting, a permission, a crash or the timeout."
      namespace   = "AWS/Lambda"
      metric      = "Errors"
      dimensions  = local.function_dimensions
      statistic   = "Sum"
      periods     = 1
      threshold   = 0
    }
    "throttles" = {
      description = "The account has no concurrency left for the function, although the function's own limit is lower."
      namespace   = "AWS/Lambda"
      metric      = "Throttles"
      dimensions  = local.function_dimensions
      statistic   = "Sum"
      periods     = 3
      threshold   = 0
    }
    "rejected" = {
      description = "Lines became dead letters. The heading Rejected in the runbook shows how to find out why."
      namespace   = "alb-logs"
      metric      = "Rejected"
      dimensions  = local.our_dimensions
      statistic   = "Sum"
      periods     = 1
      threshold   = 0
    }
    "accounting" = {
      description = "Lines read and lines accounted for differ, which is a defect of the pipeline."
      namespace   = "alb-logs"
      metric      = "AccountingErrors"
      dimensions  = local.our_dimensions
      statistic   = "Sum"
      periods     = 1
      threshold   = 0
    }
    "no-lines" = {
      description = "No line was read for a long time. The bucket, its notifications or the function is cut off."
      namespace   = "alb-logs"
      metric      = "Lines"
      dimensions  = local.our_dimensions
      statistic   = "Sum"
      periods     = var.silence
      threshold   = 1
    }
  }
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26: CloudWatch cannot use AWS's own key, and alarms hold no log line
  name = "${local.name}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  count = var.alarm_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "pipeline" {
  for_each = local.alarms

  alarm_name          = "${local.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = lookup(each.value, "datapoints", null) # all of them
  threshold           = each.value.threshold
  comparison_operator = each.key == "no-lines" ? "LessThanThreshold" : "GreaterThanThreshold"
  # A function that is not invoked writes no metric.
  treat_missing_data = each.key == "no-lines" ? "breaching" : "notBreaching"
  alarm_actions      = [aws_sns_topic.alarms.arn]
  ok_actions         = [aws_sns_topic.alarms.arn]
}
