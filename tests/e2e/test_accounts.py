"""
Objects of other accounts and regions, through the handler and the command.

The emulator enforces IAM: what a user's or a role's policy does not allow is refused, and a bucket
of another account is closed to all but that account's roles. In front of it is what it lacks: the
answers by which S3 sends a request to the region that its bucket is in.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from devstack.aws import REGION, AwsServer, environment, start_aws
from pipeline.clients.buckets import Buckets
from pipeline.errors import ConfigError, SourceUnavailableError
from pipeline.sink.store import Store
from pipeline.source.fetching import Download, Stored
from tests.support.factories import KEY, alb_line, documents, gz, s3_event, sqs_event
from tests.support.invocations import Function
from tests.support.proxy import Forward, Proxy, Request, Response

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCOUNT, OTHER = "123456789012", "210987654321"
ROLE = f"arn:aws:iam::{OTHER}:role/read-logs"
CLOSED = f"arn:aws:iam::{OTHER}:role/closed"
FAR = "eu-west-3"

OURS, OURS_FAR, THEIRS = "our-logs", "our-far-logs", "their-logs"
REGIONS = {OURS: REGION, OURS_FAR: FAR, THEIRS: FAR}
ROLES = f"{THEIRS}={ROLE}"

KEYS = [KEY.replace("3q2xk9fz", f"object{number}") for number in range(3)]
BODIES = [gz(*(alb_line(10 * number + each) for each in range(10))) for number in range(3)]
COMMAND = Path(sys.executable).parent / "alb-logs"

_EXPIRATION = re.compile(rb"<Expiration>[^<]*</Expiration>")
_SIGNED = re.compile(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/")


# --- where buckets are ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signed:
    """A request: what it asks, and with which key and for which region it is signed."""

    what: str
    key: str
    region: str


Answer = Callable[[str], Response]
"""What S3 says, where a request is signed for another region than the bucket's, which is given."""


def error(status: int, code: str, more: str = "", *, header: str = "") -> Response:
    """Return an error as S3 sends it."""
    body = f"<Error><Code>{code}</Code><Message>in its own words</Message>{more}</Error>"
    headers = {"content-type": "application/xml"}
    if header:
        headers["x-amz-bucket-region"] = header
    return Response(status, headers, body.encode())


def moved(region: str) -> Response:
    """Send on for good, as S3 does between the regions that are enabled by default."""
    endpoint = f"<Endpoint>bucket.s3.{region}.amazonaws.com</Endpoint>"
    return error(301, "PermanentRedirect", endpoint, header=region)


def malformed(region: str) -> Response:
    """Refuse the signature for its region, and name the right one in the body only."""
    return error(400, "AuthorizationHeaderMalformed", f"<Region>{region}</Region>")


def incompatible(region: str) -> Response:
    """Refuse as S3 does where either region must be enabled first."""
    return error(400, "IllegalLocationConstraintException", header=region)


def silent(_region: str) -> Response:
    """Refuse in the same way, and do not say where the bucket is."""
    return error(400, "IllegalLocationConstraintException")


@dataclass(slots=True)
class Regions:
    """A plan: keep what was asked, and answer as S3 does where the region is wrong."""

    answer: Answer = moved
    lifetime: timedelta | None = None
    """How long the sessions last that STS starts; None: as long as the emulator says."""
    seen: list[Signed] = field(default_factory=list)

    def __call__(self, forward: Forward, request: Request) -> Response:
        """Answer one request."""
        found = _SIGNED.search(request.headers.get("Authorization", ""))
        assert found, request
        key, region, service = found.groups()
        bucket = unquote(urlsplit(request.target).path).split("/")[1]
        self.seen.append(Signed(f"{service} {request.method}", key, region))
        its = REGIONS.get(bucket, region) if service == "s3" else region
        if its == region:
            given = forward(request)
            headers = {**given.headers, "x-amz-bucket-region": its}
            return replace(given, headers=headers, body=self._ending(given.body))
        if request.method == "HEAD":  # has no body, and always says it in a header
            return error(400, "", header=its)
        return self.answer(its)

    def _ending(self, body: bytes) -> bytes:
        """Return an answer in which a session lasts as long as is set."""
        if self.lifetime is None:
            return body
        end = f"{datetime.now(UTC) + self.lifetime:%Y-%m-%dT%H:%M:%SZ}"
        return _EXPIRATION.sub(f"<Expiration>{end}</Expiration>".encode(), body)

    def take(self) -> list[Signed]:
        """Return what was asked since this was called last."""
        taken, self.seen = self.seen, []
        return taken


# --- two accounts --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """Two accounts: a user of one, who may assume a role of the other, and who reads it all."""

    proxy: Proxy
    regions: Regions
    user: dict[str, str]

    @property
    def key(self) -> str:
        """Return the user's own access key id."""
        return self.user["AWS_ACCESS_KEY_ID"]


def client(aws: AwsServer, service: str, *keys: str, region: str = REGION) -> Any:  # noqa: ANN401
    """Return a client of the emulator itself, as whoever these keys belong to."""
    named = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    given: Any = dict(zip(named, keys or ("setup", "setup"), strict=False))
    make: Any = boto3.client
    return make(service, endpoint_url=aws.url, region_name=region, **given)


def policy(*allowed: tuple[str, str]) -> str:
    """Return a policy that allows actions on resources."""
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def build_other(aws: AwsServer) -> None:
    """Make the other account's bucket, and the roles that may and may not read it."""
    got = client(aws, "sts").assume_role(
        RoleArn=f"arn:aws:iam::{OTHER}:role/setup", RoleSessionName="setup"
    )["Credentials"]
    keys = (got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    iam = client(aws, "iam", *keys)
    for role in ("read-logs", "closed"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=policy())
    allowed = policy(("s3:GetObject", f"arn:aws:s3:::{THEIRS}/AWSLogs/*"))
    iam.put_role_policy(RoleName="read-logs", PolicyName="read", PolicyDocument=allowed)
    fill(client(aws, "s3", *keys, region=FAR), THEIRS)


def build_ours(aws: AwsServer) -> dict[str, str]:
    """Make our buckets and the user that the function runs as; return its keys."""
    for bucket in (OURS, OURS_FAR):
        fill(client(aws, "s3", region=REGIONS[bucket]), bucket)
    iam = client(aws, "iam")
    iam.create_user(UserName="function")
    allowed = policy(("s3:GetObject", "*"), ("s3:ListBucket", "*"), ("sts:AssumeRole", ROLE))
    iam.put_user_policy(UserName="function", PolicyName="ingest", PolicyDocument=allowed)
    made = iam.create_access_key(UserName="function")["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
    }


def fill(s3: "S3Client", bucket: str) -> None:
    """Make a bucket of three objects."""
    where: Any = {"LocationConstraint": REGIONS[bucket]}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    for key, body in zip(KEYS, BODIES, strict=True):
        s3.put_object(Bucket=bucket, Key=key, Body=body)


@pytest.fixture(scope="module")
def accounts() -> Iterator[tuple[AwsServer, dict[str, str]]]:
    """Yield an emulator in which everything is there, and nothing is allowed that need not be."""
    with start_aws({"MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false"}) as aws:
        build_other(aws)
        user = build_ours(aws)
        connection = HTTPConnection(urlsplit(aws.url).netloc)
        connection.request("POST", "/moto-api/reset-auth", body="0")  # from now on IAM is enforced
        assert connection.getresponse().status == 200
        connection.close()
        yield aws, user


@pytest.fixture
def world(
    accounts: tuple[AwsServer, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Yield the accounts behind S3's redirects; this process is the user, without a role set."""
    aws, user = accounts
    with Proxy(aws.url) as proxy:
        regions = Regions()
        proxy.plan = regions
        for name, text in {**environment(proxy.url), **user}.items():
            monkeypatch.setenv(name, text)
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "ALB_LOGS_BUCKET_ROLES"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        yield World(proxy, regions, user)


@pytest.fixture
def settings(store: Store, elasticsearch_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the settings of a prepared cluster for this process."""
    monkeypatch.setenv("ALB_LOGS_ES_URL", elasticsearch_url)
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", store.prefix)


@pytest.fixture
def function(
    world: World,  # noqa: ARG001  where it runs
    settings: None,  # noqa: ARG001
    handler_module: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> Function:
    """Return the handler in this world."""
    return Function(handler_module, capsys)


def numbers(store: Store) -> list[int]:
    """Return the number of the line of each document, in order."""
    found: Any = documents(store.es, store.prefix).values()
    return sorted(int(each["url"]["path"].removeprefix("/cart/")) for each in found)


# --- other accounts ------------------------------------------------------------------------------


def test_a_bucket_of_others_is_closed(function: Function, store: Store) -> None:
    """Without a role the object of another account is refused, as an error of the operator."""
    invocation = function(s3_event(THEIRS, KEYS[0]))

    assert isinstance(invocation.error, ConfigError)
    assert "s3:GetObject" in str(invocation.error)
    assert "ALB_LOGS_BUCKET_ROLES" in str(invocation.error)
    assert [] == numbers(store)


def test_the_role_opens_it(
    function: Function, world: World, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its role the object is ingested, once; the role is assumed once and used there only."""
    monkeypatch.setenv("ALB_LOGS_BUCKET_ROLES", ROLES)
    both = sqs_event(s3_event(THEIRS, KEYS[0]), s3_event(OURS, KEYS[1]), s3_event(THEIRS, KEYS[2]))

    first, again = function(both), function(both)

    assert ([], []) == (first.failed, again.failed)
    assert list(range(30)) == numbers(store)
    assert (30, 0) == (first.total("Indexed"), first.total("Duplicates"))
    assert (0, 30) == (again.total("Indexed"), again.total("Duplicates"))
    seen = world.regions.take()
    assert [Signed("sts POST", world.key, REGION)] == [
        each for each in seen if each.what.startswith("sts")
    ]
    read = [each.key for each in seen if each.what.startswith("s3")]
    (role_key,) = set(read) - {world.key}
    assert role_key.startswith("ASIA")
    assert {world.key: 2, role_key: 5} == {key: read.count(key) for key in set(read)}


def test_a_role_that_may_not_be_assumed_is_named(
    function: Function, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where STS refuses, the object fails with the fix; other buckets are still read."""
    monkeypatch.setenv("ALB_LOGS_BUCKET_ROLES", f"{THEIRS}={CLOSED}")

    invocation = function(sqs_event(s3_event(THEIRS, KEYS[0]), s3_event(OURS, KEYS[1])))

    assert ["m0"] == invocation.failed
    assert list(range(10, 20)) == numbers(store)
    (told,) = (each["error"] for each in invocation.logs if each["message"] == "failed")
    for part in ("ConfigError", CLOSED, THEIRS, "trust policy", "sts:AssumeRole"):
        assert part in told


def test_a_role_that_may_not_read_is_refused(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role's own policy decides: what it does not allow is refused."""
    monkeypatch.setenv("ALB_LOGS_BUCKET_ROLES", ROLES)

    invocation = function(s3_event(THEIRS, KEY.replace("AWSLogs/", "elsewhere/AWSLogs/")))

    assert isinstance(invocation.error, ConfigError)
    assert "s3:GetObject" in str(invocation.error)


def test_a_warm_function_outlives_the_session(
    function: Function, world: World, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the session nears its end the function takes a new one, and reads on with that."""
    monkeypatch.setenv("ALB_LOGS_BUCKET_ROLES", ROLES)
    world.regions.lifetime = timedelta(minutes=5)
    assert function(s3_event(THEIRS, KEYS[0])).error is None
    before = world.regions.take()[-1].key

    world.regions.lifetime = None
    assert function(s3_event(THEIRS, KEYS[1])).error is None

    asked, read = world.regions.take()
    assert ("sts POST", "s3 GET") == (asked.what, read.what)
    assert read.key not in {before, world.key}
    assert list(range(20)) == numbers(store)


def run(world: World, store: Store, url: str, *sources: str, roles: str = "") -> tuple[int, str]:
    """Run `alb-logs ingest` as the user; return its exit code and its errors."""
    settings = {
        "ALB_LOGS_ES_URL": url,
        "ALB_LOGS_INDEX_PREFIX": store.prefix,
        "ALB_LOGS_BUCKET_ROLES": roles,
    }
    aws = {**environment(world.proxy.url), **world.user, **settings, "PATH": os.defpath}
    aws.pop("AWS_SESSION_TOKEN")
    command = [str(COMMAND), "ingest", *sources]
    done = subprocess.run(command, env=aws, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


def test_the_command_reads_as_the_role(world: World, store: Store, elasticsearch_url: str) -> None:
    """Without the role `ingest` ends with 2 and the fix; with it every line is there once."""
    sources = [f"s3://{THEIRS}/{key}" for key in KEYS]

    code, said = run(world, store, elasticsearch_url, *sources)
    assert (2, True) == (code, "s3:GetObject" in said)
    assert [] == numbers(store)
    world.regions.take()

    code, said = run(world, store, elasticsearch_url, *sources, *sources[:1], roles=ROLES)
    assert (0, "") == (code, said)
    assert list(range(30)) == numbers(store)
    assert ["sts POST"] + ["s3 GET"] * 5 == [each.what for each in world.regions.take()]


def test_the_command_names_a_role_that_is_closed(
    world: World, store: Store, elasticsearch_url: str
) -> None:
    """Where the role cannot be assumed `ingest` ends with 2 and one sentence."""
    source = f"s3://{THEIRS}/{KEYS[0]}"

    code, said = run(world, store, elasticsearch_url, source, roles=f"{THEIRS}={CLOSED}")

    assert 2 == code
    assert 1 == len(said.splitlines())
    assert f"the role {CLOSED}, set for {THEIRS}, cannot be assumed" in said


# --- other regions -------------------------------------------------------------------------------


def fetched(buckets: Buckets, stored: Stored) -> bytes:
    """Return the bytes of an object."""
    return b"".join(Download(stored, s3=buckets.client_of(stored.bucket)))


def asked(seen: list[Signed]) -> list[tuple[str, str]]:
    """Return what was asked of S3, and for which region."""
    return [(each.what, each.region) for each in seen if each.what.startswith("s3")]


GET, HEAD = "s3 GET", "s3 HEAD"


def test_the_right_region_costs_nothing(world: World) -> None:
    """A bucket in our region takes one request per object, from the first one on."""
    buckets = Buckets({})

    assert BODIES[:2] == [fetched(buckets, Stored(OURS, key)) for key in KEYS[:2]]
    assert [(GET, REGION)] * 2 == asked(world.regions.take())


@pytest.mark.parametrize(
    ("answer", "to_learn"),
    [
        pytest.param(moved, [(GET, REGION)], id="301"),
        pytest.param(malformed, [(GET, REGION)], id="400-malformed"),
        pytest.param(incompatible, [(GET, REGION)], id="400-opt-in"),
        pytest.param(silent, [(GET, REGION), (HEAD, REGION), (HEAD, FAR)], id="400-silent"),
    ],
)
@pytest.mark.parametrize(
    ("bucket", "roles"),
    [pytest.param(OURS_FAR, {}, id="ours"), pytest.param(THEIRS, {THEIRS: ROLE}, id="theirs")],
)
def test_a_bucket_is_found_wherever_it_is(
    world: World, answer: Answer, to_learn: object, bucket: str, roles: dict[str, str]
) -> None:
    """However S3 says where a bucket is: the first object goes there, the next ones at once."""
    world.regions.answer = answer
    buckets = Buckets(roles)

    assert BODIES[0] == fetched(buckets, Stored(bucket, KEYS[0]))
    assert [*to_learn, (GET, FAR)] == asked(world.regions.take())  # type: ignore[misc]

    assert BODIES[1] == fetched(buckets, Stored(bucket, KEYS[1]))
    assert [(GET, FAR)] == asked(world.regions.take())


@pytest.mark.parametrize("answer", [moved, malformed, incompatible, silent])
def test_what_goes_on_is_found_the_same_way(world: World, answer: Answer) -> None:
    """A continuation's first request, of a part and of one version, is sent on as it is."""
    world.regions.answer = answer
    stored = Stored(THEIRS, KEYS[0])
    whole = Download(stored, s3=Buckets({THEIRS: ROLE}).client_of(THEIRS))
    assert BODIES[0] == b"".join(whole)

    rest = fetched(Buckets({THEIRS: ROLE}), replace(stored, start=7, etag=whole.etag))

    assert BODIES[0][7:] == rest
    with pytest.raises(SourceUnavailableError, match="changed while it was read"):
        fetched(Buckets({THEIRS: ROLE}), Stored(THEIRS, KEYS[0], start=7, etag="0" * 32))


def test_a_body_cut_far_away_is_resumed_there(world: World) -> None:
    """After a cut the rest is asked for in the right region at once."""
    cuts = iter([None, 40])

    def cutting(forward: Forward, request: Request) -> Response:
        return replace(world.regions(forward, request), cut=next(cuts, None))

    world.proxy.plan = cutting

    assert BODIES[0] == fetched(Buckets({}), Stored(OURS_FAR, KEYS[0]))
    assert [(GET, REGION), (GET, FAR), (GET, FAR)] == asked(world.regions.take())
