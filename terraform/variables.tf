# The parameters of serverless.yml, with the same names and defaults: docs/stack.md explains each.
# Those that only exist here are at the end.

# What to read

variable "bucket" {
  description = "The log bucket, in the region of the stack."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{3,255}$", var.bucket))
    error_message = "Write only the bucket's name, without s3:// and without a key."
  }
}

variable "bucket_account" {
  description = "The account that the bucket belongs to, if it is another one."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{12})?$", var.bucket_account))
    error_message = "An account has twelve digits; leave it out for this one."
  }
}

variable "log_prefix" {
  description = "How the keys of log objects begin: with AWSLogs/, or with what stands before it."
  type        = string
  default     = "AWSLogs/"

  validation {
    condition = (
      can(regex("^([^/*?$][^*?$]*)?$", var.log_prefix)) &&
      length(regexall("AWSLogs", trimsuffix(var.log_prefix, "AWSLogs/"))) == 0
    )
    error_message = "Write the beginning of a key, up to AWSLogs/ or before it: without bucket, leading /, * or ?."
  }
}

variable "topic_arn" {
  description = "SNS topic between bucket and queue, if there is one."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:sns:.+)?$", var.topic_arn))
    error_message = "Set the ARN of an SNS topic."
  }
}

variable "rule_arn" {
  description = "EventBridge rule between bucket and queue, if there is one."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:events:.+)?$", var.rule_arn))
    error_message = "Set the ARN of an EventBridge rule."
  }
}

variable "bucket_roles" {
  description = "Roles to read buckets of other accounts with: bucket = ARN of the role."
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
    error_message = "Set ARNs of keys; an alias or a star is not allowed."
  }
}

# Where to write. Empty means unset.

variable "es_url" {
  description = "Addresses of Elasticsearch, separated by commas."
  type        = string
  default     = ""

  validation {
    condition     = (var.es_url == "") != (var.es_cloud_id == "")
    error_message = "Set either es_url or es_cloud_id."
  }
  validation {
    condition     = can(regex("^[^@]*$", var.es_url))
    error_message = "Leave user and password out of the address: they would end up in the state."
  }
}

variable "es_cloud_id" {
  description = "Cloud id, instead of an address, for Elastic Cloud."
  type        = string
  default     = ""
}

variable "es_api_key_parameter" {
  description = "SSM parameter (SecureString) with the API key; its name begins with /. #FIELD after it if it is JSON."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(/.+)?$", var.es_api_key_parameter))
    error_message = "A parameter's name begins with /."
  }
  validation {
    condition     = var.es_api_key_parameter == "" || var.es_api_key_secret == ""
    error_message = "Set either es_api_key_parameter or es_api_key_secret."
  }
}

variable "es_api_key_secret" {
  description = "Secrets Manager secret with the API key instead, by name; #FIELD after it if it is JSON."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[^:]*$", var.es_api_key_secret))
    error_message = "Set the secret's name, not its ARN."
  }
}

variable "es_insecure_http" {
  description = "Send the key over plain http to another machine: only in a network that you trust."
  type        = bool
  default     = false
}

variable "es_ca_cert" {
  description = "ca.pem, if the package was made with a certificate."
  type        = string
  default     = ""
}

variable "es_compress" {
  description = "Compress requests: useful if traffic to Elasticsearch costs money."
  type        = bool
  default     = false
}

variable "es_connections" {
  description = "Concurrent bulk requests per function."
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
  description = "First part of every index name; the one that setup was run with."
  type        = string
  default     = "alb-logs"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,99}$", var.index_prefix))
    error_message = "Use lower-case letters, digits and hyphens."
  }
}

variable "provenance" {
  description = "Keep bucket, key and time of ingestion in every document."
  type        = bool
  default     = false
}

variable "keep_original" {
  description = "Also keep the raw line."
  type        = bool
  default     = false
}

variable "most_rejects" {
  description = "Dead letters of one object, at most; with more of them it fails."
  type        = number
  default     = 10000

  validation {
    condition     = var.most_rejects >= 0 && var.most_rejects <= 1000000
    error_message = "0 to 1000000."
  }
}

# What of it: docs/privacy.md

variable "redact_query" {
  description = "Query parameters whose values are redacted: names, separated by commas, or * for all."
  type        = string
  default     = ""

  validation {
    condition     = var.redact_query == "*" || can(regex("^[^*?&;#=%\\[]*$", var.redact_query))
    error_message = "Write names, separated by commas, or * alone."
  }
}

variable "anonymize_ip" {
  description = "Leading bits of the client's address that are kept, of IPv4 and IPv6: 24,48."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9]{1,2} *, *[0-9]{1,3})?$", var.anonymize_ip))
    error_message = "Write two numbers of bits: 24,48."
  }
}

variable "drop_fields" {
  description = "Fields that no document gets, separated by commas."
  type        = string
  default     = ""
}

variable "exclude" {
  description = "Lines that are not indexed but counted as filtered: rules, separated by semicolons."
  type        = string
  default     = ""
}

variable "dead_letter_lines" {
  description = "Keep the raw line in dead letters: on or off; by default off where one of these four is set."
  type        = string
  default     = ""

  validation {
    condition     = contains(["", "on", "off"], var.dead_letter_lines)
    error_message = "on or off."
  }
}

# What runs

variable "architecture" {
  description = "The architecture that the zip was made for: make package ARCH=…"
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "memory" {
  description = "MB; the share of the processor grows with it."
  type        = number
  default     = 1024

  validation {
    condition     = var.memory >= 256 && var.memory <= 10240
    error_message = "256 to 10240; the process alone needs up to 200."
  }
}

variable "timeout" {
  description = "Seconds; what does not fit continues in a new invocation."
  type        = number
  default     = 300

  validation {
    condition     = var.timeout >= 60 && var.timeout <= 900
    error_message = "60 to 900."
  }
}

variable "subnet_ids" {
  description = "Subnets, only for a cluster that can be reached only from a VPC."
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
  description = "How many functions write to Elasticsearch at once: the limit that protects it."
  type        = number
  default     = 5

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "2 to 1000, as AWS requires."
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
  description = "Seconds that a message is hidden while it is processed."
  type        = number
  default     = 1830

  validation {
    condition     = var.visibility_timeout >= 6 * var.timeout + var.batching_window
    error_message = "At least 6 x timeout + batching_window, as AWS recommends."
  }
  validation {
    condition     = var.visibility_timeout <= 43200
    error_message = "At most 43200, 12 hours."
  }
}

variable "max_receive_count" {
  description = "Deliveries before a message is given up; by default, five hours from the first to the last."
  type        = number
  default     = 15

  validation {
    condition     = var.max_receive_count * var.visibility_timeout >= 14400
    error_message = "max_receive_count x visibility_timeout must be 4 hours or more: less would not outlast an hour without Elasticsearch."
  }
}

variable "queue_retention" {
  description = "Seconds that the queue keeps a message."
  type        = number
  default     = 345600

  validation {
    condition     = var.queue_retention >= 2 * var.max_receive_count * var.visibility_timeout
    error_message = "At least 2 x max_receive_count x visibility_timeout: otherwise messages expire unseen."
  }
  validation {
    condition     = var.queue_retention <= var.dlq_retention
    error_message = "At most dlq_retention: the age of a message includes its time in the first queue."
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

# Who is notified

variable "alarm_email" {
  description = "Address that gets mail; confirm the subscription that AWS sends."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(.+@.+)?$", var.alarm_email))
    error_message = "Set one address."
  }
}

variable "oldest_message" {
  description = "Seconds that a message may wait before the alarm."
  type        = number
  default     = 1800

  validation {
    condition     = var.oldest_message >= 300
    error_message = "300 or more: the metric covers five minutes."
  }
}

variable "silence" {
  description = "Periods of five minutes without a line before the alarm."
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
    error_message = "CloudWatch allows 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 … days."
  }
}

# Only here

variable "stage" {
  description = "Last part of every name, so that stages can share an account; --stage in osls."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,27}$", var.stage))
    error_message = "Use up to 28 lower-case letters, digits and hyphens."
  }
}

variable "package_directory" {
  description = "Folder where make package put the zip; by default dist in this repository."
  type        = string
  default     = ""
}

variable "es_api_key" {
  description = "The API key, for the module to write into es_api_key_parameter. It is better to do that yourself."
  type        = string
  default     = ""
  sensitive   = true
  ephemeral   = true # is in no plan and no state
}

variable "es_api_key_version" {
  description = "0: you keep the parameter. From 1 on the module writes es_api_key to it whenever this number rises."
  type        = number
  default     = 0

  validation {
    condition     = var.es_api_key_version == 0 || var.es_api_key_parameter != ""
    error_message = "Set the name of the parameter: es_api_key_parameter."
  }
}

variable "manage_bucket_notification" {
  description = "Own ALL notifications of the bucket: those of others are removed. See notification.tf."
  type        = bool
  default     = false
}
