r"""
Carry AWS Application Load Balancer logs from S3 into Elasticsearch.

Data passes these stages once, left to right, each a folder:

    source  ->  alb                    ->  sink                          ->  outcome
    ObjectRef   Record                     Batch                             Tally
    chunks      document, id, index        acknowledged documents, letters

`ingest` joins the stages for one object: read it first. `clients` and `wiring` make from the
settings what they need; `jobs` work on many objects; `cli` and `lambda/` are the front doors.
"""
