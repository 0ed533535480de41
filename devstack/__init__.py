"""
Run everything the pipeline talks to on one machine, from Python packages alone.

    elasticsearch   a real Elasticsearch 8.x
    aws             an AWS emulator (moto): S3, SQS and the notifications between them
    ministack       an AWS emulator that deploys and runs functions, and enforces IAM
    process         start, watch and stop a server
    installing      downloads that are kept outside the checkout
    traffic         realistic load balancer logs, from a seed
    poller          Lambda's part: hand a queue's messages to the handler
    demo, report    `make demo`, and the tables that it prints

The demo, the tests and the benchmarks use it. Nothing in `pipeline` does.
"""
