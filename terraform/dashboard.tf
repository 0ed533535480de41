# The pipeline at a glance: what arrived, the outcome, how late, and what waits.

locals {
  service = ["service", local.name]
  widgets = [
    {
      type = "metric", x = 0, y = 0, width = 12, height = 6
      properties = {
        title   = "Lines by outcome", region = local.region, view = "timeSeries"
        stacked = true, stat = "Sum", period = 300
        metrics = [
          for name in ["Indexed", "Duplicates", "Rejected", "Filtered", "Blank", "Truncated"] :
          concat(["alb-logs", name], local.service)
        ]
      }
    },
    {
      type = "metric", x = 12, y = 0, width = 12, height = 6
      properties = {
        title = "Objects", region = local.region, view = "timeSeries", stat = "Sum", period = 300
        metrics = [
          for name in [
            "Objects", "Continuations", "ObjectsFailed", "ObjectsMissing", "ObjectsChanged",
            "ObjectsSkipped", "NotificationErrors", "StartErrors", "AccountingErrors",
            "LedgerErrors",
          ] : concat(["alb-logs", name], local.service)
        ]
      }
    },
    {
      type = "metric", x = 0, y = 6, width = 12, height = 6
      properties = {
        title = "Lag in seconds", region = local.region, view = "timeSeries", period = 300
        metrics = [
          concat(["alb-logs", "DeliveryLag"], local.service, [{ stat = "p50" }]),
          concat(["alb-logs", "DeliveryLag"], local.service, [{ stat = "p99" }]),
          concat(["alb-logs", "IngestLag"], local.service, [{ stat = "p50" }]),
          concat(["alb-logs", "IngestLag"], local.service, [{ stat = "p99" }]),
        ]
      }
    },
    {
      type = "metric", x = 12, y = 6, width = 12, height = 6
      properties = {
        title = "Waiting messages", region = local.region, view = "timeSeries"
        stat  = "Maximum", period = 300
        metrics = [
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.ingest.name],
          ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", aws_sqs_queue.ingest.name],
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.dead_letter.name],
          ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", aws_sqs_queue.ingest.name, { yAxis = "right" }],
        ]
      }
    },
    {
      type = "metric", x = 0, y = 12, width = 12, height = 6
      properties = {
        title = "The function", region = local.region, view = "timeSeries", period = 300
        metrics = [
          ["AWS/Lambda", "Errors", "FunctionName", local.name, { stat = "Sum" }],
          ["AWS/Lambda", "Throttles", "FunctionName", local.name, { stat = "Sum" }],
          ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", local.name, { stat = "Maximum" }],
          ["AWS/Lambda", "Duration", "FunctionName", local.name, { stat = "p99", yAxis = "right" }],
        ]
      }
    },
    {
      type = "metric", x = 12, y = 12, width = 12, height = 6
      properties = {
        title   = "Bytes read", region = local.region, view = "timeSeries", stat = "Sum", period = 300
        metrics = [concat(["alb-logs", "Bytes"], local.service)]
      }
    },
    {
      type = "log", x = 0, y = 18, width = 24, height = 6
      properties = {
        title = "Why objects failed", region = local.region, view = "table"
        query = "SOURCE '/aws/lambda/${local.name}' | filter level = 'ERROR' | stats count(*) as times, latest(key) as last_key by error | sort times desc | limit 20"
      }
    },
  ]
}

resource "aws_cloudwatch_dashboard" "pipeline" {
  dashboard_name = local.name
  dashboard_body = jsonencode({ widgets = local.widgets })
}
