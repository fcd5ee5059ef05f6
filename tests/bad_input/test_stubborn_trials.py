"""Trials that do not end when they should, or leave processes behind: scripts and functions alike."""

from __future__ import annotations

import pytest

from cloudtune.store import entries
from cloudtune.store.results_rows import is_result
from tests.bad_input import messages
from tests.bad_input.place import EARLIER_REPORTS, PREAMBLE, Place, alive, wait_until

#: A user's tuning script: train.py, or a function that does the same, with half a second between SIGTERM and SIGKILL.
TUNE = """
import logging
import runpy
import sys

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend, PythonBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.optimizer.scheduler import SchedulerDecision

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
kind, decision, reports = sys.argv[1], sys.argv[2], int(sys.argv[3])
space = {"x": uniform(0, 1), "max_epochs": 4}


class Impatient(RandomSearch):
    def on_trial_result(self, trial, result):
        super().on_trial_result(trial, result)
        return getattr(SchedulerDecision, decision) if result["epoch"] >= 2 else SchedulerDecision.CONTINUE


def train(x, max_epochs, st_checkpoint_dir):
    import runpy
    import sys

    sys.argv[:] = ["train.py", f"--x={x}", f"--max_epochs={max_epochs}", f"--st_checkpoint_dir={st_checkpoint_dir}"]
    runpy.run_path("train.py", run_name="__main__")


Tuner(
    trial_backend=LocalBackend("train.py", stop_grace=0.5)
    if kind == "script"
    else PythonBackend(train, space, stop_grace=0.5),
    scheduler=Impatient(space, metric="error", random_seed=1),
    stop_criterion=StoppingCriterion(max_num_trials_started=1)
    | StoppingCriterion(max_num_evaluations=reports),
    n_workers=1,
    tuner_name="stubborn",
    suffix_tuner_name=False,
).run()
"""

DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"

KINDS = pytest.mark.parametrize("kind", ["script", "function"])


@pytest.fixture
def stubborn(place: Place) -> Place:
    """With the tuning script."""
    place.write("tune.py", TUNE)
    return place


def run_and_check(place: Place, kind: str, decision: str, reports: int, row: str) -> None:
    """Runs the tuning script to its end, or so many reports; it must succeed, and leaves nothing behind."""
    done = place.run(place.program(kind, decision, str(reports)))
    messages.check(row, done, place)
    assert done.returncode == 0, done.stderr
    place.check_nothing_left("stubborn")
    place.check_kept(EARLIER_REPORTS)


@KINDS
@pytest.mark.parametrize(("decision", "mark", "status"), [("STOP", "extra", "Stopped"), ("PAUSE", "late", "Paused")])
def test_reports_after_being_told_to_end(stubborn: Place, kind: str, decision: str, mark: str, status: str) -> None:
    """They are kept: after a stop as results (``extra``), after a pause in the log alone (``late``)."""
    rest = "epoch = 0\nwhile True:\n    epoch += 1\n    report(epoch=epoch, error=0.5)\n    time.sleep(0.05)\n"
    stubborn.write("train.py", PREAMBLE + DEAF + rest)
    run_and_check(stubborn, kind, decision, 1000, "trial goes on reporting after it was told to end")
    log = stubborn.log("stubborn")
    reports = [entry for entry in log if entry["event"] == entries.REPORT]
    at_decision = next(i for i, entry in enumerate(reports) if entry["decision"] == decision)
    afterwards = reports[at_decision + 1 :]
    assert afterwards
    assert all(entry[mark] is True for entry in afterwards)
    assert not any(mark in entry for entry in reports[: at_decision + 1])
    assert stubborn.endings("stubborn") == [status]
    stubborn.check_kept(sum(map(is_result, log)), "stubborn")
    assert sum(map(is_result, log)) == (len(reports) if decision == "STOP" else at_decision + 1)


@KINDS
def test_ignores_sigterm(stubborn: Place, kind: str) -> None:
    """At the end of the experiment it is killed, and the user is told why; what it had reported is kept."""
    stubborn.write("train.py", PREAMBLE + DEAF + "report(epoch=1, error=0.5)\ntime.sleep(600)\n")
    run_and_check(stubborn, kind, "CONTINUE", 1, "trial ignores SIGTERM")
    assert stubborn.endings("stubborn") == ["Interrupted"]
    stubborn.check_kept(1, "stubborn")


#: Three children that would live on: in the trial's group, in a session of its own, and one that hides all it can.
FAMILY = """
born = open("born.txt", "a", buffering=1)


def child(hide):
    if os.fork():
        return
    if hide != "nothing":
        os.setsid()
    if hide == "everything":
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.execve("/bin/sh", ["sh", "-c", "echo $$ >> born.txt; exec sleep 600"], {"PATH": os.environ["PATH"]})
    born.write(f"{os.getpid()}\\n")
    time.sleep(600)
    os._exit(0)


for hide in ("nothing", "group", "everything"):
    child(hide)
while len(open("born.txt").read().split()) < 3:
    time.sleep(0.02)
report(epoch=1, error=0.5)
"""


@KINDS
@pytest.mark.parametrize("end", ["by itself", "stopped", "killed"])
def test_forks_children(stubborn: Place, kind: str, end: str) -> None:
    """None of its children is alive afterwards, however far they have gone and however the trial ended."""
    rest = {
        "by itself": "",
        "stopped": "report(epoch=2, error=0.4)\ntime.sleep(600)\n",
        "killed": "report(epoch=2, error=0.4)\nos.kill(os.getpid(), signal.SIGKILL)\n",
    }[end]
    stubborn.write("train.py", PREAMBLE + FAMILY + rest)
    decision = "STOP" if end == "stopped" else "CONTINUE"
    run_and_check(stubborn, kind, decision, 1000, f"trial forks children and ends: {end}")
    born = [int(pid) for pid in (stubborn.folder / "born.txt").read_text().split()]
    assert len(born) == 3
    wait_until(lambda: not alive(born))
    expected = {"by itself": "Completed", "stopped": "Stopped", "killed": "Failed"}
    assert stubborn.endings("stubborn") == [expected[end]]
    stubborn.check_kept(1 if end == "by itself" else 2, "stubborn")
