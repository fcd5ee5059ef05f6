"""The HTTP server: what it makes of requests, how connections live and end."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudtune.localcloud.gate.dropped import DROP
from cloudtune.localcloud.server.http_request import MAX_HEADERS, MAX_LINE
from cloudtune.localcloud.server.http_server import HttpServer, PortTaken
from tests.localcloud.conftest import wait_until

Environ = dict[str, Any]


class Application:
    """Answers with what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Environ] = []
        self.bodies: list[bytes] = []
        self.status = "200 OK"
        self.headers: list[tuple[str, str]] = [("Content-Type", "text/plain")]
        self.answer: Callable[[Environ], bytes] = lambda environ: b"hello"

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        self.asked.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        body = self.answer(environ)
        start_response(self.status, self.headers)
        return [body]


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
def server(app: Application) -> Iterator[HttpServer]:
    server = HttpServer(app)
    server.start()
    yield server
    server.close()


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    yield connection
    connection.close()


def sent_raw(server: HttpServer, text: bytes) -> bytes:
    """All that comes back on a connection whose sending side is closed after ``text``."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall(text)
        raw.shutdown(socket.SHUT_WR)
        received = b""
        while more := raw.recv(65_536):
            received += more
    return received


def connection_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("cloudtune-localcloud")]


def test_a_connection_serves_many_calls(app: Application, connection: http.client.HTTPConnection) -> None:
    """Keep-alive: the client's socket stays the same over calls with and without bodies."""
    used = set()
    for body in (b"", b"a", b"b" * 300_000, b""):
        connection.request("PUT", "/key", body)
        assert connection.getresponse().read() == b"hello"
        assert connection.sock is not None
        used.add(connection.sock.getsockname())
    assert len(used) == 1
    assert app.bodies == [b"", b"a", b"b" * 300_000, b""]


def test_head_tells_the_length_of_what_it_leaves_out(app: Application, connection: http.client.HTTPConnection) -> None:
    """HEAD has the application's Content-Length and no body, and the next call is not disturbed."""
    app.headers = [("Content-Length", "1234")]
    connection.request("HEAD", "/key")
    answer = connection.getresponse()
    assert answer.getheader("Content-Length") == "1234"
    assert answer.read() == b""
    app.headers = []
    connection.request("GET", "/key")
    assert connection.getresponse().read() == b"hello"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_that_have_no_body(app: Application, connection: http.client.HTTPConnection, status: str) -> None:
    """Whatever the application gives as their body is left out, so that the next answer begins where it should."""
    app.status = status
    connection.request("DELETE", "/key")
    assert connection.getresponse().read() == b""
    app.status = "200 OK"
    connection.request("GET", "/key")
    assert connection.getresponse().read() == b"hello"


def test_a_wrong_content_length_of_the_application_is_put_right(
    app: Application, connection: http.client.HTTPConnection
) -> None:
    """A client never waits for bytes that do not come."""
    app.headers = [("Content-Length", "999")]
    connection.request("GET", "/key")
    answer = connection.getresponse()
    assert answer.getheader("Content-Length") == "5"
    assert answer.read() == b"hello"


def test_chunked_bodies(app: Application, server: HttpServer) -> None:
    """A body in chunks, with an extension and a trailer, comes to the application as one with a length."""
    text = (
        b"PUT /key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"4;note=1\r\nwiki\r\n5\r\npedia\r\n0\r\nTrailer: 1\r\n\r\n"
        b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    received = sent_raw(server, text)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert app.bodies == [b"wikipedia", b""]
    assert app.asked[0]["CONTENT_LENGTH"] == "9"
    assert "HTTP_TRANSFER_ENCODING" not in app.asked[0]


def test_a_client_that_asks_first_is_told_to_continue(app: Application, server: HttpServer) -> None:
    """Expect: 100-continue is answered before the body comes, as S3 uploads by boto3 want it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall(b"PUT /key HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        with raw.makefile("rb") as reader:
            assert reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert reader.readline() == b"\r\n"
            raw.sendall(b"body")
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
    assert app.bodies == [b"body"]


def test_what_the_application_is_told(app: Application, server: HttpServer) -> None:
    """Paths are decoded once and kept raw too; headers are joined; S3's metadata keeps its underscores."""
    sent_raw(
        server,
        b"GET //bucket/a%2Fb%C3%A9+c?x=1&y=%20 HTTP/1.1\r\nHost: x\r\nX-Amz-Meta-My_Key: 1\r\nOther_Key: 2\r\n"
        b"Accept: a\r\nAccept: b\r\n\r\n",
    )
    environ = app.asked[0]
    assert environ["PATH_INFO"] == "//bucket/a/bé+c".encode().decode("latin-1")
    assert environ["RAW_URI"] == "//bucket/a%2Fb%C3%A9+c?x=1&y=%20"
    assert environ["QUERY_STRING"] == "x=1&y=%20"
    assert environ["HTTP_X_AMZ_META_MY_KEY"] == "1"
    assert environ["moto.preserved_header_names"] == {"HTTP_X_AMZ_META_MY_KEY": "X-Amz-Meta-My_Key"}
    assert "HTTP_OTHER_KEY" not in environ
    assert environ["HTTP_ACCEPT"] == "a,b"


def test_a_header_with_underscores_does_not_stand_in_for_one_with_dashes(app: Application, server: HttpServer) -> None:
    """Both have one name in WSGI; the one with dashes counts."""
    sent_raw(server, b"GET / HTTP/1.1\r\nHost: x\r\nx-amz-meta-a-b: right\r\nx-amz-meta-a_b: wrong\r\n\r\n")
    assert app.asked[0]["HTTP_X_AMZ_META_A_B"] == "right"
    assert app.asked[0]["moto.preserved_header_names"] == {}


def test_a_whole_url_as_target(app: Application, server: HttpServer) -> None:
    """As clients send it to a proxy: the host is the URL's."""
    sent_raw(server, b"GET http://bucket.example/key HTTP/1.1\r\nHost: other\r\n\r\n")
    assert (app.asked[0]["HTTP_HOST"], app.asked[0]["PATH_INFO"]) == ("bucket.example", "/key")


@pytest.mark.parametrize(
    "text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nspace : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-A: a\rX-Evil: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nlong\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"GET /" + b"x" * MAX_LINE + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(app: Application, server: HttpServer, text: bytes) -> None:
    """One answer with a 4xx status, then the connection ends; the application is not bothered."""
    received = sent_raw(server, text)
    assert received.startswith(b"HTTP/1.1 4")
    assert b"Connection: close" in received
    assert app.asked == []


def test_a_body_that_ends_too_soon_is_no_call(app: Application, server: HttpServer) -> None:
    """A client that died in the middle of an upload has not uploaded anything."""
    assert sent_raw(server, b"PUT /key HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf") == b""
    assert app.asked == []


def test_old_and_closing_clients(server: HttpServer) -> None:
    """HTTP/1.0, and Connection: close, end the connection after the answer, and say so."""
    for text in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
            raw.sendall(text)
            received = b""
            while more := raw.recv(65_536):
                received += more
        assert b"Connection: close" in received


def test_a_dropped_call_gets_no_answer(app: Application, server: HttpServer) -> None:
    """Where the gate wants the connection broken, not a byte comes back."""

    def drop(environ: Environ) -> bytes:
        environ[DROP] = True
        return b"never"

    app.answer = drop
    assert sent_raw(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    assert len(app.asked) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"X-Amz-Target": "SageMaker.ListTrainingJobs"}, b'"__type"'), ({}, b"<Code>InternalError</Code>")],
)
def test_an_application_that_breaks_down(
    app: Application,
    connection: http.client.HTTPConnection,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    expected: bytes,
) -> None:
    """The client gets an error it understands, the log the traceback, and the connection goes on."""

    def fail(environ: Environ) -> bytes:
        raise ZeroDivisionError("in the application")

    app.answer = fail
    with caplog.at_level(logging.ERROR):
        connection.request("POST", "/", b"body", headers)
        answer = connection.getresponse()
        assert (answer.status, expected in answer.read()) == (500, True)
    assert "in the application" in caplog.text
    app.answer = lambda environ: b"fine"
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"fine"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nX-Evil: b", "\u4e2d"])
def test_headers_that_http_cannot_carry(
    app: Application, connection: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    """The client gets an error instead of a second header or a broken connection."""
    app.headers = [("X-Odd", value)]
    with caplog.at_level(logging.ERROR):
        connection.request("GET", "/key")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("X-Evil")) == (500, None)
        answer.read()
    app.headers = []
    connection.request("GET", "/key")
    assert connection.getresponse().read() == b"hello"


def test_a_connection_that_no_thread_is_left_for(
    app: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is closed; the server goes on with the next one, and ends as ever."""
    started: Callable[[threading.Thread], None] = threading.Thread.start
    refused: list[threading.Thread] = []

    def start(thread: threading.Thread) -> None:
        if thread.name == "cloudtune-localcloud-connection" and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        started(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    server = HttpServer(app)
    server.start()
    with caplog.at_level(logging.ERROR):
        assert sent_raw(server, b"") == b""
    assert "can't start new thread" in caplog.text
    assert sent_raw(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"hello")
    server.close()
    assert connection_threads() == []


def test_closing_ends_idle_connections_and_their_threads(app: Application) -> None:
    """Connections that clients keep open do not keep the server up."""
    server = HttpServer(app)
    server.start()
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(5)]
    idle[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle[0].recv(12) == b"HTTP/1.1 200"
    idle[1].sendall(b"GET / HTTP/1.1\r\nHalf-A-Header")
    server.close()
    assert connection_threads() == []
    for one in idle:
        one.close()


def test_closing_waits_for_connections_that_are_about_to_end(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of a connection that its client has just left has ended, too, when the server is closed."""
    run: Callable[[threading.Thread], None] = threading.Thread.run
    join: Callable[..., None] = threading.Thread.join
    waited_for = threading.Event()

    def run_on(thread: threading.Thread) -> None:
        run(thread)
        if thread.name == "cloudtune-localcloud-connection":
            waited_for.wait(60)

    def join_it(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread.name == "cloudtune-localcloud-connection":
            waited_for.set()
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "run", run_on)
    monkeypatch.setattr(threading.Thread, "join", join_it)
    server = HttpServer(app)
    server.start()
    assert sent_raw(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"hello")
    server.close()
    left = connection_threads()
    waited_for.set()
    assert left == []


def test_ended_connections_are_forgotten(app: Application, server: HttpServer) -> None:
    """A server that has served many clients keeps none of them."""
    for _ in range(20):
        assert sent_raw(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"hello")
        wait_until(lambda: not any(one.thread.is_alive() for one in server._connections), "the end of the thread")
    assert len(server._connections) == 1


def test_closing_lets_a_call_at_work_have_its_answer(app: Application) -> None:
    """A call that came before the end is answered, and told that the connection ends."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(environ: Environ) -> bytes:
        begun.set()
        assert go_on.wait(60)
        return b"late"

    app.answer = slow
    server = HttpServer(app)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/")
    assert begun.wait(60)
    closing = threading.Thread(target=server.close)
    closing.start()
    wait_until(lambda: all(one._closing for one in server._connections), "the connections' being told")
    go_on.set()
    answer = connection.getresponse()
    assert (answer.read(), answer.getheader("Connection")) == (b"late", "close")
    closing.join(60)
    assert not closing.is_alive()
    connection.close()


def test_closing_breaks_off_what_takes_too_long(app: Application) -> None:
    """A client that does not read its answer cannot keep the server up."""
    app.answer = lambda environ: b"x" * 50_000_000
    server = HttpServer(app)
    server.start()
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.recv(12) == b"HTTP/1.1 200"
    server.close(grace=0.1)
    assert connection_threads() == []
    raw.close()


def test_closing_twice_and_without_a_start(app: Application) -> None:
    """Both are fine, and the port is free again."""
    server = HttpServer(app)
    port = server.port
    server.close()
    server.close()
    again = HttpServer(app, port)
    assert again.port == port
    again.close()


def test_a_taken_port_is_told_plainly(app: Application, server: HttpServer) -> None:
    """The message names the port, and what to do about it."""
    with pytest.raises(PortTaken, match=rf"Port {server.port} on 127\.0\.0\.1 is taken.*--port"):
        HttpServer(app, server.port)


def test_only_loopback_is_listened_on(server: HttpServer) -> None:
    """There is no way to have it listen anywhere else."""
    assert server._listener.getsockname()[0] == "127.0.0.1"
