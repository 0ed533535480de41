"""Turn a notification into chunks of whole lines."""
