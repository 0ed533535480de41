"""
Run everything the pipeline talks to on one machine, from Python packages alone.

    elasticsearch   a real Elasticsearch 8.x
    aws             an AWS emulator: S3, SQS and the notifications between them
    process         what the two share: start, watch, stop

The demo, the tests and the benchmarks use it. Nothing in `pipeline` does.
"""
