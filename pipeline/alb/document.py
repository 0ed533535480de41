"""
Turn a `Record` into the ECS document that Elasticsearch stores, with its id and its index.

Pure, and the only bridge from AWS's names to ECS's: each form of column has one function that
takes its value apart into the column's fields, in the order of the field table. The exact rules
stand in `docs/fields.md`.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pipeline.alb.fields import (
    COLUMNS,
    CONSTANTS,
    DURATION,
    ERROR_ORIGIN,
    OUTCOME,
    TAIL,
    Field,
    Form,
    Kind,
)
from pipeline.alb.parsing import TIME_COLUMN, Record, Value, validity_dates

Part = str | int | float | bool | list[str] | None
"""The value of one field; None where the field is absent."""


class Period(StrEnum):
    """How much time one index holds."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Context:
    """
    What is the same for every line of an object.

    `kind` None lets each line tell. `latest` is the last instant an event may have, `ingested`
    the instant to store as `event.ingested` (None: leave it out).
    """

    latest: str
    kind: Kind | None = None
    prefix: str = "alb-logs"
    period: Period = Period.DAY
    bucket: str | None = None
    key: str | None = None
    account: str | None = None
    region: str | None = None
    ingested: str | None = None
    keep_original: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """One document to be created in Elasticsearch."""

    id: str
    index: str
    source: dict[str, Any]


def to_document(record: Record, line: bytes, context: Context) -> Document:
    """Give the document of one parsed line; `line` is its raw bytes without the line end."""
    flat: dict[str, Any] = {
        **CONSTANTS[record.kind],
        **_provenance(line, context),
        **dict(_column_fields(record)),
        **_derived(record),
    }
    return Document(
        id=document_id(line),
        index=index_name(record.kind, str(record.values[TIME_COLUMN[record.kind]]), context),
        source=nest({name: part for name, part in flat.items() if part is not None}),
    )


def document_id(line: bytes) -> str:
    """
    Give the id of a raw line: the same wherever and however often the line is met.

    Ordinary lines hold a microsecond time and a unique trace id, so equal lines are one request.
    """
    return id_of_digest(hashlib.sha256(line).digest())


def document_ids(lines: list[bytes]) -> list[str]:
    """Give the ids of many raw lines at once: 15 bytes make 20 characters, without padding."""
    digests = b"".join([hashlib.sha256(line).digest()[:15] for line in lines])
    ids = base64.urlsafe_b64encode(digests).decode()
    return [ids[at : at + 20] for at in range(0, len(ids), 20)]


def id_of_digest(digest: bytes) -> str:
    """Give the id for the SHA-256 of a raw line: 120 bits of it, in base64url."""
    return base64.urlsafe_b64encode(digest[:15]).decode()


def index_name(kind: Kind, time: str, context: Context) -> str:
    """Give the index of an event by its own UTC day, or month, so that retention counts from it."""
    day = f"{time[:4]}.{time[5:7]}." + (time[8:10] if context.period is Period.DAY else "01")
    return f"{context.prefix}-{kind}-{day}"


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested objects, as ECS has them."""
    root: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        place = root
        for step in path:
            place = place.setdefault(step, {})
        place[leaf] = value
    return root


# --- each form of column, taken apart into its fields --------------------------------------------

_ADDRESS = re.compile(r"(.*):([0-9]{1,5}|-)", re.DOTALL)
_URL = re.compile(
    r"([a-z]+)://(\[[^\]/]*\]|[^:/?]*)(?::([0-9]+)-?)?(/[^?]*)?(?:\?(.*))?", re.DOTALL
)
_HTTP_VERSION = re.compile(r"HTTP/([0-9.]+)")
_ID_LIKE = re.compile(
    r"[0-9]+"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|[0-9a-fA-F]{16,}"
    r"|(?=[^0-9]*[0-9])[A-Za-z0-9_-]{20,}"
)
_NAME_IN_ELB = re.compile(r"[^/]*/([^/]*)/[^/]*")
_NAME_IN_ARN = re.compile(r".*:targetgroup/([^/]+)/[^/]+", re.DOTALL)
_NAME_IN_ID = re.compile(r"([^/]+)/[^/]+")
_PROTOCOL = re.compile(r"(TLS|SSL)v([0-9]+)(?:\.([0-9]+))?")
_ROOT = re.compile(r"(?:^|;) *Root=([^;]+)")
_LONG_MAX = 2**63 - 1
_SAFE_DIGITS = 18  # of a number that is sure to fit 64 bits


def split_address(text: str) -> tuple[str | None, int | None]:
    """Split `ip:port` at the last colon, for IPv6 stands without brackets."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return text, None
    return match[1] or None, None if match[2] == "-" else int(match[2])


def split_request(text: str) -> tuple[Part, ...]:
    """Take a request line apart; an odd one keeps what it has, whole in `url.original`."""
    rest, _, last = text.rpartition(" ")
    version = _HTTP_VERSION.fullmatch(last)
    if version is None:
        rest = text
    first, _, url = rest.partition(" ")
    method = None if first in {"", "-"} else first
    url = url.removesuffix(" -") if url.endswith(" -") else url.removesuffix(" ")
    whole = method and version and url not in {"", "-"}
    said = None if not text.strip(" -") else text
    return (method, url if whole else said, *_url_parts(url), version and version[1])


def _url_parts(url: str) -> tuple[Part, ...]:
    match = _URL.fullmatch(url)
    if match is None:
        return (None,) * 6
    scheme, domain, port, path, query = match.groups()
    digits = None if port is None else port.lstrip("0") or "0"
    number = int(digits) if digits and len(digits) <= _SAFE_DIGITS else None
    return scheme, domain or None, number, path, query or None, path and url_template(path)


def url_template(path: str) -> str:
    """Replace the id-like segments of a path by {id}: what people group by."""
    return "/".join(
        "{id}" if _ID_LIKE.fullmatch(segment) else segment for segment in path.split("/")
    )


def split_protocol(text: str) -> tuple[str, str | None, str | None]:
    """Give the TLS protocol as logged, its version and its name; the latter two if it is known."""
    match = _PROTOCOL.fullmatch(text)
    if match is None:
        return text, None, None
    return text, f"{match[2]}.{match[3] or '0'}", match[1].lower()


def split_trace(text: str) -> tuple[str | None, str | None]:
    """Give the bare Root id, and the whole text where it says more than that."""
    match = _ROOT.search(text)
    root = match[1] if match else None
    return root, None if text == f"Root={root}" else text


def split_load_balancer(text: str) -> tuple[str, str]:
    """Give `app/NAME/ID` and NAME; a bare name is both."""
    match = _NAME_IN_ELB.fullmatch(text)
    return text, match[1] if match and match[1] else text


def _split_list(text: str, by: str) -> tuple[list[str] | None]:
    return ([item for item in text.split(by) if item not in {"", "-"}] or None,)


def _named(pattern: re.Pattern[str]) -> Callable[[str], tuple[Part, ...]]:
    def split(text: str) -> tuple[Part, ...]:
        match = pattern.fullmatch(text)
        return text, match[1] if match else None

    return split


def _split_target(text: str) -> tuple[Part, ...]:
    if text.startswith("arn:"):
        return None, None, text
    return (*split_address(text), None)


def _split_certificate(text: str) -> tuple[Part, ...]:
    return (None, True) if text == "session-reused" else (text, None)


def _split_verify_status(text: str) -> tuple[Part, ...]:
    status, _, code = text.partition(":")
    return status or None, code or None


_SPLIT: dict[Form, Callable[[str], tuple[Part, ...]]] = {
    Form.ADDRESS: split_address,
    Form.COMMA_LIST: lambda text: _split_list(text, ","),
    Form.SPACE_LIST: lambda text: _split_list(text, " "),
    Form.LOAD_BALANCER: split_load_balancer,
    Form.REQUEST_LINE: split_request,
    Form.TLS_PROTOCOL: split_protocol,
    Form.TARGET_GROUP_ARN: _named(_NAME_IN_ARN),
    Form.TARGET_GROUP_ID: _named(_NAME_IN_ID),
    Form.TARGET: _split_target,
    Form.TRACE_ID: split_trace,
    Form.CERTIFICATE: _split_certificate,
    Form.VALIDITY: lambda text: validity_dates(text) or (None, None),
    Form.VERIFY_STATUS: _split_verify_status,
}


def _column_fields(record: Record) -> Iterator[tuple[str, Part]]:
    for column in COLUMNS[record.kind]:
        value = record.values.get(column.name)
        if value is not None:
            yield from _named_parts(column.fields, _parts(column.form, value))
    yield TAIL.name, list(record.extra) or None


def _named_parts(fields: tuple[Field, ...], parts: tuple[Part, ...]) -> Iterator[tuple[str, Part]]:
    return ((field.name, part) for field, part in zip(fields, parts, strict=True))


def _parts(form: Form, value: Value) -> tuple[Part, ...]:
    match value:
        case Decimal():
            return (float(value),)
        case str() if form in _SPLIT:
            return _SPLIT[form](value)
        case _:
            return (value,)


# --- fields that come of no single column --------------------------------------------------------

_NOT_COUNTED = {0, 460}
_CLIENT_FAULTS = {400, 405, 408, 413, 414, 460, 463, 464}
_SERVER_ERROR = 500
_ERROR = 400


def _provenance(line: bytes, context: Context) -> dict[str, Part]:
    return {
        "cloud.account.id": context.account,
        "cloud.region": context.region,
        "aws.s3.bucket.name": context.bucket,
        "aws.s3.object.key": context.key,
        "event.ingested": context.ingested,
        "event.original": line.decode("utf-8", "replace") if context.keep_original else None,
    }


def _derived(record: Record) -> dict[str, Part]:
    match record.kind:
        case Kind.ACCESS:
            return {
                OUTCOME.name: _access_outcome(record),
                DURATION.name: duration(record),
                ERROR_ORIGIN.name: error_origin(record),
            }
        case Kind.CONNECTION:
            status = str(record.values.get("tls_verify_status", "")).partition(":")[0]
            return {OUTCOME.name: {"Success": "success", "Failed": "failure"}.get(status)}
        case _:
            status = str(record.values.get("status", ""))
            return {OUTCOME.name: {"PASS": "success", "FAIL": "failure"}.get(status)}


def _access_outcome(record: Record) -> str:
    status = record.values.get("elb_status_code")
    if not isinstance(status, int) or status in _NOT_COUNTED:
        return "unknown"
    return "failure" if status >= _SERVER_ERROR else "success"


def duration(record: Record) -> int | None:
    """
    Give the nanoseconds from request to answer, in integer arithmetic throughout.

    Between the two instants where the line has both, else the three processing times together.
    """
    start = record.values.get("request_creation_time")
    if isinstance(start, str):
        time = str(record.values["time"])
        return _fitting((_microseconds(time) - _microseconds(start)) * 1_000)
    legs = [record.values.get(f"{leg}_processing_time") for leg in _LEGS]
    milliseconds = [int(leg * 1_000) for leg in legs if isinstance(leg, Decimal)]
    return _fitting(sum(milliseconds) * 1_000_000) if len(milliseconds) == len(legs) else None


_LEGS = ("request", "target", "response")


def _fitting(number: int) -> int | None:
    """Leave out what a `long` can not hold: a year 1 in the line must not reject it."""
    return number if -_LONG_MAX - 1 <= number <= _LONG_MAX else None


def _microseconds(instant: str) -> int:
    seconds, _, fraction = instant.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    days = whole.toordinal()
    return (
        days * 86_400 + whole.hour * 3_600 + whole.minute * 60 + whole.second
    ) * 1_000_000 + int(fraction.ljust(6, "0"))


def error_origin(record: Record) -> str | None:
    """Tell who made an error response; None where there is no error."""
    values = record.values
    status = values.get("elb_status_code")
    if not isinstance(status, int) or (status < _ERROR and status != 0):
        return None
    reason = str(values.get("error_reason", ""))
    if values.get("target_status_code") == status or reason.startswith("Lambda"):
        return "target"
    return _load_balancer_origin(status, reason, _last_action(record))


def _load_balancer_origin(status: int, reason: str, action: str) -> str:
    if action in {"waf", "waf-failed"}:
        return "waf"
    if action == "authenticate" or reason.startswith(("Auth", "JW")):
        return "auth"
    if action in {"fixed-response", "redirect"}:
        return "rule"
    return "client" if status in _CLIENT_FAULTS else "elb"


def _last_action(record: Record) -> str:
    actions = _split_list(str(record.values.get("actions_executed", "")), ",")[0]
    return actions[-1] if actions else ""
