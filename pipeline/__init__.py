r"""
Carry AWS Application Load Balancer logs from S3 into Elasticsearch.

Data walks through these rooms once, left to right:

    discovery  ->  reading  ->  parsing  ->  document  ->  sink     ->  outcome
    ObjectRef      chunks       Record       ECS JSON      replies      Tally
                                \\____ encoding ____/

`ingest` joins the rooms for one object: read it first.
"""
