"""The S3 client for a bucket: whose credentials it has, how long, and what is said of a role."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from pipeline.clients.buckets import Buckets
from pipeline.errors import ConfigError, PipelineError, SourceUnavailableError
from pipeline.source.fetching import Stored, fetch

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_s3 import S3Client

ROLE = "arn:aws:iam::210987654321:role/read-logs"
OTHER = "arn:aws:iam::310987654321:role/read-logs"
OWN_KEY = "AKIAOWN"

AssumeRole = Callable[[Stubber], None]


def session(key: str, role: str = ROLE) -> AssumeRole:
    """Answer AssumeRole with a session of an hour."""

    def answer(sts: Stubber) -> None:
        credentials = {
            "AccessKeyId": key.ljust(16, "0"),
            "SecretAccessKey": "secret",
            "SessionToken": f"token of {key}",
            "Expiration": datetime.now(UTC) + timedelta(hours=1),
        }
        request = {"RoleArn": role, "RoleSessionName": "alb-logs"}
        sts.add_response("assume_role", {"Credentials": credentials}, request)

    return answer


def refusal(code: str, status: int) -> AssumeRole:
    """Refuse AssumeRole."""

    def answer(sts: Stubber) -> None:
        sts.add_client_error("assume_role", code, "in its own words", status)

    return answer


@pytest.fixture(autouse=True)
def caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process credentials of its own, and no way to AWS."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWN_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def buckets_of(*answers: AssumeRole) -> Buckets:
    """Give the clients of a process whose requests to STS are answered in turn."""
    sts = boto3.client("sts")
    stubber = Stubber(sts)
    for answer in answers:
        answer(stubber)
    stubber.activate()
    roles = {"theirs": ROLE, "others": OTHER, "theirs-too": ROLE}
    return Buckets(roles, sts=lambda: sts)


def signed_by(s3: "S3Client") -> str:
    """Give the access key id with which a client signs just now."""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    query = parse_qs(urlsplit(url).query)
    (key,) = query.get("AWSAccessKeyId") or [query["X-Amz-Credential"][0].partition("/")[0]]
    return key.rstrip("0")


def pass_time(s3: "S3Client", minutes: float) -> None:
    """Have a client's credentials believe that it is later."""
    credentials: Any = s3._request_signer._credentials  # type: ignore[attr-defined]
    credentials._time_fetcher = lambda: datetime.now(UTC) + timedelta(minutes=minutes)


# --- whose credentials ---------------------------------------------------------------------------


def test_a_bucket_without_a_role_is_read_as_ourselves() -> None:
    """Without a role there is one client, with the process's credentials, and no STS."""

    def never() -> "BaseClient":
        raise AssertionError

    buckets = Buckets({"theirs": ROLE}, sts=never)

    assert OWN_KEY == signed_by(buckets.client_of("ours"))
    assert buckets.client_of("ours") is buckets.client_of("ours-too")


def test_a_bucket_with_a_role_is_read_as_that_role() -> None:
    """A role is assumed once, for all of its buckets, and for no other."""
    buckets = buckets_of(session("ASIAONE"), session("ASIATWO", OTHER))

    assert "ASIAONE" == signed_by(buckets.client_of("theirs"))
    assert "ASIATWO" == signed_by(buckets.client_of("others"))
    assert buckets.client_of("theirs") is buckets.client_of("theirs-too")
    assert OWN_KEY == signed_by(buckets.client_of("ours"))


def test_nothing_is_made_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of AWS that are wrong hinder nobody who reads no bucket."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    buckets = Buckets({"theirs": ROLE})

    for bucket in ("ours", "theirs"):
        with pytest.raises(ConfigError, match="AWS settings are wrong"):
            buckets.client_of(bucket)


# --- for how long --------------------------------------------------------------------------------


def test_a_session_is_renewed_before_it_ends() -> None:
    """A client lives longer than its session: a new one is fetched while the old is valid."""
    s3 = buckets_of(session("ASIAONE"), session("ASIATWO")).client_of("theirs")

    pass_time(s3, minutes=40)
    early = signed_by(s3)
    pass_time(s3, minutes=50)

    assert ("ASIAONE", "ASIATWO") == (early, signed_by(s3))


def test_a_session_that_is_valid_outlasts_sts() -> None:
    """While the session lasts, an STS that does not answer stops nothing."""
    s3 = buckets_of(session("ASIAONE"), refusal("Throttling", 400)).client_of("theirs")

    pass_time(s3, minutes=46)

    assert "ASIAONE" == signed_by(s3)


def test_a_session_that_can_not_be_renewed_is_told_as_such() -> None:
    """Where no new session is given in time, the object fails for that, not for S3."""
    s3 = buckets_of(session("ASIAONE"), refusal("AccessDenied", 403)).client_of("theirs")

    pass_time(s3, minutes=61)

    with pytest.raises(ConfigError, match=f"the role {ROLE}, set for theirs, theirs-too, can"):
        next(fetch(Stored("theirs", "key"), s3=s3))


# --- what is said of a role ----------------------------------------------------------------------


REFUSALS = [
    pytest.param("AccessDenied", 403, ConfigError, id="denied"),
    pytest.param("RegionDisabledException", 403, ConfigError, id="region"),
    pytest.param("ExpiredToken", 403, ConfigError, id="expired"),
    pytest.param("ValidationError", 400, ConfigError, id="nonsense"),
    pytest.param("Throttling", 400, SourceUnavailableError, id="throttling-400"),
    pytest.param("ThrottlingException", 400, SourceUnavailableError, id="throttling"),
    pytest.param("RequestLimitExceeded", 503, SourceUnavailableError, id="limit"),
    pytest.param("TooManyRequests", 429, SourceUnavailableError, id="429"),
    pytest.param("RequestTimeout", 408, SourceUnavailableError, id="408"),
    pytest.param("InternalFailure", 500, SourceUnavailableError, id="500"),
    pytest.param("", 502, SourceUnavailableError, id="502"),
]


@pytest.mark.parametrize(("code", "status", "error"), REFUSALS)
def test_whose_fault_a_refusal_is(code: str, status: int, error: type[PipelineError]) -> None:
    """The error says whether to mend something or to wait; it names the role and its buckets."""
    with pytest.raises(PipelineError) as raised:
        buckets_of(refusal(code, status)).client_of("theirs-too")

    assert error is type(raised.value)
    for part in (ROLE, "set for theirs, theirs-too, can", "in its own words"):
        assert part in str(raised.value)
    told = ("ALB_LOGS_BUCKET_ROLES", "trust policy", "sts:AssumeRole")
    assert [error is ConfigError] * 3 == [part in str(raised.value) for part in told]


def test_an_sts_that_can_not_be_reached_may_come_back() -> None:
    """Without a way to STS the object fails as retriable."""
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    sts = boto3.client("sts", endpoint_url="http://127.0.0.1:1", config=once)

    with pytest.raises(SourceUnavailableError, match="can not be assumed now"):
        Buckets({"theirs": ROLE}, sts=lambda: sts).client_of("theirs")


def test_who_is_nobody_can_assume_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials of our own there are none of a role."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(ConfigError, match=r"ALB_LOGS_BUCKET_ROLES.*Unable to locate credentials"):
        Buckets({"theirs": ROLE}).client_of("theirs")


def test_a_refusal_is_not_for_ever() -> None:
    """What was refused is asked again for the next object."""
    buckets = buckets_of(refusal("Throttling", 400), session("ASIAONE"))
    with pytest.raises(SourceUnavailableError):
        buckets.client_of("theirs")

    assert "ASIAONE" == signed_by(buckets.client_of("theirs"))
