"""Blackboxes by name: those that this process or the user has added, and those that are shipped."""

from __future__ import annotations

import copy
import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path

from cloudtune.blackbox.blackbox import Blackbox
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.constants import ENV_FOLDER
from cloudtune.errors import CloudtuneError

#: Tables that come with the package.
SHIPPED = Path(__file__).parent / "tables"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SUFFIX = ".npz"

#: Blackboxes that only this process knows, or what makes them.
_added: dict[str, Blackbox | Callable[[], Blackbox]] = {}

#: The table that was loaded last, by its file: path, inode, bytes and time of the last change.
_last: dict[tuple[str, int, int, int], TabularBlackbox] = {}


class UnknownBlackbox(CloudtuneError, ValueError):
    """No blackbox has that name."""


def blackbox_folder() -> Path:
    """Where the user's own tables are: ``blackboxes`` in ``$CLOUDTUNE_FOLDER``, else in ``~/cloudtune``."""
    root = os.environ.get(ENV_FOLDER)
    return (Path(root).expanduser().absolute() if root else Path.home() / "cloudtune") / "blackboxes"


def add_blackbox(name: str, blackbox: Blackbox | str | Path | Callable[[], Blackbox]) -> None:
    """Gives a blackbox a name, for :func:`load_blackbox` and ``SimulatorBackend(name)``; replaces one of that name.

    A table is kept in :func:`blackbox_folder`, and every later process of the user's finds it there. Any other
    blackbox, and a function, are known to this process alone.

    Args:
        name: Letters, digits, ``_``, ``-`` and dots.
        blackbox: A blackbox; the path of a table's file; or a function without arguments that makes a blackbox, called
            at each :func:`load_blackbox`.

    Raises:
        ValueError: The name is not valid.
        FileNotFoundError: There is no file of that path.
        DamagedTable: It is no table.
    """
    if not _NAME.fullmatch(name) or name.endswith(_SUFFIX):
        raise ValueError(
            f"{name!r} cannot be the name of a blackbox; use letters, digits, '_', '-' and dots, without {_SUFFIX}"
        )
    if isinstance(blackbox, (str, Path)):
        blackbox = TabularBlackbox.load(blackbox)
    if isinstance(blackbox, TabularBlackbox):
        blackbox.save(blackbox_folder() / f"{name}{_SUFFIX}")
        _added.pop(name, None)
    elif isinstance(blackbox, Blackbox) or callable(blackbox):
        _added[name] = blackbox
    else:
        raise TypeError(
            f"a blackbox must be a Blackbox, the path of a table, or a function that makes one, got {blackbox!r}"
        )


def load_blackbox(name: str) -> Blackbox:
    """The blackbox of a name: added by this process, in the user's folder, or shipped with cloudtune, in this order.

    The table that was loaded last stays in memory, and its file is not read again until it changes.

    Raises:
        UnknownBlackbox: There is none; the message has the names that are known.
        DamagedTable: Its file is damaged.
    """
    added = _added.get(name)
    if added is not None:
        return added if isinstance(added, Blackbox) else added()
    for folder in (blackbox_folder(), SHIPPED):
        # Looked for among those there are: a name is never part of a path.
        if name in _tables_in(folder):
            return _load(folder / f"{name}{_SUFFIX}")
    raise UnknownBlackbox(_unknown(name))


def _load(path: Path) -> TabularBlackbox:
    """The table of a file, which shares what it holds with others of that file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return TabularBlackbox.load(path)  # which says so
    key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
    table = _last.get(key)
    if table is None:
        _last.clear()  # first: two large tables may be more than fits into memory
        table = _last[key] = TabularBlackbox.load(path)
    return copy.copy(table)


def known_blackboxes() -> list[str]:
    """Names that :func:`load_blackbox` knows, sorted."""
    return sorted({*_added, *_tables_in(blackbox_folder()), *_tables_in(SHIPPED)})


def _tables_in(folder: Path) -> list[str]:
    names = [path.name[: -len(_SUFFIX)] for path in folder.glob(f"*{_SUFFIX}")]
    return [name for name in names if _NAME.fullmatch(name)]


def _unknown(name: str) -> str:
    known = known_blackboxes()
    if not known:
        return (
            f"there is no blackbox {name!r}, nor any other; add one with cloudtune.blackbox.add_blackbox(name, table)"
        )
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    meant = f"; did you mean {near[0]!r}?" if near else ";"
    return (
        f"there is no blackbox {name!r}{meant} known are {', '.join(known)}; "
        "add others with cloudtune.blackbox.add_blackbox(name, table)"
    )
