"""What a key says: which log, of which load balancer, until when; and which keys are not ours."""

from datetime import UTC, datetime

import pytest

from pipeline.alb.fields import Kind
from pipeline.alb.keys import ObjectName, Skipped, SkipReason, classify_key

FOLDER = "AWSLogs/123456789012/elasticloadbalancing/us-east-2/2026/09/10/"
ACCESS = (
    "123456789012_elasticloadbalancing_us-east-2"
    "_app.my-loadbalancer.1234567890abcdef_20260910T2340Z_172.160.001.192_20sg8hgm.log.gz"
)
NETWORK = (
    "123456789012_elasticloadbalancing_us-east-2"
    "_net.my-loadbalancer.1234567890abcdef_20260910T0010Z_abcd1234.log.gz"
)
CLASSIC = (
    "123456789012_elasticloadbalancing_us-west-2"
    "_my-loadbalancer_20260910T2340Z_172.160.001.192_20sg8hgm.log"
)


def test_a_key_says_everything_about_its_object() -> None:
    """Kind, account, region, load balancer, end of the interval and node come from the key."""
    expected = ObjectName(
        kind=Kind.ACCESS,
        account="123456789012",
        region="us-east-2",
        load_balancer="app/my-loadbalancer/1234567890abcdef",
        end_time=datetime(2026, 9, 10, 23, 40, tzinfo=UTC),
        node_ip="172.160.001.192",
    )

    assert expected == classify_key(FOLDER + ACCESS)


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        pytest.param("", Kind.ACCESS, id="access"),
        pytest.param("conn_log_", Kind.CONNECTION, id="connection"),
        pytest.param("conn_log.", Kind.CONNECTION, id="connection, the dot of some AWS pages"),
        pytest.param("health_check_log_", Kind.HEALTH_CHECK, id="health check"),
        pytest.param("health_check_log.", Kind.HEALTH_CHECK, id="health check, dot"),
    ],
)
def test_the_kind_is_at_the_front_of_the_basename(prefix: str, kind: Kind) -> None:
    """The three logs share a folder; only what comes before the account tells them apart."""
    name = classify_key(FOLDER + prefix + ACCESS)

    assert isinstance(name, ObjectName)
    assert kind is name.kind
    assert "123456789012" == name.account


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("", id="no folder"),
        pytest.param(FOLDER, id="default"),
        pytest.param("team/prod/" + FOLDER, id="custom prefix"),
        pytest.param("conn_log_/" + FOLDER, id="a prefix that looks like a kind"),
        pytest.param(
            "AWSLogs/aws-account-id=123456789012/elasticloadbalancing/region=us-east-2"
            "/year=2026/month=09/day=10/",
            id="Hive style",
        ),
        pytest.param("AWSLogs/123456789012/elasticloadbalancing/by/lb/23/", id="custom suffix"),
        pytest.param("a//b/ü +%/", id="odd characters"),
    ],
)
def test_folders_decide_nothing(folder: str) -> None:
    """Every layout of folders leads to the same name: only the basename decides."""
    assert classify_key(ACCESS) == classify_key(folder + ACCESS)
    assert isinstance(classify_key(ACCESS), ObjectName)


OTHERS = "AWSLogs/999999999999/elasticloadbalancing/"


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(OTHERS + "us-east-2/2026/09/10/", id="account"),
        pytest.param("team/prod/" + OTHERS, id="account, custom prefix"),
        pytest.param("AWSLogs/o-abcdefghij/999999999999/x/", id="account, organisation"),
        pytest.param(
            "AWSLogs/aws-account-id=999999999999/elasticloadbalancing/region=us-east-2/",
            id="account, Hive style",
        ),
        pytest.param("logs/aws-account-id=999999999999/", id="account, Hive style alone"),
        pytest.param(FOLDER.replace("us-east-2", "eu-central-1"), id="region"),
        pytest.param(FOLDER.replace("us-east-2", "us-gov-west-1"), id="region, longer"),
        pytest.param(
            "AWSLogs/aws-account-id=123456789012/elasticloadbalancing/region=us-east-1/",
            id="region, Hive style",
        ),
        pytest.param(OTHERS + FOLDER, id="first another account, then its own"),
        pytest.param(FOLDER + OTHERS, id="first its own account, then another"),
        pytest.param("AWSLogs/123456789012/aws-account-id=999999999999/", id="two styles"),
    ],
)
@pytest.mark.parametrize("kind", ["", "conn_log_", "health_check_log_"])
def test_folders_may_not_contradict(folder: str, kind: str) -> None:
    """Who may write to one account's folder cannot make lines of another account, or region."""
    key = folder + kind + ACCESS

    assert Skipped(SkipReason.CONTRADICTORY_KEY, key=key) == classify_key(key)


@pytest.mark.parametrize(
    "folder",
    [
        "AWSLogs/99999999999/",
        "AWSLogs/9999999999999/",
        "MyAWSLogs/999999999999/",
        "account=999999999999/",
        "999999999999/",
        "AWSLogs/123456789012/elasticloadbalancing/by-region/x-1/",
        "AWSLogs/123456789012/elasticloadbalancing/blue-green/",
        "AWSLogs/123456789012/elasticloadbalancing/2026/",
        "region=all/",
    ],
)
def test_other_folders_contradict_nothing(folder: str) -> None:
    """Only what is surely an account's or a region's folder counts: others are the user's own."""
    assert isinstance(classify_key(folder + ACCESS), ObjectName)


@pytest.mark.parametrize(
    "node",
    [
        pytest.param("10.0.0.7", id="IPv4"),
        pytest.param("2600:1f14::a3c", id="IPv6 bare"),
        pytest.param("[2600:1f14::a3c]", id="IPv6 in brackets"),
        pytest.param("2600-1f14--a3c", id="IPv6 with hyphens"),
        pytest.param("2600.1f14..a3c", id="IPv6 with dots"),
        pytest.param("2600_1f14__a3c", id="IPv6 with underscores"),
        pytest.param("2600%3A1f14%3A%3Aa3c", id="IPv6 percent-encoded"),
    ],
)
def test_a_node_address_is_kept_as_it_is_written(node: str) -> None:
    """However AWS makes a node's address safe for a key, the object is recognised."""
    name = classify_key(ACCESS.replace("172.160.001.192", node))

    assert isinstance(name, ObjectName)
    assert node == name.node_ip
    assert datetime(2026, 9, 10, 23, 40, tzinfo=UTC) == name.end_time


@pytest.mark.parametrize(
    ("written", "load_balancer"),
    [
        pytest.param("a.0", "app/a/0", id="shortest"),
        pytest.param("k8s-shop-api-1-2.f3b8", "app/k8s-shop-api-1-2/f3b8", id="hyphens"),
        pytest.param("app-net-1.aa", "app/app-net-1/aa", id="app and net in the name"),
        pytest.param("Shop-EU.AbC123", "app/Shop-EU/AbC123", id="upper case"),
    ],
)
def test_load_balancer_names(written: str, load_balancer: str) -> None:
    """Dots in the key are the slashes of the load balancer's id."""
    name = classify_key(ACCESS.replace("my-loadbalancer.1234567890abcdef", written))

    assert isinstance(name, ObjectName)
    assert load_balancer == name.load_balancer


@pytest.mark.parametrize(
    "region", ["eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"]
)
def test_regions_of_every_partition(region: str) -> None:
    """A region is taken as it is written, in every partition."""
    name = classify_key(ACCESS.replace("us-east-2", region))

    assert isinstance(name, ObjectName)
    assert region == name.region


def test_an_uncompressed_copy_is_a_log_too() -> None:
    """The bytes show whether an object is gzip; the key may end in .log."""
    assert classify_key(ACCESS) == classify_key(ACCESS.removesuffix(".gz"))


@pytest.mark.parametrize(
    ("basename", "reason"),
    [
        pytest.param(NETWORK, SkipReason.NETWORK_LOAD_BALANCER, id="network load balancer"),
        pytest.param(
            ACCESS.replace("_app.", "_net."),
            SkipReason.NETWORK_LOAD_BALANCER,
            id="network load balancer, named as ours are",
        ),
        pytest.param(
            "conn_log_" + NETWORK,
            SkipReason.NETWORK_LOAD_BALANCER,
            id="network load balancer, another of its logs",
        ),
        pytest.param(CLASSIC, SkipReason.CLASSIC_LOAD_BALANCER, id="classic load balancer"),
        pytest.param(
            CLASSIC.replace("my-loadbalancer", "app"),
            SkipReason.CLASSIC_LOAD_BALANCER,
            id="classic load balancer called app",
        ),
        pytest.param("ELBAccessLogTestFile", SkipReason.TEST_FILE, id="test file, access"),
        pytest.param("ELBConnectionLogTestFile", SkipReason.TEST_FILE, id="test file, connection"),
        pytest.param("ELBHealthCheckLogTestFile", SkipReason.TEST_FILE, id="test file, health"),
        pytest.param(
            ACCESS.replace(".log.gz", ".parquet"), SkipReason.PARQUET, id="parquet, as ours"
        ),
        pytest.param(
            ACCESS.replace(".gz", ".parquet"), SkipReason.PARQUET, id="parquet, after .log"
        ),
        pytest.param("part-0000.snappy.parquet", SkipReason.PARQUET, id="parquet, another tool's"),
    ],
)
def test_siblings_are_recognised(basename: str, reason: SkipReason) -> None:
    """What the same services put into the same folders is skipped for its own reason."""
    key = FOLDER + basename

    assert Skipped(reason, key=key) == classify_key(key)


@pytest.mark.parametrize(
    "basename",
    [
        pytest.param("", id="a folder"),
        pytest.param("readme.txt", id="another file"),
        pytest.param("copy-of-" + ACCESS, id="text before it"),
        pytest.param("new_log_" + ACCESS, id="an unknown kind"),
        pytest.param("conn_log_conn_log_" + ACCESS, id="a kind twice"),
        pytest.param(ACCESS + ".bak", id="text after it"),
        pytest.param(ACCESS + "\n", id="a line end after it"),
        pytest.param(ACCESS.replace("123456789012", "12345678901"), id="account too short"),
        pytest.param(ACCESS.replace("123456789012", "1234567890123"), id="account too long"),
        pytest.param(ACCESS.replace("123456789012", "١٢٣٤٥٦٧٨٩٠١٢"), id="other digits"),
        pytest.param(ACCESS.replace("_app.", "_gwy."), id="gateway load balancer"),
        pytest.param(ACCESS.replace("_app.my-loadbalancer.", "_app."), id="no name"),
        pytest.param(ACCESS.replace("_20sg8hgm", ""), id="no random part"),
        pytest.param(ACCESS.replace("20260910T2340Z", "20260931T2340Z"), id="31 September"),
        pytest.param(ACCESS.replace("20260910T2340Z", "20260910T2440Z"), id="hour 24"),
        pytest.param(ACCESS.replace("20260910T2340Z", "00000910T2340Z"), id="year 0"),
        pytest.param(ACCESS.replace("20260910T2340Z", "20260910T2340"), id="no zone"),
        pytest.param(ACCESS.replace(".log.gz", ".LOG.GZ"), id="upper case end"),
        pytest.param("ELBAccessLogTestFile.txt", id="not quite the test file"),
        pytest.param(CLASSIC.replace(".log", ".txt"), id="not quite a classic log"),
        pytest.param("parquet", id="not quite parquet"),
    ],
)
def test_everything_else_is_foreign(basename: str) -> None:
    """The whole basename must match: a name that only contains one of ours is not a log."""
    key = FOLDER + basename

    assert Skipped(SkipReason.FOREIGN_KEY, key=key) == classify_key(key)


def test_a_folder_named_like_a_log_is_foreign() -> None:
    """An object in a folder with a log's name is not that log."""
    assert Skipped(SkipReason.FOREIGN_KEY, key=f"{ACCESS}/x") == classify_key(f"{ACCESS}/x")


def test_reasons_are_a_closed_set() -> None:
    """The reasons name counters: to add or rename one is a change that users see."""
    assert {
        "network-load-balancer",
        "classic-load-balancer",
        "test-file",
        "parquet",
        "foreign-key",
        "contradictory-key",
        "test-event",
        "not-created",
        "no-records",
    } == {str(reason) for reason in SkipReason}
