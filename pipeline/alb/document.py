"""
Turn a `Record` into the ECS document that Elasticsearch stores, with its id and its index.

Pure, and the only bridge from AWS's names to ECS's: each form of column has one function that
splits its value into the column's fields, in the order of the field table (`docs/fields.md`).
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypedDict, Unpack

from pipeline.alb.escapes import present
from pipeline.alb.fields import (
    COLUMNS,
    CONSTANTS,
    DURATION,
    ERROR_ORIGIN,
    OUTCOME,
    TAIL,
    Form,
    Kind,
)
from pipeline.alb.filters import Rule
from pipeline.alb.keys import ObjectName
from pipeline.alb.parsing import EARLIEST, TIME_COLUMN, Record, validity_dates
from pipeline.alb.privacy import NOTHING, Privacy

Part = str | int | float | bool | list[str] | None
"""The value of one field; None where the field is absent."""


class Period(StrEnum):
    """How much time one index holds."""

    DAY = "day"
    MONTH = "month"


class _Given(TypedDict, total=False):
    """What a context takes from its caller as it is."""

    prefix: str
    period: Period
    bucket: str | None
    key: str | None
    keep_original: bool
    provenance: bool
    privacy: Privacy
    exclude: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """
    What is the same for every line of an object.

    `earliest` and `latest` are the first and the last instant that an event may have, as
    `YYYY-MM-DDTHH:MM:SSZ`. Without `kind`, each line decides which log it belongs to. With
    `provenance` a document holds where it comes from; without `ingested`, no `event.ingested`.
    """

    latest: str
    earliest: str = EARLIEST
    kind: Kind | None = None
    prefix: str = "alb-logs"
    period: Period = Period.DAY
    bucket: str | None = None
    key: str | None = None
    account: str | None = None
    region: str | None = None
    ingested: str | None = None
    provenance: bool = False
    keep_original: bool = False
    privacy: Privacy = NOTHING
    exclude: tuple[Rule, ...] = ()

    @property
    def same(self) -> dict[str, str]:
        """Return the fields, by name, that are the same in every document of the object."""
        origin = {
            "event.ingested": self.ingested,
            "aws.s3.bucket.name": self.bucket,
            "aws.s3.object.key": self.key,
        }
        facts = {
            "cloud.account.id": self.account,
            "cloud.region": self.region,
            **(origin if self.provenance else {}),
        }
        return {name: value for name, value in facts.items() if value is not None}

    @classmethod
    def of(
        cls,
        now: datetime,
        *,
        name: ObjectName | None = None,
        kind: Kind | None = None,
        stamped: bool = False,
        **given: Unpack[_Given],
    ) -> "Context":
        """
        Build the context of an object that is read now; `name` is what its key says.

        A `kind` overrules that of the name. If `stamped`, documents hold `now` as `event.ingested`.
        An object whose name says when its lines end holds no others: were they taken, one forged
        object could fill the cluster with indices.
        """
        first = datetime.fromisoformat(EARLIEST)
        if name:
            first = max(first + _SLACK, name.end_time) - _SLACK
        return cls(
            latest=_zulu((min(now, name.end_time) if name else now) + _SLACK, "seconds"),
            earliest=_zulu(first, "seconds"),
            kind=kind or (name.kind if name else None),
            account=name.account if name else None,
            region=name.region if name else None,
            ingested=_zulu(now, "milliseconds") if stamped else None,
            **given,
        )


_SLACK = timedelta(days=1)  # an event may be this far off, for clocks that are wrong


def _zulu(moment: datetime, precision: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Document:
    """One document to be created in Elasticsearch."""

    index: str
    source: dict[str, Any]


def to_document(record: Record, line: bytes, context: Context) -> Document:
    """Build the document of one parsed line; `line` is its raw bytes without the line end."""
    privacy = context.privacy
    redacted = privacy.redacted(record)
    fields = line_fields(redacted)
    flat: dict[str, Any] = {
        **context.same,
        "event.original": line.decode("utf-8", "replace") if context.keep_original else None,
        **privacy.masked(fields),
        **dict.fromkeys(_repeated(redacted, fields)),
    }
    return Document(
        index=index_name(record.kind, str(record.values[TIME_COLUMN[record.kind]]), context),
        source=nest(
            {
                name: part
                for name, part in flat.items()
                if part is not None and name not in privacy.drop
            }
        ),
    )


def line_fields(record: Record) -> dict[str, Part]:
    """Return the fields that a line itself says, by their dotted names."""
    return {**_column_fields(record), **_derived(record)}


def same_fields(kind: Kind, context: Context) -> dict[str, Part]:
    """Return the fields that all lines of an object have in common, and that rules may name."""
    return {
        **CONSTANTS[kind],
        "cloud.account.id": context.account,
        "cloud.region": context.region,
    }


def document_id(line: bytes) -> str:
    """
    Return the id of a raw line: the same wherever and however often the line is read.

    Ordinary lines hold a microsecond time and a unique trace id, so equal lines are one request.
    """
    return id_of_digest(hashlib.sha256(line).digest())


def document_ids(lines: list[bytes]) -> list[str]:
    """Return the ids of many raw lines at once: 15 bytes make 20 characters, without padding."""
    digests = b"".join([hashlib.sha256(line).digest()[:15] for line in lines])
    ids = base64.urlsafe_b64encode(digests).decode()
    return [ids[at : at + 20] for at in range(0, len(ids), 20)]


def id_of_digest(digest: bytes) -> str:
    """Return the id for the SHA-256 of a raw line: 120 bits of it, in base64url."""
    return base64.urlsafe_b64encode(digest[:15]).decode()


def index_name(kind: Kind, time: str, context: Context) -> str:
    """Return the index for an event's own UTC day or month, from which retention counts."""
    day = f"{time[:4]}.{time[5:7]}." + (time[8:10] if context.period is Period.DAY else "01")
    return f"{context.prefix}-{kind}-{day}"


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested objects, as ECS has them."""
    root: dict[str, Any] = {}
    for name, value in flat.items():
        *path, leaf = name.split(".")
        parent = root
        for step in path:
            parent = parent.setdefault(step, {})
        parent[leaf] = value
    return root


# --- each form of column, split into its fields --------------------------------------------------

_PORT = re.compile(r"[0-9]{1,5}|-")
_URL = re.compile(
    r"([a-z]+)://(\[[^\]/]*\]|[^:/?]*)(?::([0-9]+)-?)?(/[^?]*)?(?:\?(.*))?", re.DOTALL
)
_HTTP_VERSION = re.compile(r"HTTP/([0-9.]+)")
_ID_SEGMENT = re.compile(
    r"/(?:[0-9]++(?![^/])"
    r"|(?=[A-Za-z0-9_-]{16})"  # all others are long: most segments are done with here
    r"(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|[0-9a-fA-F]{16,}+"
    r"|(?=[A-Za-z_-]*+[0-9])[A-Za-z0-9_-]{20,}+)(?![^/]))"
)
_NAME_IN_ELB = re.compile(r"[^/]*/([^/]*)/[^/]*")
_NAME_IN_ARN = re.compile(r".*:targetgroup/([^/]+)/[^/]+", re.DOTALL)
_NAME_IN_ID = re.compile(r"([^/]+)(?:/[^/]+)?")
_PROTOCOL = re.compile(r"(TLS|SSL)v([0-9]+)(?:\.([0-9]+))?")
_ROOT = re.compile(r"; *+Root=([^;]++)")
_LONG_MAX = 2**63 - 1
_SAFE_DIGITS = 18  # of a number that is sure to fit 64 bits


def _split_address(text: str) -> tuple[str | None, int | None]:
    """Split `ip:port` at the last colon: AWS puts no brackets around IPv6 addresses."""
    ip, colon, port = text.rpartition(":")
    if not (colon and _PORT.fullmatch(port)):
        return _without_brackets(text), None
    return _without_brackets(ip) or None, None if port == "-" else int(port)


def _without_brackets(ip: str) -> str:
    """Drop the brackets around an IPv6 address, which the field type `ip` does not take."""
    bracketed = ip.startswith("[") and ip.endswith("]") and ":" in ip
    return ip[1:-1] if bracketed else ip


def _split_request(text: str) -> tuple[Part, ...]:
    """Split a request line; of an odd one `url.original` holds the whole text."""
    rest, _, last = text.rstrip(" ").rpartition(" ")
    version = _HTTP_VERSION.fullmatch(last)
    if version is None:
        rest = text
    first, _, url = rest.partition(" ")
    method = None if first in {"", "-"} else first
    url = url.removesuffix(" -") if url.endswith(" -") else url.removesuffix(" ")
    whole = method and version and url not in {"", "-"}
    odd = text if text.strip(" -") else None
    return (method, url if whole else odd, *_url_parts(url), version and version[1])


def _url_parts(url: str) -> tuple[Part, ...]:
    match = _URL.fullmatch(url)
    if match is None:
        return (None,) * 6
    scheme, domain, port, path, query = match.groups()
    digits = None if port is None else port.lstrip("0") or "0"
    number = int(digits) if digits and len(digits) <= _SAFE_DIGITS else None
    return scheme, domain or None, number, path, query or None, path and _url_template(path)


def _url_template(path: str) -> str:
    """Replace the id-like segments of a path with {id}, so that people can group by it."""
    return _ID_SEGMENT.sub("/{id}", path)


def _split_protocol(text: str) -> tuple[str | None, str | None, str | None]:
    """Return the version and the name of a TLS protocol, or else its text as logged."""
    match = _PROTOCOL.fullmatch(text)
    if match is None:
        return text, None, None
    return None, f"{match[2]}.{match[3] or '0'}", match[1].lower()


def _split_trace(text: str) -> tuple[str | None, str | None]:
    """Return the bare Root id, and the whole text if it says more than that."""
    match = _ROOT.search(f";{text}")
    root = match[1] if match else None
    return root, None if text == f"Root={root}" else text


def _split_load_balancer(text: str) -> tuple[str, str]:
    """Return `app/NAME/ID` and NAME; a bare name is both."""
    match = _NAME_IN_ELB.fullmatch(text)
    return text, match[1] if match and match[1] else text


def _split_list(text: str, by: str) -> tuple[list[str] | None]:
    return (present(text, by) or None,)


def _split_domain(text: str) -> tuple[str | None]:
    """Drop the spaces around a domain name: no name has any, but the logs do."""
    name = text.strip(" ")
    return (None if name in {"", "-"} else name,)


def _named(pattern: re.Pattern[str]) -> Callable[[str], tuple[Part, ...]]:
    def split(text: str) -> tuple[Part, ...]:
        match = pattern.fullmatch(text)
        return text, match[1] if match else None

    return split


def _split_target(text: str) -> tuple[Part, ...]:
    if text.startswith("arn:"):
        return None, None, text
    return (*_split_address(text), None)


def _split_certificate(text: str) -> tuple[Part, ...]:
    return (None, True) if text == "session-reused" else (text, None)


def _split_verify_status(text: str) -> tuple[Part, ...]:
    status, _, code = text.partition(":")
    return status or None, code or None


_SPLIT: dict[Form, Callable[[str], tuple[Part, ...]]] = {
    Form.IP: lambda text: (_without_brackets(text),),
    Form.ADDRESS: _split_address,
    Form.COMMA_LIST: lambda text: _split_list(text, ","),
    Form.SPACE_LIST: lambda text: _split_list(text, " "),
    Form.LOAD_BALANCER: _split_load_balancer,
    Form.REQUEST_LINE: _split_request,
    Form.TLS_PROTOCOL: _split_protocol,
    Form.TARGET_GROUP_ARN: _named(_NAME_IN_ARN),
    Form.TARGET_GROUP_ID: _named(_NAME_IN_ID),
    Form.TARGET: _split_target,
    Form.TRACE_ID: _split_trace,
    Form.DOMAIN: _split_domain,
    Form.CERTIFICATE: _split_certificate,
    Form.VALIDITY: lambda text: validity_dates(text) or (None, None),
    Form.VERIFY_STATUS: _split_verify_status,
}


_SPLIT_COLUMNS = {
    kind: [
        (column.name, _SPLIT.get(column.form), [field.name for field in column.fields])
        for column in columns
    ]
    for kind, columns in COLUMNS.items()
}


def _column_fields(record: Record) -> dict[str, Part]:
    fields: dict[str, Part] = {}
    for column, split, names in _SPLIT_COLUMNS[record.kind]:
        value = record.values.get(column)
        if isinstance(value, str) and split:
            fields.update(zip(names, split(value), strict=True))
        elif value is not None:
            fields[names[0]] = float(value) if isinstance(value, Decimal) else value
    fields[TAIL.name] = list(record.extra) or None
    return fields


# --- fields that come from no single column ------------------------------------------------------

_NOT_COUNTED = {0, 460}
_CLIENT_FAULTS = {400, 405, 408, 413, 414, 460, 463, 464}
_SERVER_ERROR = 500
_ERROR = 400


def _repeated(record: Record, fields: dict[str, Part]) -> Iterator[str]:
    """Yield the fields of lists that say no more than the target's own address and status."""
    if fields.get(_TARGETS) == [record.values.get("target_port")]:
        yield _TARGETS
    match fields.get(_STATUSES):
        case [only] if _as_status(only) == record.values.get("target_status_code", _NO_STATUS):
            yield _STATUSES


_ACCESS_FIELDS = {column.name: column.fields[0].name for column in COLUMNS[Kind.ACCESS]}
_TARGETS = _ACCESS_FIELDS["target_port_list"]
_STATUSES = _ACCESS_FIELDS["target_status_code_list"]
_NO_STATUS = -1


def _as_status(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _SAFE_DIGITS else None


def _derived(record: Record) -> dict[str, Part]:
    match record.kind:
        case Kind.ACCESS:
            return {
                OUTCOME.name: _access_outcome(record),
                DURATION.name: _duration(record),
                ERROR_ORIGIN.name: _error_origin(record),
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


def _duration(record: Record) -> int | None:
    """
    Return the nanoseconds from request to answer, in integer arithmetic throughout.

    They are between the two instants if the line has both, else the sum of the processing times.
    """
    start = record.values.get("request_creation_time")
    if isinstance(start, str):
        if start.startswith("0000"):
            return None  # Python has no year 0, and a long has not so many nanoseconds
        time = str(record.values["time"])
        return _fitting((_microseconds(time) - _microseconds(start)) * 1_000)
    legs = [record.values.get(f"{leg}_processing_time") for leg in _LEGS]
    milliseconds = [int(leg * 1_000) for leg in legs if isinstance(leg, Decimal)]
    return _fitting(sum(milliseconds) * 1_000_000) if len(milliseconds) == len(legs) else None


_LEGS = ("request", "target", "response")


def _fitting(number: int) -> int | None:
    """Leave out what a `long` cannot hold: a year 1 in the line must not reject it."""
    return number if -_LONG_MAX - 1 <= number <= _LONG_MAX else None


def _microseconds(instant: str) -> int:
    seconds, _, fraction = instant.removesuffix("Z").partition(".")
    whole = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    days = whole.toordinal()
    return (
        days * 86_400 + whole.hour * 3_600 + whole.minute * 60 + whole.second
    ) * 1_000_000 + int(fraction.ljust(6, "0"))


def _error_origin(record: Record) -> str | None:
    """Return who made an error response; None if the response is no error."""
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
