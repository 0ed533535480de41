output "queue_arn" {
  description = "For alb-logs connect --queue-arn"
  value       = module.alb_logs.queue_arn
}
