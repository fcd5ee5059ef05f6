"""Writes a generation to S3 such that it is there: what S3 has confirmed and lost is found, and written again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from cloudtune.agent.s3_errors import S3Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudtune.agent.checkpoint_pace import Pace
    from cloudtune.agent.manifests import Objects
    from cloudtune.agent.s3 import S3

_AT_ONCE = 4  # files; of a large one, several parts go at once besides
_ROUNDS = 5


class Upload(NamedTuple):
    """A file that is to become an object.

    Attributes:
        path: To read from.
        size: Bytes.
    """

    path: str
    size: int


def upload_files(s3: S3, prefix: str, uploads: Mapping[str, Upload], pace: Pace, confirmed: set[str]) -> Objects:
    """Uploads files under their keys, and lists until all are there.

    Args:
        s3: The bucket.
        prefix: What is listed.
        uploads: By key.
        pace: How patiently.
        confirmed: Keys of what S3 says to have are added here, also if the rest fails.

    Returns:
        All that lies below ``prefix``.

    Raises:
        NotNow: Somebody is in a hurry.
        S3Unreachable: An object was confirmed and lost again and again.
        OSError: A file is gone.
    """
    missing = sorted(uploads)
    for _ in range(_ROUNDS):
        _upload(s3, {key: uploads[key] for key in missing}, pace, confirmed)
        objects = {key: (size, etag) for key, size, etag in pace.patiently(lambda: s3.list(prefix))}
        missing = [key for key in sorted(uploads) if objects.get(key, (-1, ""))[0] != uploads[key].size]
        if not missing:
            return objects
    raise S3Unreachable(f"{missing[0]} was uploaded {_ROUNDS} times and is not in S3")


def _upload(s3: S3, uploads: Mapping[str, Upload], pace: Pace, confirmed: set[str]) -> None:
    def try_once(key: str) -> None:
        path, size = uploads[key]
        try:
            s3.upload_file(path, key)
        except S3Unreachable:
            # Putting the parts of a large object together may take S3 longer than anybody waits for the answer. Only
            # this upload writes to the key.
            if (key, size) not in {(there, bytes_there) for there, bytes_there, _ in s3.list(key)}:
                raise

    def upload(key: str) -> None:
        pace.patiently(lambda: try_once(key))
        confirmed.add(key)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(upload, uploads))  # where one fails, what has not begun is not begun any more


def put_object(s3: S3, key: str, body: bytes, pace: Pace) -> None:
    """Puts an object, and reads it until it is there.

    Raises:
        S3Unreachable: It was confirmed and lost again and again.
    """
    for _ in range(_ROUNDS):
        pace.patiently(lambda: s3.put(key, body))
        got = pace.patiently(lambda: s3.get(key))
        if got is not None and got.body == body:
            return
    raise S3Unreachable(f"{key} was written {_ROUNDS} times and is not in S3")
