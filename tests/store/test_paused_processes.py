"""Two processes that both believe they own an experiment in S3, since one of them stood still: the other goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.store.s3_log import S3LogView
from tests.aws.conftest import wait_until
from tests.contracts.store_contract import own
from tests.store import paused_process
from tests.store.conftest import ROOT

_PATIENCE = 120.0
_HOUR = 3600.0


class Driver:
    """A process that drives the experiment, or waits until it may.

    Args:
        folder: For its journal.
        name: Makes its reports different from all others'.
        skew: By how many seconds its clock is off.
        *where: It stands still there.
    """

    def __init__(self, folder: Path, name: int, skew: float, *where: object) -> None:
        self._journal = folder / f"journal-{name}"
        self._stop = self._journal.with_suffix(".stop")
        self._journal.touch()
        command = [sys.executable, "-m", paused_process.__name__, self._journal, name, skew, *where]
        self.process = subprocess.Popen([str(one) for one in command], cwd=Path(__file__).parents[2])

    def notes(self) -> list[str]:
        """The lines of its journal that are complete."""
        return self._journal.read_text().rpartition("\n")[0].splitlines()

    def acknowledged(self) -> list[int]:
        """Numbers of the reports that it was told are in the log."""
        return [int(note) for note in self.notes() if note.isdecimal()]

    def stands_still(self) -> bool:
        """Whether SIGSTOP has reached it; to be asked until it has."""
        pid, status = os.waitpid(self.process.pid, os.WNOHANG | os.WUNTRACED)
        assert pid == 0 or os.WIFSTOPPED(status), "it has ended"
        return pid != 0

    def go_on(self) -> None:
        """Wakes it."""
        os.kill(self.process.pid, signal.SIGCONT)

    def end(self) -> int:
        """Has it end in order, unless it has ended; its exit code."""
        self._stop.touch()
        return self.process.wait(_PATIENCE)


@pytest.fixture
def drivers() -> Iterator[list[Driver]]:
    """Those that a test starts; none outlives it."""
    started: list[Driver] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()


def _draw_seed() -> int:
    return int(os.environ.get("CLOUDTUNE_CHAOS_SEED") or random.SystemRandom().randrange(10**9))


@pytest.mark.parametrize("answers_are_lost", [False, True], ids=["", "answers are lost"])
@pytest.mark.parametrize("where", ["before", "after", "anywhere"])
def test_a_tuner_that_stood_still(
    bucket: Bucket,
    local_cloud: LocalCloud,
    drivers: list[Driver],
    tmp_path: Path,
    where: str,
    answers_are_lost: bool,
) -> None:
    """Its lease grows stale, and another takes it. Awake again it is fenced before anything more of its is read.

    The clock of one is ahead, that of the other behind: a living owner is not taken for dead, nor a stopped one for
    alive. What each was told is in the log is there, once and in order, and nothing is damaged.
    """
    seed = _draw_seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    chance = random.Random(seed)
    number = chance.randint(2, 40)
    if answers_are_lost:
        local_cloud.faults.add(Fault("answer_lost", "s3:PutObject", resource=f"data/{ROOT}*", probability=0.2))
    skew = chance.choice((-_HOUR, _HOUR))
    first = Driver(tmp_path, 1, skew, *((where, number) if where != "anywhere" else ()))
    drivers.append(first)
    wait_until(lambda: "open" in first.notes())
    second = Driver(tmp_path, 2, -skew)
    drivers.append(second)
    if where == "anywhere":
        wait_until(lambda: second.notes() == ["refused"])
        reached = first.acknowledged()[-1]
        wait_until(lambda: first.acknowledged()[-1] > reached + number)
        time.sleep(chance.uniform(0.0, 0.1))  # any instant will do
        assert second.notes() == ["refused"]
        first.process.send_signal(signal.SIGSTOP)
    wait_until(first.stands_still)
    before = first.acknowledged()
    wait_until(lambda: len(second.acknowledged()) >= 3)

    first.go_on()
    assert first.process.wait(_PATIENCE) == paused_process.FENCED
    told = first.notes()[-1]
    assert f"was taken over by pid {second.process.pid} on host" in told or "was taken over by training job" in told
    reached = second.acknowledged()[-1]
    wait_until(lambda: second.acknowledged()[-1] > reached + 3)
    assert second.end() == 0

    view = S3LogView(bucket, ROOT)
    assert view.damage is None
    entries = list(view.entries())
    numbers = [entry["number"] for entry in own(iter(entries))]
    of_first = [one for one in numbers if one < 2000]
    of_second = [one for one in numbers if one >= 2000]
    assert numbers == of_first + of_second
    assert of_second == second.acknowledged()
    # One report may have been on its way, or its acknowledgement, when it was stopped.
    assert of_first == list(range(1000, 1000 + len(of_first)))
    assert set(first.acknowledged()) <= set(of_first)
    assert len(first.acknowledged()) <= len(before) + 1
    assert len(of_first) <= len(before) + 1
    assert [entry["epoch"] for entry in entries if entry["event"] == "epoch"] == [1, 2]
