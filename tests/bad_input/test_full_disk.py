"""The disk fills up while an experiment runs: it ends with the remedy, and continues when there is room again."""

from __future__ import annotations

import subprocess

import pytest

from cloudtune.experiments import load_experiment
from cloudtune.store import entries
from tests.bad_input import messages
from tests.bad_input.place import EARLIER_REPORTS, GOOD, PREAMBLE, Place

#: A user's tuning script. After the sixth report ``python tune.py 0`` forbids the tuner to write a single byte,
#: ``python tune.py 30`` lets its log grow by 30 bytes, and ``python tune.py fill`` fills the disk. The trials are
#: processes of their own, which a limit does not touch.
TUNE = """
import errno
import logging
import os
import resource
import sys

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.callbacks import TunerCallback
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
space = {"x": uniform(0, 1), "max_epochs": 6}


class Disaster(TunerCallback):
    def __init__(self, kind):
        self.kind = kind
        self.reports = 0

    def on_trial_result(self, trial, status, result, decision):
        self.reports += 1
        if self.reports == 6:
            folder = os.environ["CLOUDTUNE_FOLDER"]
            if self.kind == "fill":
                fill(folder + "/ballast")
            elif self.kind != "fine":
                room = int(self.kind)
                limit = room and os.stat(folder + "/disk/log/000001.jsonl").st_size + room
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def fill(path):
    size = 1 << 20
    with open(path, "wb", buffering=0) as file:
        while size:
            try:
                file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size //= 2


Tuner(
    trial_backend=LocalBackend("train.py"),
    scheduler=RandomSearch(space, metric="error", random_seed=1, resource_attr="epoch"),
    stop_criterion=StoppingCriterion(max_num_trials_started=6),
    n_workers=2,
    max_failures=100,
    tuner_name="disk",
    suffix_tuner_name=False,
    callbacks=[Disaster(sys.argv[1])],
    save_tuner=False,
).run()
"""


def may_mount() -> bool:
    """True if a file system can be mounted where nobody else sees it: as root, or in a user's namespace."""
    try:
        return (
            subprocess.run([*NAMESPACE, "mount -t tmpfs tmpfs /tmp"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]


@pytest.fixture
def slow(place: Place) -> Place:
    """With the tuning script, and trials that take a moment."""
    place.write("tune.py", TUNE)
    place.write("train.py", PREAMBLE + GOOD)
    return place


@pytest.mark.parametrize(
    ("room", "row"), [("0", "disk is full"), ("30", "disk is full in the middle of an entry of the log")]
)
def test_log_cannot_grow(slow: Place, room: str, row: str) -> None:
    """The log takes no further entry: the tuner ends, and what trials report meanwhile is read when it continues."""
    done = slow.run(slow.program(room), SECONDS_PER_EPOCH="0.05")
    messages.check(row, done, slow)
    assert done.returncode == 1
    assert f"there is no room left to write in {slow.experiments / 'disk'}" in done.stderr
    assert "free some space and run the same command again; everything received before is kept" in done.stderr
    slow.check_nothing_left("disk")
    before = slow.log("disk")
    received = [entry["event"] for entry in before].count(entries.REPORT)
    assert received >= 1
    assert len(load_experiment(str(slow.experiments / "disk")).results) == received

    again = slow.run(slow.program("fine"), SECONDS_PER_EPOCH="0.01")
    assert again.returncode == 0, again.stderr
    assert slow.log("disk")[: len(before)] == before
    assert slow.endings("disk").count("Completed") == 6
    # Every trial has six epochs; an epoch that was repeated after the break counts once.
    slow.check_kept(6 * 6, "disk")
    slow.check_kept(EARLIER_REPORTS)


@pytest.mark.skipif(not may_mount(), reason="needs the right to mount a file system, as root has it")
def test_disk_that_is_really_full(slow: Place) -> None:
    """A disk of a megabyte without a free byte: the same, and when there is room the same command continues."""
    steps = """
        mount -t tmpfs -o size=1m tmpfs experiments
        code=0
        "$@" fill 2> full.txt || code=$?
        echo $code > code.txt
        test -z "$(find experiments/disk -name '*.tmp')"
        rm experiments/ballast
        "$@" fine
        cp -a experiments/disk after
    """
    done = slow.run([*NAMESPACE, steps, "sh", *slow.program()], SECONDS_PER_EPOCH="0.02")
    assert done.returncode == 0, done.stderr
    said = (slow.folder / "full.txt").read_text()
    assert (slow.folder / "code.txt").read_text() == "1\n", said
    assert "cloudtune.errors.StorageFull: " in said.splitlines()[-1]
    assert "free some space and run the same command again" in said.splitlines()[-1]
    (slow.folder / "after").rename(slow.experiments / "disk")
    # A trial that could not write its report has failed; all that was written counts.
    counted = {(e["trial"], e["metrics"]["epoch"]) for e in slow.log("disk") if e["event"] == entries.REPORT}
    slow.check_kept(len(counted), "disk")
    slow.check_kept(EARLIER_REPORTS)
