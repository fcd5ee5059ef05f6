"""The user's source as AWS's training toolkit takes it, for jobs that the image's own entry starts.

It has the same files as the archive with our agent (:mod:`cloudtune.aws.packaging`), in the form that the SDK v2 gives
it: ``sourcedir.tar.gz``, which the toolkit unpacks into ``/opt/ml/code``. cloudtune travels along, so that the script
can import the Reporter in an image without cloudtune.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

from cloudtune.agent.protocol import SOURCE_FOLDER

if TYPE_CHECKING:
    from cloudtune.aws.packaging import Bundle
    from cloudtune.aws.s3 import Bucket

#: The toolkit takes no other name.
ARCHIVE = "sourcedir.tar.gz"


def source_archive(bundle: Bundle) -> bytes:
    """The archive's source, and cloudtune where the source has none of its own; same bytes for the same content."""
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as packed:
        entries = [entry for entry in packed.infolist() if not entry.is_dir()]
        contents = {_name_in_source(entry.filename): (entry, packed.read(entry)) for entry in entries}
    contents.pop("", None)
    if any(name.split("/")[0] in ("cloudtune", "cloudtune.py") for name in bundle.files):
        own = {name for name in contents if name.startswith("cloudtune/") and name not in bundle.files}
        contents = {name: content for name, content in contents.items() if name not in own}
    written = io.BytesIO()
    # Neither gzip nor tar may write the time of day: the archive's digest is its address.
    with gzip.GzipFile(fileobj=written, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, (entry, body) in sorted(contents.items()):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            member.mode = 0o755 if (entry.external_attr >> 16) & 0o111 else 0o644
            tar.addfile(member, io.BytesIO(body))
    return written.getvalue()


def upload_source(bucket: Bucket, bundle: Bundle, prefix: str = "cloudtune/source") -> str:
    """Uploads the archive unless it is there already, and whole; its S3 URI, for ``code_uri`` of a request."""
    from cloudtune.aws.s3 import sha256_of

    body = source_archive(bundle)
    key = f"{prefix.strip('/')}/{hashlib.sha256(body).hexdigest()}/{ARCHIVE}"
    there = bucket.sums(key)
    if there is None or there.sha256 != sha256_of(body):
        bucket.put_summed(key, body)
    return f"s3://{bucket.name}/{key}"


def _name_in_source(name: str) -> str:
    """Where a file of our archive stands in the toolkit's folder; empty for what it does not need."""
    inside = name.removeprefix(f"{SOURCE_FOLDER}/")
    return inside if inside != name or name.startswith("cloudtune/") else ""
