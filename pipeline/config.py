"""
Read every setting from the environment, once, into a frozen `Config`.

No other file reads the environment. A wrong or missing setting raises ConfigError with its name and
the fix; secrets are kept out of every text. AWS settings are boto3's own (`AWS_ENDPOINT_URL`, …).
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from pipeline.errors import ConfigError

PREFIX = "ALB_LOGS_"

_ADDRESS = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[^][\s/?#:]+)(:[0-9]{1,5})?(/[^\s?#]*)?")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")  # those of 2018 and before may be so long
_ROLE = re.compile(  # no star in it: serverless.yml grants just this
    r"arn:aws(-cn|-us-gov)?:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@/-]+/)?[A-Za-z0-9_+=,.@-]{1,64}"
)


def _setting(about: str, default: Any = None, *, secret: bool = False) -> Any:  # noqa: ANN401
    """Describe a setting: the dataclass field's default and what it is for."""
    return field(default=default, metadata={"about": about}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting; the environment variable of `es_url` is `ALB_LOGS_ES_URL`, and so on."""

    es_url: tuple[str, ...] = _setting(
        "Addresses of Elasticsearch, by commas: https://es.example.org:9200", ()
    )
    es_cloud_id: str | None = _setting("Cloud id, instead of addresses, for Elastic Cloud")
    es_api_key: str | None = _setting("API key, encoded as Elasticsearch gives it", secret=True)
    es_api_key_parameter: str | None = _setting("SSM parameter that holds the API key")
    es_api_key_secret: str | None = _setting("Secrets Manager secret that holds the API key")
    es_username: str | None = _setting("User, where there is no API key")
    es_password: str | None = _setting("The user's password", secret=True)
    es_ca_cert: str | None = _setting(
        "File of the authority that signed Elasticsearch's certificate"
    )
    es_connections: int = _setting("Bulk requests under way at once, 1 to 16", 2)
    es_compress: bool = _setting("Compress request bodies: true or false", False)  # noqa: FBT003
    bulk_bytes: int = _setting("Aim for the size of a bulk request, 100000 to 50000000", 2_000_000)
    index_prefix: str = _setting("Begins every index's name", "alb-logs")
    queue_url: str | None = _setting(
        "Queue that the function takes its messages from: what does not fit into one invocation "
        "goes on by a message to it"
    )
    keep_original: bool = _setting("Keep the raw line in event.original: true or false", False)  # noqa: FBT003
    bucket_roles: tuple[tuple[str, str], ...] = _setting(
        "Roles to read buckets of other accounts with: pairs BUCKET=ROLE_ARN, by spaces", ()
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Read and check the settings; `environ` is the process's own unless given."""
        given = os.environ if environ is None else environ  # noqa: TID251  the only reader
        _refuse_unknown(given)
        values = {
            setting.name: _READ[setting.name](variable, given[variable].strip())
            for setting in fields(cls)
            if given.get(variable := variable_of(setting.name), "").strip()
        }
        config = cls(**values)
        _check_together(config)
        return config

    def require_elasticsearch(self) -> None:
        """Raise ConfigError where nothing says which Elasticsearch is meant."""
        if not self.es_url and not self.es_cloud_id:
            raise ConfigError(
                "ALB_LOGS_ES_URL is not set: give the address of Elasticsearch, for example "
                "ALB_LOGS_ES_URL=https://es.example.org:9200 (or ALB_LOGS_ES_CLOUD_ID)"
            )


def variable_of(setting: str) -> str:
    """Give the environment variable of a setting."""
    return PREFIX + setting.upper()


def _refuse_unknown(given: Mapping[str, str]) -> None:
    """Raise ConfigError for a variable that is none of ours, and name the one that was meant."""
    known = [variable_of(setting.name) for setting in fields(Config)]
    for variable in given:
        if variable.startswith(PREFIX) and variable not in known:
            meant = get_close_matches(variable, known, n=1, cutoff=0.8)
            hint = f"did you mean {meant[0]}?" if meant else "docs/settings.md lists them all"
            raise ConfigError(f"{variable} is no setting: {hint}")


def _text(_variable: str, text: str) -> str:
    return text


def _urls(variable: str, text: str) -> tuple[str, ...]:
    if "@" in text:  # and no part of it is shown, for a password may hold any character
        raise ConfigError(
            f"{variable} holds a user or a password: put them into ALB_LOGS_ES_USERNAME and "
            "ALB_LOGS_ES_PASSWORD"
        )
    urls = tuple(url.strip() for url in text.split(",") if url.strip())
    for url in urls:
        if not _ADDRESS.fullmatch(url):
            raise ConfigError(
                f"{variable}: {url!r} is no address; write https://es.example.org:9200"
            )
    return urls


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(variable: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ConfigError(f"{variable}: {text!r} is not a whole number from {low} to {high}")
        return int(text)

    return read


def _switch(variable: str, text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ConfigError(f"{variable}: {text!r} is neither true nor false")
    return text.lower() in {"true", "1"}


def _index_prefix(variable: str, text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", text):
        raise ConfigError(
            f"{variable}: {text!r} can not begin an index name; use small letters, digits and -"
        )
    taken = ("logs-", "metrics-", "traces-", "synthetics-")
    if f"{text}-".startswith(taken):
        raise ConfigError(
            f"{variable}: {text!r} falls under Elasticsearch's own templates for data streams "
            f"({', '.join(taken)}); choose another, such as alb-logs"
        )
    return text


def _roles(variable: str, text: str) -> tuple[tuple[str, str], ...]:
    roles: dict[str, str] = {}
    for pair in text.split():
        bucket, _, role = pair.partition("=")
        if not _BUCKET.fullmatch(bucket) or not _ROLE.fullmatch(role):
            raise ConfigError(
                f"{variable}: {pair!r} is no pair BUCKET=ROLE_ARN; write "
                "their-logs=arn:aws:iam::123456789012:role/read-logs, the pairs by spaces"
            )
        if bucket in roles:
            raise ConfigError(f"{variable}: {bucket} is there twice: keep one role for it")
        roles[bucket] = role
    return tuple(roles.items())


_READ: dict[str, Callable[[str, str], Any]] = {
    "es_url": _urls,
    "es_cloud_id": _text,
    "es_api_key": _text,
    "es_api_key_parameter": _text,
    "es_api_key_secret": _text,
    "es_username": _text,
    "es_password": _text,
    "es_ca_cert": _text,
    "es_connections": _whole(1, 16),
    "es_compress": _switch,
    "bulk_bytes": _whole(100_000, 50_000_000),
    "index_prefix": _index_prefix,
    "queue_url": _text,
    "keep_original": _switch,
    "bucket_roles": _roles,
}


def _check_together(config: Config) -> None:
    if config.es_url and config.es_cloud_id:
        raise ConfigError("ALB_LOGS_ES_URL and ALB_LOGS_ES_CLOUD_ID are both set: keep one")
    if config.es_ca_cert and any(url.startswith("http:") for url in config.es_url):
        raise ConfigError(
            "ALB_LOGS_ES_CA_CERT is set, but an address in ALB_LOGS_ES_URL begins with http: "
            "write https, or leave the certificate out"
        )
    ways = ("es_api_key", "es_api_key_parameter", "es_api_key_secret", "es_username")
    chosen = [variable_of(way) for way in ways if getattr(config, way)]
    if len(chosen) > 1:
        raise ConfigError(f"{' and '.join(chosen)} are set together: keep one")
    if (config.es_username is None) != (config.es_password is None):
        raise ConfigError(
            "ALB_LOGS_ES_USERNAME and ALB_LOGS_ES_PASSWORD go together: set both or neither"
        )
