"""Know what the logs are: keys, fields, lines and documents. Pure; no call leaves this package."""
