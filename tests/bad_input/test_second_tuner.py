"""A second tuner on the same experiment: refused, unless it is told to take over; then the first touches nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.bad_input import messages
from tests.bad_input.place import EARLIER, EARLIER_REPORTS, GOOD, PREAMBLE, Place, Started, alive, wait_until

#: An epoch in which each attempt of a trial waits until it is told to go on, or is ended.
HOLD = """
    while epoch == 4 + 3 * int(os.environ["CLOUDTUNE_ATTEMPT"]) and not os.path.exists("go"):
        time.sleep(0.02)
"""
EPOCHS = 9


def begin(place: Place, *more: str) -> Started:
    """Starts a tuner that goes on with a second trial."""
    return place.start(place.tuning("--max-num-trials-started", "2", *more))


@pytest.fixture
def busy(place: Place) -> Place:
    """With a script whose first attempt reports 3 epochs and then waits, its second 3 more."""
    before, loop, after = (PREAMBLE + GOOD).partition("    time.sleep(")
    place.write("train.py", before.replace("options.max_epochs + 1", f"{EPOCHS + 1}") + HOLD + loop + after)
    return place


def test_refused(busy: Place) -> None:
    """The message names who drives it and how to take over; the first tuner does not notice."""
    first = begin(busy)
    wait_until(lambda: len(busy.reported(1)) == 3)
    done = busy.run(busy.tuning("--max-num-trials-started", "2"))
    messages.check("second tuner", done, busy)
    assert done.returncode == 1
    assert f"is driven by pid {first.process.pid} on host" in done.stderr
    assert "wait for it to end, stop it, or take over with --takeover" in done.stderr
    assert first.process.poll() is None
    first.process.send_signal(signal.SIGTERM)
    assert first.end().returncode == 143
    assert busy.endings() == ["Completed", "Interrupted"]
    busy.check_kept(EARLIER_REPORTS + len(busy.reported(1)))
    busy.check_nothing_left()


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_takeover(busy: Place, stopped: bool) -> None:
    """Supervisor and trials of the first are gone before the second goes on; the first ends and touches nothing."""
    first = begin(busy)
    wait_until(lambda: len(busy.reported(1)) == 3)
    if stopped:
        first.process.send_signal(signal.SIGSTOP)
    of_first = [process.pid for process in busy.processes()]
    assert len(of_first) == 2, "supervisor and trial"

    second = begin(busy, "--takeover")
    wait_until(lambda: len(busy.reported(1, 1)) >= 2)
    assert alive(of_first) == []
    of_second = [process.pid for process in busy.processes()]
    assert len(of_second) == 2
    before = guarded(busy.experiments / EARLIER)

    if stopped:
        assert first.process.poll() is None
        first.process.send_signal(signal.SIGCONT)
    done = first.end()
    messages.check("first tuner after a takeover", done, busy)
    assert done.returncode == 1
    assert f"was taken over by pid {second.process.pid} on host" in done.stderr
    assert "this tuner stops and leaves everything to that one" in done.stderr

    assert alive(of_second) == of_second
    assert guarded(busy.experiments / EARLIER) == before
    busy.write("go", "")
    done = second.end()
    assert done.returncode == 0, done.stderr
    assert busy.endings() == ["Completed", "Interrupted", "Completed"]
    seen = [report["epoch"] for attempt in (0, 1) for report in busy.reported(1, attempt)]
    assert sorted(set(seen)) == list(range(1, EPOCHS + 1))
    busy.check_kept(EARLIER_REPORTS + len(seen))
    busy.check_nothing_left()


#: A user's tuning script, with little patience for trials that are to end.
TUNE = """
import logging
import sys

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
Tuner(
    trial_backend=LocalBackend("train.py", stop_grace=0.1),
    scheduler=RandomSearch(
        {"x": uniform(0, 1), "max_epochs": 4}, metric="error", random_seed=1, max_resource_attr="max_epochs"
    ),
    stop_criterion=StoppingCriterion(max_num_trials_started=2),
    n_workers=1,
    tuner_name="kept",
    suffix_tuner_name=False,
).run(takeover="takeover" in sys.argv)
"""


def test_takeover_from_a_frozen_machine(busy: Place) -> None:
    """Even a supervisor that does not move any more ends; its tuner, thawed, kills nothing of the second's."""
    busy.write("tune.py", TUNE)
    first = busy.start(busy.program())
    wait_until(lambda: len(busy.reported(1)) == 3)
    first.process.send_signal(signal.SIGSTOP)
    of_first = busy.processes()
    for process in of_first:
        process.suspend()
    second = busy.start(busy.program("takeover"))
    wait_until(lambda: len(busy.reported(1, 1)) == 3)
    assert alive(process.pid for process in of_first) == []
    of_second = [process.pid for process in busy.processes()]
    first.process.send_signal(signal.SIGCONT)
    done = first.end()
    messages.check("first tuner after a takeover, its supervisor killed", done, busy)
    assert done.returncode == 1
    assert alive(of_second) == of_second
    busy.write("go", "")
    done = second.end()
    messages.check("second tuner, which had to kill what the first had left", done, busy)
    assert done.returncode == 0, done.stderr
    assert busy.endings() == ["Completed", "Interrupted", "Completed"]
    busy.check_nothing_left()
    busy.check_kept(EARLIER_REPORTS + len(busy.reported(1)) + len(busy.reported(1, 1)))


def guarded(experiment: Path) -> dict[str, object]:
    """What only the second tuner may change now, and does not while its trial runs: its pipe, and the first's log."""
    fifo = os.stat(experiment / "wake.fifo")
    return {
        "pipe": (fifo.st_dev, fifo.st_ino),
        "log of the first": (experiment / "log" / "000002.jsonl").read_bytes(),
        "segments": sorted(path.name for path in (experiment / "log").iterdir()),
        "end of the first attempt": (experiment / "trials" / "1" / "end-0.json").read_bytes(),
    }
