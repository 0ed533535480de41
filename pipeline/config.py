"""
Read every setting from the environment, once, into a frozen `Config`.

No other file reads the environment. A wrong or missing setting raises ConfigError with its name and
the fix. The value is in no message where it could be a secret, be it one that was pasted into the
wrong variable; nor are exceptions of libraries, which may quote it. AWS settings are boto3's own
(`AWS_ENDPOINT_URL`, …).
"""

import base64
import ipaddress
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from pipeline.alb.filters import Rule, read_rules
from pipeline.alb.privacy import Bits, Privacy, read_bits, read_fields, read_names
from pipeline.errors import ConfigError

PREFIX = "ALB_LOGS_"

_ADDRESS = re.compile(
    r"https?://(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[^][\s/?#:]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/[^\s?#]*)?"
)
_LAST_PORT = 65_535
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")  # names from before March 2018 may be this long
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}(#[^#]+)?")
_ID_AND_KEY = re.compile(rb"[!-9;-~]+:[!-~]+")
_ROLE = re.compile(  # no star in it: serverless.yml grants exactly this
    r"arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@/-]+/)?[A-Za-z0-9_+=,.@-]{1,64}"
)


def _setting(about: str, default: Any = None, *, secret: bool = False) -> Any:  # noqa: ANN401
    """Describe a setting: its default and what it is for."""
    return field(default=default, metadata={"about": about}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings; the environment variable of `es_url` is `ALB_LOGS_ES_URL`, and so on."""

    es_url: tuple[str, ...] = _setting(
        "Addresses of Elasticsearch, separated by commas: https://es.example.org:9200", ()
    )
    es_cloud_id: str | None = _setting("Cloud ID, instead of addresses, for Elastic Cloud")
    es_api_key: str | None = _setting(
        "API key, in the encoded form that Elasticsearch returns", secret=True
    )
    es_api_key_parameter: str | None = _setting(
        "SSM parameter that holds the API key; NAME#FIELD, if it holds JSON with the key in a field"
    )
    es_api_key_secret: str | None = _setting(
        "Secrets Manager secret that holds the API key; NAME#FIELD, if it holds JSON"
    )
    es_username: str | None = _setting("User, if there is no API key")
    es_password: str | None = _setting("The user's password", secret=True)
    es_insecure_http: bool = _setting(
        "Send the key or the password over plain http to another machine: on or off",
        False,  # noqa: FBT003
    )
    es_ca_cert: str | None = _setting(
        "File of the authority that signed Elasticsearch's certificate"
    )
    es_connections: int = _setting("Bulk requests at the same time, 1 to 16", 2)
    es_compress: bool = _setting("Compress request bodies: true or false", False)  # noqa: FBT003
    bulk_bytes: int = _setting(
        "Approximate size of a bulk request in bytes, 100000 to 50000000", 2_000_000
    )
    index_prefix: str = _setting("First part of every index name", "alb-logs")
    queue_url: str | None = _setting(
        "Queue from which the function gets its messages: an object that takes longer than one "
        "invocation is continued by a message to it"
    )
    provenance: bool = _setting(
        "Keep bucket, key and time of ingestion in every document: true or false",
        False,  # noqa: FBT003
    )
    keep_original: bool = _setting("Keep the raw line in event.original: true or false", False)  # noqa: FBT003
    most_rejects: int = _setting(
        "Dead letters of one object, at most, 0 to 1000000: with more of them it fails", 10_000
    )
    redact_query: tuple[str, ...] = _setting(
        "Query parameters whose values become REDACTED wherever there is a URL: names, separated "
        "by commas, or * for all",
        (),
    )
    anonymize_ip: tuple[int, int] | None = _setting(
        "Leading bits of the client's address that are kept, of IPv4 and IPv6: 24,48"
    )
    drop_fields: tuple[str, ...] = _setting(
        "Fields that no document gets, separated by commas: user_agent.original,source.port",
        (),
    )
    exclude: tuple[Rule, ...] = _setting(
        "Lines that are not indexed, but counted as filtered: rules, separated by semicolons, such "
        "as url.path=/health*&http.response.status_code=200..299@0.1 (docs/privacy.md)",
        (),
    )
    dead_letter_lines: bool | None = _setting(
        "Keep the raw line in dead letters: on or off; without a setting on, but off where any of "
        "the four before this one is set"
    )
    bucket_roles: tuple[tuple[str, str], ...] = _setting(
        "Roles for reading buckets of other accounts: pairs BUCKET=ROLE_ARN, separated by spaces",
        (),
    )

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, only: Collection[str] | None = None
    ) -> "Config":
        """
        Read and check the settings, from the process's environment unless another is given.

        With `only`, the others keep their defaults, right or wrong.
        """
        given = os.environ if environ is None else environ  # noqa: TID251  the only reader
        _refuse_unknown(given)
        values = {
            setting.name: _read(setting.name, variable, given[variable])
            for setting in fields(cls)
            if (only is None or setting.name in only)
            and given.get(variable := variable_of(setting.name), "").strip()
        }
        config = cls(**values)
        _check_together(config)
        return config

    @property
    def privacy(self) -> Privacy:
        """Return what of a line is concealed."""
        anything = self.redact_query or self.anonymize_ip or self.drop_fields or self.exclude
        lines = self.dead_letter_lines
        return Privacy(
            redact=self.redact_query,
            bits=Bits(*self.anonymize_ip) if self.anonymize_ip else None,
            drop=frozenset(self.drop_fields),
            rejected_lines=not anything if lines is None else lines,
        )

    def require_elasticsearch(self) -> None:
        """Raise ConfigError where no setting says where Elasticsearch is."""
        if not self.es_url and not self.es_cloud_id:
            raise ConfigError(
                "ALB_LOGS_ES_URL is not set: set it to the address of Elasticsearch, for example "
                "ALB_LOGS_ES_URL=https://es.example.org:9200 (or set ALB_LOGS_ES_CLOUD_ID)"
            )


OF_LINES = {"redact_query", "anonymize_ip", "drop_fields", "exclude", "dead_letter_lines"}
"""The settings for what of a line is stored: all that is needed to make documents of lines."""


def variable_of(setting: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + setting.upper()


def _refuse_unknown(given: Mapping[str, str]) -> None:
    """Raise ConfigError for an unknown variable with our prefix; suggest the one that was meant."""
    known = [variable_of(setting.name) for setting in fields(Config)]
    for variable in given:
        if variable.startswith(PREFIX) and variable not in known:
            meant = get_close_matches(variable, known, n=1, cutoff=0.8)
            hint = f"did you mean {meant[0]}?" if meant else "docs/settings.md lists them all"
            raise ConfigError(f"{variable} is not a setting: {hint}")


def _read(setting: str, variable: str, text: str) -> Any:  # noqa: ANN401  any setting
    if not _is_unicode(text):
        raise ConfigError(f"{variable} is not UTF-8 text: set it again, from a UTF-8 terminal")
    return _READ[setting](variable, text.strip())


def _is_unicode(text: str) -> bool:
    """Return whether the environment's bytes were UTF-8: Python hides others in surrogates."""
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _text(_variable: str, text: str) -> str:
    return text


# Secrets


def api_key(where: str, text: str) -> str:
    """
    Return an API key; ConfigError if it is none, which names `where` it was found, and no part.

    The encoded form is base64 of id:key, so it fits a header: a line end within it, say of JSON
    printed over several lines, would only be refused by a library whose message quotes it.
    """
    if is_api_key(text):
        return text
    if text.startswith("{"):
        found = "holds JSON"
    elif ":" in text:
        found = "holds an API key that is not encoded"
    else:
        found = "does not hold an API key"
    raise ConfigError(
        f"{where} {found}: take the value of `encoded` in Elasticsearch's answer to "
        "POST /_security/api_key, which is base64 of id:api_key, and nothing around it"
    )


def is_api_key(text: str) -> bool:
    """Return whether a text has the form of an encoded API key."""
    padded = text + "=" * (-len(text) % 4)
    try:
        decoded = base64.b64decode(padded, validate=True)
    except ValueError:  # not base64, or not ASCII
        return False
    return _ID_AND_KEY.fullmatch(decoded) is not None


def _secret_name(variable: str, text: str) -> str:
    """Return the name of a parameter or secret, which may have #FIELD after it."""
    if is_api_key(text):
        raise ConfigError(
            f"{variable} holds an API key, not the name of what holds it in AWS: move it to "
            "ALB_LOGS_ES_API_KEY"
        )
    if not _SECRET_NAME.fullmatch(text):
        raise ConfigError(
            f"{variable} is not a name in AWS: write NAME or, for a field of JSON, NAME#FIELD"
        )
    return text


def _username(variable: str, text: str) -> str:
    if ":" in text:
        raise ConfigError(f"{variable} contains a colon, which no user name may: write it alone")
    return text


# Addresses


def _urls(variable: str, text: str) -> tuple[str, ...]:
    if "@" in text:  # no part of it is shown: a password may contain any character
        raise ConfigError(
            f"{variable} contains a user or a password: move them to ALB_LOGS_ES_USERNAME and "
            "ALB_LOGS_ES_PASSWORD"
        )
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    for number, url in enumerate(urls, start=1):
        address = _ADDRESS.fullmatch(url)
        if not address or int(address["port"] or 0) > _LAST_PORT:
            what = f", part {number} of {len(urls)}," if len(urls) > 1 else ""
            raise ConfigError(
                f"{variable}{what} is not an address: write https://es.example.org:9200, without "
                "? and #"
            )
    return urls


def leaves_this_machine(url: str) -> bool:
    """Return whether what is sent to an address goes over a network, where others may read it."""
    address = _ADDRESS.fullmatch(url)
    host = (address["ipv6"] or address["host"] or "").lower() if address else ""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return True


# Other forms


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(variable: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ConfigError(f"{variable}: {text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


_ON, _OFF = {"true", "on", "yes", "1"}, {"false", "off", "no", "0"}


def _switch(variable: str, text: str) -> bool:
    if text.lower() not in _ON | _OFF:
        raise ConfigError(f"{variable}: {text!r} is neither true nor false")
    return text.lower() in _ON


def _index_prefix(variable: str, text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", text):
        raise ConfigError(
            f"{variable}: {text!r} cannot begin an index name; use lowercase letters, digits and -"
        )
    taken = ("logs-", "metrics-", "traces-", "synthetics-")
    if f"{text}-".startswith(taken):
        raise ConfigError(
            f"{variable}: {text!r} matches Elasticsearch's own templates for data streams "
            f"({', '.join(taken)}); choose another, such as alb-logs"
        )
    return text


def _roles(variable: str, text: str) -> tuple[tuple[str, str], ...]:
    roles: dict[str, str] = {}
    for pair in text.split():
        bucket, _, role = pair.partition("=")
        if not _BUCKET.fullmatch(bucket) or not _ROLE.fullmatch(role):
            raise ConfigError(
                f"{variable}: {pair!r} is not a pair BUCKET=ROLE_ARN; write "
                "their-logs=arn:aws:iam::123456789012:role/read-logs, with spaces between pairs"
            )
        if bucket in roles:
            raise ConfigError(f"{variable}: {bucket} is given twice: keep one role for it")
        roles[bucket] = role
    return tuple(roles.items())


_READ: dict[str, Callable[[str, str], Any]] = {
    "es_url": _urls,
    "es_cloud_id": _text,
    "es_api_key": api_key,
    "es_api_key_parameter": _secret_name,
    "es_api_key_secret": _secret_name,
    "es_username": _username,
    "es_password": _text,
    "es_insecure_http": _switch,
    "es_ca_cert": _text,
    "es_connections": _whole(1, 16),
    "es_compress": _switch,
    "bulk_bytes": _whole(100_000, 50_000_000),
    "index_prefix": _index_prefix,
    "queue_url": _text,
    "keep_original": _switch,
    "provenance": _switch,
    "most_rejects": _whole(0, 1_000_000),
    "redact_query": read_names,
    "anonymize_ip": read_bits,
    "drop_fields": read_fields,
    "exclude": read_rules,
    "dead_letter_lines": _switch,
    "bucket_roles": _roles,
}


def _check_together(config: Config) -> None:
    if config.es_url and config.es_cloud_id:
        raise ConfigError("ALB_LOGS_ES_URL and ALB_LOGS_ES_CLOUD_ID are both set: keep one")
    concealing = [name for name in ("redact_query", "anonymize_ip") if getattr(config, name)]
    if config.keep_original and concealing:
        raise ConfigError(
            f"ALB_LOGS_KEEP_ORIGINAL keeps whole lines, and {variable_of(concealing[0])} conceals "
            "parts of them: keep one"
        )
    if config.es_ca_cert and any(url.startswith("http:") for url in config.es_url):
        raise ConfigError(
            "ALB_LOGS_ES_CA_CERT is set, but an address in ALB_LOGS_ES_URL begins with http: "
            "write https, or leave the certificate out"
        )
    _check_credentials(config)


def _check_credentials(config: Config) -> None:
    ways = ("es_api_key", "es_api_key_parameter", "es_api_key_secret", "es_username")
    chosen = [variable_of(way) for way in ways if getattr(config, way)]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} are set together: keep one")
    if (config.es_username is None) != (config.es_password is None):
        raise ConfigError(
            "ALB_LOGS_ES_USERNAME and ALB_LOGS_ES_PASSWORD go together: set both or neither"
        )
    exposed = [url for url in config.es_url if url.startswith("http:") and leaves_this_machine(url)]
    if (chosen or config.es_username) and exposed and not config.es_insecure_http:
        raise ConfigError(
            "ALB_LOGS_ES_URL begins with http:, so everyone on the way could read the key or the "
            "password: write https, or set ALB_LOGS_ES_INSECURE_HTTP=on if you trust that network"
        )
