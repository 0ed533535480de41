"""Dashboards: what each panel asks, as Kibana's saved objects and as Elasticsearch's queries."""
