"""Ctrl-C, Ctrl-C twice, and SIGTERM: everything is stored, nothing runs on, and the same command continues."""

from __future__ import annotations

import os
import signal

import pytest

from tests.bad_input import messages
from tests.bad_input.place import EARLIER_REPORTS, GOOD, PREAMBLE, Place, Started, wait_until

#: A user's tuning script whose trials have all the time in the world to end.
TUNE = """
import logging

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
Tuner(
    trial_backend=LocalBackend("train.py", stop_grace=3600),
    scheduler=RandomSearch({"x": uniform(0, 1), "max_epochs": 4}, metric="error", random_seed=1),
    stop_criterion=StoppingCriterion(max_num_trials_started=1),
    n_workers=1,
    tuner_name="patient",
    suffix_tuner_name=False,
).run()
"""

DEAF = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for epoch in range(1, 1000):
    report(epoch=epoch, error=0.5)
    time.sleep(0.05 if epoch < 4 else 600)
"""


#: The third epoch waits until it is told to go on, or is ended.
HOLD = """
    while epoch == 3 and not os.path.exists("go"):
        time.sleep(0.02)
"""


def press_ctrl_c(started: Started) -> None:
    """What a terminal does: the whole process group gets the signal."""
    os.killpg(started.process.pid, signal.SIGINT)


@pytest.mark.parametrize(("number", "row"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_interrupted_once(place: Place, number: signal.Signals, row: str) -> None:
    """The trial is stopped, the code is the signal's, and both the command shown and the same one continue."""
    before, loop, after = (PREAMBLE + GOOD).partition("    time.sleep(")
    place.write("train.py", before + HOLD + loop + after)
    started = place.start(place.tuning("--max-num-trials-started", "2"))
    wait_until(lambda: len(place.reported(1)) == 2)
    if number is signal.SIGINT:
        press_ctrl_c(started)
    else:
        started.process.send_signal(number)
    done = started.end()
    messages.check(row, done, place)
    assert done.returncode == 128 + number
    assert "stopping the running trials; once more ends at once" in done.stderr
    assert "continue with `cloudtune resume kept`" in done.stderr
    assert place.endings() == ["Completed", "Interrupted"]
    place.check_kept(EARLIER_REPORTS + len(place.reported(1)))
    place.check_nothing_left()

    place.write("go", "")
    resumed = place.run(place.command("resume", "kept"))
    assert resumed.returncode == 0, resumed.stderr
    assert place.endings() == ["Completed", "Interrupted", "Completed"]
    done = place.run(place.tuning("--max-num-trials-started", "3"))
    assert done.returncode == 0, done.stderr
    assert place.endings()[3:] == ["Completed"]
    # An epoch that was reported and not yet saved is reported again; without a resource_attr it counts again.
    place.check_kept(EARLIER_REPORTS + len(place.reported(1)) + len(place.reported(1, 1)) + 4)


def test_ctrl_c_twice(place: Place) -> None:
    """The second ends at once, although a trial ignores SIGTERM and might have an hour to end; nothing runs on."""
    place.write("tune.py", TUNE)
    place.write("train.py", PREAMBLE + DEAF)
    started = place.start(place.program())
    wait_until(lambda: len(place.reported(0, name="patient")) >= 4)
    press_ctrl_c(started)
    wait_until(lambda: started.says("once more ends at once"))
    assert started.process.poll() is None
    press_ctrl_c(started)
    done = started.end()
    messages.check("Ctrl-C twice", done, place)
    assert done.returncode == 130
    assert "ending at once; continue with `cloudtune resume patient`" in done.stderr
    place.check_nothing_left("patient")
    logged = [entry for entry in place.log("patient") if entry["event"] == "report"]
    assert len(logged) == len(place.reported(0, name="patient"))

    place.write("train.py", PREAMBLE + "report(epoch=1, error=0.1)")
    again = place.run(place.program())
    assert again.returncode == 0, again.stderr
    place.check_kept(len(logged) + 1, "patient")
    place.check_kept(EARLIER_REPORTS)
