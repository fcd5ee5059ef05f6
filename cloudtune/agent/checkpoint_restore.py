"""Fills a checkpoint directory with one generation from S3."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

from cloudtune.agent.s3_errors import S3NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.agent.forms import Manifest, ManifestFile

_AT_ONCE = 8


def empty_folder(folder: str) -> None:
    """Removes all that a folder holds, and makes it if there is none. It may be a mount point, so it stays itself."""
    os.makedirs(folder, exist_ok=True)
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.remove(entry.path)


def fill_folder(folder: str, manifest: Manifest, download: Callable[[str, str], None]) -> None:
    """Downloads a generation, whose paths were checked, into an empty folder; several files at once.

    Args:
        folder: Is there, and empty.
        manifest: Of the generation.
        download: Called with key and path.

    Raises:
        S3NotFound: An object is gone, or has another size.
        OSError: A file cannot be written.
    """
    for path in manifest["folders"]:
        os.makedirs(os.path.join(folder, *path.split("/")), exist_ok=True)
    for file in manifest["files"]:
        os.makedirs(os.path.dirname(os.path.join(folder, *file["path"].split("/"))), exist_ok=True)

    def fetch(file: ManifestFile) -> None:
        target = os.path.join(folder, *file["path"].split("/"))
        download(file["key"], target)
        if os.path.getsize(target) != file["size"]:
            raise S3NotFound("{} has not the size of the file it holds, {}".format(file["key"], file["path"]))
        os.chmod(target, file["mode"] & 0o777)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, manifest["files"]))  # where one fails, what has not begun is not begun any more
