"""Checkpoint directories for tests: trees drawn, written, and read back; and the task of a job that saves them."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path

from hypothesis import strategies as st

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.forms import Task
from cloudtune.agent.protocol import Keys
from cloudtune.agent.s3 import S3
from cloudtune.checkpoint import UNFINISHED_PREFIX

PREFIX = "cloudtune/demo/exp/a1b2c3"
KEYS = Keys(PREFIX)

#: Content by path; None for an empty folder.
Tree = Mapping[str, bytes | None]

_ticks = itertools.count(1)

names = st.one_of(
    st.sampled_from(["a", "b", "model.pt", "weights of epoch 3", "..x", UNFINISHED_PREFIX + "a", "-"]),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=4).filter(
        lambda name: name not in (".", "..")
    ),
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


def _fitting(tree: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """Without what lies below a file, and without folders that are not empty."""
    files = {path for path, content in tree.items() if content is not None}
    above = {"/".join(path.split("/")[:end]) for path in tree for end in range(1, path.count("/") + 1)}
    fitting = {path: content for path, content in tree.items() if path not in above}
    return {
        path: content
        for path, content in fitting.items()
        if not {"/".join(path.split("/")[:end]) for end in range(1, path.count("/") + 1)} & (files - above)
    }


trees = st.dictionaries(paths, st.none() | st.binary(max_size=12), max_size=6).map(_fitting)


def write_tree(folder: Path, tree: Tree) -> None:
    """Adds to a folder what a tree holds."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        if content is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_in_place(folder / path, content)


def write_in_place(path: Path, content: bytes) -> None:
    """Writes as an own step of time: two writes in one tick of the file system's clock look like one."""
    path.write_bytes(content)
    moment = time.time_ns() - 10**12 + 1000 * next(_ticks)
    os.utime(path, ns=(moment, moment))


def read_tree(folder: Path) -> dict[str, bytes | None]:
    """All in a folder."""
    found: dict[str, bytes | None] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        elif not any(path.iterdir()):
            found[path.relative_to(folder).as_posix()] = None
    return found


def kept(tree: Tree) -> dict[str, bytes | None]:
    """What of a tree belongs to the checkpoint: a folder of nothing but unfinished files counts as empty."""
    found: dict[str, bytes | None] = {}
    for path, content in tree.items():
        parts = path.split("/")
        for depth, name in enumerate(parts):
            if name.startswith(UNFINISHED_PREFIX):
                if depth:
                    found.setdefault("/".join(parts[:depth]), None)
                break
        else:
            found[path] = content
    above = {"/".join(path.split("/")[:end]) for path in found for end in range(1, path.count("/") + 1)}
    return {path: content for path, content in found.items() if content is not None or path not in above}


def task_of(trial: int = 7, attempt: int = 0, interval: float = 0.0) -> Task:
    return {
        "format": 1,
        "bucket": "data",
        "owner": "",
        "prefix": PREFIX,
        "region": "us-east-1",
        "kms_key": None,
        "trial": trial,
        "attempt": attempt,
        "config": {},
        "arguments": [],
        "pass_args_as_json": False,
        "entry_point": "train.py",
        "environment": {},
        "use_s3": True,
        "checkpoint_dir": "",
        "put_interval": 1.0,
        "watch_interval": 1.0,
        "heartbeat": 60.0,
        "life_timeout": 0.0,
        "stop_grace": 10.0,
        "checkpoint_interval": interval,
    }


def checkpoints_of(
    s3: S3, folder: Path, trial: int = 7, attempt: int = 0, run: int = 1, notes: list[str] | None = None
) -> Checkpoints:
    """The checkpoints of a run whose files need not rest before they are saved, and without patience."""
    told = (lambda text: None) if notes is None else notes.append
    return Checkpoints(s3, task_of(trial, attempt), run, str(folder), note=told, settle=0.0, patience=0.0)


def none_shipped() -> int:
    return 0
