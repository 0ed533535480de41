"""ALB security: who tries what, and what stopped them."""

from pipeline.dashboards.columns import Count, Look, Percentile, Ratio, Value
from pipeline.dashboards.conditions import Condition, Has, either, one_of
from pipeline.dashboards.layout import Dashboard, row, wide
from pipeline.dashboards.palette import ANY_IS_SEEN, BAD, ERROR_SHARE, GOOD, WARN
from pipeline.dashboards.panels import (
    Lines,
    Note,
    Topic,
    bars,
    donut,
    lines,
    ranks,
    table,
    tile,
)
from pipeline.dashboards.views import ACCESS, CONNECTION, Format
from pipeline.dashboards.vocabulary import (
    ACTION,
    CLASSIFICATION,
    CLIENT,
    CLIENT_ERROR,
    CLIENT_ERROR_RATIO,
    LOAD_BALANCER,
    NOT_ACCEPTABLE,
    OLD_TLS,
    ORIGIN,
    ORIGINS,
    PATH,
    REQUESTS,
    TLS_VERSIONS,
    USER_AGENT,
    by,
    status,
)

_HANDSHAKE = "aws.elb.tls_handshake_latency.sec"
_HANDSHAKE_ERROR = "aws.elb.tls_error_code"
_FAILED = one_of("aws.elb.tls_verify_status", "Failed")
_BLOCKED = one_of(ORIGIN, "waf")
_NOT_LOGGED_IN = one_of(ORIGIN, "auth")
_REFUSED = either(_BLOCKED, _NOT_LOGGED_IN)
SUSPECT = either(NOT_ACCEPTABLE, _REFUSED)
"""What the load balancer itself found wrong with a request."""

_NOTE = """\
**Reading order.** 1. *Desync*: **Ambiguous** or **Severe** requests may be smuggling; their \
clients are in the lines below. 2. *WAF* and *auth*: what was stopped. 3. *Scanners*: one client, \
many paths, mostly 4xx; click it, then **Show its lines**. 4. *Old TLS* and *failed handshakes*: \
clients that you lose if you demand more. Handshakes need the connection log."""


def _odd(name: str, label: str, where: Condition) -> Count:
    return Count(name, label, where, look=Look(levels=ANY_IS_SEEN))


def _topic(name: str, title: str, question: str, where: Condition | None = None) -> Topic:
    return Topic(name, title, question, ACCESS, where)


def _connections(name: str, title: str, question: str, where: Condition | None = None) -> Topic:
    return Topic(name, title, question, CONNECTION, where)


def _handshake(percent: float, color: str) -> Percentile:
    look = Look(Format.SECONDS, color)
    return Percentile(f"p{percent:g}", f"p{percent:g}", percent, _HANDSHAKE, look=look)


_FAILURES = Count("requests", "Failed")
_PATHS = Value("paths", "Paths", "unique_count", PATH)

_TILES = row(
    6,
    tile(
        _topic("desync", "Desync", "Were there requests that may be smuggled?"),
        _odd("odd", "Desync: not acceptable", NOT_ACCEPTABLE),
    ),
    tile(
        _topic("blocked", "Blocked by WAF", "What did the firewall stop?"),
        Count("stopped", "Blocked by WAF", _BLOCKED),
    ),
    tile(
        _topic("not-logged-in", "Authentication failed", "Who could not log in?"),
        Count("failures", "Authentication failed", _NOT_LOGGED_IN),
    ),
    tile(
        _topic("client-error-share", "4xx share", "How much is refused?"),
        CLIENT_ERROR_RATIO,
    ),
    tile(
        _topic("old-tls", "TLS 1.0 and 1.1", "How many requests use old TLS?"),
        _odd("odd", "TLS 1.0 and 1.1", OLD_TLS),
    ),
    tile(
        _connections("failed", "Failed handshakes", "Which share of handshakes fails?"),
        Ratio("share", "Failed handshakes", _FAILED, look=Look(Format.PERCENT, None, ERROR_SHARE)),
        Count("failures", "failed", _FAILED),
    ),
)

SECURITY = Dashboard(
    name="security",
    title="ALB security",
    menu="Security",
    description="Desync classes, WAF and authentication, scanners, old TLS, failed handshakes.",
    controls=(LOAD_BALANCER, CLIENT),
    rows=(
        _TILES,
        row(
            12,
            bars(
                _topic("classes", "Desync classes", "Since when, and how bad?", NOT_ACCEPTABLE),
                REQUESTS,
                split=by(
                    CLASSIFICATION,
                    4,
                    colors=(("Acceptable", GOOD), ("Ambiguous", WARN), ("Severe", BAD)),
                ),
            ),
            bars(
                _topic("stopped", "Stopped by WAF and authentication", "Since when?", _REFUSED),
                REQUESTS,
                split=by(ORIGIN, 3, colors=ORIGINS),
            ),
        ),
        row(4, Note("reading-order", _NOTE)),
        row(
            17,
            table(
                _topic(
                    "scanners",
                    "Scanners",
                    "Who tries many paths and is refused?",
                    CLIENT_ERROR,
                ),
                by(CLIENT, 100),
                REQUESTS,
                _PATHS,
                Count("missing", "404", status(404)),
                Count("forbidden", "401, 403", status(401, 403)),
            ),
            table(
                _topic("tried", "Refused paths", "What do they try?", CLIENT_ERROR),
                by(PATH, 100),
                REQUESTS,
                Value("clients", "Clients", "unique_count", CLIENT),
            ),
        ),
        row(
            17,
            table(
                _topic("noisy", "Noisy clients", "Who asks most?"),
                by(CLIENT, 100),
                REQUESTS,
                CLIENT_ERROR_RATIO,
                _PATHS,
                Value("agents", "User agents", "unique_count", USER_AGENT),
            ),
            table(
                _topic("old-clients", "Clients with old TLS", "Who would be lost?", OLD_TLS),
                (by(CLIENT, 50), by(USER_AGENT, 2)),
                REQUESTS,
            ),
        ),
        row(
            11,
            ranks(
                _topic("actions", "Actions", "What does the load balancer do?"),
                by(ACTION, 8),
                REQUESTS,
            ),
            donut(
                _topic("tls", "TLS versions", "How old are the protocols?"),
                by("tls.version", 5, colors=TLS_VERSIONS),
                REQUESTS,
            ),
            ranks(
                _topic("ciphers", "Ciphers", "Which ciphers are used?"),
                by("tls.cipher", 8),
                REQUESTS,
            ),
            donut(
                _connections(
                    "exchanges",
                    "Key exchanges",
                    "Are they post-quantum?",
                    Has("aws.elb.tls_keyexchange"),
                ),
                by("aws.elb.tls_keyexchange", 6),
                Count("requests", "Connections"),
            ),
        ),
        row(
            12,
            bars(
                _connections("failures", "Failed handshakes by error", "Why?", _FAILED),
                _FAILURES,
                split=by(_HANDSHAKE_ERROR, 8),
            ),
            lines(
                _connections("handshake", "Handshake time", "Are handshakes slow?"),
                _handshake(50, GOOD),
                _handshake(95, WARN),
                _handshake(99, BAD),
            ),
        ),
        row(
            12,
            table(
                _topic("reasons", "Desync reasons", "What is wrong with them?", NOT_ACCEPTABLE),
                (by("aws.elb.classification_reason", 20), by(CLASSIFICATION, 3)),
                REQUESTS,
            ),
            table(
                _connections("failing", "Clients that fail", "Whose handshakes fail?", _FAILED),
                (by(CLIENT, 50), by(_HANDSHAKE_ERROR, 3)),
                _FAILURES,
            ),
        ),
        wide(18, (48, Lines("lines", "suspect-lines"))),
    ),
)
