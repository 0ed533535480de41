# The parameters of serverless.yml, under the same names and with the same defaults: docs/deploy.md
# explains each. What is here alone is at the end.

# What to read

variable "bucket" {
  description = "The log bucket, in the region of the stack."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{3,255}$", var.bucket))
    error_message = "Give the bucket's name alone, without s3:// and what follows."
  }
}

variable "bucket_account" {
  description = "The account the bucket belongs to, where that is another."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.bucket_account))
    error_message = "An account has twelve digits; leave it out for this one."
  }
}

variable "log_prefix" {
  description = "How the keys of log objects begin, and what may be read."
  type        = string
  default     = "AWSLogs/"

  validation {
    condition     = can(regex("^([^/*][^*]*)?$", var.log_prefix))
    error_message = "Write it as keys begin: without bucket, leading / or *."
  }
}

variable "topic_arn" {
  description = "SNS topic between bucket and queue, if there is one."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:sns:.+)?$", var.topic_arn))
    error_message = "Give the ARN of an SNS topic."
  }
}

variable "rule_arn" {
  description = "EventBridge rule between bucket and queue, if there is one."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:events:.+)?$", var.rule_arn))
    error_message = "Give the ARN of an EventBridge rule."
  }
}

variable "bucket_roles" {
  description = "For buckets of other accounts, the role to read each with: bucket = role's ARN."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for role in values(var.bucket_roles) : can(regex("^arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", role))])
    error_message = "Write { their-logs = \"arn:aws:iam::123456789012:role/read-logs\" }."
  }
}

variable "kms_key_arns" {
  description = "Keys to decrypt with: of SSE-KMS objects, of the API key's secret."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for key in var.kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[^*]+:key/[^*]+$", key))])
    error_message = "Give ARNs of keys; an alias is none, and neither is a star."
  }
}

# Where to write. Empty is unset.

variable "es_url" {
  description = "Addresses of Elasticsearch, by commas."
  type        = string
  default     = ""

  validation {
    condition     = (var.es_url == "") != (var.es_cloud_id == "")
    error_message = "Set es_url or es_cloud_id, and not both."
  }
  validation {
    condition     = can(regex("^[^@]*$", var.es_url))
    error_message = "Leave user and password out of the address: they would stand in the state."
  }
}

variable "es_cloud_id" {
  description = "Cloud id, instead of an address, for Elastic Cloud."
  type        = string
  default     = ""
}

variable "es_api_key_parameter" {
  description = "SSM parameter (SecureString) with the API key; its name begins with /."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(/.+)?$", var.es_api_key_parameter))
    error_message = "A parameter's name begins with /."
  }
  validation {
    condition     = var.es_api_key_parameter == "" || var.es_api_key_secret == ""
    error_message = "Set es_api_key_parameter or es_api_key_secret, not both."
  }
}

variable "es_api_key_secret" {
  description = "Secrets Manager secret with the API key, instead, by its name."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[^:]*$", var.es_api_key_secret))
    error_message = "Give the secret's name, not its ARN."
  }
}

variable "es_ca_cert" {
  description = "ca.pem, if the package was made with a certificate."
  type        = string
  default     = ""
}

variable "es_compress" {
  description = "Compress what is sent: where traffic to Elasticsearch is paid for."
  type        = bool
  default     = false
}

variable "es_connections" {
  description = "Bulk requests under way at once, per function."
  type        = number
  default     = 2

  validation {
    condition     = var.es_connections >= 1 && var.es_connections <= 16
    error_message = "1 to 16."
  }
}

variable "bulk_bytes" {
  description = "Size of a bulk request."
  type        = number
  default     = 2000000

  validation {
    condition     = var.bulk_bytes >= 100000 && var.bulk_bytes <= 50000000
    error_message = "100000 to 50000000."
  }
}

variable "index_prefix" {
  description = "Begins every index's name; the one that setup was run with."
  type        = string
  default     = "alb-logs"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,99}$", var.index_prefix))
    error_message = "Use small letters, digits and hyphens."
  }
}

variable "keep_original" {
  description = "Keep the raw line too."
  type        = bool
  default     = false
}

# What runs

variable "architecture" {
  description = "The one that the zip was made for: make package ARCH=…"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "memory" {
  description = "MB; the processor's share grows with it."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory >= 256 && var.memory <= 10240
    error_message = "256 to 10240; the process alone needs up to 200."
  }
}

variable "timeout" {
  description = "Seconds; what does not fit goes on in a new invocation."
  type        = number
  default     = 300

  validation {
    condition     = var.timeout >= 60 && var.timeout <= 900
    error_message = "60 to 900."
  }
}

variable "subnet_ids" {
  description = "Subnets, only for a cluster that is reached from a VPC alone."
  type        = list(string)
  default     = []

  validation {
    condition     = (length(var.subnet_ids) == 0) == (length(var.security_group_ids) == 0)
    error_message = "subnet_ids and security_group_ids go together."
  }
}

variable "security_group_ids" {
  description = "Security groups, with the subnets."
  type        = list(string)
  default     = []
}

# How hard it pushes, and how long it keeps trying

variable "maximum_concurrency" {
  description = "Functions that write to Elasticsearch at once: the brake."
  type        = number
  default     = 5

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "2 to 1000, as AWS has it."
  }
}

variable "batch_size" {
  description = "Messages per invocation: they wait for each other."
  type        = number
  default     = 5

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 5
    error_message = "1 to 5: a message waits for those before it."
  }
}

variable "batching_window" {
  description = "Seconds to wait for a full batch."
  type        = number
  default     = 5

  validation {
    condition     = var.batching_window >= 0 && var.batching_window <= 300
    error_message = "0 to 300."
  }
}

variable "visibility_timeout" {
  description = "Seconds that a message is hidden while it is worked on."
  type        = number
  default     = 1830

  validation {
    condition     = var.visibility_timeout >= 6 * var.timeout + var.batching_window
    error_message = "At least 6 x timeout + batching_window, as AWS asks."
  }
  validation {
    condition     = var.visibility_timeout <= 43200
    error_message = "At most 43200, 12 hours."
  }
}

variable "max_receive_count" {
  description = "Deliveries before a message is given up; as it stands, five hours from the first to the last."
  type        = number
  default     = 15

  validation {
    condition     = var.max_receive_count * var.visibility_timeout >= 14400
    error_message = "x visibility_timeout must be 4 hours or more: less would not outlast an hour without Elasticsearch."
  }
}

variable "queue_retention" {
  description = "Seconds that the queue keeps a message."
  type        = number
  default     = 345600

  validation {
    condition     = var.queue_retention >= 2 * var.max_receive_count * var.visibility_timeout
    error_message = "At least 2 x max_receive_count x visibility_timeout: else messages expire unseen."
  }
  validation {
    condition     = var.queue_retention <= var.dlq_retention
    error_message = "At most dlq_retention: a message's age counts from its first queue on."
  }
}

variable "dlq_retention" {
  description = "Seconds that the dead-letter queue keeps a message."
  type        = number
  default     = 1209600

  validation {
    condition     = var.dlq_retention <= 1209600
    error_message = "At most 1209600, 14 days."
  }
}

# Who hears of it

variable "alarm_email" {
  description = "Who gets mail; confirm the subscription that AWS sends."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(.+@.+)?$", var.alarm_email))
    error_message = "Give one address."
  }
}

variable "oldest_message" {
  description = "Seconds that a message may wait before the alarm."
  type        = number
  default     = 1800

  validation {
    condition     = var.oldest_message >= 300
    error_message = "300 or more: what is measured covers five minutes."
  }
}

variable "silence" {
  description = "Times five minutes without a line before the alarm."
  type        = number
  default     = 6

  validation {
    condition     = var.silence >= 1 && var.silence <= 288
    error_message = "1 to 288, a day."
  }
}

variable "log_retention" {
  description = "Days that the function's log is kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention)
    error_message = "CloudWatch has 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 … days."
  }
}

# Only here

variable "stage" {
  description = "Ends every name, so that stages can share an account. What --stage is to osls."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,27}$", var.stage))
    error_message = "Use up to 28 small letters, digits and hyphens."
  }
}

variable "package_directory" {
  description = "Where make package put the zip; the dist of this repository unless given."
  type        = string
  default     = ""
}

variable "es_api_key" {
  description = "The API key, for the module to put into es_api_key_parameter. Better put it there yourself."
  type        = string
  default     = ""
  sensitive   = true
  ephemeral   = true # is in no plan and no state
}

variable "es_api_key_version" {
  description = "0: the parameter is yours. From 1 on the module writes es_api_key to it, whenever this rises."
  type        = number
  default     = 0

  validation {
    condition     = var.es_api_key_version == 0 || var.es_api_key_parameter != ""
    error_message = "Name the parameter: es_api_key_parameter."
  }
}

variable "manage_bucket_notification" {
  description = "Own ALL of the bucket's notifications: any that others have there are removed. See notification.tf."
  type        = bool
  default     = false
}
