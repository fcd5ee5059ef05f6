"""One experiment under chaos: its command, killed and given again, and what is true in the end."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.aws.prices import price_per_hour
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.backend.sagemaker.chaos import accounts, program

ROOT = Path(__file__).parents[4]

#: Of the run that is to be repeated. Tests themselves see no such variables of the machine.
SEED = os.environ.get("CLOUDTUNE_CHAOS_SEED")

#: Seconds that a pair of troubles lasts, unless the tuner is killed before.
STRETCH = 4.0


def draw_seed() -> int:
    """The seed given, or any."""
    return int(SEED or random.SystemRandom().randrange(10**6))


def cloud_settings(folder: Path) -> CloudSettings:
    """A cloud with quotas that are reached.

    Args:
        folder: For its jobs; made here.
    """
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
            "ml.m5.large for spot training job usage": 2,
            "ml.g4dn.xlarge for training warm pool usage": 4,
        },
    )


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


def told_in(output: str) -> str:
    """What a tuner's output ends with: what it told last, without the tables, which say little; then its very end."""
    told = [line for line in output.splitlines() if line.startswith("20") and "callbacks.progress" not in line]
    return "\n".join([*told[-150:], "...", output[-4000:]])


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
                pytest.fail(f"the tuner did not end:\n{told_in(self.output.read_text())}")
        assert code == 0, told_in(self.output.read_text())

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
        log = self.log()
        made = accounts.truth(self.truth)
        jobs = {job["name"]: job["status"] for job in self.cloud.jobs() if self.is_of_trial(job["name"])}
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

    def log(self) -> list[dict[str, Any]]:
        """The experiment's log."""
        return accounts.entries(self.folder / "experiments" / program.NAME)

    def is_of_trial(self, job: str) -> bool:
        """Whether a job runs a trial."""
        return bool(job)

    def configs(self) -> dict[int, float]:
        """What each trial began with."""
        return accounts.configs(self.log())
