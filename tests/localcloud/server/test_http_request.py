"""Requests read from a stream, however they are cut into chunks and lines."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.server.http_request import BadRequest, ConnectionEnded, read_request

BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


def in_chunks(parts: list[bytes]) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"PUT /chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def in_one(parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    return b"PUT /whole HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@given(st.lists(st.tuples(st.booleans(), BODIES), max_size=4))
def test_each_request_ends_where_the_next_begins(requests: list[tuple[bool, list[bytes]]]) -> None:
    """Any sequence of bodies, chunked or not, on one connection, comes out as it went in."""
    stream = io.BytesIO(b"".join(in_chunks(parts) if chunked else in_one(parts) for chunked, parts in requests))
    reader = io.BufferedReader(stream)
    for chunked, parts in requests:
        environ = read_request(reader, io.BytesIO(), {})
        assert environ is not None
        assert environ["PATH_INFO"] == ("/chunked" if chunked else "/whole")
        body = environ["wsgi.input"].read()
        assert body == b"".join(parts)
        assert environ["CONTENT_LENGTH"] == str(len(body))
    assert read_request(reader, io.BytesIO(), {}) is None


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_break_the_reader(noise: bytes, cut: int) -> None:
    """Whatever comes is a request, a bad one, or an end: nothing else is raised."""
    valid = in_chunks([b"some", b"body"])
    for text in (noise, valid[:cut] + noise, b"GET / HTTP/1.1\r\n" + noise):
        try:
            environ = read_request(io.BufferedReader(io.BytesIO(text)), io.BytesIO(), {})
        except (BadRequest, ConnectionEnded):
            continue
        assert environ is None or environ["REQUEST_METHOD"]
