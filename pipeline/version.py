"""State the version of this package, which the Lambda function has to know, too."""

VERSION = "0.1.0"
