"""One archive with all that a job runs: the agent, cloudtune, and the user's source; uploaded once per content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.aws.s3 import Bucket

#: Largest archive, in bytes, compressed.
DEFAULT_LIMIT = 50 * 1024 * 1024


@dataclass(frozen=True)
class Bundle:
    """An archive that Python can run, the same bytes for the same content.

    Attributes:
        body: The archive.
        digest: SHA-256 of ``body``, in hexadecimal digits.
        files: Names of the user's files in it, relative to the source folder.
    """

    body: bytes
    digest: str
    files: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.body)


def build_bundle(
    source_dir: Path | None, entry_point: str, dependencies: Sequence[Path] = (), limit: int = DEFAULT_LIMIT
) -> Bundle:
    """Packs agent, cloudtune and the user's source.

    Args:
        source_dir: Folder with the user's source. None: only the entry point is taken.
        entry_point: The script; relative to ``source_dir``, if there is one.
        dependencies: Further files or folders, which lie beside the entry point's folder in the job.
        limit: Largest archive, in bytes.

    Raises:
        BundleError: Something cannot be packed, or the archive is larger than ``limit``.
    """
    raise NotImplementedError


def upload_bundle(bucket: Bucket, bundle: Bundle, prefix: str = "cloudtune/code") -> str:
    """Uploads an archive unless it is there already; returns the S3 URI that is the job's input channel."""
    raise NotImplementedError
