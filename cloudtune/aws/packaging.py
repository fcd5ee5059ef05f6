"""One archive with all that a job runs: the agent, cloudtune, and the user's source; uploaded once per content.

``bundle.zip`` is a program that any Python can start. It holds::

    __main__.py     starts the agent
    cloudtune/      the package this process has, however it was installed; without the local cloud and the command line
    source/         the user's files

Its address is a digest of what is in it: names, contents, and which files may be run. Dates, owners, and how well a
machine's zlib packs do not count, so the same source is uploaded once, by whomever.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cloudtune.agent.protocol import BUNDLE, SOURCE_FOLDER
from cloudtune.aws.entry_point import DIGITS
from cloudtune.aws.errors import Conflict, ServiceFailure
from cloudtune.aws.source_files import (
    IGNORE_FILES,
    BundleError,
    SourceFile,
    SourceFolder,
    largest,
    read_file,
    read_folder,
)

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from cloudtune.aws.s3 import Bucket, Summed

__all__ = [
    "DAMAGE",
    "DEFAULT_LIMIT",
    "Bundle",
    "BundleError",
    "build_bundle",
    "build_program_bundle",
    "check_size",
    "content_digest",
    "upload_bundle",
]

logger = logging.getLogger(__name__)

#: Largest archive, in bytes, compressed. Every job downloads it: it is for source, not for data.
DEFAULT_LIMIT = 50 * 1024 * 1024
#: Source that is so many times as large as the archive may be is refused before it is packed, which would take long.
UNPACKED_FACTOR = 20

_MAIN = b"""\
import sys

if sys.version_info < (3, 8):
    sys.exit("cloudtune needs Python 3.8 or newer in the image, this is " + sys.version.split()[0])

from cloudtune.agent.main import main

main()
"""
_PACKAGE = "cloudtune"
# Not needed in a job. A trial does not need data files of the package either.
_LEFT_AT_HOME = {"localcloud", "cli", "__pycache__"}
_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 1024 * 1024
_ROUNDS = 3
#: Bytes of a file that are packed to see whether that is worth it, and to which part they have to get smaller.
_SAMPLE = 32 * 1024
_WORTHWHILE = 0.95
#: What reading a damaged archive may raise.
DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Bundle:
    """An archive that Python can run.

    Attributes:
        body: The archive.
        digest: SHA-256 of what is in it, in hexadecimal digits.
        files: Names of the user's files in it, relative to the source folder.
    """

    body: bytes
    digest: str
    files: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.body)

    @functools.cached_property
    def sha256(self) -> str:
        """Of the archive as it is packed here, in S3's form."""
        from cloudtune.aws.s3 import sha256_of

        return sha256_of(self.body)


def build_bundle(
    source_dir: Path | None, entry_point: str, dependencies: Sequence[Path] = (), limit: int = DEFAULT_LIMIT
) -> Bundle:
    """Packs agent, cloudtune and the user's source.

    Left out are what git and editors leave behind, virtual environments, what the folder's ``.cloudtuneignore`` (or
    else its ``.gitignore``) lists, and, with a warning, what may hold passwords and keys.

    Args:
        source_dir: Folder with the user's source. None: only the entry point is taken.
        entry_point: The script; relative to ``source_dir``, if there is one.
        dependencies: Further files or folders, which lie beside the entry point's folder in the job.
        limit: Largest archive, in bytes.

    Raises:
        BundleError: Something cannot be packed, or the archive is larger than ``limit``.
    """
    source = _source(source_dir, entry_point, UNPACKED_FACTOR * limit)
    for path in dependencies:
        _add_dependency(source, path)
    where = source_dir if source_dir is not None else entry_point
    return _packed(where, source, _package_files(), {}, limit)


def build_program_bundle(
    where: object, source: SourceFolder, texts: Mapping[str, bytes], limit: int = DEFAULT_LIMIT
) -> Bundle:
    """Packs agent, cloudtune with its tables, and chosen files: for a job in which cloudtune does more than report.

    Args:
        where: What the files are of, for messages.
        source: The user's files, with their names below ``source/``.
        texts: Further files below ``source/``, by name.
        limit: Largest archive, in bytes.

    Raises:
        BundleError: As with :func:`build_bundle`.
    """
    return _packed(where, source, _package_files(with_tables=True), texts, limit)


def check_size(where: object, source: SourceFolder, limit: int) -> None:
    """Whether packing is worth trying, by the size of the files alone.

    Raises:
        BundleError: It is not; the message names the largest files.
    """
    if sum(file.size for file in source.files) > UNPACKED_FACTOR * limit:
        raise BundleError(_too_large(where, source, limit))


def content_digest(archive: Path | io.BytesIO) -> str:
    """The digest of an archive's content, as :attr:`Bundle.digest` has it.

    Raises:
        OSError: It cannot be read. This, and whatever else :data:`DAMAGE` names: it is damaged, or no archive.
    """
    digest = hashlib.sha256()
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            of_file = hashlib.sha256()
            with packed.open(entry) as content:
                while piece := content.read(_PIECE):
                    of_file.update(piece)
            digest.update(_digest_line(entry.filename, bool((entry.external_attr >> 16) & 0o111), of_file.hexdigest()))
    return digest.hexdigest()


def _packed(
    where: object,
    source: SourceFolder,
    package: Sequence[tuple[str, bytes]],
    texts: Mapping[str, bytes],
    limit: int,
) -> Bundle:
    if source.secrets:
        logger.warning(
            "not sent to the jobs, because they may hold passwords or keys: %s (a line such as !%s in %s sends one)",
            ", ".join(source.secrets),
            source.secrets[0],
            IGNORE_FILES[0],
        )
    check_size(where, source, limit)
    try:
        with _Writer(limit) as writer:
            writer.add_bytes("__main__.py", _MAIN)
            for name, content in package:
                writer.add_bytes(name, content)
            for name, content in sorted(texts.items()):
                writer.add_bytes(f"{SOURCE_FOLDER}/{name}", content)
            for file in source.files:
                writer.add_file(f"{SOURCE_FOLDER}/{file.name}", file)
        names = (*sorted(texts), *(file.name for file in source.files))
        bundle = Bundle(writer.written(), writer.digest, names)
    except _TooLarge:
        raise BundleError(_too_large(where, source, limit)) from None
    except OSError as error:
        raise BundleError(
            f"{error.filename or where} cannot be packed for the jobs: {error.strerror or error}; correct its "
            f"permissions, or list it in {IGNORE_FILES[0]}."
        ) from error
    logger.info(
        "packed %d files of %s for the jobs: %s, with the agent",
        len(bundle.files),
        where,
        _readable(bundle.size),
    )
    return bundle


def upload_bundle(bucket: Bucket, bundle: Bundle, prefix: str = "cloudtune/code") -> str:
    """Uploads an archive unless it is there already, and whole: one that was changed or damaged since is replaced.

    Any number of tuners may do so at once: an address belongs to one content.

    Args:
        bucket: Where to.
        bundle: The archive.
        prefix: Place for the archives of all experiments.

    Returns:
        S3 URI of the folder that is the job's input channel.

    Raises:
        AwsError: It could not be uploaded.
    """
    folder = f"{prefix.strip('/')}/{bundle.digest[:DIGITS]}/"
    key = folder + BUNDLE
    for _ in range(_ROUNDS):
        there = bucket.sums(key)
        if there is not None and _is_whole(bucket, key, there, bundle):
            return bucket.uri(folder)
        condition: dict[str, Any] = {"if_none_match": True} if there is None else {"if_match": there.etag}
        if there is not None:
            logger.warning("%s was changed or damaged after it was uploaded: it is replaced", bucket.uri(key))
        try:
            bucket.put_summed(key, bundle.body, **condition)
        except Conflict:  # another tuner was faster, or the answer to our own first try was lost
            logger.debug("%s has changed meanwhile", key)
    there = bucket.sums(key)
    if there is not None and _is_whole(bucket, key, there, bundle):
        return bucket.uri(folder)
    raise ServiceFailure(f"{bucket.uri(key)} was written and is not there, or not what was written; try again.")


def _is_whole(bucket: Bucket, key: str, there: Summed, bundle: Bundle) -> bool:
    """Whether what lies at the archive's address has its content."""
    if (there.size, there.sha256) == (bundle.size, bundle.sha256):
        return True
    if there.size > 2 * bundle.size + _PIECE:
        return False  # however badly it is packed
    # Another machine's zlib may have packed it: then its bytes are others, and what is in it is not.
    got = bucket.get(key)
    try:
        return got is not None and content_digest(io.BytesIO(got.body)) == bundle.digest
    except DAMAGE:
        return False


def _source(source_dir: Path | None, entry_point: str, stop_at: int) -> SourceFolder:
    if not entry_point:
        raise BundleError("There is no entry point; name the script that the jobs are to run.")
    if source_dir is None:
        path = Path(entry_point)
        return SourceFolder([read_file(path, path.name)])
    if not source_dir.is_dir():
        raise BundleError(f"The source folder {source_dir} does not exist, or is no folder; correct source_dir.")
    script = PurePosixPath(entry_point)
    if script.is_absolute() or ".." in script.parts or not (source_dir / script).is_file():
        raise BundleError(
            f"The entry point {entry_point} is no file in the source folder {source_dir}; give its path relative to it."
        )
    source = read_folder(source_dir, stop_at=stop_at)
    if sum(file.size for file in source.files) > stop_at:
        return source  # not all of it was looked at, and it will be refused
    if str(script) not in {file.name for file in source.files}:
        raise BundleError(
            f"The entry point {entry_point} is left out of the source by {source.ignore_file or 'its name'}; write a "
            f"{IGNORE_FILES[0]} into {source_dir} that keeps it (it replaces .gitignore)."
        )
    return source


def _add_dependency(source: SourceFolder, path: Path) -> None:
    """As the SageMaker SDK does it: a folder or file goes, under its own name, beside the source's files."""
    name = path.resolve().name
    if any(file.name.split("/")[0] == name for file in source.files):
        raise BundleError(f"The dependency {path} has the name of something in the source; rename one of the two.")
    if path.is_dir():
        folder = read_folder(path, name + "/")
        source.files += folder.files
        source.secrets += folder.secrets
    else:
        source.files.append(read_file(path, name))
    source.files.sort(key=lambda file: file.name)


def _package_files(with_tables: bool = False) -> list[tuple[str, bytes]]:
    """The modules of cloudtune as this process has them: installed, in a checkout, or in an archive like this one."""
    endings = (".py", ".json", ".npz", "py.typed") if with_tables else (".py",)
    found: list[tuple[str, bytes]] = []

    def read(folder: Traversable, below: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                if entry.name not in _LEFT_AT_HOME:
                    read(entry, f"{below}{entry.name}/")
            elif entry.name.endswith(endings):
                found.append((below + entry.name, entry.read_bytes()))

    read(resources.files(_PACKAGE), _PACKAGE + "/")
    return sorted(found)


class _TooLarge(Exception):
    """The archive has reached its limit."""


class _Writer:
    """Writes an archive, and a digest of what is in it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = io.BytesIO()
        self._archive = zipfile.ZipFile(self._buffer, "w", zipfile.ZIP_DEFLATED)
        self._digest = hashlib.sha256()

    def __enter__(self) -> _Writer:  # noqa: PYI034 - Self came with 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def add_bytes(self, name: str, content: bytes) -> None:
        self._add(name, io.BytesIO(content), len(content), executable=False)

    def add_file(self, name: str, file: SourceFile) -> None:
        with open(file.path, "rb") as content:
            self._add(name, content, file.size, file.executable)

    def written(self) -> bytes:
        """All of the archive, once it is closed."""
        self._check()
        return self._buffer.getvalue()

    def _add(self, name: str, content: io.BufferedIOBase, size: int, executable: bool) -> None:
        entry = zipfile.ZipInfo(name, _DATE)
        entry.file_size = size
        entry.create_system = 3  # Unix: the permission bits count
        entry.external_attr = (0o100755 if executable else 0o100644) << 16
        of_file = hashlib.sha256()
        piece = content.read(_PIECE)
        # Trying in vain to make pictures and weights smaller takes longer than sending them.
        entry.compress_type = zipfile.ZIP_DEFLATED if _gets_smaller(piece) else zipfile.ZIP_STORED
        with self._archive.open(entry, "w") as target:
            while piece:
                of_file.update(piece)
                target.write(piece)
                self._check()
                piece = content.read(_PIECE)
        self._digest.update(_digest_line(name, executable, of_file.hexdigest()))

    def _check(self) -> None:
        if self._buffer.tell() > self._limit:
            raise _TooLarge


def _gets_smaller(piece: bytes) -> bool:
    """Whether packing a file that begins like this is worth the time."""
    sample = piece[:_SAMPLE] + piece[-_SAMPLE:]
    return len(piece) < _SAMPLE or len(zlib.compress(sample, 1)) < _WORTHWHILE * len(sample)


def _digest_line(name: str, executable: bool, of_file: str) -> bytes:
    return f"{name}\0{int(executable)}\0{of_file}\n".encode()


def _too_large(where: object, source: SourceFolder, limit: int) -> str:
    total = sum(file.size for file in source.files)
    more = " and goes on" if total > UNPACKED_FACTOR * limit else ""
    named = ", ".join(f"{name} ({_readable(size)})" for name, size in largest(source.files))
    return (
        f"{where} holds {_readable(total)} in {len(source.files)} files{more}, which is more than {_readable(limit)} "
        f"when packed; the largest: {named}. List in {IGNORE_FILES[0]} what the jobs do not need, and give data as an "
        "input channel; source_limit allows more."
    )


def _readable(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.3g} GB"
