# How the queue hears of new objects.
#
# S3 has one notification configuration per bucket, and this resource is ALL of it: what others have
# there is removed when it is applied, and everything when it is destroyed. So it is off unless you
# say that the bucket is the pipeline's alone. Otherwise `alb-logs connect --bucket BUCKET --queue-arn
# ARN` adds ours and keeps theirs, or EventBridge hears of the whole bucket beside any other
# (`alb-logs connect --eventbridge`), and a rule of yours, whose ARN is rule_arn, sends to the queue.

resource "aws_s3_bucket_notification" "logs" {
  count = var.manage_bucket_notification ? 1 : 0

  bucket = var.bucket

  queue {
    queue_arn     = aws_sqs_queue.ingest.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.log_prefix
  }

  depends_on = [aws_sqs_queue_policy.ingest] # S3 tries whether it may send
}
