"""Settings: what each variable means, and what is said of a wrong one."""

from dataclasses import fields
from typing import Any

import pytest

from pipeline.config import Config, variable_of
from pipeline.errors import ConfigError

ROLE = "arn:aws:iam::210987654321:role/read-logs"
CHINA = "arn:aws-cn:iam::210987654321:role/read-logs"
ODD = "arn:aws-us-gov:iam::210987654321:role/team,a/logs/a=b+c,d.e@f-g_h"

READINGS = [
    ("ES_URL", "https://es.example.org:9200", ("https://es.example.org:9200",)),
    ("ES_URL", " http://a , https://b:1/path/ ,", ("http://a", "https://b:1/path/")),
    ("ES_URL", "http://[::1]:9200", ("http://[::1]:9200",)),
    ("ES_URL", "http://my_es", ("http://my_es",)),
    ("ES_CLOUD_ID", "logs:ZXhhbXBsZQ==", "logs:ZXhhbXBsZQ=="),
    ("ES_API_KEY", "a2V5", "a2V5"),
    ("ES_API_KEY", "  a2V5\n", "a2V5"),
    ("ES_API_KEY_PARAMETER", "/alb-logs/key", "/alb-logs/key"),
    ("ES_API_KEY_SECRET", "alb-logs-key", "alb-logs-key"),
    ("ES_CA_CERT", "/etc/ca.pem", "/etc/ca.pem"),
    ("ES_CONNECTIONS", "1", 1),
    ("ES_CONNECTIONS", "16", 16),
    ("ES_COMPRESS", "true", True),
    ("ES_COMPRESS", "FALSE", False),
    ("BULK_BYTES", "100000", 100_000),
    ("BULK_BYTES", "50000000", 50_000_000),
    ("INDEX_PREFIX", "alb-logs", "alb-logs"),
    ("INDEX_PREFIX", "team.a_1-alb", "team.a_1-alb"),
    ("INDEX_PREFIX", "logstash", "logstash"),
    ("INDEX_PREFIX", "x" * 100, "x" * 100),
    ("KEEP_ORIGINAL", "1", True),
    ("KEEP_ORIGINAL", "0", False),
    ("BUCKET_ROLES", f"logs={ROLE}", (("logs", ROLE),)),
    (
        "BUCKET_ROLES",
        f"  logs={ROLE}\n\tmore.logs={ROLE}-2 Old_Logs={CHINA} ",
        (("logs", ROLE), ("more.logs", f"{ROLE}-2"), ("Old_Logs", CHINA)),
    ),
    ("BUCKET_ROLES", f"logs={ODD}", (("logs", ODD),)),
]

WRONG = [
    ("ES_URL", "es.example.org:9200", "https://es.example.org:9200"),
    ("ES_URL", "https://", "https://es.example.org:9200"),
    ("ES_URL", "ftp://es.example.org", "https://es.example.org:9200"),
    ("ES_URL", "https://a:port", "https://es.example.org:9200"),
    ("ES_URL", "https://a:9200?x=1", "https://es.example.org:9200"),
    ("ES_URL", "https://a b", "https://es.example.org:9200"),
    ("ES_URL", "https://a,nonsense", "'nonsense'"),
    ("ES_CONNECTIONS", "0", "from 1 to 16"),
    ("ES_CONNECTIONS", "17", "from 1 to 16"),
    ("ES_CONNECTIONS", "1.5", "from 1 to 16"),
    ("ES_CONNECTIONS", "-1", "from 1 to 16"),
    ("ES_CONNECTIONS", "٣", "from 1 to 16"),
    ("ES_CONNECTIONS", "9" * 5_000, "from 1 to 16"),
    ("ES_COMPRESS", "yes", "neither true nor false"),
    ("BULK_BYTES", "99999", "from 100000 to 50000000"),
    ("BULK_BYTES", "50000001", "from 100000 to 50000000"),
    ("BULK_BYTES", "4MB", "from 100000 to 50000000"),
    ("INDEX_PREFIX", "Alb", "small letters"),
    ("INDEX_PREFIX", "-alb", "small letters"),
    ("INDEX_PREFIX", "_alb", "small letters"),
    ("INDEX_PREFIX", "alb logs", "small letters"),
    ("INDEX_PREFIX", "alb*", "small letters"),
    ("INDEX_PREFIX", "x" * 101, "small letters"),
    ("INDEX_PREFIX", "logs", "choose another"),
    ("INDEX_PREFIX", "logs-alb", "choose another"),
    ("INDEX_PREFIX", "metrics-alb", "choose another"),
    ("INDEX_PREFIX", "traces-alb", "choose another"),
    ("INDEX_PREFIX", "synthetics-alb", "choose another"),
    ("KEEP_ORIGINAL", "on", "neither true nor false"),
    ("BUCKET_ROLES", "logs", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", ROLE, "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", f"={ROLE}", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", f"lo/gs={ROLE}", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", f"*={ROLE}", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", f"logs = {ROLE}", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", f"logs={ROLE},more={ROLE}:", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", "logs=arn:aws:iam::21098765432:role/read-logs", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", "logs=arn:aws:iam::210987654321:user/read-logs", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", "logs=arn:aws:iam::210987654321:role/", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", "logs=arn:aws:iam::210987654321:role/*", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", "logs=arn:aws:iam::*:role/read-logs", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", "logs=arn:aws:sts::210987654321:assumed-role/a/b", "BUCKET=ROLE_ARN"),
    ("BUCKET_ROLES", f"logs={ROLE} logs={ROLE}", "twice"),
]

URL, CLOUD_ID = "ALB_LOGS_ES_URL", "ALB_LOGS_ES_CLOUD_ID"
API_KEY, PARAMETER = "ALB_LOGS_ES_API_KEY", "ALB_LOGS_ES_API_KEY_PARAMETER"
SECRET, CA_CERT = "ALB_LOGS_ES_API_KEY_SECRET", "ALB_LOGS_ES_CA_CERT"
USERNAME, PASSWORD = "ALB_LOGS_ES_USERNAME", "ALB_LOGS_ES_PASSWORD"
TOGETHER = [
    pytest.param({URL: "http://a", CLOUD_ID: "x:y"}, (URL, CLOUD_ID), id="two-places"),
    pytest.param({API_KEY: "k", PARAMETER: "p"}, (API_KEY, PARAMETER), id="key-and-parameter"),
    pytest.param({API_KEY: "k", SECRET: "s"}, (API_KEY, SECRET), id="key-and-secret"),
    pytest.param({PARAMETER: "p", SECRET: "s"}, (PARAMETER, SECRET), id="parameter-and-secret"),
    pytest.param(
        {SECRET: "s", USERNAME: "u", PASSWORD: "p"}, (SECRET, USERNAME), id="secret-and-user"
    ),
    pytest.param({USERNAME: "u"}, (USERNAME, PASSWORD), id="user-alone"),
    pytest.param({PASSWORD: "p"}, (USERNAME, PASSWORD), id="password-alone"),
    pytest.param({URL: "https://a,http://b", CA_CERT: "c"}, (URL, CA_CERT), id="ca-without-tls"),
]


@pytest.mark.parametrize(("name", "text", "value"), READINGS)
def test_a_setting_is_read(name: str, text: str, value: Any) -> None:  # noqa: ANN401  any setting
    """The text of a variable becomes the value of the setting of its name, and of no other."""
    config = Config.from_env({f"ALB_LOGS_{name}": text})

    assert {**values(Config()), name.lower(): value} == values(config)


def test_user_and_password_are_read() -> None:
    """A user goes with a password."""
    config = Config.from_env({USERNAME: "ingest", PASSWORD: "pa ss"})

    assert ("ingest", "pa ss") == (config.es_username, config.es_password)


@pytest.mark.parametrize(("name", "text", "fix"), WRONG)
def test_a_wrong_setting_is_named(name: str, text: str, fix: str) -> None:
    """A wrong value raises ConfigError, which names the variable and says what would be right."""
    with pytest.raises(ConfigError) as raised:
        Config.from_env({f"ALB_LOGS_{name}": text})

    assert f"ALB_LOGS_{name}" in str(raised.value)
    assert fix in str(raised.value)


@pytest.mark.parametrize(("environ", "named"), TOGETHER)
def test_settings_that_exclude_each_other(environ: dict[str, str], named: tuple[str, ...]) -> None:
    """Two places, two ways to authenticate or half a way are refused, with all their names."""
    with pytest.raises(ConfigError) as raised:
        Config.from_env(environ)

    assert all(name in str(raised.value) for name in named)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:geheim@es.example.org:9200",
        "https://user:gehe@geheim@es.example.org",
        "https://user:ge/geheim@es.example.org",
        "https://user:gehe,geheim@es.example.org",
        "user:geheim@es.example.org:9200",
        "https://es.example.org,https://user:geheim@b",
    ],
)
def test_a_password_in_the_address_is_refused_unseen(url: str) -> None:
    """An address with a password is refused, and no part of the password is in the message."""
    with pytest.raises(ConfigError, match=r"ALB_LOGS_ES_URL.*ALB_LOGS_ES_PASSWORD") as raised:
        Config.from_env({URL: url})

    assert "gehe" not in repr(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("variable", [API_KEY, PASSWORD])
def test_secrets_are_not_shown(variable: str) -> None:
    """No secret is in any text of the settings."""
    environ = {variable: "geheim"} | ({USERNAME: "u"} if variable == PASSWORD else {})
    config = Config.from_env(environ)

    assert "geheim" in values(config).values()
    assert "geheim" not in f"{config!r} {config!s} {config}"


def test_secrets_are_not_in_messages() -> None:
    """A secret is not in what is said of settings that exclude each other."""
    with pytest.raises(ConfigError) as raised:
        Config.from_env({API_KEY: "geheim", USERNAME: "u", PASSWORD: "geheim too"})

    assert "geheim" not in repr(raised.value)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_not_set(text: str) -> None:
    """An empty variable, as templates of deployments leave them, is one that is not set."""
    environ = {variable_of(setting.name): text for setting in fields(Config)}

    assert Config() == Config.from_env(environ)


def test_the_environment_is_the_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the process's environment unless another is given."""
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", "from-the-process")

    assert "from-the-process" == Config.from_env().index_prefix
    assert "alb-logs" == Config.from_env({}).index_prefix


def test_elasticsearch_must_be_named() -> None:
    """What needs Elasticsearch says which variable is missing and gives an example."""
    Config(es_url=("http://a",)).require_elasticsearch()
    Config(es_cloud_id="x:y").require_elasticsearch()
    with pytest.raises(ConfigError, match=r"ALB_LOGS_ES_URL is not set.*=https://.*CLOUD_ID"):
        Config().require_elasticsearch()


def test_every_setting_says_what_it_is_for() -> None:
    """Each setting has a description, and one that holds a secret is not shown."""
    assert all(setting.metadata["about"] for setting in fields(Config))
    hidden = {setting.name for setting in fields(Config) if not setting.repr}
    assert {"es_api_key", "es_password"} == hidden


def values(config: Config) -> dict[str, object]:
    """Give every setting's value by name."""
    return {setting.name: getattr(config, setting.name) for setting in fields(config)}


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("ALB_LOGS_ES_ULR", "ALB_LOGS_ES_URL"), ("ALB_LOGS_XYZZY", "docs/settings.md")],
)
def test_a_misspelt_setting_is_refused(variable: str, hint: str) -> None:
    """A variable that begins like ours but is none stops the start, with what was meant."""
    with pytest.raises(ConfigError, match=variable) as refused:
        Config.from_env({variable: "1"})

    assert hint in str(refused.value)
