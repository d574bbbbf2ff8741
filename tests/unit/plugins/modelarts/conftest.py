"""A real S3 server on this machine, and a proxy before it that can fail on request."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer


class Proxy(ThreadingHTTPServer):
    """Forwards requests to a server; answers 500 to the next ``fail`` requests with the method ``method``."""

    def __init__(self, server: tuple[str, int], client: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = server
        self.client = client
        self.fail = 0
        self.method = "PUT"
        self.log: list[tuple[str, str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def must_fail(self, method: str) -> bool:
        with self.lock:
            fails = method == self.method and self.fail > 0
            self.fail -= fails
            return fails


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.log.append((self.command, self.path.partition("?")[0]))
        if self.server.must_fail(self.command):
            self._send(500, b"<Error><Code>InternalError</Code></Error>", {"Content-Type": "application/xml"})
            return
        connection = http.client.HTTPConnection(*self.server.behind)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        self._send(answer.status, content, dict(answer.getheaders()))
        connection.close()

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        length = (
            headers.get("Content-Length", str(len(content))) if self.command == "HEAD" else str(len(content))
        )
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815  as http.server calls them

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def moto() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture(scope="session")
def client(moto: tuple[str, int]) -> Any:
    """Amazon's client, connected directly to the server; created once because that takes a while."""
    url = f"http://{moto[0]}:{moto[1]}"
    keys = {"aws_access_key_id": "me", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=url, **keys)


@pytest.fixture
def s3(moto: tuple[str, int], client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy with an empty bucket ``bucket`` behind it; environment variables name it, as for users."""
    for name in ("OBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "S3_ENDPOINT", "OBS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    proxy = Proxy(moto, client)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",  # the patience under test is ours, not botocore's
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client.create_bucket(Bucket="bucket")
    yield proxy
    for page in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=page["Key"])
    client.delete_bucket(Bucket="bucket")
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Do not wait between attempts; record the waiting times instead."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited
