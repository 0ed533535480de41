# One stage of the pipeline, its state in S3, a lock in DynamoDB. terraform/README.md explains it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }

  # Bucket, key and region differ by stage: terraform init -backend-config=…
  backend "s3" {
    encrypt        = true
    dynamodb_table = "terraform-locks"
    # `use_lockfile = true` locks in the bucket itself, without the table.
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      service = "alb-logs"
      stage   = var.stage
    }
  }
}

module "alb_logs" {
  source = "../"

  stage                = var.stage
  bucket               = var.bucket
  es_url               = var.es_url
  es_api_key_parameter = var.es_api_key_parameter
  alarm_email          = var.alarm_email
}
