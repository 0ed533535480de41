# The function, its log, and what invokes it.

locals {
  directory = var.package_directory == "" ? "${path.module}/../dist" : var.package_directory
  package   = "${local.directory}/alb-logs-lambda-${var.architecture}"
}

resource "aws_lambda_function" "ingest" {
  #checkov:skip=CKV_AWS_115: reserved concurrency would be taken from others; the mapping has the brake
  #checkov:skip=CKV_AWS_116: its queue has the dead letters, and on_failure hands direct events to it
  #checkov:skip=CKV_AWS_173: the environment holds no secret, only names of secrets
  #checkov:skip=CKV_AWS_272: who may sign code is the account's decision; the zip can be built again, byte for byte
  function_name    = local.name
  description      = "Application Load Balancer logs from S3 into Elasticsearch"
  role             = aws_iam_role.ingest.arn
  handler          = "lambda/handler.handler"
  filename         = "${local.package}.zip"
  source_code_hash = filebase64sha256("${local.package}.zip")
  # What the zip was made for, so the two cannot differ. Not found: run `make package`.
  runtime       = jsondecode(file("${local.package}.json")).runtime
  architectures = [var.architecture]
  memory_size   = var.memory
  timeout       = var.timeout

  environment {
    # The fields of Config in pipeline/config.py: see docs/settings.md. The first tells the metrics of
    # this stage from those of others.
    variables = {
      POWERTOOLS_SERVICE_NAME       = local.name
      ALB_LOGS_QUEUE_URL            = aws_sqs_queue.ingest.url
      ALB_LOGS_BUCKET_ROLES         = join(" ", [for bucket, role in var.bucket_roles : "${bucket}=${role}"])
      ALB_LOGS_ES_URL               = var.es_url
      ALB_LOGS_ES_CLOUD_ID          = var.es_cloud_id
      ALB_LOGS_ES_API_KEY_PARAMETER = var.es_api_key_parameter
      ALB_LOGS_ES_API_KEY_SECRET    = var.es_api_key_secret
      ALB_LOGS_ES_INSECURE_HTTP     = tostring(var.es_insecure_http)
      ALB_LOGS_ES_CA_CERT           = var.es_ca_cert
      ALB_LOGS_ES_COMPRESS          = tostring(var.es_compress)
      ALB_LOGS_ES_CONNECTIONS       = tostring(var.es_connections)
      ALB_LOGS_BULK_BYTES           = tostring(var.bulk_bytes)
      ALB_LOGS_INDEX_PREFIX         = var.index_prefix
      ALB_LOGS_PROVENANCE           = tostring(var.provenance)
      ALB_LOGS_KEEP_ORIGINAL        = tostring(var.keep_original)
      ALB_LOGS_MOST_REJECTS         = tostring(var.most_rejects)
      ALB_LOGS_REDACT_QUERY         = var.redact_query
      ALB_LOGS_ANONYMIZE_IP         = var.anonymize_ip
      ALB_LOGS_DROP_FIELDS          = var.drop_fields
      ALB_LOGS_EXCLUDE              = var.exclude
      ALB_LOGS_DEAD_LETTER_LINES    = var.dead_letter_lines
    }
  }

  tracing_config {
    mode = "Active"
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) == 0 ? [] : [var.subnet_ids]
    content {
      subnet_ids         = vpc_config.value
      security_group_ids = var.security_group_ids
    }
  }

  # Without a log group Lambda makes one that is kept forever; and it checks whether the role may work
  # in a VPC.
  depends_on = [aws_cloudwatch_log_group.ingest, aws_iam_role_policy.ingest]
}

resource "aws_cloudwatch_log_group" "ingest" {
  #checkov:skip=CKV_AWS_158: it names objects and reasons, and holds no line of the access logs
  #checkov:skip=CKV_AWS_338: log_retention is the user's choice; the access logs themselves are elsewhere
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_retention
}

# An object too big for one invocation continues in the next: the function sends to the queue that
# feeds it. AWS takes that for an accident and stops it after 16 rounds unless it is allowed here; the
# function itself stops after its hop cap.
resource "aws_lambda_function_recursion_config" "ingest" {
  function_name  = aws_lambda_function.ingest.function_name
  recursive_loop = "Allow"
}

resource "aws_lambda_event_source_mapping" "queue" {
  event_source_arn                   = aws_sqs_queue.ingest.arn
  function_name                      = aws_lambda_function.ingest.arn
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batching_window
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  depends_on = [aws_iam_role_policy.ingest, aws_lambda_function_recursion_config.ingest]
}

# Direct invocations (S3, SNS, EventBridge) are retried twice within minutes, which would not outlast
# an hour without Elasticsearch. After that the event goes to the queue.
resource "aws_lambda_function_event_invoke_config" "ingest" {
  function_name          = aws_lambda_function.ingest.function_name
  maximum_retry_attempts = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.ingest.arn
    }
  }

  depends_on = [aws_iam_role_policy.ingest] # AWS checks that the role may send there
}

# Only on request: a key that never passes through Terraform is safer.
resource "aws_ssm_parameter" "es_api_key" {
  #checkov:skip=CKV_AWS_337: AWS's own key needs no grant; to use a key of yours, make the parameter yourself
  count = var.es_api_key_version > 0 ? 1 : 0

  name             = regex("^[^#]*", var.es_api_key_parameter)
  type             = "SecureString"
  value_wo         = var.es_api_key
  value_wo_version = var.es_api_key_version
}
