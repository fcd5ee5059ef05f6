"""A tuner stands still until another one has taken its place: awake again it stops without touching a job."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.scheduler import SchedulerDecision
from cloudtune.store.s3_log import S3LogView
from tests.backend.sagemaker.failures.commands import Command, Commands
from tests.backend.sagemaker.failures.experiment import NAME, Experiment, wait_until
from tests.backend.sagemaker.harness import BUCKET

ROOT = f"cloudtune/{NAME}/{NAME}/"
#: Trial 1 is to be stopped, trials 0 and 2 wait.
WORK: dict[str, Any] = {
    "configs": [{"epochs": 4, "hold": 2}, {"epochs": 4, "hold": 2}, {"epochs": 4, "hold": 2}],
    "plan": {"decisions": {(1, 2): SchedulerDecision.STOP}},
    "tuner": {"n_workers": 2, "max_failures": 0},
    "store": ROOT,
}
CHANGES = ("CreateTrainingJob", "StopTrainingJob", "UpdateTrainingJob")


class InS3(Experiment):
    """An experiment whose log lies in S3."""

    def log(self) -> list[dict[str, Any]]:
        view = S3LogView(Bucket(aws_for(), BUCKET), ROOT)
        assert view.damage is None
        return list(view.entries())


@pytest.fixture
def shared(cloud: LocalCloud, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> InS3:
    """The experiment that two tuners want to drive."""
    gates = tmp_path / "gates"
    gates.mkdir()
    return InS3(cloud, gates, caplog)


@pytest.fixture
def pair(shared: InS3, tmp_path: Path) -> Any:
    """Commands of it."""
    given = Commands(shared, tmp_path)
    yield given
    given.kill_all()


def stands_still(command: Command) -> bool:
    """Whether SIGSTOP has reached it; to be asked until it has."""
    pid, status = os.waitpid(command.process.pid, os.WNOHANG | os.WUNTRACED)
    assert pid == 0 or os.WIFSTOPPED(status), command.output
    return pid != 0


def check_one_goes_on(shared: InS3, pair: Commands, first: Command) -> None:
    """Starts the second, lets it work, wakes the first, and has the second end the experiment."""
    second = pair.start(WORK)
    wait_until(lambda: shared.ends(1)[-1:] == ["Stopped"], "the end of trial 1")
    for trial in (0, 2):
        wait_until(lambda trial=trial: 2 in shared.epochs(trial)[-1:], f"epoch 2 of trial {trial}")  # type: ignore[misc]
    # Nothing is left for the second to do: whatever is done to jobs from here on is the doing of the first.
    wait_until(lambda: sorted(shared.jobs().values()).count("InProgress") == 2, "trial 1 to be over")
    jobs, changes = shared.jobs(), [shared.count(f"sagemaker:{name}") for name in CHANGES]
    log = shared.log()
    os.kill(first.process.pid, signal.SIGCONT)
    assert first.wait() == 1
    assert "cloudtune.errors.Fenced: " in first.output.strip().splitlines()[-1]
    assert [shared.count(f"sagemaker:{name}") for name in CHANGES] == changes
    assert shared.jobs() == jobs
    assert shared.log()[: len(log)] == log
    shared.release(0, 2)
    assert second.wait() == 0, second.output
    for trial in (0, 2):
        assert shared.epochs(trial)[-2:] == [3, 4]
    shared.check_whole()


@pytest.mark.parametrize(
    ("where", "when", "number"),
    [
        ("S3Store.flush", "after", 2),  # suggestions are in the log, and no job was asked for
        ("TrainingJobs.create", "before", 2),  # the next one creates it as another attempt
        ("LogWriter.put_once", "before", 4),
        ("SageMakerBackend.stop_trial", "before", 1),  # the next one does it
    ],
)
def test_paused_at_a_step(shared: InS3, pair: Commands, where: str, when: str, number: int) -> None:
    """Whatever it was about to do is not done any more."""
    first = pair.start(WORK, where, when, number, int(signal.SIGSTOP))
    wait_until(lambda: stands_still(first), f"{where} in {first.output[-2000:]}")
    check_one_goes_on(shared, pair, first)


def test_paused_at_any_instant(shared: InS3, pair: Commands) -> None:
    """At any instant of its first seconds."""
    seed = int(os.environ.get("CLOUDTUNE_CHAOS_SEED") or random.SystemRandom().randrange(10**9))
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    chance = random.Random(seed)
    first = pair.start(WORK)
    wait_until(shared.log, "the beginning of the log")
    time.sleep(chance.uniform(0.0, 3.0))  # any instant will do
    first.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: stands_still(first), "it to stand still")
    check_one_goes_on(shared, pair, first)
