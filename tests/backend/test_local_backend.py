"""LocalBackend: the contract, and what is its own: command lines, scripts that cannot run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.backend import LocalBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.errors import BackendBroken
from cloudtune.store.places import validate_name
from cloudtune.trial import Outcome, Trial
from tests.contracts import training_program
from tests.contracts.backend_driver import Driver
from tests.contracts.local_process_contract import LocalProcessContract
from tests.own_children import own_children

PROGRAM = Path(training_program.__file__)


class TestLocalBackend(LocalProcessContract):
    """The contract."""

    def make_backend(self, **options: Any) -> TrialBackend:
        return LocalBackend(PROGRAM, **options)

    def test_many_at_once(self, tmp_path: Path) -> None:
        """100 trials at the same time need no more file descriptors in the tuner than one."""
        driver = Driver(self.make_backend(), tmp_path, n_workers=100)
        sleeper = tmp_path / "sleeper.sh.py"
        sleeper.write_text("import signal; signal.pause()")
        driver.backend = LocalBackend(sleeper)
        driver.open()
        before = psutil.Process().num_fds()
        for trial_id in range(100):
            driver.start(trial_id)
        assert psutil.Process().num_fds() == before
        for trial_id in range(100):
            driver.backend.stop_trial(trial_id)
        assert {driver.end_of(trial_id).outcome for trial_id in range(100)} == {Outcome.stopped}
        driver.backend.close(stop_running=True)

    def test_trials_get_variables(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those named are set for trials, beside those of the tuner, and win over them; the tuner's own stay."""
        monkeypatch.setenv("FOLDER_OF_DATA", "the tuner's")
        monkeypatch.setenv("KEPT", "kept")
        script = tmp_path / "tells.py"
        script.write_text("import os; print(os.environ['FOLDER_OF_DATA'], os.environ['KEPT'])")
        backend = LocalBackend(script, environment={"FOLDER_OF_DATA": "the trial's"})
        driver = Driver(backend, tmp_path)
        driver.open()
        driver.start(0)
        driver.end_of(0)
        assert backend.stdout(0) == "the trial's kept\n"
        assert os.environ["FOLDER_OF_DATA"] == "the tuner's"
        backend.close(stop_running=True)

    def test_supervisor_dies_again_and_again(self, driver: Driver) -> None:
        """After more than three deaths without a report the backend gives up, and says where to look."""
        for attempt in range(4):
            trial = Trial(0, {"hold": True}, attempt=attempt)
            if attempt:
                driver.backend.resume_trial(trial)
            else:
                driver.backend.start_trial(trial)
            [child] = own_children()
            child.kill()
            assert driver.end_of(0, attempt).outcome is Outcome.interrupted
        with pytest.raises(BackendBroken, match=r"killed 4 times.*supervisor\.log"):
            driver.backend.poll(0)

    def test_idle_tuner_does_not_wake(self, driver: Driver) -> None:
        """While four trials sleep, tuner and supervisor sleep too: no periodic waking."""
        for trial_id in range(4):
            driver.start(trial_id, reports=1, hold=True)
        for trial_id in range(4):
            driver.wait_for_reports(trial_id, 1)
        [supervisor] = own_children()
        driver.events += driver.backend.poll(0)
        before = supervisor.num_ctx_switches().voluntary
        own = _own_switches()
        assert driver.backend.poll(2.0) == []
        assert supervisor.num_ctx_switches().voluntary - before <= 1
        assert _own_switches() - own <= 3


def _own_switches() -> int:
    for line in Path("/proc/thread-self/status").read_text().splitlines():
        if line.startswith("voluntary"):
            return int(line.split()[1])
    raise AssertionError("no count of context switches")


SHOW = """
import json, os, sys
with open(os.environ["SHOWN"], "w") as file:
    json.dump({"argv": sys.argv, "cwd": os.getcwd(), "stdin": sys.stdin.read(), "environment": dict(os.environ)}, file)
"""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Runs a script with a configuration, and returns what the script saw."""
    script = tmp_path / "a script.py"
    script.write_text(SHOW)
    monkeypatch.setenv("SHOWN", str(tmp_path / "shown.json"))

    def run(config: dict[str, Any], n_workers: int = 1, **options: Any) -> Any:
        backend = LocalBackend(script, **options)
        driver = Driver(backend, tmp_path / "experiment", n_workers)
        driver.place.path.mkdir(exist_ok=True)
        driver.open()
        backend.start_trial(Trial(0, config))
        end = driver.end_of(0)
        backend.close(stop_running=True)
        assert end.outcome is Outcome.completed, end.reason
        return json.loads((tmp_path / "shown.json").read_text())

    yield run
    shutil.rmtree(tmp_path / "experiment")


@pytest.mark.defect("C20")
def test_arguments_arrive_intact(shown: Any, tmp_path: Path) -> None:
    """Spaces, quotes, newlines, unicode and dashes pass unchanged: no shell, no splitting."""
    config = {
        "spaces": "hello world",
        "quotes": 'it\'s "quoted" $HOME `x` \\',
        "lines": "a\nb\ttab",
        "unicode": "größe ✓ 数",
        "small": 1e-05,
        "negative": -1e-05,
        "dash": "-x",
        "empty": "",
        "count": 3,
        "yes": True,
        "nothing": None,
        "list": [1, "two", None],
        "dict": {"a": 0.5},
        "infinite": float("inf"),
    }
    seen = shown(config)
    checkpoints = str(tmp_path / "experiment" / "trials" / "0" / "checkpoints")
    assert seen["argv"] == [
        str(tmp_path / "a script.py"),
        *("--spaces", "hello world"),
        *("--quotes", 'it\'s "quoted" $HOME `x` \\'),
        *("--lines", "a\nb\ttab"),
        *("--unicode", "größe ✓ 数"),
        *("--small", "1e-05"),
        "--negative=-1e-05",
        "--dash=-x",
        *("--empty", ""),
        *("--count", "3"),
        *("--yes", "True"),
        *("--list", '[1, "two", null]'),
        *("--dict", '{"a": 0.5}'),
        *("--infinite", "inf"),
        *("--st_checkpoint_dir", checkpoints),
    ]
    assert seen["stdin"] == ""
    assert seen["cwd"] == os.getcwd()


def test_arguments_as_json(shown: Any, tmp_path: Path) -> None:
    """With pass_args_as_json the script gets the name of a JSON file with the configuration, however large it is."""
    config = {"text": "x" * 300_000, "rate": 0.1, "nothing": None}
    argv = shown(config, pass_args_as_json=True)["argv"]
    assert [argument for argument in argv if argument.startswith("--")] == [
        "--st_config_json_filename",
        "--st_checkpoint_dir",
    ]
    assert json.loads(Path(argv[2]).read_text()) == config


def test_environment_of_a_trial(shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial is told who it is; threads are shared out among workers unless the user has set them."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = shown({}, n_workers=1000)["environment"]
    assert environment["CLOUDTUNE_EXPERIMENT"].startswith("contract-")
    assert (environment["CLOUDTUNE_TRIAL"], environment["CLOUDTUNE_ATTEMPT"]) == ("0", "0")
    assert environment["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert shown({})["environment"]["OMP_NUM_THREADS"] == "7"


def test_gpus_rotate(tmp_path: Path) -> None:
    """Each running trial sees a GPU of its own; one that is free again is given to the next trial."""
    driver = Driver(LocalBackend(PROGRAM, gpus_to_use=[3, 5]), tmp_path)
    driver.open()
    for trial_id in (0, 1):
        driver.start(trial_id, reports=1, hold=True)
        driver.wait_for_reports(trial_id, 1)
    driver.backend.stop_trial(0)
    driver.end_of(0)
    driver.start(2, reports=1)
    driver.end_of(2)
    driver.backend.close(stop_running=True)
    assert [driver.reports(trial_id)[0].metrics["gpus"] for trial_id in range(3)] == ["3", "5", "3"]


def test_one_gpu_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one GPU named in gpus_to_use is all that a trial sees, whatever the tuner sees."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    driver = Driver(LocalBackend(PROGRAM, gpus_to_use=[1]), tmp_path)
    driver.open()
    driver.start(0, reports=1)
    driver.end_of(0)
    driver.backend.close(stop_running=True)
    assert driver.reports(0)[0].metrics["gpus"] == "1"
    with pytest.raises(ValueError, match="gpus_to_use names no GPU"):
        LocalBackend(PROGRAM, gpus_to_use=[])


def test_no_such_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing script is told at once, by its absolute path, and what to do."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"no file {tmp_path}/train\.py; give the path"):
        LocalBackend("train.py")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:\n", "SyntaxError"),
        ("#!/bin/sh\necho hello | grep hello\n", "SyntaxError"),
        ("\x7fELF\x02\x01 \udcff\udcfe binary", "SyntaxError"),
    ],
)
def test_script_that_python_cannot_run(tmp_path: Path, source: str, words: str) -> None:
    """A file that is no Python is a failed trial whose reason shows what Python says."""
    script = tmp_path / "broken.py"
    script.write_bytes(source.encode(errors="surrogateescape"))
    driver = Driver(LocalBackend(script), tmp_path)
    driver.open()
    driver.start(0)
    end = driver.end_of(0)
    driver.backend.close(stop_running=True)
    assert end.outcome is Outcome.failed
    assert words in end.reason
    assert "exit code 1" in end.reason


def test_trial_that_cannot_be_started(tmp_path: Path) -> None:
    """A value too long for a command line fails its trial, with the reason; the next one runs."""
    driver = Driver(LocalBackend(PROGRAM), tmp_path)
    driver.open()
    driver.start(0, echo="x" * 3_000_000)
    driver.start(1, echo="nul \0 inside")
    driver.start(2, reports=1)
    ends = [driver.end_of(trial_id) for trial_id in range(3)]
    driver.backend.close(stop_running=True)
    assert [end.outcome for end in ends] == [Outcome.failed, Outcome.failed, Outcome.completed]
    assert "could not be started" in ends[0].reason
    assert "too long" in ends[0].reason
    assert "null byte" in ends[1].reason


def test_folder_of_a_trial_that_the_log_has_lost(tmp_path: Path) -> None:
    """After a power cut a trial's number may be given again: what the lost one left is not taken for the new one's."""
    stale = tmp_path / "trials" / "0"
    (stale / "checkpoints").mkdir(parents=True)
    (stale / "checkpoints" / "state").write_text("stale")
    (stale / "reports-0.jsonl").write_text('{"step": 99}\n')
    (stale / "reports-1.jsonl").write_text('{"step": 98}\n')
    driver = Driver(LocalBackend(PROGRAM), tmp_path)
    driver.open()
    driver.start(0, reports=1, save="new")
    driver.end_of(0)
    (stale / "reports-1.jsonl").write_text('{"step": 98}\n')
    driver.backend.resume_trial(Trial(0, {"reports": 1}, attempt=1))
    driver.end_of(0, attempt=1)
    driver.backend.close(stop_running=True)
    assert [(r.metrics["step"], r.metrics["found"]) for r in driver.reports(0)] == [(0, ""), (0, "")]


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("train_my_net.py", "train-my-net"),
        ("train v2.py", "train-v2"),
        ("train.v2.py", "train-v2"),
        ("_x__y_.py", "x-y"),
        ("ünï.py", "uni"),
        ("训练.py", "script"),
        ("x" * 70 + ".py", "x" * 63),
    ],
)
def test_default_name(tmp_path: Path, script: str, name: str) -> None:
    """An experiment without a name is called after the script, in letters that AWS takes too."""
    (tmp_path / script).touch()
    assert validate_name(LocalBackend(tmp_path / script).default_name) == name


def test_bad_options() -> None:
    """Options that make no sense are refused, with the remedy."""
    with pytest.raises(ValueError, match="stop_grace"):
        LocalBackend(PROGRAM, stop_grace=-1)
    with pytest.raises(ValueError, match="only 2 GPUs"):
        LocalBackend(PROGRAM, gpus_to_use=[0, 1], num_gpus_per_trial=3)
    with pytest.raises(ValueError, match="at least 1"):
        LocalBackend(PROGRAM, num_gpus_per_trial=0)
