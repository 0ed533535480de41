"""What the logs are: object keys, fields, lines and documents. Pure: nothing here does any I/O."""
