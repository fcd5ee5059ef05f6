"""Where in S3 something lies."""

from __future__ import annotations

import re
from typing import NamedTuple

from cloudtune.localcloud.jobs.failure_reasons import JobFailed

_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-]")


class S3Location(NamedTuple):
    """A bucket and a key, or the beginning of keys."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Of ``s3://bucket/key``, or of an ``https`` address in S3's path or host style. Raises JobFailed."""
        scheme, separator, rest = uri.partition("://")
        place, _, key = rest.partition("/")
        if not separator or scheme not in {"s3", "https"} or not place:
            raise JobFailed(f"ClientError: {uri!r} is no location in S3; it should look like s3://bucket/key.")
        if scheme == "https":
            host = _VIRTUAL_HOST.match(place)
            if host:
                return cls(host["bucket"], key)
            bucket, _, key = key.partition("/")
            return cls(bucket, key)
        return cls(place, key)

    def below(self, *names: str) -> S3Location:
        """The place ``names`` further down, whether or not the key ends with a slash."""
        return S3Location(self.bucket, "/".join([*filter(None, [self.key.strip("/")]), *names]))

    @property
    def uri(self) -> str:
        """As ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"
