"""Reads one HTTP/1.1 request from a connection, as the environment of a WSGI application."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes, urlsplit

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)

#: Bytes of the request line, and of each header. S3 keys alone may be 1,024 bytes, each written as three characters.
MAX_LINE = 65_536
MAX_HEADERS = 200
#: Bytes of a body: what S3 takes in one PutObject.
MAX_BODY = 5 * 1024**3

_MAX_DIGITS = 16
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,16}")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BadRequest(Exception):
    """What came is not HTTP as it should be. The connection cannot be used any further.

    Args:
        status: Of the answer, with its reason: ``400 Bad Request``.
        message: One sentence for the body of the answer.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class ConnectionEnded(Exception):
    """The client closed the connection in the middle of a request."""


def read_request(reader: BinaryIO, writer: BinaryIO, base: dict[str, Any]) -> dict[str, Any] | None:
    """Waits for a request and reads all of it, the body included.

    The body is read before the application runs: moto needs all of it in memory anyway, and nothing of it can be left
    on the connection, whatever the application does with it.

    Args:
        reader: Buffered, of the connection.
        writer: Of the connection, for the answer to ``Expect: 100-continue``.
        base: What all requests on the connection have in common; not changed.

    Returns:
        A WSGI environment; None if the client closed the connection after its last request.
    """
    line = _line(reader)
    while line == b"\r\n":  # RFC 9112, 2.2: empty lines before a request are to be ignored
        line = _line(reader)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("400 Bad Request", "The request line is not one of HTTP/1.1.")
    method, target, version = words
    environ = {
        **base,
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_PROTOCOL": version,
        "SCRIPT_NAME": "",
    }
    _read_headers(reader, environ)
    _set_path(environ, target)
    if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
        writer.write(_CONTINUE)
        writer.flush()
    body = _read_body(reader, environ)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["wsgi.input_terminated"] = True
    return environ


def keeps_alive(environ: dict[str, Any]) -> bool:
    """Whether the client wants to go on using the connection."""
    wanted: str = environ.get("HTTP_CONNECTION", "").lower()
    if environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        return "keep-alive" in wanted
    return "close" not in wanted


def _line(reader: BinaryIO) -> bytes:
    line = reader.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise BadRequest("431 Request Header Fields Too Large", f"A line of the request is longer than {MAX_LINE}.")
    return line


def _read_headers(reader: BinaryIO, environ: dict[str, Any]) -> None:
    preserved: dict[str, str] = {}
    values: dict[str, str] = {}
    underscored: dict[str, str] = {}
    count = 0
    while (line := _line(reader)) not in (b"\r\n", b"\n"):
        if not line:
            raise ConnectionEnded
        name, colon, value = line.decode("latin-1").partition(":")
        count += 1
        if not colon or not name or name != name.strip() or count > MAX_HEADERS:
            raise BadRequest("400 Bad Request", "A header is not one of HTTP/1.1, or there are too many.")
        key, kept, dropped = _environ_key(name)
        if dropped:
            continue
        target = underscored if kept else values
        if kept:
            preserved[key] = name
        value = value.strip()
        if "\r" in value or "\0" in value:
            raise BadRequest("400 Bad Request", f"The header {name} has characters that end a line or a text.")
        target[key] = f"{target[key]},{value}" if key in target else value
    # A header with underscores never stands in for one with dashes, which would have the same name in WSGI.
    for key, value in underscored.items():
        if key in values:
            del preserved[key]
        else:
            values[key] = value
    environ.update(values)
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved


@lru_cache(maxsize=1024)
def _environ_key(name: str) -> tuple[str, bool, bool]:
    """The name of a header in WSGI; whether moto wants its own spelling too; whether it is to be dropped."""
    kept = should_preserve_original_header_name(name)
    return environ_key_for_header(name), kept, "_" in name and not kept


def _set_path(environ: dict[str, Any], target: str) -> None:
    if target.startswith("/"):
        path, _, query = target.partition("?")
    else:
        try:
            parts = urlsplit(target)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadRequest("400 Bad Request", "The request's target is neither a path nor a URL.")
        environ["HTTP_HOST"] = parts.netloc
        path, query = parts.path or "/", parts.query
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    environ["QUERY_STRING"] = query


def _read_body(reader: BinaryIO, environ: dict[str, Any]) -> bytes:
    encoding = environ.pop("HTTP_TRANSFER_ENCODING", "").lower()
    if encoding:
        if encoding != "chunked" or "CONTENT_LENGTH" in environ:
            raise BadRequest("400 Bad Request", "The body must have a Content-Length, or be chunked, and not both.")
        body = _read_chunks(reader)
        environ["CONTENT_LENGTH"] = str(len(body))
        return body
    text = environ.setdefault("CONTENT_LENGTH", "0")
    if not text.isdecimal():
        raise BadRequest("400 Bad Request", "The Content-Length is not a number.")
    # Python refuses to read numbers of thousands of digits.
    return _read_exactly(reader, int(text) if len(text) <= _MAX_DIGITS else MAX_BODY + 1)


def _read_exactly(reader: BinaryIO, length: int) -> bytes:
    if length > MAX_BODY:
        raise BadRequest("413 Content Too Large", f"The body is larger than {MAX_BODY} bytes.")
    if length == 0:
        return b""
    body = reader.read(length)
    if len(body) < length:
        raise ConnectionEnded
    return body


def _read_chunks(reader: BinaryIO) -> bytes:
    chunks: list[bytes] = []
    total = 0
    while True:
        size = _line(reader).partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(size):
            raise BadRequest("400 Bad Request", "A chunk of the body does not begin with its size.")
        length = int(size, 16)
        if length == 0:
            break
        total += length
        if total > MAX_BODY:
            raise BadRequest("413 Content Too Large", f"The body is larger than {MAX_BODY} bytes.")
        chunks.append(_read_exactly(reader, length))
        if _line(reader).strip():
            raise BadRequest("400 Bad Request", "A chunk of the body is longer than its size.")
    while _line(reader).strip():  # trailers
        pass
    return b"".join(chunks)
