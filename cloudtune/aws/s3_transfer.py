"""Files to S3 and back: several at once, large ones in parts, by boto3's own transfer manager."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.aws.errors import PASSING, AwsError, ServiceFailure, boto_errors, classify

if TYPE_CHECKING:
    from cloudtune.aws.s3 import Bucket

MiB = 1024**2


@dataclass(frozen=True)
class Parts:
    """From which size on (bytes) an object goes in parts, and how large these are: at least 5 MiB, S3 says."""

    threshold: int
    size: int


TRANSFER_PARTS = Parts(32 * MiB, 32 * MiB)

#: Requests that are on their way at once; each takes a thread of the transfer manager.
_REQUESTS = 16


def upload(bucket: Bucket, files: Sequence[tuple[str, str]]) -> None:
    """Uploads files (path, key). See :meth:`Bucket.upload_files`."""
    _transfer(
        bucket,
        "PutObject",
        [(key, path) for path, key in files],
        lambda manager, key, path, extra: manager.upload(path, bucket.name, key, extra_args=extra),
        _extra(bucket) | bucket.encryption,
    )


def download(bucket: Bucket, files: Sequence[tuple[str, str]]) -> None:
    """Downloads objects (key, path). See :meth:`Bucket.download_files`."""
    for folder in {os.path.dirname(path) for _, path in files} - {""}:
        os.makedirs(folder, exist_ok=True)
    _transfer(
        bucket,
        "GetObject",
        files,
        lambda manager, key, path, extra: manager.download(bucket.name, key, path, extra_args=extra),
        _extra(bucket),
    )


def _extra(bucket: Bucket) -> dict[str, str]:
    return {"ExpectedBucketOwner": bucket.owner} if bucket.owner else {}


def _transfer(
    bucket: Bucket,
    operation: str,
    files: Sequence[tuple[str, str]],
    submit: Callable[[Any, str, str, dict[str, str]], Any],
    extra: dict[str, str],
) -> None:
    """Moves files (key, path); those that failed for a passing reason are moved again."""
    if not files:
        return
    left = list(files)

    def do(client: Any) -> None:
        nonlocal left
        failed: list[tuple[str, str]] = []
        errors: list[AwsError] = []
        with _manager(client, bucket.transfer_parts) as manager:
            for file, future in [(file, submit(manager, *file, extra)) for file in left]:
                error = _error_of(future, f"s3:{operation} of {bucket.uri(file[0])}")
                if error is not None:
                    failed.append(file)
                    errors.append(error)
        if errors:
            left = failed
            raise next((error for error in errors if not isinstance(error, PASSING)), errors[0])

    bucket.attempt(operation, left[0][0], do)


def _error_of(future: Any, doing: str) -> AwsError | None:
    """How a transfer ended. OSErrors are raised: they are about the local file."""
    try:
        future.result()
    except boto_errors() as caught:
        error = classify(caught, doing)
        if error.code == "NoSuchUpload":
            # The answer to CompleteMultipartUpload was lost, and the repeated one found the upload completed.
            return ServiceFailure(str(error), error.code, error.operation)
        return error
    return None


def _manager(client: Any, parts: Parts) -> Any:
    from s3transfer.manager import TransferConfig, TransferManager

    config = TransferConfig(
        multipart_threshold=parts.threshold, multipart_chunksize=parts.size, max_request_concurrency=_REQUESTS
    )
    return TransferManager(client, config)
