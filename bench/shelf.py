"""
Serve the files of a folder as the objects of a bucket, in a process of its own, as S3 would.

    python -m bench.shelf FOLDER

An emulator takes more processor time for an object than reading and encoding it. The object
BUCKET/ANY/KEY is the file of its last part. The port is printed when it listens.
"""

import hashlib
import sys
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class _Object(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece

    def __init__(self, folder: Path, *request: object) -> None:
        self._folder = folder
        super().__init__(*request)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        """Answer with a whole object."""
        body = (self._folder / unquote(self.path).rpartition("/")[2]).read_bytes()
        self.send_response_only(200)
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')  # noqa: S324  as S3 does
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


def main() -> None:
    """Serve until the process is ended."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Object, Path(sys.argv[1]))) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
