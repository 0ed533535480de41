"""
Connections that must not be made: wrong certificates, addresses, passwords and keys.

Each is reported in one sentence that names the setting and what to do, and is exit code 2; nothing
that is secret is said. What may pass by itself is exit code 1.
"""

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from elastic_transport import TlsError, TransportApiResponse

from devstack.process import HOST
from pipeline.cluster.templates import Layout, plan_setup
from pipeline.deadline import Deadline
from pipeline.sink.bulk import Replies, send
from pipeline.sink.encoding import create_action
from pipeline.sink.refusals import untrusted
from tests.support.factories import alb_line
from tests.support.faults import Faults, Send
from tests.support.secure import PASSWORD, Authority, Secure, new_key, private, run

SECRET = "bm9ib2R5OnMta2V5"  # noqa: S105  nobody's
NO_USER = {"ALB_LOGS_ES_USERNAME": "", "ALB_LOGS_ES_PASSWORD": ""}


@pytest.fixture
def refused(secure: Secure, tmp_path: Path) -> Callable[..., str]:
    """Return the sentence by which every command that asks a cluster refuses changed settings."""
    log = tmp_path / "access.log"
    log.write_bytes(alb_line() + b"\n")

    def refused(code: int = 2, **changed: str) -> str:
        ended = [
            run(secure.settings("admin", **changed), *arguments)
            for arguments in (["setup"], ["ingest", log])
        ]
        assert [(code, ""), (code, "")] == [(each.code, each.out) for each in ended]
        for each in ended:
            assert not [secret for secret in (PASSWORD, "wrong-pass", SECRET) if secret in each.err]
        first, second = (each.said.partition(" for REST request")[0] for each in ended)
        assert first == second
        return ended[0].said

    return refused


Refused = Callable[..., str]


def test_the_right_settings_connect(secure: Secure) -> None:
    """With the authority's file and the right password the server answers."""
    plan_setup(secure.client("admin"), Layout())


# --- who calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"ALB_LOGS_ES_PASSWORD": "wrong-pass"}, id="password"),
        pytest.param({"ALB_LOGS_ES_USERNAME": "nobody"}, id="user"),
        pytest.param(NO_USER | {"ALB_LOGS_ES_API_KEY": SECRET}, id="key"),
        pytest.param(NO_USER, id="none"),
    ],
)
def test_a_wrong_password_is_told(refused: Refused, changed: dict[str, str]) -> None:
    """A 401 names every setting by which the caller may say who it is."""
    said = refused(**changed)

    assert said.startswith("Elasticsearch refused with 401 security_exception: ")
    assert said.endswith(
        ". Check ALB_LOGS_ES_API_KEY, or ALB_LOGS_ES_USERNAME and ALB_LOGS_ES_PASSWORD, or the "
        "parameter or secret that holds the key"
    )


# --- whom to trust -------------------------------------------------------------------------------


@pytest.fixture(params=["another", "namesake", "unset"])
def unknown_authority(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a file without the authority that signed the server's certificate, or no file."""
    names = {"another": "another authority", "namesake": Authority(new_key()).name}
    if request.param == "unset":
        return ""
    file = tmp_path / "authority.pem"
    file.write_bytes(Authority(new_key(), names[request.param]).certificate)
    return str(file)


def test_an_unknown_authority_is_told(refused: Refused, unknown_authority: str) -> None:
    """Where the authority is not among those trusted, its setting is named."""
    said = refused(ALB_LOGS_ES_CA_CERT=unknown_authority)

    assert (
        "Elasticsearch's certificate is not trusted: unable to get local issuer certificate. Set "
        "ALB_LOGS_ES_CA_CERT to the file of the authority that signed it"
    ) == said


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("no certificate", id="text"),
        pytest.param("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n", id="pem"),
    ],
)
def test_a_file_without_certificate_is_told(refused: Refused, tmp_path: Path, text: str) -> None:
    """A file that holds something else is what is wrong, not the server's certificate."""
    (file := tmp_path / "authority.pem").write_text(text)

    said = refused(ALB_LOGS_ES_CA_CERT=str(file))

    assert said.startswith("ALB_LOGS_ES_CA_CERT names a file without a certificate in PEM form: ")


EXPIRED = (
    "Elasticsearch's certificate is not trusted: certificate has expired. Renew it, or, if it is "
    "the authority's that has expired, put the new one into the file of ALB_LOGS_ES_CA_CERT"
)


def test_an_expired_certificate_is_told(secure: Secure, refused: Refused) -> None:
    """The server's own certificate has expired: another authority would not help."""
    with secure.presenting(secure.authority.vouch(secure.key, days=-1)):
        said = refused()

    assert EXPIRED == said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param(-1, EXPIRED, id="expired"),
        pytest.param(
            20,
            "Elasticsearch's certificate is not trusted: certificate is not yet valid. Check "
            "that the clock of this machine is right, and that the certificate of "
            "ALB_LOGS_ES_CA_CERT is valid already",
            id="not yet",
        ),
    ],
)
def test_an_authority_out_of_its_time_is_told(
    secure: Secure, refused: Refused, tmp_path: Path, days: int, said: str
) -> None:
    """The authority's certificate, by which the server's is trusted, is too old or too young."""
    (file := tmp_path / "authority.pem").write_bytes(
        replace(secure.authority, days=days).certificate
    )

    assert said == refused(ALB_LOGS_ES_CA_CERT=str(file))


FAILED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        pytest.param(
            f"{FAILED}IP address mismatch, certificate is not valid for '192.0.2.1'. (_ssl.c:1006)",
            "certificate is not valid for '192.0.2.1'. Set ALB_LOGS_ES_URL to a name or",
            id="address",
        ),
        pytest.param(
            f"{FAILED}authority and subject key identifier mismatch (_ssl.c:1006)",
            "not trusted: authority and subject key identifier mismatch. Set ALB_LOGS_ES_CA_CERT",
            id="namesake",
        ),
        pytest.param(
            "[SSL] record layer failure (_ssl.c:1032)",
            "no TLS is spoken there (record layer failure): write http",
            id="no tls",
        ),
        pytest.param(
            "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1006)",
            "no TLS connection can be made (tlsv1 alert protocol version): check which versions",
            id="old tls",
        ),
    ],
)
def test_what_other_versions_say_is_understood(cause: str, said: str) -> None:
    """OpenSSL and urllib3 have more words for it than today's versions use."""
    assert said in str(untrusted(TlsError(cause)))


# --- where ---------------------------------------------------------------------------------------

_ANOTHER_NAME = (
    " Set ALB_LOGS_ES_URL to a name or address that the certificate contains, or have it issued "
    "for this one too"
)


def test_another_name_is_told(secure: Secure, refused: Refused) -> None:
    """The certificate holds the server's address and no name: it is not trusted by its name."""
    said = refused(ALB_LOGS_ES_URL=f"https://localhost:{secure.port}")

    assert (
        "Elasticsearch's certificate is not trusted: Hostname mismatch, certificate is not valid "
        f"for 'localhost'.{_ANOTHER_NAME}"
    ) == said


def test_another_address_is_told(secure: Secure, refused: Refused) -> None:
    """The certificate holds another address than the one that is called."""
    with secure.presenting(secure.authority.vouch(secure.key, address="192.0.2.1")):
        said = refused()

    assert (
        "Elasticsearch's certificate is not trusted: hostname '127.0.0.1' doesn't match "
        f"'192.0.2.1'.{_ANOTHER_NAME}"
    ) == said


HTTP_TO_TLS = "ALB_LOGS_ES_URL says http, but TLS is spoken there: write https"


def test_http_where_tls_is_spoken_is_told(secure: Secure, refused: Refused) -> None:
    """Elasticsearch hangs up on plain http without a word: that it speaks TLS is found out."""
    said = refused(ALB_LOGS_ES_URL=f"http://{HOST}:{secure.port}", ALB_LOGS_ES_CA_CERT="")

    assert HTTP_TO_TLS == said


def test_http_with_a_certificate_is_told(secure: Secure, refused: Refused) -> None:
    """An authority's file is for https: that is seen without asking the server."""
    said = refused(ALB_LOGS_ES_URL=f"http://{HOST}:{secure.port}")

    assert "ALB_LOGS_ES_CA_CERT is set, but an address in ALB_LOGS_ES_URL begins with http" in said


@contextmanager
def listening(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Listen on a port of this machine, serve each connection in turn, and yield the port."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with closing(connection), suppress(OSError):
                    serve(connection)

    with socket.create_server((HOST, 0)) as listener:
        thread = Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(connection: socket.socket) -> None:
    """Answer as web servers do that are asked something that they do not understand."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\nHTTPS")


def test_http_to_a_proxy_that_speaks_tls_is_told(
    secure: Secure, refused: Refused, tmp_path: Path
) -> None:
    """Proxies do not hang up but answer 400: that they speak TLS is found out too."""
    pair = tmp_path / "pair.pem"
    pair.write_bytes(private(secure.key) + secure.authority.vouch(secure.key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)

    def serve(connection: socket.socket) -> None:
        if b"\x16" == connection.recv(1, socket.MSG_PEEK):
            context.wrap_socket(connection, server_side=True).close()
        else:
            answer(connection)

    with listening(serve) as port:
        said = refused(ALB_LOGS_ES_URL=f"http://{HOST}:{port}", ALB_LOGS_ES_CA_CERT="")

    assert HTTP_TO_TLS == said


def test_https_where_no_tls_is_spoken_is_told(refused: Refused) -> None:
    """A server that answers in plain text has no problem with certificates."""
    with listening(answer) as port:
        said = refused(ALB_LOGS_ES_URL=f"https://{HOST}:{port}")

    assert said.startswith("ALB_LOGS_ES_URL says https, but no TLS is spoken there (")
    assert said.endswith("): write http, or turn TLS on in Elasticsearch")


@pytest.mark.parametrize("size", [1, 65_536], ids=["reset", "end"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_only_hangs_up_may_be_back_soon(refused: Refused, scheme: str, size: int) -> None:
    """A connection that breaks off proves no wrong setting: it is worth another try."""
    with listening(lambda connection: connection.recv(size)) as port:
        changed = {"ALB_LOGS_ES_URL": f"{scheme}://{HOST}:{port}"}
        if scheme == "http":
            changed["ALB_LOGS_ES_CA_CERT"] = ""
        said = refused(1, **changed)

    assert said.startswith("Elasticsearch does not answer: ")
    assert "that ALB_LOGS_ES_URL is right" in said


def test_a_connection_that_breaks_off_is_made_again(secure: Secure) -> None:
    """Documents are sent once more where TLS ended early; only what lasts ends the sending."""
    item = create_action("1", "broken-off", b"{}")

    def break_off(_send: Send, _body: bytes) -> TransportApiResponse:
        raise TlsError("EOF occurred in violation of protocol (_ssl.c:1006)")

    faults = Faults(secure.client("admin"), break_off)
    es = faults.es.options(basic_auth=b64encode(f"admin:{PASSWORD}".encode()).decode())

    replies = send([item], es=es, deadline=Deadline())

    assert Replies(created=1) == replies
    assert 2 == len(faults.bodies)
