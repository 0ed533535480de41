"""
A real Elasticsearch with TLS, users and roles, to test certificates and privileges.

Its users are in files because the minimal distribution can keep none in an index. Each has the one
role of its own name: those of `pipeline.cluster.roles`, and each of these short of one privilege.
"""

import base64
import hashlib
import io
import ipaddress
import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from elasticsearch import Elasticsearch

from devstack.elasticsearch import ElasticsearchServer, start_elasticsearch
from devstack.process import HOST
from pipeline.cli import main
from pipeline.clients.elasticsearch import make_elasticsearch
from pipeline.cluster.roles import Role, role_body
from pipeline.config import Config, variable_of
from tests.support.commands import Run

Json = dict[str, Any]

PREFIX = "alb-logs"
FRESH = "fresh"
"""A prefix under which nothing is set up yet; the user who sets up has a role for it too."""

PASSWORD = "correct horse battery stäple €"  # noqa: S105  of a server that lives for these tests


# --- users and roles -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lack:
    """A user whose role is one of ours, short of one privilege: of the cluster or of `names`."""

    user: str
    role: Role
    privilege: str
    names: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """Return the prefix of its own that such a user sets up under; the others share one."""
        return self.user if self.role is Role.SETUP else PREFIX

    @property
    def body(self) -> Json:
        """Return what is left of the role."""
        full = role_body(self.role, self.prefix)
        groups = [
            {**group, "privileges": self._left(group["privileges"], group["names"])}
            for group in full["indices"]
        ]
        return {
            "cluster": self._left(full["cluster"], ()),
            "indices": [group for group in groups if group["privileges"]],
        }

    def _left(self, privileges: list[str], names: Iterable[str]) -> list[str]:
        concerned = tuple(names) == self.names
        return [each for each in privileges if not (concerned and each == self.privilege)]


def lacks_of(role: Role) -> Iterator[Lack]:
    """Yield one user for each privilege of a role, who has all others of it."""
    body = role_body(role, PREFIX)
    groups = [((), body["cluster"]), *((g["names"], g["privileges"]) for g in body["indices"])]
    numbered = enumerate((names, each) for names, privileges in groups for each in privileges)
    for number, (names, privilege) in numbered:
        lack = Lack(f"{role}-lack-{number}", role, privilege, tuple(names))
        own = [name.replace(PREFIX, lack.prefix, 1) for name in names]
        yield replace(lack, names=tuple(own))


LACKS = [lack for role in Role for lack in lacks_of(role)]
ROLES: dict[str, Json] = {
    **{role.value: role_body(role, PREFIX) for role in Role},
    "setup-fresh": role_body(Role.SETUP, FRESH),
    **{lack.user: lack.body for lack in LACKS},
}


def user_files() -> dict[str, bytes]:
    """Return the files of the realm: the users above, each with the role of its name, and admin."""
    roles = {"admin": "superuser", **{user: user for user in ROLES}}
    texts = {
        "users": [f"{user}:{_hashed(PASSWORD)}" for user in roles],
        "users_roles": [f"{role}:{user}" for user, role in roles.items()],
        # JSON is YAML, but each role must begin a line.
        "roles.yml": [f"{name}: {json.dumps(body)}" for name, body in ROLES.items()],
    }
    return {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in texts.items()}


def _hashed(password: str) -> str:
    """Hash a password as the file realm reads it."""
    salt = hashlib.sha256(password.encode()).digest()
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 1_000, 32)
    return "{PBKDF2}1000$" + "$".join(base64.b64encode(each).decode() for each in (salt, digest))


# --- certificates --------------------------------------------------------------------------------

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that signs certificates; it expires in `days`."""

    key: ec.EllipticCurvePrivateKey
    name: str = "the authority of these tests"
    days: float = 1.0

    @property
    def certificate(self) -> bytes:
        """Return the certificate by which it is trusted, as PEM."""
        draft = self._draft(self.name, self.key, self.days).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
        return self._sign(draft.add_extension(x509.KeyUsage(**usage), critical=True))

    def vouch(
        self, key: ec.EllipticCurvePrivateKey, *, address: str = HOST, days: float = 1.0
    ) -> bytes:
        """Return a certificate of an address, and of no name, as PEM."""
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        draft = self._draft("a server of these tests", key, days)
        return self._sign(
            draft.add_extension(alternative, critical=False).add_extension(issuer, critical=False)
        )

    def _draft(
        self, name: str, key: ec.EllipticCurvePrivateKey, days: float
    ) -> x509.CertificateBuilder:
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, self.name)
        )
        until = datetime.now(UTC) + timedelta(days=days)
        public, number = key.public_key(), x509.random_serial_number()
        draft = x509.CertificateBuilder(issuer, subject, public, number, until - 9 * _DAY, until)
        own = x509.SubjectKeyIdentifier.from_public_key(public)
        return draft.add_extension(own, critical=False)

    def _sign(self, draft: x509.CertificateBuilder) -> bytes:
        signed = draft.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key."""
    return ec.generate_private_key(ec.SECP256R1())


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


# --- the server ----------------------------------------------------------------------------------

_TLS = "xpack.security.http.ssl"
_SETTINGS = {
    "xpack.security.enabled": "true",
    f"{_TLS}.enabled": "true",
    f"{_TLS}.key": "http.key",
    f"{_TLS}.certificate": "http.crt",
    # How often it looks for another certificate.
    "resource.reload.interval.high": "100ms",
}
_RELOAD_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Secure:
    """A server with users and TLS, and the authority that signed its certificate."""

    server: ElasticsearchServer
    authority: Authority
    key: ec.EllipticCurvePrivateKey
    ca: Path

    @property
    def port(self) -> str:
        """Return the server's port."""
        return self.server.url.rpartition(":")[2]

    def settings(self, user: str, **changed: str) -> dict[str, str]:
        """Return the product's settings for a user, under the prefix of that user's role."""
        return {
            "ALB_LOGS_ES_URL": self.server.url,
            "ALB_LOGS_ES_USERNAME": user,
            "ALB_LOGS_ES_PASSWORD": PASSWORD,
            "ALB_LOGS_ES_CA_CERT": str(self.ca),
            "ALB_LOGS_INDEX_PREFIX": PREFIX,
            **changed,
        }

    def client(self, user: str, **changed: str) -> Elasticsearch:
        """Return a client as the product makes it."""
        return make_elasticsearch(Config.from_env(self.settings(user, **changed)))

    @contextmanager
    def presenting(self, certificate: bytes) -> Iterator[None]:
        """Let the server present another certificate for a while."""
        usual = self._present(certificate)
        try:
            yield
        finally:
            self._present(usual)

    def _present(self, certificate: bytes) -> bytes:
        """Put a certificate into place, wait until it is the one presented; return the former."""
        home = self.server.log_path.parent.parent
        file = home / "config" / "http.crt"
        former = file.read_bytes()
        draft = file.with_suffix(".draft")
        draft.write_bytes(certificate)
        draft.replace(file)
        wanted, deadline = _der(certificate.decode()), time.monotonic() + _RELOAD_SECONDS
        while wanted != _der(ssl.get_server_certificate((HOST, int(self.port)))):
            assert time.monotonic() < deadline, "the server keeps its certificate"
            time.sleep(0.05)
        return former


def _der(certificate: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate)


@contextmanager
def start_secure(folder: Path) -> Iterator[Secure]:
    """Start the server; `folder` is for what its clients must know."""
    authority, key = Authority(new_key()), new_key()
    ca = folder / "ca.pem"
    ca.write_bytes(authority.certificate)
    pair = {"http.key": private(key), "http.crt": authority.vouch(key)}
    with start_elasticsearch(settings=_SETTINGS, config_files=pair | user_files()) as server:
        yield Secure(server, authority, key, ca)


# --- the command ---------------------------------------------------------------------------------


def run(settings: Mapping[str, str], *arguments: object) -> Run:
    """Run `alb-logs` in this process, with these settings and no other."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as environment, redirect_stdout(out), redirect_stderr(err):
        for name in Config.__dataclass_fields__:
            environment.delenv(variable_of(name), raising=False)
        for variable, text in settings.items():
            environment.setenv(variable, text)
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
    return Run(ended.value.code, out.getvalue(), err.getvalue())
