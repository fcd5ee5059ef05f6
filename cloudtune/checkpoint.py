"""Checkpoints of a training script: saved so that a kill at any instant leaves a good one, and found again on resuming.

The tuner passes ``--st_checkpoint_dir``, a directory of the trial's own whose files are there again when the trial
resumes. A script that is started by hand gets none; all functions here then do nothing, so that it runs all the same::

    parser = argparse.ArgumentParser()
    add_checkpointing_to_argparse(parser)
    args = parser.parse_args()

    state = load_json(args.st_checkpoint_dir) or {"epoch": 0}
    for epoch in range(state["epoch"] + 1, 10):
        ...
        save_json(args.st_checkpoint_dir, {"epoch": epoch})
        report(epoch=epoch, validation_error=error)

Save before reporting: a trial may be stopped or paused as soon as it has reported. Standard library only, and Python
3.8 syntax; torch is imported where torch objects are saved.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Tuple, TypeVar, Union

from cloudtune.constants import ST_CHECKPOINT_DIR

if TYPE_CHECKING:
    import argparse

T = TypeVar("T")

Directory = Union[str, "os.PathLike[str]", None]

LoadModel = Callable[[str], int]
SaveModel = Callable[[str, int], None]

#: What the name of a checkpoint that is still being written begins with. The rest is the name it will have.
UNFINISHED_PREFIX = ".unfinished-"


def add_checkpointing_to_argparse(parser: argparse.ArgumentParser) -> None:
    """Adds ``--st_checkpoint_dir`` to the arguments of a script; None when the script is started by hand."""
    parser.add_argument(
        "--" + ST_CHECKPOINT_DIR,
        type=str,
        default=None,
        help="directory for checkpoints of this trial, set by the tuner",
    )


def checkpoint_dir() -> Optional[Path]:
    """The directory that the tuner passed as ``--st_checkpoint_dir``, or None; for scripts without argparse."""
    flag = "--" + ST_CHECKPOINT_DIR
    for i, argument in enumerate(sys.argv[1:], start=1):
        if argument == flag and i + 1 < len(sys.argv):
            return Path(sys.argv[i + 1])
        if argument.startswith(flag + "="):
            return Path(argument[len(flag) + 1 :])
    return None


def save_checkpoint(directory: Directory, write: Callable[[str], Any], name: str = "checkpoint") -> None:
    """Saves one file in such a way that ``directory / name`` is always complete: the old one, or the new one.

    Only one process of a trial may save under one name (rank 0 of several).

    Args:
        directory: Where to save; made if it is not there. None: nothing is done.
        write: Called with the path of a file to write, as in ``lambda path: torch.save(model.state_dict(), path)``. The
            path ends in ``name``, for libraries that go by the suffix.
        name: File name of the checkpoint.

    Raises:
        ValueError: If ``name`` is not a plain file name.
        FileNotFoundError: If ``write`` has not written the file.
    """
    if directory is None:
        return
    if os.path.basename(name) != name or name in ("", ".", ".."):
        raise ValueError("the name of a checkpoint must be a plain file name, got %r; leave out directories" % name)
    folder = os.fspath(directory)
    os.makedirs(folder, exist_ok=True)
    unfinished = os.path.join(folder, UNFINISHED_PREFIX + name)
    try:
        write(unfinished)
        if not os.path.isfile(unfinished):
            raise FileNotFoundError(
                "the checkpoint %s was not written: the function passed to save_checkpoint must write the file whose "
                "path it is given" % unfinished
            )
        _sync(unfinished)
        os.replace(unfinished, os.path.join(folder, name))
    except BaseException:
        if os.path.isfile(unfinished):
            os.remove(unfinished)
        raise


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def resume_from(directory: Directory, load: Callable[[str], T], name: str = "checkpoint") -> Optional[T]:
    """What ``load`` makes of the checkpoint's path, or None if there is no checkpoint (or ``directory`` is None)."""
    if directory is None:
        return None
    path = os.path.join(os.fspath(directory), name)
    return load(path) if os.path.isfile(path) else None


def save_json(directory: Directory, state: Any, name: str = "checkpoint.json") -> None:
    """Saves JSON values (epoch, best value so far, ...) as :func:`save_checkpoint` does. NaN and infinity are kept."""
    text = json.dumps(state)

    def write(path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    save_checkpoint(directory, write, name)


def load_json(directory: Directory, name: str = "checkpoint.json") -> Any:
    """What :func:`save_json` saved, or None if there is nothing."""

    def load(path: str) -> Any:
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    return resume_from(directory, load, name)


def resume_from_checkpointed_model(config: Mapping[str, Any], load_model_fn: LoadModel) -> int:
    """Loads the checkpoint in ``config["st_checkpoint_dir"]``, if there is one.

    Args:
        config: The script's arguments, ``vars(parser.parse_args())``.
        load_model_fn: Loads from a directory and returns how many epochs were done (0: nothing there).

    Returns:
        How many epochs were done; training goes on with the next.
    """
    directory = config.get(ST_CHECKPOINT_DIR)
    if directory is None or not os.path.isdir(directory):
        return 0
    return load_model_fn(directory)


def checkpoint_model_at_rung_level(config: Mapping[str, Any], save_model_fn: SaveModel, resource: int) -> None:
    """Saves a checkpoint after ``resource`` epochs into ``config["st_checkpoint_dir"]``. Call it before reporting.

    Args:
        config: The script's arguments, ``vars(parser.parse_args())``.
        save_model_fn: Called with the directory and ``resource``.
        resource: How many epochs were done.
    """
    directory = config.get(ST_CHECKPOINT_DIR)
    if directory is not None:
        os.makedirs(directory, exist_ok=True)
        save_model_fn(directory, resource)


def pytorch_load_save_functions(
    state_dict_objects: Mapping[str, Any],
    mutable_state: Optional[Dict[str, Any]] = None,
    fname: str = "checkpoint.pt",
) -> Tuple[LoadModel, SaveModel]:
    """The two functions that :func:`resume_from_checkpointed_model` and :func:`checkpoint_model_at_rung_level` take.

    Args:
        state_dict_objects: What has ``state_dict`` and ``load_state_dict``, by name: model, optimizer, schedule.
        mutable_state: A dictionary of further state (plain values); saved as it is then, updated in place on loading.
        fname: File name of the checkpoint.

    Returns:
        ``load_model_fn(directory)``, which returns the number of epochs done, and ``save_model_fn(directory, epoch)``.
    """

    def load_model_fn(directory: str) -> int:
        def load(path: str) -> int:
            import torch

            # To the CPU: load_state_dict then copies to wherever each object lies in this process.
            saved = torch.load(path, map_location="cpu")
            for key, keeper in state_dict_objects.items():
                keeper.load_state_dict(saved["objects"][key])
            if mutable_state is not None:
                mutable_state.update(saved["mutable_state"])
            return int(saved["epoch"])

        return resume_from(directory, load, fname) or 0

    def save_model_fn(directory: str, epoch: int) -> None:
        import torch

        objects = {key: keeper.state_dict() for key, keeper in state_dict_objects.items()}
        saved = {"epoch": epoch, "objects": objects, "mutable_state": dict(mutable_state or {})}
        save_checkpoint(directory, lambda path: torch.save(saved, path), fname)

    return load_model_fn, save_model_fn
