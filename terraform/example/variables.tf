variable "region" {
  description = "The region of the log bucket."
  type        = string
  default     = "eu-central-1"
}

variable "stage" {
  description = "dev, prod, …"
  type        = string
}

variable "bucket" {
  description = "The log bucket."
  type        = string
}

variable "es_url" {
  description = "Address of Elasticsearch."
  type        = string
}

variable "es_api_key_parameter" {
  description = "SSM parameter (SecureString) with the API key; its name begins with /."
  type        = string
  default     = "/alb-logs/es-api-key"
}

variable "alarm_email" {
  description = "Address that gets the alarms by mail."
  type        = string
  default     = ""
}
