"""The content that a request to S3 carries, and whether it is what its checksums say."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from moto.core.request import Request

from cloudtune.localcloud.aws_error import AwsError


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class Payload:
    """The content of a request, in pieces that share the memory of its body.

    Args:
        request: Its body is read here. Bodies that are sent in signed or trailed chunks (``aws-chunked``) are taken
            apart.

    Raises:
        AwsError: IncompleteBody, where the chunks are not whole.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        body = request.get_data()
        self.trailers: dict[str, str] = {}
        if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            self.pieces: Sequence[memoryview] = list(self._chunks(body))
            announced = request.headers.get("x-amz-decoded-content-length")
            if announced is not None and announced != str(sum(len(piece) for piece in self.pieces)):
                raise _incomplete()
        else:
            self.pieces = [memoryview(body)]

    def md5(self) -> str:
        """In hexadecimal digits: what S3 makes the ETag."""
        return self._digest(hashlib.md5(usedforsecurity=False)).hex()

    def verify(self) -> None:
        """Compares the content with all checksums that came with it, in headers or trailers, and that we can compute.

        Left out are CRC32C and CRC64NVME, for which Python has no function.

        Raises:
            AwsError: InvalidDigest, BadDigest.
        """
        given = self._request.headers.get("Content-MD5")
        if given is not None:
            self._compare("Content-MD5", given, hashlib.md5(usedforsecurity=False))
        for name in ("crc32", "sha1", "sha256"):
            header = f"x-amz-checksum-{name}"
            given = self._request.headers.get(header) or self.trailers.get(header)
            if given:
                new = _Crc32() if name == "crc32" else hashlib.new(name, usedforsecurity=False)
                self._compare(header, given, new)

    def _compare(self, name: str, given: str, new: _Digest) -> None:
        actual = self._digest(new)
        try:
            expected = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            expected = b""
        if len(expected) != len(actual):
            code, what = ("InvalidDigest", "The Content-MD5 you specified is not valid.")
            if name != "Content-MD5":
                code, what = ("InvalidRequest", f"Value for {name} header is invalid.")
            raise AwsError(code, what)
        if expected != actual:
            raise AwsError("BadDigest", f"The {name} you specified did not match what we received.")

    def _digest(self, digest: _Digest) -> bytes:
        for piece in self.pieces:
            digest.update(piece)
        return digest.digest()

    def _chunks(self, body: bytes) -> Iterator[memoryview]:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html: hexadecimal length, perhaps a signature,
        # line end, content, line end; a chunk of length 0 ends the content, trailers follow.
        view = memoryview(body)
        position = 0
        while True:
            end = body.find(b"\r\n", position)
            try:
                length = int(body[position:end].partition(b";")[0], 16) if end >= 0 else -1
            except ValueError:
                length = -1
            begin = end + 2
            if length < 0 or begin + length > len(body):
                raise _incomplete()
            if length == 0:
                break
            yield view[begin : begin + length]
            position = begin + length + 2
            if body[position - 2 : position] != b"\r\n":
                raise _incomplete()
        for line in body[begin:].split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if colon:
                self.trailers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()


def _incomplete() -> AwsError:
    return AwsError(
        "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
