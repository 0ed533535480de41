"""Describe and install what `alb-logs setup` puts into Elasticsearch."""
