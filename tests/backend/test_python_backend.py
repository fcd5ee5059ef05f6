"""PythonBackend: the contract, with a process per trial and with re-used ones, and what is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudtune.backend import PythonBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.report import Reporter
from cloudtune.store.places import validate_name
from cloudtune.trial import Outcome, Trial
from tests.contracts.backend_driver import Driver
from tests.contracts.local_process_contract import LocalProcessContract
from tests.contracts.training_program import train


class TestPythonBackend(LocalProcessContract):
    """The contract, with a process per trial."""

    def make_backend(self, **options: Any) -> TrialBackend:
        return PythonBackend(train, **options)


class TestPythonBackendReuse(LocalProcessContract):
    """The contract, with processes that run one trial after another."""

    def make_backend(self, **options: Any) -> TrialBackend:
        return PythonBackend(train, reuse_processes=True, **options)

    def test_processes_are_reused(self, driver: Driver) -> None:
        """Ten trials, one after another, run in one process; a crash costs only that process."""
        for trial_id in range(10):
            driver.start(trial_id, reports=1)
            assert driver.end_of(trial_id).outcome is Outcome.completed
        assert len({driver.reports(trial_id)[0].metrics["pid"] for trial_id in range(10)}) == 1
        driver.start(10, hard_exit=1)
        assert driver.end_of(10).outcome is Outcome.failed
        driver.start(11, raises="oh", reports=1)
        assert driver.end_of(11).outcome is Outcome.failed
        driver.start(12, reports=1)
        assert driver.end_of(12).outcome is Outcome.completed
        assert driver.reports(11)[0].metrics["pid"] == driver.reports(12)[0].metrics["pid"]

    def test_a_process_is_replaced_in_time(self, driver: Driver) -> None:
        """After 200 trials a process has left enough open: the next trial gets a fresh one."""
        for trial_id in range(202):
            driver.start(trial_id, reports=1)
            driver.end_of(trial_id)
        pids = [driver.reports(trial_id)[0].metrics["pid"] for trial_id in range(202)]
        assert len(set(pids[:200])) == 1
        assert pids[199] != pids[200] == pids[201]


def run(tmp_path: Path, function: Any, *configs: dict[str, Any], **options: Any) -> Driver:
    """Runs the function with each of the configurations."""
    driver = Driver(PythonBackend(function, **options), tmp_path)
    driver.open()
    try:
        for trial_id, config in enumerate(configs):
            driver.start(trial_id, **config)
        for trial_id in range(len(configs)):
            driver.end_of(trial_id)
    finally:
        driver.backend.close(stop_running=True)
    return driver


def test_configuration_keeps_its_types(tmp_path: Path) -> None:
    """The function gets the very values of the configuration: tuples, nested ones, infinities, unicode."""
    config = {
        "a": (1, (2.5, "x")),
        "b": [1, None],
        "c": {"k": {1: True}},
        "d": float("inf"),
        "e": "größe\n'\"",
        "f": 2**70,
    }

    def tune(**given: Any) -> None:
        Reporter()(seen=repr(given))

    plain = {key: config[key] for key in "bdef"}
    driver = run(tmp_path, tune, config, plain)
    assert [driver.reports(trial_id)[0].metrics["seen"] for trial_id in (0, 1)] == [repr(config), repr(plain)]


def test_checkpoint_directory_only_if_wanted(tmp_path: Path) -> None:
    """A function without a parameter st_checkpoint_dir is not given one."""

    def tune(x: int) -> None:
        Reporter()(x=x)

    assert run(tmp_path, tune, {"x": 1}).end_of(0).outcome is Outcome.completed
    assert not (tmp_path / "trials" / "0" / "checkpoints").exists()


def test_reporter_made_outside(tmp_path: Path) -> None:
    """A Reporter that the function finds in its closure reports for the trial it is called in."""
    report = Reporter()

    def tune(x: int) -> None:
        report(x=x)

    driver = run(tmp_path, tune, {"x": 1}, {"x": 2})
    assert [driver.reports(trial_id)[0].metrics["x"] for trial_id in (0, 1)] == [1, 2]


def test_random_numbers_differ(tmp_path: Path) -> None:
    """Trials are forks of one process, yet draw different random numbers, and have names of their own in /proc."""

    def tune() -> None:
        import random
        import uuid
        from pathlib import Path

        variables = Path("/proc/self/environ").read_bytes().split(b"\0") if Path("/proc").exists() else []
        shown = [item.decode() for item in variables if item.startswith(b"CLOUDTUNE_TRIAL=")]
        Reporter()(python=random.random(), name=str(uuid.uuid4()), shown=shown)

    driver = run(tmp_path, tune, {}, {}, {})
    metrics = [driver.reports(trial_id)[0].metrics for trial_id in range(3)]
    assert len({m["python"] for m in metrics}) == 3
    assert len({m["name"] for m in metrics}) == 3
    if sys.platform == "linux":
        assert [m["shown"] for m in metrics] == [[f"CLOUDTUNE_TRIAL={trial_id}"] for trial_id in range(3)]


def test_process_ends_as_a_script_would(tmp_path: Path) -> None:
    """atexit functions run, threads are waited for, output without a newline arrives, exit codes count."""

    def tune(code: Any, thread: bool) -> None:
        import atexit
        import sys
        import threading

        atexit.register(print, "at exit", end="")
        if thread:
            threading.Timer(0.2, print, ["thread"], {"end": " "}).start()
        sys.exit(code)

    configs: list[dict[str, Any]] = [{"code": code, "thread": False} for code in (None, 0, 5, "a message")]
    driver = Driver(PythonBackend(tune), tmp_path)
    driver.open()
    for trial_id, config in enumerate([*configs, {"code": 0, "thread": True}]):
        driver.start(trial_id, **config)
    ends = [driver.end_of(trial_id) for trial_id in range(5)]
    outputs = [driver.backend.stdout(trial_id) for trial_id in range(5)]
    driver.backend.close(stop_running=True)
    assert [end.exit_code for end in ends] == [0, 0, 5, 1, 0]
    assert "a message" in ends[3].reason
    assert outputs == ["at exit"] * 4 + ["thread at exit"]


def test_traceback_begins_in_the_function(tmp_path: Path) -> None:
    """The reason of a failure shows the user's lines and none of ours."""

    def tune(x: int) -> None:
        assert x < 0, "x must be negative"

    reason = run(tmp_path, tune, {"x": 1}).end_of(0).reason
    assert "x must be negative" in reason
    assert "in tune" in reason
    assert "function_trial.py" not in reason


def test_nothing_of_the_supervisor_reaches_a_trial(tmp_path: Path) -> None:
    """A trial holds no descriptor but its own three, leads its session, and has the default signal handlers."""

    def tune() -> None:
        import os
        import signal

        names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)
        handlers = [getattr(signal.getsignal(name), "name", str(signal.getsignal(name))) for name in names]
        blocked = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
        listed = sorted(int(name) for name in os.listdir("/dev/fd"))
        Reporter()(handlers=handlers, blocked=blocked, leads=os.getsid(0) == os.getpid(), descriptors=listed)

    for reuse in (False, True):
        folder = tmp_path / str(reuse)
        folder.mkdir()
        metrics = run(folder, tune, {}, reuse_processes=reuse).reports(0)[0].metrics
        assert "default_int_handler" in metrics["handlers"].pop(1)
        assert metrics["handlers"] == ["SIG_DFL", "SIG_DFL", "SIG_DFL", "SIG_IGN"]
        assert metrics["blocked"] == []
        assert metrics["leads"]
        own = 6 if reuse else 4  # the listing itself, and two pipes to the supervisor
        assert len(metrics["descriptors"]) == own


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"x": 1}, r"'tune' has the parameter 'y', which is not in the config space"),
        ({"x": 1, "y": 2, "z": 3}, r"'tune' has no parameter 'z', which is in the config space"),
    ],
)
def test_config_space_must_fit_the_function(space: dict[str, Any], message: str) -> None:
    """Names that do not fit are told when the backend is made, not by every trial."""

    def tune(x: int, y: int, w: int = 0) -> None: ...

    with pytest.raises(ValueError, match=message):
        PythonBackend(tune_function=tune, config_space=space)


def test_values_that_cannot_be_sent(tmp_path: Path) -> None:
    """A configuration with a value that no other process can have names it."""

    def tune(x: Any) -> None: ...

    backend = PythonBackend(tune)
    driver = Driver(backend, tmp_path)
    driver.open()
    with pytest.raises(ValueError, match="value of 'x' in the configuration cannot be sent"):
        backend.start_trial(Trial(0, {"x": (i for i in range(3))}))
    assert backend.busy_workers() == 0
    backend.close(stop_running=True)


def test_search_path_of_the_tuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function imports what the tuner has put on its search path, be it by a Path; what is no path is left out."""
    (tmp_path / "neighbour_by_str.py").write_text("NUMBER = 1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "neighbour_by_path.py").write_text("NUMBER = 2\n")
    search_path: list[Any] = [*sys.path, str(tmp_path), tmp_path / "sub", None]
    monkeypatch.setattr(sys, "path", search_path)

    def tune() -> None:
        import neighbour_by_path  # type: ignore[import-not-found]
        import neighbour_by_str  # type: ignore[import-not-found]

        Reporter()(sum=neighbour_by_path.NUMBER + neighbour_by_str.NUMBER)

    assert run(tmp_path, tune, {}).reports(0)[0].metrics["sum"] == 3


def test_default_name() -> None:
    """An experiment without a name is called after the function."""

    def _tune_my_net() -> None: ...

    assert PythonBackend(_tune_my_net).default_name == "tune-my-net"
    assert PythonBackend(lambda: None).default_name == "lambda"
    _tune_my_net.__name__ = "größe" * 20
    name = PythonBackend(_tune_my_net).default_name
    assert validate_name(name) == name
    _tune_my_net.__name__ = "__"
    assert PythonBackend(_tune_my_net).default_name == "function"


SCRIPT = """
import math, sys
from pathlib import Path
from cloudtune import Reporter
from cloudtune.backend import PythonBackend
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.trial import End, Trial
import neighbour

with open("runs.txt", "a") as file:
    file.write("run\\n")
FACTOR = 3


class Settings:
    offset = 0.5


def scaled(x):
    return FACTOR * math.floor(x) + neighbour.CONSTANT


def with_class(x):
    report = Reporter()
    report(y=scaled(x) + Settings.offset, name=__name__)


def tune(x):
    report = Reporter()
    report(y=scaled(x), name=__name__)


def result_of(function):
    backend = PythonBackend(tune_function=function)
    backend.open(ExperimentPlace("script", "abcdef", Path(sys.argv[1]), 1))
    backend.attach([])
    backend.start_trial(Trial(0, {"x": 2.5}))
    events = []
    while not events or not isinstance(events[-1], End):
        events += backend.poll(None)
    backend.close(stop_running=True)
    return [event.metrics["y"] for event in events[:-1]], events[-1].reason


for function in (tune, with_class, lambda x: Reporter()(y=x)):
    print(*result_of(function))
"""


@pytest.mark.parametrize("how", ["script", "stdin"])
def test_script_and_notebook(tmp_path: Path, how: str) -> None:
    """Functions of a script without a guard, or without a file (as in a notebook), run; the script itself runs once."""
    (tmp_path / "neighbour.py").write_text("CONSTANT = 10\n")
    script = tmp_path / "no_guard.py"
    script.write_text(SCRIPT)
    place = tmp_path / "place"
    place.mkdir()
    argv = [sys.executable, str(script) if how == "script" else "-", str(place)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        argv,
        input=None if how == "script" else SCRIPT,
        stdin=subprocess.DEVNULL if how == "script" else None,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["[16] ", "[16.5] ", "[2.5] "]
    assert (tmp_path / "runs.txt").read_text() == "run\n"
