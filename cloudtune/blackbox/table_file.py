"""A table as one ``.npz`` file: arrays, and a JSON text that says what they are. Reading never unpickles anything."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune import __version__
from cloudtune.errors import CloudtuneError, NewerFormat

#: Version of the file's format. A reader refuses a higher one.
TABLE_FORMAT = 1

Arrays = dict[str, npt.NDArray[Any]]

_DESCRIPTION = "description"


class DamagedTable(CloudtuneError):
    """A file is no table, or was changed by something other than cloudtune."""


def write_table(path: Path, description: dict[str, Any], arrays: Arrays) -> None:
    """Writes or replaces a file in one step. The same table gives the same bytes.

    Args:
        path: The file; its folder is made if need be.
        description: JSON values.
        arrays: Of numbers.
    """
    text = json.dumps({"format": TABLE_FORMAT, "version": __version__, **description}, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        with fresh.open("xb") as file:
            everything: dict[str, Any] = {_DESCRIPTION: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
            np.savez_compressed(file, **everything)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def read_table(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Description and arrays of a file.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedTable: It is no table, or a damaged one.
        NewerFormat: A newer cloudtune wrote it.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        description = json.loads(arrays.pop(_DESCRIPTION).tobytes())
        written_as = description["format"]
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no table {path}; save one with TabularBlackbox.save(path)") from None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedTable(
            f"{path} is no table of learning curves that cloudtune has written, or is damaged ({error}); convert or "
            "download it again"
        ) from error
    if not isinstance(written_as, int) or written_as > TABLE_FORMAT:
        raise NewerFormat(
            f"{path} was written by cloudtune {description.get('version')} (table format {written_as}), and this is "
            f"cloudtune {__version__} (table format {TABLE_FORMAT}): upgrade with `pip install --upgrade cloudtune`"
        )
    return description, arrays
