"""
An S3 that keeps, checks and refuses notification configurations as AWS does.

It is a stand-in because emulators forget EventBridge, check no destination, let
notifications overlap and do not give back `Prefix` for `prefix`. What it answers is what AWS does.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import combinations, product
from threading import Thread
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

BUCKET = "logs-of-all"
REGION = "eu-central-1"
QUEUE = f"arn:aws:sqs:{REGION}:123456789012:alb-logs"
OTHER_QUEUE = f"arn:aws:sqs:{REGION}:123456789012:thumbnails"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:new-logs"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:audit"
FOLDER = "AWSLogs/123456789012/elasticloadbalancing/"
ALL = "s3:ObjectCreated:*"
TO_QUEUE = ("--queue-arn", QUEUE)

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
OTHERS = f"""
<QueueConfiguration><Id>thumbs &amp; more</Id><Queue>{OTHER_QUEUE}</Queue>
<Event>s3:ObjectCreated:Put</Event><Event>s3:ObjectCreated:Post</Event><Filter><S3Key>
<FilterRule><Name>Suffix</Name><Value>.jpg</Value></FilterRule>
<FilterRule><Name>Prefix</Name><Value>pictures/a+b%3D/</Value></FilterRule>
</S3Key></Filter></QueueConfiguration>
<QueueConfiguration><Id>gone</Id><Queue>{OTHER_QUEUE}</Queue>
<Event>s3:ObjectRemoved:*</Event></QueueConfiguration>
<TopicConfiguration><Id>restores</Id><Topic>{TOPIC}</Topic>
<Event>s3:ObjectRestore:Completed</Event></TopicConfiguration>
<CloudFunctionConfiguration><Id>MWY3-2</Id><CloudFunction>{FUNCTION}</CloudFunction>
<Event>s3:ObjectCreated:*</Event><Filter><S3Key>
<FilterRule><Name>Prefix</Name><Value>invoices/</Value></FilterRule>
</S3Key></Filter></CloudFunctionConfiguration>
<EventBridgeConfiguration/>"""
SWITCHED_ON = "<EventBridgeConfiguration></EventBridgeConfiguration>"


def canonical(element: ET.Element) -> str:
    """Return an element so that equal means equal, however it was written."""
    return ET.canonicalize(ET.tostring(element), strip_text=True)


def plain(element: ET.Element) -> ET.Element:
    """Leave out the namespace, and write filters' names as S3 gives them back."""
    for each in element.iter():
        each.tag = each.tag.removeprefix(f"{{{NAMESPACE}}}")
        if each.tag == "Name":
            each.text = (each.text or "").capitalize()
    return element


def shares_an_object(one: ET.Element, two: ET.Element) -> bool:
    """Return whether two notifications would get the same object, which S3 does not allow."""

    def has(element: ET.Element, key: str, event: str) -> bool:
        filters = dict(zip(element.iter("Name"), element.iter("Value"), strict=True))
        named = {name.text: unquote_plus(value.text or "") for name, value in filters.items()}
        heard = {each.text for each in element.iter("Event")}
        return (
            key.startswith(named.get("Prefix", ""))
            and key.endswith(named.get("Suffix", ""))
            and bool(heard & {event, event.rpartition(":")[0] + ":*"})
        )

    values = [unquote_plus(each.text or "") for pair in (one, two) for each in pair.iter("Value")]
    keys = ["".join(parts) for parts in product(["", *values], repeat=2)]
    events = [f"s3:ObjectCreated:{each}" for each in ("Put", "Post", "CompleteMultipartUpload")]
    return any(has(one, *each) and has(two, *each) for each in product(keys, events))


@dataclass
class S3:
    """What the stand-in holds and has been sent; `refusals` and `wrong` are for the test to set."""

    url: str
    configuration: str = OTHERS
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    region: str = REGION
    calls: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)

    @property
    def parts(self) -> list[str]:
        """Return what is configured, one by one; their order means nothing."""
        return sorted(canonical(each) for each in self._elements(self.configuration))

    @property
    def ours(self) -> list[str]:
        """Return what is there beyond what others put there."""
        others = [canonical(each) for each in self._elements(OTHERS)]
        assert not [each for each in others if each not in self.parts]
        return [each for each in self.parts if each not in others]

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, str]:  # noqa: ANN401
        """Answer one request."""
        assert path.endswith("?notification")
        scope = re.search(r"/([a-z0-9-]+)/s3/aws4_request", headers["authorization"])
        assert scope
        if scope[1] != self.region:
            return 400, error("AuthorizationHeaderMalformed", "wrong", f"<Region>{self.region}")
        if method in self.refusals:
            status, code, message = self.refusals[method]
            return status, error(code, message)
        if path != f"/{BUCKET}?notification":
            return 404, error("NoSuchBucket", "The specified bucket does not exist")
        self.calls.append(method)
        return self._put(headers, body) if method == "PUT" else (200, self._got())

    def _got(self) -> str:
        now = self.configuration
        if self.later:
            self.configuration = self.later.pop()
        return f'<NotificationConfiguration xmlns="{NAMESPACE}">{now}</NotificationConfiguration>'

    def _put(self, headers: Any, body: bytes) -> tuple[int, str]:  # noqa: ANN401
        elements = list(plain(ET.fromstring(body)))  # noqa: S314  the test's own
        unchecked = headers.get("x-amz-skip-destination-validation") == "true"
        wrong = [
            f"<ArgumentName{number}>{arn}</ArgumentName{number}>"
            f"<ArgumentValue{number}>{why}</ArgumentValue{number}>"
            for number, (arn, why) in enumerate(self.wrong.items(), start=1)
            if not unchecked and any(arn.startswith(each.text or "-") for each in arns(elements))
        ]
        if wrong:
            message = "Unable to validate the following destination configurations"
            return 400, error("InvalidArgument", message, "".join(wrong))
        if any(shares_an_object(*pair) for pair in combinations(elements, 2)):
            return 400, error("InvalidArgument", "Configuration is ambiguously defined.")
        self.configuration = "".join(ET.tostring(each, encoding="unicode") for each in elements)
        return 200, ""

    @staticmethod
    def _elements(configuration: str) -> list[ET.Element]:
        return list(plain(ET.fromstring(f"<All>{configuration}</All>")))  # noqa: S314  as above


def arns(elements: list[ET.Element]) -> Iterator[ET.Element]:
    """Yield the destinations of a configuration."""
    for element in elements:
        for name in ("Queue", "Topic", "CloudFunction"):
            yield from element.iter(name)


def error(code: str, message: str, more: str = "") -> str:
    """Return a refusal as S3 words it."""
    if more.startswith("<Region>"):
        more += "</Region>"
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"


@contextmanager
def served(s3: S3) -> Iterator[HTTPServer]:
    """Serve it on its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, text = s3.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET  # noqa: N815  the name that the base class looks for

        def log_message(self, *_: object) -> None:
            pass

    port = int(s3.url.rpartition(":")[2])
    with HTTPServer(("127.0.0.1", port), Answer) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
