"""State the version of this package, for it has to be known in the Lambda function too."""

VERSION = "0.1.0"
