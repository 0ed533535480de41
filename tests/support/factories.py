"""Make what tests need again and again: lines, objects, notifications; and read documents back."""

import gzip
import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from urllib.parse import quote_plus

from elasticsearch import Elasticsearch

from devstack.traffic import line_id
from pipeline.source.reading import Chunk

KEY = (
    "AWSLogs/123456789012/elasticloadbalancing/eu-central-1/2026/11/20/"
    "123456789012_elasticloadbalancing_eu-central-1_app.frontend-alb.50dc6c495c0c9188_"
    "20261120T1005Z_10.0.0.1_3q2xk9fz.log.gz"
)
"""An access log object's key."""


START = datetime(2026, 11, 20, 10, tzinfo=UTC)
"""When the traffic of tests begins."""

_DAYS = (date(2025, 1, 1) + timedelta(number) for number in count())


def unused_day() -> str:
    """Return a day that no other test has lines of."""
    return next(_DAYS).isoformat()


def documents(es: Elasticsearch, prefix: str, kind: str = "access") -> dict[str, dict[str, object]]:
    """Return every document of a kind, by id."""
    index = f"{prefix}-{kind}" + ("" if kind == "dead-letter" else "-*")
    es.indices.refresh(index=index, ignore_unavailable=True)
    hits = es.search(index=index, size=10_000, ignore_unavailable=True)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def alb_line(number: int = 0, **changed: str) -> bytes:
    """Return a current access log line, the fields named changed; each number is another line."""
    fields = {
        "type": "https",
        "time": f"2026-11-20T10:{number // 60_000 % 60:02}:{number // 1_000 % 60:02}"
        f".{number % 1_000:03}000Z",
        "elb": "app/frontend-alb/50dc6c495c0c9188",
        "client_port": f"203.0.113.{number % 250}:{1_024 + number % 60_000}",
        "target_port": "10.0.1.5:8080",
        "request_processing_time": "0.001",
        "target_processing_time": "0.057",
        "response_processing_time": "0.000",
        "elb_status_code": "200",
        "target_status_code": "200",
        "received_bytes": "512",
        "sent_bytes": "2326",
        "request_line": f'"GET https://www.example.com:443/cart/{number}?a=b HTTP/2.0"',
        "user_agent": '"curl/8.7.1"',
        "ssl_cipher": "TLS_AES_128_GCM_SHA256",
        "ssl_protocol": "TLSv1.3",
        "target_group_arn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:"
        "targetgroup/web/73e2d6bc24d8a067",
        "trace_id": f'"Root=1-58337262-{number:024x}"',
        "domain_name": '"www.example.com"',
        "chosen_cert_arn": '"session-reused"',
        "matched_rule_priority": "0",
        "request_creation_time": "2026-11-20T09:59:59.942000Z",
        "actions_executed": '"waf,forward"',
        "redirect_url": '"-"',
        "error_reason": '"-"',
        "target_port_list": '"10.0.1.5:8080"',
        "target_status_code_list": '"200"',
        "classification": '"-"',
        "classification_reason": '"-"',
        "conn_trace_id": f"TID_{number:032x}",
        "transformed_host": '"-"',
        "transformed_uri": '"-"',
        "request_transform_status": '"-"',
        "ip_address": "10.0.0.1",
    }
    return " ".join((fields | changed).values()).encode()


def lines_of(day: str, number: int, **changed: str) -> list[bytes]:
    """Return access log lines of a day, no two alike."""
    return [
        alb_line(at, time=f"{day}T10:{at // 60 % 60:02}:{at % 60:02}.{at:06}Z", **changed)
        for at in range(number)
    ]


def no_log_lines(number: int) -> list[bytes]:
    """Return lines of something else, no two alike."""
    tag = uuid.uuid4().hex
    return [f"{tag} is no log line {at}".encode() for at in range(number)]


def text_of(lines: Iterable[bytes], end: bytes = b"\n") -> bytes:
    """Return lines as they are in an object, each with its line end."""
    return b"".join(line + end for line in lines)


def chunk_of(lines: Sequence[bytes], *, offset: int = 0, end: bytes = b"\n") -> Chunk:
    """Return lines as they are read from an object."""
    return Chunk(offset, text_of(lines, end), len(lines))


def ids_of(lines: list[bytes]) -> set[str]:
    """Return the ids that lines must get, worked out without the pipeline."""
    return {line_id(line) for line in lines}


def gz(*lines: bytes) -> bytes:
    """Return a gzip object of lines, each with its line end."""
    return gzip.compress(text_of(lines), 1)


def stored_gz(lines: list[bytes]) -> tuple[bytes, int]:
    """Return a gzip object that holds its text as it is, and where that text begins."""
    body = gzip.compress(text_of(lines), 0)
    return body, body.index(text_of(lines))


def s3_event(bucket: str, *keys: str) -> dict[str, object]:
    """Return S3's notification of new objects, as AWS sends it: keys are form-URL-encoded."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-11-20T10:05:12.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "0" * 32},
                },
            }
            for key in keys
        ]
    }


def sqs_event(*bodies: object) -> dict[str, object]:
    """Return the event by which Lambda hands over SQS messages; their ids are m0, m1, …."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:alb-logs",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }
