"""Copies within S3: nothing travels through this machine; large objects are copied in parts, all parts in parallel."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import AwsError, NotFound
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.s3_transfer import MiB, Parts

if TYPE_CHECKING:
    from cloudtune.aws.s3 import Bucket

logger = logging.getLogger(__name__)

#: CopyObject takes up to 5 GiB, but one request then lasts longer than a connection should wait.
COPY_PARTS = Parts(256 * MiB, 128 * MiB)
#: Of one object, S3 says.
_MOST_PARTS = 10_000


@dataclass
class _Upload:
    """A multipart upload under way."""

    source: str
    etag: str
    target: str
    size: int
    part_size: int
    id: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    is_complete: bool = False

    @property
    def ranges(self) -> list[tuple[int, str]]:
        """Number and bytes of each part."""
        starts = range(0, self.size, self.part_size)
        return [
            (number, f"bytes={start}-{min(start + self.part_size, self.size) - 1}")
            for number, start in enumerate(starts, 1)
        ]


def copy_objects(source: Bucket, target: Bucket, pairs: Sequence[tuple[str, str, int]]) -> None:
    """Copies (source key, target key, size). See :meth:`Bucket.copy_many`."""
    copies = _Copies(source, target)
    threads = target.aws.copy_threads
    try:
        # In three steps, none of which waits for another inside a thread: so many threads are enough for any number.
        in_parallel(threads, [partial(copies.begin, *pair) for pair in pairs])
        tasks = [partial(copies.copy_part, upload, *part) for upload in copies.uploads for part in upload.ranges]
        in_parallel(threads, tasks)
        in_parallel(threads, [partial(copies.complete, upload) for upload in copies.uploads])
    except BaseException:
        begun = [upload for upload in copies.uploads if not upload.is_complete]
        in_parallel(threads, [partial(copies.abort, upload) for upload in begun])
        raise


class _Copies:
    """Copies from one bucket to another, with the multipart uploads that they need."""

    def __init__(self, source: Bucket, target: Bucket) -> None:
        self._source = source
        self._target = target
        self._owners = {"ExpectedSourceBucketOwner": source.owner} if source.owner else {}
        self.uploads: list[_Upload] = []

    def begin(self, source_key: str, target_key: str, size: int) -> None:
        """Copies a small object; begins the upload of a large one."""
        if size < self._target.copy_parts.threshold:
            self._copy_whole(source_key, target_key)
            return
        there = self._source.head(source_key)
        if there is None:
            raise NotFound(
                f"There is no {self._source.uri(source_key)} to copy; check whether it was deleted.",
                "NoSuchKey",
                "s3:HeadObject",
            )
        if there.size < self._target.copy_parts.threshold:  # replaced by a smaller one meanwhile
            self._copy_whole(source_key, target_key)
            return
        answer = self._target.attempt(
            "CreateMultipartUpload",
            target_key,
            lambda client: client.create_multipart_upload(
                **self._target.place, **self._target.encryption, Key=target_key
            ),
        )
        part_size = max(self._target.copy_parts.size, -(-there.size // _MOST_PARTS))
        upload = _Upload(source_key, there.etag, target_key, there.size, part_size, str(answer["UploadId"]))
        self.uploads.append(upload)  # appending is safe in threads

    def _copy_whole(self, source_key: str, target_key: str) -> None:
        self._target.attempt(
            "CopyObject",
            target_key,
            lambda client: client.copy_object(
                **self._target.place,
                **self._target.encryption,
                **self._owners,
                Key=target_key,
                CopySource={"Bucket": self._source.name, "Key": source_key},
            ),
        )

    def copy_part(self, upload: _Upload, number: int, bytes_: str) -> None:
        """Copies one part, of the very version that the upload began with."""
        answer = self._target.attempt(
            "UploadPartCopy",
            upload.target,
            lambda client: client.upload_part_copy(
                **self._target.place,
                **self._owners,
                Key=upload.target,
                UploadId=upload.id,
                PartNumber=number,
                CopySource={"Bucket": self._source.name, "Key": upload.source},
                CopySourceRange=bytes_,
                CopySourceIfMatch=upload.etag,
            ),
        )
        result = answer["CopyPartResult"]
        sums = {name: value for name, value in result.items() if name.startswith("Checksum")}
        upload.parts.append({"PartNumber": number, "ETag": result["ETag"], **sums})

    def complete(self, upload: _Upload) -> None:
        """Makes the object of its parts."""
        parts = sorted(upload.parts, key=lambda part: int(part["PartNumber"]))
        try:
            self._target.attempt(
                "CompleteMultipartUpload",
                upload.target,
                lambda client: client.complete_multipart_upload(
                    **self._target.place, Key=upload.target, UploadId=upload.id, MultipartUpload={"Parts": parts}
                ),
            )
        except NotFound:
            # The answer to a first try may have been lost: then the upload is gone because the object is there.
            there = self._target.head(upload.target)
            is_ours = (
                there is not None and there.size == upload.size and there.etag.strip('"').endswith(f"-{len(parts)}")
            )
            if not is_ours:
                raise
        upload.is_complete = True

    def abort(self, upload: _Upload) -> None:
        """Throws the parts away, which S3 would keep, and charge for, for ever."""
        try:
            self._target.attempt(
                "AbortMultipartUpload",
                upload.target,
                lambda client: client.abort_multipart_upload(
                    **self._target.place, Key=upload.target, UploadId=upload.id
                ),
            )
        except AwsError as error:
            logger.warning("Parts of an unfinished copy remain in %s: %s", self._target.name, error)
