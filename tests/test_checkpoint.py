"""Checkpoint helpers of training scripts: what a kill leaves, what resuming finds."""

from __future__ import annotations

import argparse
import ast
import functools
import itertools
import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudtune.checkpoint
from cloudtune.checkpoint import (
    add_checkpointing_to_argparse,
    checkpoint_dir,
    checkpoint_model_at_rung_level,
    load_json,
    pytorch_load_save_functions,
    resume_from,
    resume_from_checkpointed_model,
    save_checkpoint,
    save_json,
)
from tests.old_python import python38

ROOT = Path(__file__).parents[1]


def test_the_directory_comes_by_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """With argparse or without: the tuner's directory, and None in a script that is started by hand."""
    parser = argparse.ArgumentParser()
    add_checkpointing_to_argparse(parser)
    assert parser.parse_args([]).st_checkpoint_dir is None
    assert parser.parse_args(["--st_checkpoint_dir", "a b"]).st_checkpoint_dir == "a b"
    for arguments, expected in (
        (["--lr", "0.1"], None),
        (["--lr", "0.1", "--st_checkpoint_dir", "a b"], Path("a b")),
        (["--st_checkpoint_dir=a=b", "--lr", "0.1"], Path("a=b")),
        (["--st_checkpoint_dir"], None),
    ):
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        assert checkpoint_dir() == expected


def test_a_saved_checkpoint_is_found_and_replaced(tmp_path: Path) -> None:
    """The newest one counts; libraries that go by the suffix of a file name see it."""
    directory = tmp_path / "not" / "yet"
    assert resume_from(directory, np.load, "weights.npz") is None
    for value in (1.0, 2.0):
        save_checkpoint(directory, functools.partial(np.savez, w=np.full(3, value)), "weights.npz")
    weights = resume_from(str(directory), lambda path: np.load(path)["w"].tolist(), "weights.npz")
    assert weights == [2.0, 2.0, 2.0]
    assert os.listdir(directory) == ["weights.npz"]


def test_a_save_that_fails_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    """An error while writing is the script's to see, and neither harms the old file nor leaves half of a new one."""
    save_json(tmp_path, {"epoch": 1})

    def write(path: str) -> None:
        Path(path).write_text('{"epo')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, write, "checkpoint.json")
    with pytest.raises(TypeError):
        save_json(tmp_path, {"epoch": object()})
    assert load_json(tmp_path) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["checkpoint.json"]


def test_a_write_function_that_writes_elsewhere_is_told(tmp_path: Path) -> None:
    """A checkpoint that is not where it should be would be missed only when it is needed."""
    with pytest.raises(FileNotFoundError, match="must write the file whose path it is given"):
        save_checkpoint(tmp_path, lambda path: None)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_a_checkpoint_name_is_a_plain_file_name(name: str, tmp_path: Path) -> None:
    """A name that leads elsewhere is refused before anything is written."""
    with pytest.raises(ValueError, match=r"must be a plain file name, got .*; leave out directories"):
        save_json(tmp_path, {}, name)
    assert os.listdir(tmp_path) == []


def test_without_a_directory_nothing_is_done() -> None:
    """The same script runs by hand: it saves nothing, and begins at the beginning."""
    save_json(None, {"epoch": 1})
    assert load_json(None) is None
    checkpoint_model_at_rung_level({"st_checkpoint_dir": None}, lambda directory, epoch: pytest.fail("saved"), 3)
    assert resume_from_checkpointed_model({}, lambda directory: 5) == 0


def test_json_state_keeps_what_json_does_not_know(tmp_path: Path) -> None:
    """A best value so far may still be infinite."""
    save_json(tmp_path, {"best": math.inf, "last": math.nan, "name": "ü"}, "state.json")
    state = load_json(tmp_path, "state.json")
    assert state["best"] == math.inf
    assert math.isnan(state["last"])
    assert state["name"] == "ü"


_SAVE_FOREVER = """
import itertools, sys
from cloudtune.checkpoint import save_json
for epoch in itertools.count(1):
    save_json(sys.argv[1], {"epoch": epoch, "weights": [epoch] * 20000})
    print(epoch, flush=True)
"""


def test_a_kill_in_the_middle_of_saving_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    """SIGKILL at random instants: what is there loads, and is at least as new as the last save that had returned."""
    instants = random.Random(20)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for round_ in range(8):
        directory = tmp_path / str(round_)
        saving = subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOREVER, str(directory)], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert saving.stdout is not None
        done = [saving.stdout.readline() for _ in range(instants.randrange(1, 6))]
        for _ in range(instants.randrange(20_000)):
            pass
        os.kill(saving.pid, signal.SIGKILL)
        done += saving.stdout.readlines()
        saving.stdout.close()
        saving.wait()
        returned = max(int(line) for line in done if line.endswith("\n"))
        state = load_json(directory)
        assert state["epoch"] in (returned, returned + 1)
        assert state["weights"] == [state["epoch"]] * 20_000
        # What the killed save had begun is overwritten by the next, not left to pile up.
        save_json(directory, {"epoch": 0})
        assert os.listdir(directory) == ["checkpoint.json"]


@pytest.mark.parametrize("stage", ["write", "sync", "replace"])
def test_dying_between_the_steps_of_a_save_leaves_the_last_good_checkpoint(stage: str, tmp_path: Path) -> None:
    """While the file is written, before it is on the disk, before it has its name: the old checkpoint loads."""
    save_json(tmp_path, {"epoch": 1})
    code = f"""
import os, signal, sys
from cloudtune import checkpoint
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def write(path):
    with open(path, "w") as file:
        file.write('{{"epoch": ')
        file.flush()
        if {stage!r} == "write":
            die()
        file.write("2}}")
os.fsync = die if {stage!r} == "sync" else os.fsync
os.replace = die if {stage!r} == "replace" else os.replace
checkpoint.save_checkpoint(sys.argv[1], write, "checkpoint.json")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert load_json(tmp_path) == {"epoch": 1}


class Counter:
    """Something with a state, as torch's models and optimisers have."""

    def __init__(self, value: int) -> None:
        self.value = value

    def state_dict(self) -> dict[str, int]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.value = state["value"]


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two functions of torch that are used, by pickle: what is shown here is where and when they are called."""

    def save(value: Any, path: str) -> None:
        Path(path).write_bytes(pickle.dumps(value))

    def load(path: str, map_location: str) -> Any:
        assert map_location == "cpu"
        return pickle.loads(Path(path).read_bytes())

    stand_in = types.ModuleType("torch")
    stand_in.__dict__.update(save=save, load=load)
    monkeypatch.setitem(sys.modules, "torch", stand_in)


def test_models_resume_where_they_were(tmp_path: Path, torch: None) -> None:
    """A script that ends in any epoch goes on with the next one, in the state that it had."""
    config = {"st_checkpoint_dir": str(tmp_path / "checkpoints"), "epochs": 9}
    begun = []
    for stop_after in (2, 5, 9):
        model, schedule, extra = Counter(0), Counter(100), {"best": math.inf}
        load, save = pytorch_load_save_functions({"model": model, "schedule": schedule}, extra)
        begin = resume_from_checkpointed_model(config, load) + 1
        begun.append((begin, model.value, schedule.value, extra["best"]))
        for epoch in range(begin, stop_after + 1):
            model.value += 1
            schedule.value -= 1
            extra["best"] = 1 / epoch
            checkpoint_model_at_rung_level(config, save, epoch)
    assert begun == [(1, 0, 100, math.inf), (3, 2, 98, 1 / 2), (6, 5, 95, 1 / 5)]
    assert os.listdir(config["st_checkpoint_dir"]) == ["checkpoint.pt"]  # type: ignore[call-overload]


def test_the_docstring_of_the_module_is_a_script_that_resumes(tmp_path: Path) -> None:
    """The pattern that is shown to users, run twice: the second run does only what the first left."""
    code = f"""
import argparse
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json
def report(**metrics):
    print(metrics["epoch"])
    if args.stop and metrics["epoch"] == 4:
        raise SystemExit
parser = argparse.ArgumentParser()
add_checkpointing_to_argparse(parser)
parser.add_argument("--stop", action="store_true")
args = parser.parse_args()
error = 0.1
{_example(cloudtune.checkpoint.__doc__)}
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, "--st_checkpoint_dir", str(tmp_path), *more],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for more in (["--stop"], [])
    ]
    assert runs == [["1", "2", "3", "4"], ["5", "6", "7", "8", "9"]]


def _example(docstring: str | None) -> str:
    assert docstring is not None
    indented = [line[4:] for line in docstring.splitlines() if line.startswith("    ")]
    return "\n".join(itertools.dropwhile(lambda line: not line.startswith("state ="), indented))


@pytest.mark.parametrize("module", ["checkpoint", "config_json"])
def test_it_works_in_python_3_8(module: str, tmp_path: Path) -> None:
    """In an old image a script saves, resumes and reads its configuration. Without such a Python, syntax is checked."""
    ast.parse((ROOT / "cloudtune" / f"{module}.py").read_text(), feature_version=(3, 8))
    python = python38()
    if python is None:
        return
    (tmp_path / "config.json").write_text(json.dumps({"lr": 0.1}))
    code = """
import argparse
from cloudtune.checkpoint import add_checkpointing_to_argparse, checkpoint_dir, load_json, save_json
from cloudtune.config_json import add_config_json_to_argparse, load_config_json
parser = argparse.ArgumentParser()
add_checkpointing_to_argparse(parser)
add_config_json_to_argparse(parser)
config = load_config_json(parser.parse_args())
assert str(checkpoint_dir()) == config["st_checkpoint_dir"]
assert load_json(checkpoint_dir()) is None
save_json(checkpoint_dir(), config)
assert load_json(checkpoint_dir())["lr"] == 0.1
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = ["--st_checkpoint_dir", str(tmp_path / "c"), "--st_config_json_filename", str(tmp_path / "config.json")]
    done = subprocess.run(
        [python, "-W", "error", "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
