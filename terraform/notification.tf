# How the bucket announces new objects to the queue.
#
# S3 has one notification configuration per bucket, and this resource is ALL of it: applying it removes
# what others have there, destroying it removes everything. So it is off unless you say that only the
# pipeline uses the bucket. Otherwise `alb-logs connect --bucket BUCKET --queue-arn ARN` adds ours and
# keeps theirs; or `alb-logs connect --eventbridge` announces objects to EventBridge, and a rule of
# yours, whose ARN is rule_arn, sends them to the queue.

resource "aws_s3_bucket_notification" "logs" {
  count = var.manage_bucket_notification ? 1 : 0

  bucket = var.bucket

  queue {
    queue_arn     = aws_sqs_queue.ingest.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.log_prefix
  }

  depends_on = [aws_sqs_queue_policy.ingest] # S3 checks that it may send
}
