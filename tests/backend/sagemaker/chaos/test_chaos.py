"""A tuner of training jobs under all faults at once, killed again and again: nothing is lost, doubled or left.

Faults come in pairs, which a seed draws: two for the jobs of each trial, two for each stretch of time, and each of them
now and then besides. The seed, the pairs and what has struck are printed; ``CLOUDTUNE_CHAOS_SEED`` repeats a plan.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from cloudtune.aws.prices import price_per_hour
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.backend.sagemaker.chaos import accounts, program
from tests.backend.sagemaker.chaos.ordered import Ordered
from tests.backend.sagemaker.chaos.plan import draw

ROOT = Path(__file__).parents[4]

#: Of the run that is to be repeated. Tests themselves see no such variables of the machine.
SEED = os.environ.get("CLOUDTUNE_CHAOS_SEED")

#: Seconds that a pair of troubles lasts, unless the tuner is killed before.
STRETCH = 4.0


def _seed() -> int:
    return int(SEED or random.SystemRandom().randrange(10**6))


def _carriers(marker: str) -> list[str]:
    """Processes that belong to the experiment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CLOUDTUNE_EXPERIMENT") == marker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid}: {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


class Chaos:
    """One experiment, from its first start to its end.

    Args:
        cloud: Where its jobs run.
        folder: For all that it writes.
        trials: How many.
        workers: How many jobs at once.
        kind: ``spot`` or ``pool``.
        next_stretch: Called when the tuner is started, and every few seconds while it runs.
    """

    def __init__(
        self,
        cloud: LocalCloud,
        folder: Path,
        trials: int,
        workers: int,
        kind: str,
        next_stretch: Callable[[], None] = lambda: None,
    ) -> None:
        self.cloud = cloud
        self.next_stretch = next_stretch
        self.folder = folder
        self.truth = folder / "truth"
        self.truth.mkdir(parents=True)
        self.arguments = [str(trials), str(workers), kind, str(self.truth)]
        self.output = folder / "output"

    def tuner(self) -> subprocess.Popen[bytes]:
        """Gives the command."""
        environment = {**os.environ, **self.cloud.environment(), "CLOUDTUNE_FOLDER": str(self.folder / "experiments")}
        environment["PYTHONPATH"] = str(ROOT)
        environment["CLOUDTUNE_AWS_RATES"] = "sagemaker:*=5"  # AWS's own would only make it longer
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", program.__name__, *self.arguments],
                env=environment,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )

    def run(self, kills: int, chance: random.Random, patience: float) -> None:
        """Kills the command so often, at any time, and lets it end at last."""
        for _ in range(kills):
            with self.tuner() as tuner:
                if self._wait(tuner, chance.uniform(0.5, 12.0)) is None:
                    tuner.kill()
        with self.tuner() as tuner:
            code = self._wait(tuner, patience)
            if code is None:
                tuner.kill()
                pytest.fail(f"the tuner did not end:\n{self.output.read_text()[-8000:]}")
        assert code == 0, self.output.read_text()[-8000:]

    def _wait(self, tuner: subprocess.Popen[bytes], seconds: float) -> int | None:
        """The tuner's exit code, or None if it runs yet after so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.next_stretch()
            try:
                return tuner.wait(min(left, STRETCH))
            except subprocess.TimeoutExpired:
                continue
        return None

    def problems(self) -> list[str]:
        """Everything that is not as it should be."""
        log = accounts.entries(self.folder / "experiments" / program.NAME)
        made = accounts.truth(self.truth)
        jobs = {job["name"]: job["status"] for job in self.cloud.jobs()}
        fired = self.cloud.faults.fired()
        killed = {
            "-".join(one.case.job.split("-")[-2:])
            for one in fired
            if one.kind in ("spot_interruption", "job_internal_error")
        }
        sagemaker = self.cloud.client("sagemaker")
        described = [sagemaker.describe_training_job(TrainingJobName=name) for name in jobs]
        prices = {}
        for name in {job["ResourceConfig"]["InstanceType"] for job in described}:
            price = price_per_hour(name, "us-east-1")
            assert price is not None
            prices[name] = price
        kept = [
            f"{job['TrainingJobName']} keeps its instance"
            for job in described
            if (job.get("WarmPoolStatus") or {}).get("Status") in ("Available", "InUse")
        ]
        marker = f"{program.NAME}-{log[1]['experiment_id']}"
        return [
            *accounts.problems_of_reports(log, made, killed),
            *accounts.problems_of_jobs(log, made, jobs),
            *accounts.problems_of_costs(log, described, prices),
            *kept,
            *_carriers(marker),
        ]

    def configs(self) -> dict[int, float]:
        """What each trial began with."""
        return accounts.configs(accounts.entries(self.folder / "experiments" / program.NAME))


def _settings(folder: Path) -> CloudSettings:
    folder.mkdir(parents=True)
    return CloudSettings(
        folder=str(folder),
        stop_grace=20.0,
        spot_notice=10.0,
        quotas={
            "ml.g4dn.xlarge for training job usage": 12,
            "ml.g4dn.xlarge for spot training job usage": 12,
            "ml.g5.xlarge for training job usage": 2,
            "ml.g5.xlarge for spot training job usage": 2,
            "ml.g4dn.xlarge for training warm pool usage": 4,
        },
    )


@dataclass(frozen=True)
class Outcome:
    """Of a run without problems.

    Args:
        configs: What each trial began with.
        struck: How often each trouble has struck.
        met: Where both troubles of a pair have struck.
    """

    configs: dict[int, float]
    struck: dict[str, int]
    met: set[str]


def _chaos(tmp_path: Path, trials: int, workers: int, kind: str, kills: int, patience: float) -> Outcome:
    seed = _seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    plan = draw(seed, kind, trials)
    with LocalCloud(_settings(tmp_path / "jobs"), seed=seed) as cloud:
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        ordered = Ordered(cloud, plan)
        chaos = Chaos(cloud, tmp_path / "run", trials, workers, kind, ordered.next_stretch)
        chaos.run(kills, random.Random(seed), patience)
        fired = cloud.faults.fired()
        cloud.faults.clear()
        print(ordered.account(fired))
        problems = chaos.problems()
        assert not problems, f"seed {seed}, {len(problems)} problems:\n" + "\n".join(problems)
        return Outcome(chaos.configs(), ordered.struck(fired), ordered.met(fired))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["pool"])
def test_thirty_trials_under_all_faults_and_two_kills(tmp_path: Path, kind: str) -> None:
    """Every report once and in order, no job twice, none left, costs as billed; on machines that are kept warm."""
    outcome = _chaos(tmp_path, trials=30, workers=8, kind=kind, kills=2, patience=400)
    assert sorted(outcome.configs) == list(range(30))
    assert outcome.met


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["spot", pytest.param("pool", marks=pytest.mark.long)])
def test_hundred_trials_under_all_faults_and_five_kills(tmp_path: Path, kind: str) -> None:
    """The same with 100 trials of up to 20 reports and 16 workers; and the trials are those of a run without faults."""
    outcome = _chaos(tmp_path / "faults", trials=100, workers=16, kind=kind, kills=5, patience=2000)
    assert outcome.met
    assert all(outcome.struck.values()), f"never struck: {[name for name, n in outcome.struck.items() if not n]}"
    with LocalCloud(_settings(tmp_path / "jobs")) as cloud:
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        calm = Chaos(cloud, tmp_path / "calm", 100, 16, kind)
        calm.run(0, random.Random(0), 2000)
        assert calm.problems() == []
        assert calm.configs() == outcome.configs
