"""The S3 client for a bucket: whose credentials, for how long, and the error for a bad role."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from pipeline.clients.buckets import Buckets
from pipeline.errors import ConfigError, PipelineError, SourceUnavailableError
from pipeline.source.fetching import Download, Stored

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_s3 import S3Client

ROLE = "arn:aws:iam::210987654321:role/read-logs"
OTHER = "arn:aws:iam::310987654321:role/read-logs"
OWN_KEY = "AKIAOWN"

AssumeRole = Callable[[Stubber], None]


def session(key: str, role: str = ROLE, *, minutes: float = 60) -> AssumeRole:
    """Answer AssumeRole with a session that lasts so many minutes."""

    def answer(sts: Stubber) -> None:
        credentials = {
            "AccessKeyId": key.ljust(16, "0"),
            "SecretAccessKey": "secret",
            "SessionToken": f"token of {key}",
            "Expiration": datetime.now(UTC) + timedelta(minutes=minutes),
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
    """Set credentials of our own for this process, and no address of AWS."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWN_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def buckets_of(*answers: AssumeRole) -> Buckets:
    """Build the clients of a process whose requests to STS get these answers in turn."""
    sts = boto3.client("sts")
    stubber = Stubber(sts)
    for answer in answers:
        answer(stubber)
    stubber.activate()
    roles = {"theirs": ROLE, "others": OTHER, "theirs-too": ROLE}
    return Buckets(roles, sts=lambda: sts)


def signed_by(s3: "S3Client") -> str:
    """Return the access key id with which a client signs now."""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    query = parse_qs(urlsplit(url).query)
    (key,) = query.get("AWSAccessKeyId") or [query["X-Amz-Credential"][0].partition("/")[0]]
    return key.rstrip("0")


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
    """Wrong AWS settings are an error only once a bucket is read."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    buckets = Buckets({"theirs": ROLE})

    for bucket in ("ours", "theirs"):
        with pytest.raises(ConfigError, match="AWS settings are wrong"):
            buckets.client_of(bucket)


# --- for how long --------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "key"), [(20, "ASIAONE"), (10, "ASIATWO")])
def test_a_session_is_renewed_before_it_ends(minutes: float, key: str) -> None:
    """A client lives longer than its session: a new one is fetched while the old is valid."""
    buckets = buckets_of(session("ASIAONE", minutes=minutes), session("ASIATWO"))

    assert key == signed_by(buckets.client_of("theirs"))


def test_a_renewed_session_lasts() -> None:
    """A new session is used until it nears its own end."""
    buckets = buckets_of(session("ASIAONE", minutes=10), session("ASIATWO"))
    s3 = buckets.client_of("theirs")

    assert ["ASIATWO", "ASIATWO"] == [signed_by(s3), signed_by(s3)]


def test_a_valid_session_needs_no_sts() -> None:
    """While the session lasts, an STS that does not answer stops nothing."""
    buckets = buckets_of(session("ASIAONE", minutes=14), refusal("Throttling", 400))

    assert "ASIAONE" == signed_by(buckets.client_of("theirs"))


def test_a_session_that_cannot_be_renewed_names_its_role() -> None:
    """Where no new session comes in time, the error is about the role, not about S3."""
    buckets = buckets_of(session("ASIAONE", minutes=-1), refusal("AccessDenied", 403))
    s3 = buckets.client_of("theirs")

    with pytest.raises(ConfigError, match=f"the role {ROLE}, set for theirs, theirs-too, can"):
        Download(Stored("theirs", "key"), s3=s3)


# --- roles that cannot be assumed ----------------------------------------------------------------


REFUSALS = [
    pytest.param("AccessDenied", 403, ConfigError, id="denied"),
    pytest.param("RegionDisabledException", 403, ConfigError, id="region"),
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
    """The error says whether to fix something or to wait; it names the role and its buckets."""
    with pytest.raises(PipelineError) as raised:
        buckets_of(refusal(code, status)).client_of("theirs-too")

    assert error is type(raised.value)
    for part in (ROLE, "set for theirs, theirs-too, can", "in its own words"):
        assert part in str(raised.value)
    fix = ("ALB_LOGS_BUCKET_ROLES", "trust policy", "sts:AssumeRole")
    assert [error is ConfigError] * 3 == [part in str(raised.value) for part in fix]


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_bad_credentials_of_our_own_are_not_the_roles_fault(code: str) -> None:
    """Where STS does not know who asks, the error says so: no trust policy would fix that."""
    with pytest.raises(ConfigError, match="does not accept the AWS credentials") as raised:
        buckets_of(refusal(code, 403)).client_of("theirs")

    assert ROLE in str(raised.value)
    assert "trust policy" not in str(raised.value)


def test_an_sts_that_cannot_be_reached_may_come_back() -> None:
    """Without a connection to STS the object fails as retriable."""
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    sts = boto3.client("sts", endpoint_url="http://127.0.0.1:1", config=once)

    with pytest.raises(SourceUnavailableError, match="cannot be assumed now"):
        Buckets({"theirs": ROLE}, sts=lambda: sts).client_of("theirs")


def test_without_credentials_no_role_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials of our own no role can be assumed, and the error says so."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(ConfigError, match=r"ALB_LOGS_BUCKET_ROLES.*Unable to locate credentials"):
        Buckets({"theirs": ROLE}).client_of("theirs")


def test_a_refusal_is_not_remembered() -> None:
    """After a refusal the next object asks again."""
    buckets = buckets_of(refusal("Throttling", 400), session("ASIAONE"))
    with pytest.raises(SourceUnavailableError):
        buckets.client_of("theirs")

    assert "ASIAONE" == signed_by(buckets.client_of("theirs"))
