"""Pickling a tuner for another machine: what travels, what cannot, and where in the tuner it is."""

from __future__ import annotations

import io
import pickletools
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dill
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.clients import Aws
from cloudtune.aws.job_template import TrainingJob
from cloudtune.backend import LocalBackend, PythonBackend, SageMakerBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote.pickling import CannotShip, dump, pickled

SECRET = "wJalrXUtnFEMIK7MDENG"


class Holding(TunerCallback):
    """A callback with something in it."""

    def __init__(self, held: Any) -> None:
        self.held = held


@dataclass
class Slotted:
    """Holds something in a slot."""

    __slots__ = ("inside",)
    inside: Any


class Complaining:
    """Cannot be pickled, and says why."""

    def __getstate__(self) -> dict[str, Any]:
        raise RuntimeError("it is open")


def script_in(folder: Path) -> Path:
    path = folder / "train.py"
    path.write_text("pass\n")
    return path


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(script_in(tmp_path))


def tuner_with(backend: TrialBackend, held: Any = None, stop: Any = None, **options: Any) -> Tuner:
    """A tuner that holds something in its second callback."""
    return Tuner(
        backend,
        RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=1),
        stop or StoppingCriterion(max_num_trials_finished=1),
        1,
        tuner_name="held",
        callbacks=[TunerCallback(), Holding(held)],
        **options,
    )


def test_an_object_that_cannot_be_pickled_is_named_by_its_path(backend: LocalBackend) -> None:
    """The message leads to the attribute, and tells what to do; dill's own names a type at best."""
    with socket.socket() as one, pytest.raises(CannotShip) as caught:
        dump(tuner_with(backend, {"connections": [None, Slotted(one)]}))
    message = str(caught.value)
    assert message.startswith("tuner.callbacks[1].held['connections'][1].inside (a socket.socket) cannot be sent")
    assert "open it where it is used" in message


def process_that_ended() -> object:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process


def file_of_this_machine() -> object:
    with open(__file__, "rb") as file:
        return file


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: (one for one in "generator"), "a generator"),
        (threading.Thread, "a threading.Thread"),
        (file_of_this_machine, "an io.BufferedReader"),
        (process_that_ended, "a subprocess.Popen"),
        (lambda: sqlite3.connect(":memory:"), "a sqlite3.Connection"),
        (Complaining, "a tests.remote.test_pickling.Complaining"),
    ],
)
def test_what_belongs_to_this_machine_is_refused(backend: LocalBackend, make: Callable[[], object], kind: str) -> None:
    """dill would take a file or a connection along, as something that fails or means another thing elsewhere."""
    held = make()
    with pytest.raises(CannotShip, match=re.escape(f"tuner.callbacks[1].held ({kind}) cannot be sent")):
        dump(tuner_with(backend, held))
    if isinstance(held, sqlite3.Connection):
        held.close()


def test_a_list_of_given_configurations_travels(backend: LocalBackend) -> None:
    """A thousand of them, of which there as here the same are proposed."""
    scheduler = RandomSearch(
        {"x": uniform(0, 1), "fixed": [1]},
        metric="loss",
        random_seed=1,
        restrict_configurations=[{"x": number / 1000} for number in range(1000)],
    )
    data = dump(Tuner(backend, scheduler, StoppingCriterion(max_num_trials_finished=1), 1, tuner_name="given"))
    assert len(data) < 200_000
    there = dill.loads(data).scheduler
    assert there.metadata() == scheduler.metadata()
    assert [there.suggest() for _ in range(50)] == [scheduler.suggest() for _ in range(50)]


@pytest.mark.parametrize("harmless", [io.BytesIO(b"in memory"), io.StringIO("text"), threading.Lock()])
def test_what_every_machine_has_travels(backend: LocalBackend, harmless: object) -> None:
    """Buffers and locks mean the same everywhere."""
    assert dump(tuner_with(backend, harmless))


def test_a_standard_stream_becomes_that_of_the_other_machine(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callback that prints does so there, even where a notebook had put a stream of its own here."""
    data = dump(tuner_with(backend, [sys.stdout, sys.__stderr__]))
    there = io.StringIO()
    monkeypatch.setattr(sys, "stdout", there)
    assert dill.loads(data).callbacks[1].held == [there, sys.__stderr__]


def test_the_path_leads_into_functions(backend: LocalBackend) -> None:
    """A closure's variable, a global and a default are places too, by their names."""
    numbers = (one for one in range(3))

    def enclosing() -> bool:
        return next(numbers) > 1

    def by_default(status: object, numbers: object = numbers) -> bool:
        return numbers is status

    for stop, end in ((lambda status: enclosing(), r" -> enclosing -> numbers"), (by_default, r" -> numbers")):
        with pytest.raises(CannotShip, match=rf"^tuner\.stop_criterion\.\w+{end} \(a generator\)"):
            dump(tuner_with(backend, stop=stop))


def test_nesting_without_end_is_told(backend: LocalBackend) -> None:
    """A chain of references deeper than Python's stack is no crash."""
    chain: list[Any] = []
    for _ in range(sys.getrecursionlimit()):
        chain = [chain]
    with pytest.raises(CannotShip, match=r"^tuner\.callbacks\[1\]\.held\[0\]\[0\].*\.\.\. is nested too deep"):
        dump(tuner_with(backend, chain))


def test_a_cycle_is_no_obstacle(backend: LocalBackend) -> None:
    """Pickle knows what it has seen: so does what looks for paths."""
    ring: list[Any] = []
    ring.append(ring)
    assert dump(tuner_with(backend, ring))
    ring.append(one for one in ring)
    with pytest.raises(CannotShip, match=r"held\[1\] \(a generator\)"):
        dump(tuner_with(backend, ring))


@pytest.mark.parametrize(
    "make", [lambda: boto3.Session(region_name="us-east-1"), lambda: boto3.client("s3", "us-east-1")]
)
def test_ways_to_aws_stay_here(backend: LocalBackend, make: Callable[[], object]) -> None:
    """A client or session holds credentials: it is named, wherever it is, instead of being pickled."""
    held = {"client": make()}
    with pytest.raises(CannotShip, match=r"tuner\.callbacks\[1\]\.held\['client'\] \(an? bot.*holds credentials"):
        dump(tuner_with(backend, held))


def test_ways_to_aws_in_the_function_of_a_backend_stay_here() -> None:
    """A session among its globals would go with its credentials; one that the function itself makes is fine."""
    session = boto3.Session("AKIA", "another-secret", region_name="us-east-1")

    def with_it(x: float) -> object:
        return session

    def makes_it(x: float) -> object:
        import botocore.session

        return boto3.Session, botocore.session.Session

    with pytest.raises(CannotShip, match=r"^tuner\.trial_backend\.tune_function \(a function that refers to a session"):
        dump(tuner_with(PythonBackend(with_it)))
    assert dump(tuner_with(PythonBackend(makes_it)))


def test_a_secret_is_named_by_its_place_and_never_shown(backend: LocalBackend) -> None:
    """In an attribute, a literal of a function, bytes: found, and the message does not repeat it."""
    secrets = {"WANDB_API_KEY": SECRET}
    for held, place in (
        ({"key": f"token {SECRET}"}, r"\.held\['key'\]"),
        (f"prefix {SECRET}".encode(), r"\.held"),
        ([1, Slotted(SECRET)], r"\.held\[1\]\.inside"),
    ):
        with pytest.raises(CannotShip, match=rf"^tuner\.callbacks\[1\]{place} holds the value of WANDB") as caught:
            dump(tuner_with(backend, held), secrets)
        assert SECRET not in str(caught.value)
    assert dump(tuner_with(backend, {"key": SECRET[:-1]}), secrets)


def test_a_secret_is_found_in_any_form_that_pickle_keeps(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the walk through the objects does not see, such as the name of a class, the finished pickle shows."""
    named = type(SECRET, (), {})
    monkeypatch.setattr(sys.modules[__name__], SECRET, named, raising=False)
    for hidden in (bytearray(SECRET, "ascii"), {SECRET.encode(): 1}, named):
        with pytest.raises(CannotShip, match="holds the value of KEY"):
            dump(tuner_with(backend, hidden), {"KEY": SECRET})


def test_a_secret_in_the_environment_of_the_trials_jobs_is_found(tmp_path: Path) -> None:
    """It would lie in S3 with the tuner."""
    job = TrainingJob(script_in(tmp_path), environment={"WANDB_API_KEY": SECRET})
    with pytest.raises(
        CannotShip, match=r"^tuner\.trial_backend\.template\.request\['Environment'\]\['WANDB_API_KEY'\]"
    ):
        dump(tuner_with(SageMakerBackend(job)), {"WANDB_API_KEY": SECRET})


def test_profiles_do_not_travel_and_are_kept_here(tmp_path: Path) -> None:
    """There the job's role counts; here the backend can be used with its profile as before."""
    backend = SageMakerBackend(TrainingJob(script_in(tmp_path)), profile="my-profile")
    tuner = tuner_with(backend, Aws("eu-west-1", "my-profile"))
    data = dump(tuner)
    assert b"my-profile" not in data
    there = dill.loads(data)
    assert there.trial_backend.profile is None
    assert there.callbacks[1].held.profile is None
    assert there.callbacks[1].held.region == "eu-west-1"
    assert backend.profile == "my-profile"


def test_a_module_travels_as_a_name(backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dill would send all variables of a module of the user's, and fail at the first that cannot be pickled."""
    (tmp_path / "of_the_user.py").write_text("numbers = (one for one in range(3))\nONE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__("of_the_user")
    there = dill.loads(dump(tuner_with(backend, module)))
    assert there.callbacks[1].held is module


def test_paths_are_those_of_any_machine(backend: LocalBackend) -> None:
    """A tuner that was made on Windows has WindowsPaths, which no other system can make."""
    named = {str(argument) for _, argument, _ in pickletools.genops(dump(tuner_with(backend, Path("a/b"))))}
    assert not {name for name in named if "PosixPath" in name or "WindowsPath" in name}
    assert dill.loads(dump(tuner_with(backend, Path("a/b")))).callbacks[1].held == Path("a/b")


def test_an_open_backend_is_refused(backend: LocalBackend) -> None:
    """The backend's own word on it is passed on."""
    setattr(backend, "_work", object())  # noqa: B010 - what it has when it is open
    with pytest.raises(CannotShip, match=r"^tuner\.trial_backend .*while it is open; close it first"):
        dump(tuner_with(backend))


def test_imports_in_functions_are_told(backend: LocalBackend) -> None:
    """They are not in the pickle: only when the function runs will the module be needed."""

    def outer() -> object:
        import colorsys

        def inner() -> object:
            from xml.dom import minidom

            return minidom

        return colorsys, inner

    outer.__module__ = "__main__"
    assert {"colorsys", "xml.dom"} <= pickled(tuner_with(backend, outer)).imports
