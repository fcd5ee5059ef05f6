"""Whether a training script seems to write checkpoints: without them a spot interruption throws a trial's work away."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

#: Larger files are data, whatever they are named.
LARGEST = 2 * 1024 * 1024
_MENTIONS = re.compile(
    rb"st_checkpoint_dir|/opt/ml/checkpoints|SM_CHECKPOINT|cloudtune\.checkpoint|"
    rb"from\s+cloudtune\s+import\s[^#\n]*\bcheckpoint\b|from\s+cloudtune\s+import\s*\([^)]*\bcheckpoint\b"
)
_SCRIPTS = (".py", ".sh")
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}


def mentions_checkpointing(source_dir: str | Path | None, entry_point: str | Path) -> bool:
    """Whether any Python or shell file of the source names the checkpoint directory or cloudtune's helpers.

    It reads the text only: a script may mention checkpoints and write none, or write them through a library that is
    not in the source. So its answer is a reason to ask the user, not to forbid.

    Args:
        source_dir: Folder with the source; hidden folders in it are skipped. None: only the entry point is read.
        entry_point: The script; it is read whatever its name ends in.
    """
    if source_dir is None:
        return _mentions(Path(entry_point).expanduser())
    folder = Path(source_dir).expanduser()
    return _mentions(folder / entry_point) or any(_mentions(path) for path in _scripts(folder))


def _scripts(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
        yield from (Path(parent) / name for name in sorted(names) if name.endswith(_SCRIPTS))


def _mentions(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size > LARGEST:
        return False
    return _MENTIONS.search(path.read_bytes()) is not None
