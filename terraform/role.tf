# What the function may do: these actions on these resources, and nothing else. docs/access.md
# explains every line; a test compares them with deploy/resources/role.yml.

locals {
  # Each account has its folder below AWSLogs/, by its number, as aws-account-id=NUMBER, or below its
  # organisation's.
  log_folders = endswith(var.log_prefix, "AWSLogs/") ? var.log_prefix : "${var.log_prefix}*AWSLogs/"

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
  name_prefix        = "${local.name}-" # roles have no region, and stages of two regions may share a name
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
    actions   = ["s3:GetObject", "s3:GetObjectVersion"] # a version: overwritten since its notification
    resources = ["${local.arn}:s3:::${var.bucket}/${local.log_folders}*/elasticloadbalancing/*"]
  }

  # Without it S3 reports a missing object as forbidden, and its message would be tried for hours.
  # No condition on s3:prefix: GetObject has none, so it would never hold.
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
      resources = ["${local.arn}:ssm:${local.region}:${local.account}:parameter${regex("^[^#]*", statement.value)}"]
    }
  }

  dynamic "statement" {
    for_each = var.es_api_key_secret == "" ? [] : [var.es_api_key_secret]
    content {
      sid     = "ReadTheApiKeySecret"
      actions = ["secretsmanager:GetSecretValue"]
      # AWS adds a hyphen and six characters to a secret's name.
      resources = ["${local.arn}:secretsmanager:${local.region}:${local.account}:secret:${regex("^[^#]*", statement.value)}-??????"]
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
      resources = ["*"] # Lambda checks for them before an interface exists
    }
  }

  # Lambda needs these, the code in the function does not.
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
