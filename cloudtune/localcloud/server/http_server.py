"""An HTTP/1.1 server for WSGI applications: loopback only, a thread per connection, connections kept open.

The server that comes with moto closes each connection after its answer. Keeping them open saves a client as much time
per call as checking and recording the call costs.
"""

from __future__ import annotations

import errno
import logging
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any

from cloudtune.localcloud.gate.dropped import DROP
from cloudtune.localcloud.server.http_request import BadRequest, ConnectionEnded, keeps_alive, read_request

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
#: Seconds in which threads end whose connections were broken off, on a busy machine.
_TO_BREAK_OFF = 5.0
_WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class PortTaken(Exception):
    """Something else listens on the port; the message says what to do."""


class HttpServer:
    """Listens from the moment it is made, answers from :meth:`start` on.

    Args:
        app: A WSGI application.
        port: On 127.0.0.1, no other address is ever used; 0 takes a free one. Raises PortTaken.
    """

    def __init__(self, app: _WSGIApplication, port: int = 0) -> None:
        self._app = app
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self.endpoint = f"http://{HOST}:{self.port}"
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._closing = False
        self._wake, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="cloudtune-localcloud-accept", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._acceptor.start()

    def close(self, grace: float = 5.0) -> None:
        """Takes no more calls, lets those at work have their answer within ``grace`` seconds, and ends all threads.

        Not to be called from a request.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake.close()
        if self._acceptor.ident is not None:
            self._acceptor.join()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.end_if_idle()
        until = time.monotonic() + grace
        for connection in connections:
            connection.thread.join(max(0.0, until - time.monotonic()))
            connection.break_off()
        until = time.monotonic() + _TO_BREAK_OFF
        for connection in connections:
            connection.thread.join(max(0.0, until - time.monotonic()))
        self._listener.close()
        self._woken.close()

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not any(key.fileobj is self._woken for key, _ in selector.select()):
                try:
                    accepted, address = self._listener.accept()
                except OSError as error:  # the client is gone again, or no descriptor is left: others may go on
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        logger.error("a connection had to wait: this process has no descriptor left")
                        select.select([self._woken], [], [], 0.05)
                    continue
                accepted.setblocking(True)
                self._serve(accepted, address)
        # Whoever tries to connect from now on is refused.
        self._listener.close()

    def _serve(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        connection = _Connection(self._app, accepted, address, self.port)
        with self._lock:
            # Only those whose threads have ended are forgotten: close() waits for all that are known.
            self._connections = {one for one in self._connections if one.thread.is_alive()}
            self._connections.add(connection)
        try:
            connection.thread.start()
        except RuntimeError as error:  # no thread is left for it: the client may try again, others may go on
            logger.error("a connection was closed: %s", error)
            with self._lock:
                self._connections.discard(connection)
            accepted.close()


class _Connection:
    """One client's connection, served by a thread of its own until either side closes it."""

    def __init__(
        self,
        app: _WSGIApplication,
        accepted: socket.socket,
        address: tuple[str, int],
        port: int,
    ) -> None:
        self._app = app
        self._socket = accepted
        self._lock = threading.Lock()
        self._busy = False
        self._closing = False
        self._base = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": _Errors(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "SERVER_NAME": HOST,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": address[0],
            "REMOTE_PORT": address[1],
        }
        self.thread = threading.Thread(target=self._run, name="cloudtune-localcloud-connection", daemon=True)

    def end_if_idle(self) -> None:
        """Closes the connection now if no request is at work, else after its answer."""
        with self._lock:
            self._closing = True
            if not self._busy:
                self._shut()

    def break_off(self) -> None:
        """Closes the connection whatever it does."""
        with self._lock:
            self._closing = True
            self._shut()

    def _shut(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the client has closed it, or the thread is done with it
            pass

    def _run(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._socket.makefile("rb", 65_536) as reader, self._socket.makefile("wb", 0) as writer:
                while self._answer_one(reader, writer):
                    pass
        except (OSError, ConnectionEnded):  # the client is gone
            pass
        finally:
            with self._lock:
                self._socket.close()

    def _answer_one(self, reader: Any, writer: Any) -> bool:
        """Reads a request and answers it; whether there may be another."""
        try:
            environ = read_request(reader, writer, self._base)
        except BadRequest as error:
            self._send(error.status, [("Content-Type", "text/plain")], f"{error}\n".encode(), close=True)
            return False
        if environ is None:
            return False
        with self._lock:
            if self._closing:
                return False
            self._busy = True
        status, headers, body = _call(self._app, environ)
        if environ.get(DROP):
            return False
        with self._lock:
            close = self._closing or not keeps_alive(environ)
        if environ["REQUEST_METHOD"] == "HEAD" or status[:3] in ("204", "304"):
            self._send(status, headers, None, close)
        else:
            self._send(status, headers, body, close)
        with self._lock:
            self._busy = False
            return not (close or self._closing)

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes | None, close: bool) -> None:
        names = {name.lower() for name, _ in headers}
        lines = [f"HTTP/1.1 {status}"]
        for name, value in headers:
            lowered = name.lower()
            # A body's length is what it is; without a body (HEAD) the application knows what it would have been.
            if lowered in ("connection", "transfer-encoding") or (lowered == "content-length" and body is not None):
                continue
            if lowered == "content-length" and status[:3] == "204":
                continue
            lines.append(f"{name}: {value}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        if "date" not in names:
            lines.append(f"Date: {formatdate(usegmt=True)}")
        if close:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if body is None or len(body) < 65_536:
            self._socket.sendall(head + (body or b""))
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)


class _Errors:
    """What WSGI applications write their complaints to: our log."""

    def write(self, text: str) -> None:
        if text.strip():
            logger.error("%s", text.rstrip())

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"Port {port} on {HOST} is taken, perhaps by another local cloud; choose another with --port, or 0 for "
                "a free one"
            ) from error
        if error.errno == errno.EACCES:
            raise PortTaken(f"Port {port} on {HOST} is not for ordinary users; choose one above 1023, or 0") from error
        raise
    return listener


def _call(app: _WSGIApplication, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """The application's answer. One that breaks down answers as AWS does: 500, which clients try again."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    parts: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        del exc_info  # nothing has been sent yet: the new status simply counts
        started[:] = [(status, headers)]
        return parts.append

    try:
        answer = app(environ, start_response)
        try:
            parts.extend(answer)
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        status, headers = started[0]
        _check_headers(headers)
        return status, headers, b"".join(parts)
    except Exception:  # whatever breaks in one call, the others go on
        logger.exception("a call broke down: %s %s", environ["REQUEST_METHOD"], environ["RAW_URI"])
        return _breakdown(environ)


def _check_headers(headers: list[tuple[str, str]]) -> None:
    """Raises ValueError for headers that HTTP cannot carry, or that would be taken for more than one."""
    for name, value in headers:
        name.encode("latin-1")
        value.encode("latin-1")
        if "\n" in value or "\r" in value or "\n" in name or "\r" in name:
            raise ValueError(f"The header {name!r} has more than one line.")


def _breakdown(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    status = "500 Internal Server Error"
    text = "The local cloud broke down in this call; its log says where."
    if "HTTP_X_AMZ_TARGET" in environ:
        body = f'{{"__type": "InternalServerError", "message": "{text}"}}'
        return status, [("Content-Type", "application/x-amz-json-1.1")], body.encode()
    body = f"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>{text}</Message></Error>"
    return status, [("Content-Type", "application/xml")], body.encode()
