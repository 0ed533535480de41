# What the function may do: these actions on these things, and nothing else. Every line is
# explained in docs/deploy.md; a test compares them with deploy/resources/role.yml.

locals {
  vpc_actions = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
  ]
}

resource "aws_iam_role" "ingest" {
  name_prefix        = "${local.name}-" # roles have no region, stages may share a name in two
  description        = "What the function ${local.name} may do"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "ingest" {
  name   = "ingest"
  role   = aws_iam_role.ingest.id
  policy = data.aws_iam_policy_document.ingest.json
}

data "aws_iam_policy_document" "ingest" {
  statement {
    sid       = "ReadLogObjects"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn}:s3:::${var.bucket}/${var.log_prefix}*"]
  }

  # Without it a missing object reads as forbidden, and its message would be tried for hours. No
  # condition on s3:prefix: a GetObject has none, so it would never hold.
  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = ["${local.arn}:s3:::${var.bucket}"]
  }

  statement {
    sid = "TakeFromTheQueueAndPutBack"
    actions = [
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility",
      "sqs:SendMessage",
    ]
    resources = [aws_sqs_queue.ingest.arn]
  }

  statement {
    sid       = "WriteItsLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.ingest.arn}:*"] # the group's streams
  }

  statement {
    sid       = "Trace"
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    resources = ["*"] # X-Ray has no resource to name
  }

  dynamic "statement" {
    for_each = var.es_api_key_parameter == "" ? [] : [var.es_api_key_parameter]
    content {
      sid       = "ReadTheApiKey"
      actions   = ["ssm:GetParameter"]
      resources = ["${local.arn}:ssm:${local.region}:${local.account}:parameter${statement.value}"]
    }
  }

  dynamic "statement" {
    for_each = var.es_api_key_secret == "" ? [] : [var.es_api_key_secret]
    content {
      sid     = "ReadTheApiKeySecret"
      actions = ["secretsmanager:GetSecretValue"]
      # AWS adds a hyphen and six characters to a secret's name.
      resources = ["${local.arn}:secretsmanager:${local.region}:${local.account}:secret:${statement.value}-??????"]
    }
  }

  dynamic "statement" {
    for_each = length(var.kms_key_arns) == 0 ? [] : [var.kms_key_arns]
    content {
      sid       = "Decrypt"
      actions   = ["kms:Decrypt"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(var.bucket_roles) == 0 ? [] : [distinct(values(var.bucket_roles))]
    content {
      sid       = "ReadBucketsOfOthers"
      actions   = ["sts:AssumeRole"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(var.subnet_ids) == 0 ? [] : [local.vpc_actions]
    content {
      sid       = "StandInTheVpc"
      actions   = statement.value
      resources = ["*"] # Lambda asks for them before there is an interface to name
    }
  }

  # Lambda needs those, the code in the function does not.
  dynamic "statement" {
    for_each = length(var.subnet_ids) == 0 ? [] : [local.vpc_actions]
    content {
      sid       = "NotFromTheCode"
      effect    = "Deny"
      actions   = statement.value
      resources = ["*"]
      condition {
        test     = "ArnEquals"
        variable = "lambda:SourceFunctionArn"
        values   = ["${local.arn}:lambda:${local.region}:${local.account}:function:${local.name}"]
      }
    }
  }
}
