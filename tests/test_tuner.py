"""The tuner with real processes on this machine: names, signals, snapshots, and what is left afterwards."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.errors import ExperimentNotFound
from cloudtune.experiments import load_experiment
from cloudtune.optimizer.baselines import ASHA, RandomSearch
from cloudtune.store import entries
from cloudtune.store.local_store import LocalStore
from cloudtune.store.places import experiment_path
from tests.chaos.leftovers import marked_processes
from tests.own_children import own_children

TRAIN = """
import argparse, time
from cloudtune import Reporter
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--epochs", type=int)
parser.add_argument("--seconds", type=float, default=0.0)
args, _ = parser.parse_known_args()
report = Reporter()
for epoch in range(1, args.epochs + 1):
    report(epoch=epoch, loss=args.x / epoch)
    time.sleep(args.seconds)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A training script that reports a few epochs."""
    path = tmp_path / "train_me.py"
    path.write_text(TRAIN)
    return path


def make_tuner(script: Path, epochs: int = 3, seconds: float = 0.0, **options: Any) -> Tuner:
    """Random search over the script."""
    space = {"x": uniform(0, 1), "epochs": epochs, "seconds": seconds}
    options.setdefault("stop_criterion", StoppingCriterion(max_num_trials_started=3))
    options.setdefault("n_workers", 2)
    options.setdefault("scheduler", RandomSearch(space, metric="loss", resource_attr="epoch", random_seed=1))
    return Tuner(trial_backend=LocalBackend(entry_point=str(script), stop_grace=5.0), **options)


def test_names(script: Path) -> None:
    """By default the script's name and a time stamp; exactly the given name with suffix_tuner_name=False."""
    assert re.fullmatch(r"train-me-\d{4}(-\d\d){5}-\d{3}", make_tuner(script).name)
    assert re.fullmatch(r"mine-\d{4}(-\d\d){5}-\d{3}", make_tuner(script, tuner_name="mine").name)
    assert make_tuner(script, tuner_name="mine", suffix_tuner_name=False).name == "mine"
    with pytest.raises(ValueError, match="not_valid"):
        make_tuner(script, tuner_name="not_valid!")


def test_nothing_of_the_process_is_left_behind(script: Path) -> None:
    """After a run file descriptors, threads, signal handlers and child processes are what they were before."""
    make_tuner(script).run()  # whatever is loaded once has been loaded now
    fds, threads = os.listdir("/proc/self/fd"), threading.enumerate()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    tuner = make_tuner(script)
    tuner.run()
    assert os.listdir("/proc/self/fd") == fds
    assert threading.enumerate() == threads
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == handlers
    assert own_children() == []
    assert marked_processes(tuner.name, os.environ["CLOUDTUNE_FOLDER"]) == []


def test_a_second_run_continues_by_name(script: Path) -> None:
    """The same tuner made anew under a fixed name goes on with the next trial; a larger limit is allowed."""
    options: dict[str, Any] = {"tuner_name": "fixed", "suffix_tuner_name": False}
    make_tuner(script, **options).run()
    second = make_tuner(script, stop_criterion=StoppingCriterion(max_num_trials_started=5), **options)
    second.run()
    results = load_experiment("fixed").results
    assert sorted(results.trial_id.unique()) == [0, 1, 2, 3, 4]
    assert len(results) == 15
    assert second.status.num_trials_completed == 5


def test_a_suffixed_run_mentions_the_unfinished_one(script: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new experiment begins, and the newest unfinished one of the same name is mentioned with the way to continue."""
    broken = make_tuner(script, tuner_name="again")
    store = LocalStore(broken.tuner_path)
    store.open()
    store.append(
        [
            {
                "event": entries.EXPERIMENT,
                "name": broken.name,
                "experiment_id": "aaaaaa",
                "scheduler": {},
                "metadata": {},
                "unix": time.time(),
            }
        ]
    )
    store.close()
    time.sleep(0.002)
    with caplog.at_level(logging.INFO):
        make_tuner(script, tuner_name="again").run()
    assert f"experiment '{broken.name}' is not finished" in caplog.text
    assert f"cloudtune resume {broken.name}" in caplog.text


def test_a_snapshot_and_the_log_give_the_tuner_of_any_time(script: Path) -> None:
    """Tuner.load rebuilds status and scheduler from tuner.dill and the log; it can run on, a lambda included."""
    tuner = make_tuner(script, stop_criterion=lambda status: status.num_trials_completed >= 3)
    tuner.run()
    loaded = Tuner.load(tuner.tuner_path)
    assert loaded.status.num_evaluations == tuner.status.num_evaluations
    assert loaded.best_config() == tuner.best_config()
    assert loaded.scheduler.num_suggestions == tuner.scheduler.num_suggestions
    loaded.stop_criterion = StoppingCriterion(max_num_trials_completed=6)
    loaded.run()
    assert loaded.status.num_trials_completed >= 6
    assert load_experiment(tuner.name).results.trial_id.nunique() >= 6


def test_a_snapshot_that_cannot_be_read(script: Path) -> None:
    """It is said so, with the remedy; the script itself continues from the log."""
    tuner = make_tuner(script, stop_criterion=StoppingCriterion(max_num_trials_completed=1), suffix_tuner_name=False)
    tuner.run()
    path = tuner.tuner_path / "tuner.dill"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ExperimentNotFound, match=r"tuner\.dill cannot be read .* continues from the log"):
        Tuner.load(tuner.tuner_path)
    again = make_tuner(script, stop_criterion=StoppingCriterion(max_num_trials_completed=2), suffix_tuner_name=False)
    again.run()
    assert again.status.num_trials_completed >= 2


def test_what_cannot_be_pickled_costs_only_the_snapshot(script: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A criterion that holds a generator: a warning with the remedy, and the experiment runs all the same."""
    asked = (number for number in range(10**6))

    def criterion(status: Any) -> bool:
        return bool(next(asked) >= 0 and status.num_trials_completed >= 2)

    tuner = make_tuner(script, stop_criterion=criterion)
    tuner.run()
    assert "tuner.dill was not written" in caplog.text
    assert "save_tuner=False" in caplog.text
    assert tuner.status.num_trials_completed >= 2


def test_metadata_and_results_are_written(script: Path) -> None:
    """metadata.json has times, metrics, space and the user's entries; results.csv.zip has a row per report."""
    tuner = make_tuner(script, metadata={"n": 3, "tag": "x"})
    tuner.run()
    metadata = json.loads((tuner.tuner_path / "metadata.json").read_text())
    assert metadata["n"] == 3
    assert metadata["metric_names"] == ["loss"]
    assert metadata["config_space"]["epochs"] == 3
    assert metadata["st_tuner_creation_timestamp"] <= metadata["st_tuner_start_timestamp"]
    with pytest.raises(ValueError, match="metadata cannot be written as JSON"):
        make_tuner(script, metadata={"bad": object()})


def start(script: Path, folder: Path, *, ignore: bool = False) -> subprocess.Popen[str]:
    """A tuner of endless trials in a process of its own, once two trials have reported."""
    text = TRAIN.replace(
        "report = Reporter()", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nreport = Reporter()"
    )
    if ignore:
        script.write_text(text)
    program = folder / "program.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from pathlib import Path\nfrom tests.test_tuner import make_tuner, StoppingCriterion\n"
        f"tuner = make_tuner(Path({str(script)!r}), epochs=1000, seconds=0.2, tuner_name='signalled', "
        "suffix_tuner_name=False, stop_criterion=StoppingCriterion(max_wallclock_time=600))\n"
        f"tuner.trial_backend.stop_grace = {60 if ignore else 5}\n"
        "tuner.run()\n"
    )
    process = subprocess.Popen([sys.executable, str(program)], stderr=subprocess.PIPE, text=True)
    store = LocalStore(experiment_path("signalled"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if store.exists() and sum(e["event"] == entries.REPORT for e in store.read()) >= 4:
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the tuner did not get going")


@pytest.mark.defect("R1")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_in_order(script: Path, tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C: trials stopped, log and results complete, exit code 128 + signal; the trials go on later."""
    process = start(script, tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "stopping the running trials" in errors
    assert "Traceback" not in errors
    assert marked_processes("signalled", os.environ["CLOUDTUNE_FOLDER"]) == []
    log = list(LocalStore(experiment_path("signalled")).read())
    assert log[-1]["event"] == entries.FINISH
    assert log[-1]["state"] == entries.INTERRUPTED
    assert [e["status"] for e in log if e["event"] == entries.END] == ["Interrupted"] * 2
    reported = sum(
        len(path.read_text().splitlines()) for path in experiment_path("signalled").glob("trials/*/reports-*.jsonl")
    )
    assert len(load_experiment("signalled").results) == reported


@pytest.mark.defect("R1")
def test_a_second_ctrl_c_ends_at_once(script: Path, tmp_path: Path) -> None:
    """Trials that ignore SIGTERM would hold the first Ctrl-C for a minute; the second does not wait for them."""
    process = start(script, tmp_path, ignore=True)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "once more ends at once" not in process.stderr.readline():
        pass
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=50)
    assert process.returncode == 128 + signal.SIGINT
    assert time.monotonic() - began < 50, "the grace of a minute was not waited for"
    deadline = time.monotonic() + 40
    while marked_processes("signalled", os.environ["CLOUDTUNE_FOLDER"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked_processes("signalled", os.environ["CLOUDTUNE_FOLDER"]) == []


@pytest.mark.defect("E5")
def test_an_idle_tuner_sleeps(tmp_path: Path) -> None:
    """With four sleeping trials, tuner and supervisor together are scheduled fewer than twice a second."""
    script = tmp_path / "sleep.py"
    asleep = tmp_path / "asleep"
    asleep.mkdir()
    script.write_text(f"import os, time\nos.mkdir(f'{asleep}/{{os.getpid()}}')\ntime.sleep(1000)\n")
    tuner = make_tuner(script, n_workers=4, stop_criterion=StoppingCriterion(max_wallclock_time=1000))
    woken: list[int] = []

    def voluntary_switches() -> int:
        family = [psutil.Process(), *own_children()]
        # One thread of this process is the test itself; its own sleeps are counted out below.
        return sum(
            int(line.split()[1])
            for process in family
            for path in Path(f"/proc/{process.pid}/task").iterdir()
            if path.name != str(watcher.native_id)
            for line in (path / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        )

    def watch() -> None:
        while len(list(asleep.iterdir())) < 4:
            time.sleep(0.1)
        # On a busy machine it takes a while until all have gone to sleep: one of some spans has to be calm.
        while len(woken) < 5 and min(woken, default=10) >= 10:
            before = voluntary_switches()
            time.sleep(5.0)
            woken.append(voluntary_switches() - before)
        os.kill(os.getpid(), signal.SIGTERM)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(SystemExit):
        tuner.run()
    watcher.join()
    assert min(woken) < 10, "more than 2 wakings a second over 5 seconds, again and again"


def test_asha_stops_real_scripts_early(script: Path) -> None:
    """The whole house together: ASHA on scripts, early stops, the best configuration among the finished."""
    space = {"x": uniform(0, 1), "epochs": 9, "seconds": 0.02}
    scheduler = ASHA(space, metric="loss", resource_attr="epoch", max_resource_attr="epochs", random_seed=3)
    tuner = make_tuner(script, scheduler=scheduler, stop_criterion=StoppingCriterion(max_num_trials_started=16))
    tuner.run()
    counts = load_experiment(tuner.name).results.groupby("trial_id").size()
    assert (counts < 9).sum() >= 5
    assert (counts >= 9).sum() >= 1
    trial_id, config = tuner.best_config()
    assert counts[trial_id] >= 9
    assert config["x"] == min(r.trial.config["x"] for r in tuner.status.records.values() if r.num_reports >= 9)


def test_two_experiments_begun_in_the_same_millisecond(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both draw the same time stamp; the second takes the next free name instead of being refused."""
    monkeypatch.setattr(LocalBackend, "time", lambda _self: 1_790_000_000.0)
    first, second = make_tuner(script), make_tuner(script)
    assert first.name == second.name
    monkeypatch.undo()
    first.run()
    second.run()
    assert first.name != second.name
    assert second.status.num_trials_completed == 3


def test_an_interactive_session_survives_ctrl_c(script: Path, tmp_path: Path) -> None:
    """In a Python prompt Ctrl-C raises KeyboardInterrupt once everything is stored; the session goes on."""
    process = subprocess.Popen(
        [sys.executable, "-i", "-u"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "from pathlib import Path\nfrom tests.test_tuner import make_tuner, StoppingCriterion\n"
        f"tuner = make_tuner(Path({str(script)!r}), epochs=1000, seconds=0.2, tuner_name='prompt', "
        "suffix_tuner_name=False, stop_criterion=StoppingCriterion(max_wallclock_time=600))\n"
        "tuner.run()\nprint('still', 'here', len(tuner.status.records))\n"
    )
    process.stdin.flush()
    store = LocalStore(experiment_path("prompt"))
    deadline = time.monotonic() + 60
    while not (store.exists() and any(e["event"] == entries.REPORT for e in store.read())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert "still here 2" in printed
    assert list(store.read())[-1]["state"] == entries.INTERRUPTED
