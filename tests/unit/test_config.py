"""Settings: what each variable means, and the error for a wrong one."""

from dataclasses import fields
from typing import Any

import pytest

from pipeline.alb.filters import Like, Rule
from pipeline.alb.privacy import Bits, Privacy
from pipeline.config import OF_LINES, Config, variable_of
from pipeline.errors import ConfigError

ROLE = "arn:aws:iam::210987654321:role/read-logs"
CHINA = "arn:aws-cn:iam::210987654321:role/read-logs"
ODD = "arn:aws-us-gov:iam::210987654321:role/team,a/logs/a=b+c,d.e@f-g_h"

SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf"  # noqa: S105
KEY = "aWQ6a2V5"
"""The encoded form of id:key."""

READINGS = [
    ("ES_URL", "https://es.example.org:9200", ("https://es.example.org:9200",)),
    ("ES_URL", " http://a , https://b:1/path/ ,", ("http://a", "https://b:1/path/")),
    ("ES_URL", "http://[::1]:9200", ("http://[::1]:9200",)),
    ("ES_URL", "http://my_es", ("http://my_es",)),
    ("ES_CLOUD_ID", "logs:ZXhhbXBsZQ==", "logs:ZXhhbXBsZQ=="),
    ("ES_API_KEY", KEY, KEY),
    ("ES_API_KEY", f"  {KEY}\n", KEY),
    ("ES_API_KEY", "aWQ6bmV3LWtleQ", "aWQ6bmV3LWtleQ"),
    ("ES_API_KEY_PARAMETER", "/alb-logs/key", "/alb-logs/key"),
    ("ES_API_KEY_PARAMETER", "alb-logs/key:3#encoded", "alb-logs/key:3#encoded"),
    ("ES_API_KEY_SECRET", "alb-logs-key", "alb-logs-key"),
    ("ES_API_KEY_SECRET", "a/b_c+d=e.f@g-h#my field", "a/b_c+d=e.f@g-h#my field"),
    ("ES_API_KEY_SECRET", f"{SECRET_ARN}#encoded", f"{SECRET_ARN}#encoded"),
    ("ES_INSECURE_HTTP", "on", True),
    ("ES_INSECURE_HTTP", "Off", False),
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
    ("REDACT_QUERY", "token, code", ("token", "code")),
    ("ANONYMIZE_IP", "24,48", (24, 48)),
    ("DROP_FIELDS", "user_agent.original", ("user_agent.original",)),
    ("EXCLUDE", "url.path=/ping", (Rule((Like("url.path", ("/ping",)),)),)),
    ("DEAD_LETTER_LINES", "on", True),
    ("DEAD_LETTER_LINES", "off", False),
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
    ("ES_URL", "https://a,nonsense", "ALB_LOGS_ES_URL, part 2 of 2, is not an address"),
    ("ES_URL", "https://a:65536", "https://es.example.org:9200"),
    ("ES_URL", "https://a:9200#x", "https://es.example.org:9200"),
    ("ES_CONNECTIONS", "0", "from 1 to 16"),
    ("ES_CONNECTIONS", "17", "from 1 to 16"),
    ("ES_CONNECTIONS", "1.5", "from 1 to 16"),
    ("ES_CONNECTIONS", "-1", "from 1 to 16"),
    ("ES_CONNECTIONS", "٣", "from 1 to 16"),
    ("ES_CONNECTIONS", "9" * 5_000, "from 1 to 16"),
    ("ES_COMPRESS", "si", "neither true nor false"),
    ("BULK_BYTES", "99999", "from 100000 to 50000000"),
    ("BULK_BYTES", "50000001", "from 100000 to 50000000"),
    ("BULK_BYTES", "4MB", "from 100000 to 50000000"),
    ("INDEX_PREFIX", "Alb", "lowercase letters"),
    ("INDEX_PREFIX", "-alb", "lowercase letters"),
    ("INDEX_PREFIX", "_alb", "lowercase letters"),
    ("INDEX_PREFIX", "alb logs", "lowercase letters"),
    ("INDEX_PREFIX", "alb*", "lowercase letters"),
    ("INDEX_PREFIX", "x" * 101, "lowercase letters"),
    ("INDEX_PREFIX", "logs", "choose another"),
    ("INDEX_PREFIX", "logs-alb", "choose another"),
    ("INDEX_PREFIX", "metrics-alb", "choose another"),
    ("INDEX_PREFIX", "traces-alb", "choose another"),
    ("INDEX_PREFIX", "synthetics-alb", "choose another"),
    ("KEEP_ORIGINAL", "2", "neither true nor false"),
    ("REDACT_QUERY", "a,*", "ALB_LOGS_REDACT_QUERY, character 3"),
    ("ANONYMIZE_IP", "24", "ALB_LOGS_ANONYMIZE_IP, character 1"),
    ("DROP_FIELDS", "url.paht", "did you mean url.path"),
    ("EXCLUDE", "url.path=/a;url.paht=/b", "ALB_LOGS_EXCLUDE, character 13"),
    ("DEAD_LETTER_LINES", "sometimes", "neither true nor false"),
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
KEEP, REDACT = "ALB_LOGS_KEEP_ORIGINAL", "ALB_LOGS_REDACT_QUERY"
ANONYMIZE = "ALB_LOGS_ANONYMIZE_IP"
TOGETHER = [
    pytest.param({URL: "http://a", CLOUD_ID: "x:y"}, (URL, CLOUD_ID), id="two-addresses"),
    pytest.param({API_KEY: KEY, PARAMETER: "p"}, (API_KEY, PARAMETER), id="key-and-parameter"),
    pytest.param({API_KEY: KEY, SECRET: "s"}, (API_KEY, SECRET), id="key-and-secret"),
    pytest.param({PARAMETER: "p", SECRET: "s"}, (PARAMETER, SECRET), id="parameter-and-secret"),
    pytest.param(
        {SECRET: "s", USERNAME: "u", PASSWORD: "p"}, (SECRET, USERNAME), id="secret-and-user"
    ),
    pytest.param({KEEP: "on", REDACT: "*"}, (KEEP, REDACT), id="original-and-redaction"),
    pytest.param({KEEP: "on", ANONYMIZE: "24,48"}, (KEEP, ANONYMIZE), id="original-and-address"),
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
    """A user is set together with a password."""
    config = Config.from_env({USERNAME: "ingest", PASSWORD: "pa ss"})

    assert ("ingest", "pa ss") == (config.es_username, config.es_password)


@pytest.mark.parametrize(("name", "text", "fix"), WRONG)
def test_a_wrong_setting_is_named(name: str, text: str, fix: str) -> None:
    """A wrong value raises ConfigError, which names the variable and what would be right."""
    with pytest.raises(ConfigError) as raised:
        Config.from_env({f"ALB_LOGS_{name}": text})

    assert f"ALB_LOGS_{name}" in str(raised.value)
    assert fix in str(raised.value)


@pytest.mark.parametrize(("environ", "named"), TOGETHER)
def test_settings_that_exclude_each_other(environ: dict[str, str], named: tuple[str, ...]) -> None:
    """Two addresses, two ways to authenticate or half of one are refused, with all their names."""
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


@pytest.mark.parametrize("environ", [{API_KEY: KEY}, {USERNAME: "u", PASSWORD: KEY}])
def test_secrets_are_not_shown(environ: dict[str, str]) -> None:
    """No secret is in any text of the settings."""
    config = Config.from_env(environ)

    assert KEY in values(config).values()
    assert KEY not in f"{config!r} {config!s} {config}"


# Whatever is planted contains "geheim", also where it is base64.
HIDDEN = "Z2VoZWltOmdlaGVpbQ=="  # geheim:geheim
RAW = "geheim-id:geheim-key"
ODD_SECRETS = [
    pytest.param({API_KEY: "geheim"}, API_KEY, id="short"),
    pytest.param({API_KEY: "…"}, API_KEY, id="ellipsis"),
    pytest.param({API_KEY: f"{HIDDEN[:9]}\n{HIDDEN[9:]}"}, API_KEY, id="two-lines"),
    pytest.param({API_KEY: f'{{\n  "encoded": "{HIDDEN}"\n}}'}, API_KEY, id="json"),
    pytest.param({API_KEY: RAW}, API_KEY, id="not-encoded"),
    pytest.param({API_KEY: f"ApiKey {HIDDEN}"}, API_KEY, id="header"),
    pytest.param({API_KEY: f"'{HIDDEN}'"}, API_KEY, id="quoted"),
    pytest.param({API_KEY: "geheim\udcff"}, API_KEY, id="latin-1"),
    pytest.param({USERNAME: "u", PASSWORD: "geheim\udcff"}, PASSWORD, id="latin-1-password"),
    pytest.param({USERNAME: "geheim:x", PASSWORD: "geheim"}, USERNAME, id="colon"),
    pytest.param({PASSWORD: "geheim"}, PASSWORD, id="no-user"),
    pytest.param({API_KEY: HIDDEN, USERNAME: "u", PASSWORD: "geheim"}, API_KEY, id="both"),
    pytest.param({PARAMETER: HIDDEN}, PARAMETER, id="key-as-parameter"),
    pytest.param({SECRET: HIDDEN}, SECRET, id="key-as-secret"),
    pytest.param({SECRET: "geheim geheim"}, SECRET, id="password-as-secret"),
    pytest.param({SECRET: "name#geheim#geheim"}, SECRET, id="two-fields"),
    pytest.param({URL: HIDDEN}, URL, id="key-as-address"),
    pytest.param({URL: RAW}, URL, id="raw-key-as-address"),
    pytest.param({URL: "https://geheim:geheim"}, URL, id="address-without-at"),
    pytest.param({URL: f"https://a?key={HIDDEN}"}, URL, id="query"),
    pytest.param({URL: "http://es.example.org", API_KEY: HIDDEN}, URL, id="in-the-open"),
    pytest.param(
        {URL: "http://es", USERNAME: "u", PASSWORD: "geheim"}, URL, id="password-in-the-open"
    ),
    pytest.param({"ALB_LOGS_ES_API_KEYS": HIDDEN}, "ALB_LOGS_ES_API_KEYS", id="misspelt"),
]


@pytest.mark.parametrize(("environ", "variable"), ODD_SECRETS)
def test_secrets_are_not_in_messages(environ: dict[str, str], variable: str) -> None:
    """The error names the right setting and has no part of a secret, nor has its context."""
    with pytest.raises(ConfigError, match=variable) as raised:
        Config.from_env(environ)

    said = repr(raised.value)
    assert not [part for part in ("geheim", HIDDEN, HIDDEN[:9], HIDDEN[9:]) if part in said]
    assert (None, None) == (raised.value.__context__, raised.value.__cause__)


@pytest.mark.parametrize(
    "secret", [{API_KEY: KEY}, {PARAMETER: "p"}, {SECRET: "s"}, {USERNAME: "u", PASSWORD: "p"}]
)
def test_credentials_need_tls(secret: dict[str, str]) -> None:
    """With credentials plain http is refused but for this machine, unless a setting allows it."""
    for url in (
        *(
            "http://es.example.org",
            "http://10.0.0.1:9200",
            "http://[2001:db8::1]",
            "http://0.0.0.0",
        ),
        *("https://a,http://b", "http://localhost.example.org", "http://127.example.org"),
    ):
        with pytest.raises(ConfigError, match=r"ALB_LOGS_ES_URL.*ALB_LOGS_ES_INSECURE_HTTP=on"):
            Config.from_env({URL: url, **secret})
        Config.from_env({URL: url, "ALB_LOGS_ES_INSECURE_HTTP": "on", **secret})
        Config.from_env({URL: url})
    for url in (
        *("http://localhost:9200", "http://LocalHost", "http://127.0.0.1", "http://127.9.9.9:1"),
        *("http://[::1]:9200", "https://es.example.org"),
    ):
        Config.from_env({URL: url, **secret})


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_not_set(text: str) -> None:
    """An empty variable, as deployment templates leave it, counts as not set."""
    environ = {variable_of(setting.name): text for setting in fields(Config)}

    assert Config() == Config.from_env(environ)


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the process's environment unless another is given."""
    monkeypatch.setenv("ALB_LOGS_INDEX_PREFIX", "from-the-process")

    assert "from-the-process" == Config.from_env().index_prefix
    assert "alb-logs" == Config.from_env({}).index_prefix


def test_elasticsearch_must_be_named() -> None:
    """A command that needs Elasticsearch names the variable that is missing, with an example."""
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
    """Return the value of every setting by name."""
    return {setting.name: getattr(config, setting.name) for setting in fields(config)}


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("ALB_LOGS_ES_ULR", "ALB_LOGS_ES_URL"), ("ALB_LOGS_XYZZY", "docs/settings.md")],
)
def test_a_misspelled_setting_is_refused(variable: str, hint: str) -> None:
    """An unknown variable with our prefix is refused, with the one that was meant."""
    with pytest.raises(ConfigError, match=variable) as refused:
        Config.from_env({variable: "1"})

    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "privacy"),
    [
        ({}, Privacy()),
        ({"DEAD_LETTER_LINES": "off"}, Privacy(rejected_lines=False)),
        ({"EXCLUDE": "url.path=/ping"}, Privacy(rejected_lines=False)),
        (
            {"DROP_FIELDS": "source.ip"},
            Privacy(drop=frozenset({"source.ip"}), rejected_lines=False),
        ),
        ({"ANONYMIZE_IP": "8,16"}, Privacy(bits=Bits(8, 16), rejected_lines=False)),
        ({"REDACT_QUERY": "*"}, Privacy(redact=("*",), rejected_lines=False)),
        ({"REDACT_QUERY": "*", "DEAD_LETTER_LINES": "on"}, Privacy(redact=("*",))),
    ],
)
def test_any_privacy_setting_keeps_lines_out_of_dead_letters(
    settings: dict[str, str], privacy: Privacy
) -> None:
    """Unless they are asked for; without such a setting they are kept unless they are not."""
    given = {f"ALB_LOGS_{name}": text for name, text in settings.items()}

    assert privacy == Config.from_env(given).privacy


def test_settings_for_lines_are_read_alone() -> None:
    """Other settings may be wrong then, but a misspelled one is still an error."""
    given = {"ALB_LOGS_ES_URL": "nonsense", "ALB_LOGS_REDACT_QUERY": "token"}

    assert Config(redact_query=("token",)) == Config.from_env(given, only=OF_LINES)
    with pytest.raises(ConfigError, match="did you mean ALB_LOGS_REDACT_QUERY"):
        Config.from_env({"ALB_LOGS_REDACT_QUERRY": "x"}, only=OF_LINES)
