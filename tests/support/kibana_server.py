"""
Behave as Kibana's API is documented to: its status, its spaces, and the import of saved objects.

https://www.elastic.co/guide/en/kibana/8.19/saved-objects-api-import.html
"""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from devstack.process import HOST

Json = dict[str, Any]
Answer = tuple[int, Json]

_NOWHERE: Answer = (404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})

LAST_DASHBOARD = (8, 9, 0)
"""The newest version of dashboards that Kibana 8.9 to 8.13 know."""


@dataclass
class FakeKibana:
    """What the server has and does; `saved` is by space, type and id."""

    version: str = "8.12.2"
    authorization: str | None = None
    privileged: bool = True
    spaces: tuple[str, ...] = ("default",)
    base_path: str = ""
    conflicts: tuple[str, ...] = ()
    last_dashboard: tuple[int, ...] = LAST_DASHBOARD
    most_bytes: int = 26_214_400
    not_ready: bool = False
    status: int = 200
    says: Json | None = None
    saved: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    imports: int = 0
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
        """Return the status and the JSON of an answer."""
        path = urlsplit(handler.path).path
        if self.not_ready:
            return 503, {"message": "Kibana server is not ready yet"}
        if self.authorization and handler.headers.get("authorization") != self.authorization:
            return 401, {"statusCode": 401, "error": "Unauthorized", "message": "Unauthorized"}
        return self._routed(handler, body, path) if path.startswith(self.base_path) else _NOWHERE

    def _routed(self, handler: BaseHTTPRequestHandler, body: bytes, path: str) -> Answer:
        space, rest = _space_of(path.removeprefix(self.base_path))
        match handler.command, rest.split("/")[1:]:
            case "GET", ["api", "status"]:
                return 200, {"name": "kibana", "version": {"number": self.version}}
            case "GET", ["api", "spaces", "space", name]:
                known = name in self.spaces
                return (200, {"id": name}) if known else (404, {"message": "Not Found"})
            case "POST", ["api", "saved_objects", "_import"]:
                return self._import(handler, body, space)
            case _:
                return _NOWHERE

    def _import(self, handler: BaseHTTPRequestHandler, body: bytes, space: str) -> Answer:
        self.imports += 1
        if "kbn-xsrf" not in handler.headers:
            return 400, {"message": "Request must contain a kbn-xsrf header."}
        if not self.privileged:
            return 403, {"message": "Unable to bulk_create dashboard"}
        if len(body) > self.most_bytes:
            return 413, {"message": "Payload content length greater than maximum allowed"}
        name, text = _file_of(handler.headers.get("content-type", ""), body)
        if not name.endswith(".ndjson"):
            return 400, {"message": f"Invalid file extension {name}"}
        objects = [json.loads(line) for line in text.splitlines() if line]
        for each in objects:
            newest = self._too_new(each)
            if newest:
                return 422, {"message": newest}
        query = parse_qs(urlsplit(handler.path).query)
        overwrite = query.get("overwrite") == ["true"]
        return self.status, self.says or self._result(objects, space, overwrite=overwrite)

    def _too_new(self, each: Json) -> str | None:
        version = each["typeMigrationVersion"]
        is_new = tuple(map(int, version.split("."))) > self.last_dashboard
        if each["type"] != "dashboard" or not is_new:
            return None
        last = ".".join(map(str, self.last_dashboard))
        return (
            f'Document "{each["id"]}" belongs to a more recent version of Kibana [{version}] '
            f"when the last known version is [{last}]."
        )

    def _result(self, objects: list[Json], space: str, *, overwrite: bool) -> Json:
        coming = {(each["type"], each["id"]) for each in objects}
        errors: list[Json] = []
        done: list[Json] = []
        for each in objects:
            kind, id_ = each["type"], each["id"]
            error = self._error(each, coming, space, overwrite=overwrite)
            if error:
                errors.append({"type": kind, "id": id_, "error": error})
                continue
            target = self._id_in(space, kind, id_)
            self.saved[space, kind, target] = each
            moved = {"destinationId": target} if target != id_ else {}
            done.append({"type": kind, "id": id_, **moved})
        result: Json = {"success": not errors, "successCount": len(done), "successResults": done}
        return result | ({"errors": errors} if errors else {})

    def _id_in(self, space: str, kind: str, id_: str) -> str:
        """Return the id that an object gets: what another space has is its own."""
        elsewhere = any(
            (where != space, what, name) == (True, kind, id_) for where, what, name in self.saved
        )
        return f"random-{id_}" if elsewhere else id_

    def _error(
        self, each: Json, coming: set[tuple[str, str]], space: str, *, overwrite: bool
    ) -> Json | None:
        lacking = [
            {"type": one["type"], "id": one["id"]}
            for one in each["references"]
            if one["type"] in {"index-pattern", "search"}
            and (one["type"], one["id"]) not in coming
            and (space, one["type"], one["id"]) not in self.saved
        ]
        if lacking:
            return {"type": "missing_references", "references": lacking}
        if each["id"] in self.conflicts:
            return {"type": "ambiguous_conflict", "destinations": []}
        if not overwrite and (space, each["type"], each["id"]) in self.saved:
            return {"type": "conflict"}
        return None


def _space_of(path: str) -> tuple[str, str]:
    if path.startswith("/s/"):
        _, _, space, rest = path.split("/", 3)
        return space, f"/{rest}"
    return "default", path


def _file_of(content_type: str, body: bytes) -> tuple[str, str]:
    """Return the name and the text of the field `file` of a multipart body."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    (part,) = message.iter_parts()
    assert part["content-disposition"].params.get("name") == "file"
    return part.get_filename() or "", bytes(part.get_payload(decode=True)).decode()


@contextmanager
def kibana_server(
    kibana: FakeKibana, context: ssl.SSLContext | None = None
) -> Iterator[FakeKibana]:
    """Serve a Kibana's API, by TLS if there is a context, and put its address into it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            status, answer = kibana.answer(self, self.rfile.read(size))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("kbn-name", "kibana")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  http.server's

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        scheme = "https" if context else "http"
        kibana.url = f"{scheme}://{HOST}:{server.server_port}{kibana.base_path}"
        try:
            yield kibana
        finally:
            server.shutdown()
            thread.join()
