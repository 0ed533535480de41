output "queue_arn" {
  description = "Send the bucket's notifications here: alb-logs connect --queue-arn"
  value       = aws_sqs_queue.ingest.arn
}

output "dead_letter_queue_url" {
  description = "The queue of messages that were given up, for a redrive."
  value       = aws_sqs_queue.dead_letter.url
}

output "alarm_topic_arn" {
  description = "The topic of the alarms: subscribe to it."
  value       = aws_sns_topic.alarms.arn
}

output "role_arn" {
  description = "The function's role: for the policies of buckets and keys of other accounts."
  value       = aws_iam_role.ingest.arn
}
