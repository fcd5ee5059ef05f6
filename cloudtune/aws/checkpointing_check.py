"""Whether a training script seems to write checkpoints: without them a spot interruption throws a trial's work away."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudtune.aws.job_template import JobTemplate

#: Larger files are data, whatever they are named.
LARGEST = 2 * 1024 * 1024
_MENTIONS = re.compile(
    rb"st_checkpoint_dir|/opt/ml/checkpoints|SM_CHECKPOINT|cloudtune\.checkpoint|"
    rb"from\s+cloudtune\s+import\s[^#\n]*\bcheckpoint\b|from\s+cloudtune\s+import\s*\([^)]*\bcheckpoint\b"
)
_SCRIPTS = (".py", ".sh")
_SKIPPED_FOLDERS = {"__pycache__", "node_modules", "site-packages"}


def seems_to_checkpoint(template: JobTemplate) -> bool:
    """Whether the script of a template's jobs, or what it is told, mentions a place for checkpoints.

    True also where there is no script on this machine that could be read: then it is the image's own business.
    """
    if template.entry_point is None:
        return True
    folder = template.checkpoint_local_path
    environment = template.request.get("Environment") or {}
    told = json.dumps([template.hyperparameters, environment], ensure_ascii=False).encode()
    return (
        _says(told, folder)
        or mentions_checkpointing(template.source_dir, template.entry_point, folder)
        or any(_one_mentions(Path(one).expanduser(), folder) for one in template.dependencies)
    )


def mentions_checkpointing(
    source_dir: str | Path | None, entry_point: str | Path, checkpoint_folder: str | None = None
) -> bool:
    """Whether any Python or shell file of the source names the checkpoint directory or cloudtune's helpers.

    It reads the text only: a script may mention checkpoints and write none, or write them through a library that is
    not in the source. So its answer is a reason to ask the user, not to forbid.

    Args:
        source_dir: Folder with the source; hidden folders in it are skipped. None: only the entry point is read.
        entry_point: The script; it is read whatever its name ends in.
        checkpoint_folder: Where in the job checkpoints are kept, if not where SageMaker usually does.
    """
    if source_dir is None:
        return _mentions(Path(entry_point).expanduser(), checkpoint_folder)
    folder = Path(source_dir).expanduser()
    return _mentions(folder / entry_point, checkpoint_folder) or _one_mentions(folder, checkpoint_folder)


def _one_mentions(path: Path, checkpoint_folder: str | None) -> bool:
    paths = _scripts(path) if path.is_dir() else (path,)
    return any(_mentions(one, checkpoint_folder) for one in paths)


def _scripts(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
        yield from (Path(parent) / name for name in sorted(names) if name.endswith(_SCRIPTS))


def _mentions(path: Path, checkpoint_folder: str | None) -> bool:
    if not path.is_file() or path.stat().st_size > LARGEST:
        return False
    return _says(path.read_bytes(), checkpoint_folder)


def _says(text: bytes, checkpoint_folder: str | None) -> bool:
    return _MENTIONS.search(text) is not None or (bool(checkpoint_folder) and str(checkpoint_folder).encode() in text)
