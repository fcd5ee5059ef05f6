"""A study of 27 experiments whose launcher and three of whose tuners are killed, at moments that a seed decides."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudtune.experiments import load_experiments
from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.studies.cell import Cell
from tests.backend.sagemaker.chaos.chaos import draw_seed
from tests.studies.chaos import program

BUCKET = "experiments"
TUNERS_KILLED = 3
LAUNCHERS_KILLED = 2
#: More launches than this are not needed for what is struck: something else is wrong.
LAUNCHES = 10
#: Seconds after which the study has not come to its end.
PATIENCE = 1200.0
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """A machine of two cores does not run 27 tuners at once."""
    return CloudSettings(stop_grace=20.0, max_running_jobs=24)


class StudyUnderFire:
    """The study, whoever launches it.

    Args:
        cloud: Where.
        folder: For what its launcher prints, and what scripts have reported.
        backend: Of its trials.
        at_once: Experiments.
    """

    def __init__(self, cloud: LocalCloud, folder: Path, backend: str, at_once: int) -> None:
        self.cloud = cloud
        self.truth = folder / "truth.jsonl"
        self.output = folder / "launcher.log"
        self._arguments = (backend, str(at_once))
        self._environment = {
            **os.environ,
            "TRUTH": str(self.truth),
            "CLOUDTUNE_S3_PATH": f"s3://{BUCKET}",
            "CLOUDTUNE_AWS_RATES": "*=inf",
        }

    def launch(self) -> subprocess.Popen[bytes]:
        """Gives the command."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.studies.chaos.program", *self._arguments],
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def tuners(self) -> list[dict[str, Any]]:
        """The tuners' jobs."""
        return [job for job in self.cloud.jobs() if "-tuning-" in job["name"]]

    def kill_tuner(self, chance: random.Random) -> str | None:
        """Kills all processes of a tuner's job that has begun to tune; its name, or None where there is none."""
        running = {job["name"] for job in self.tuners() if job["secondary"] == "Training"}
        containers: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            try:
                job = process.environ().get("TRAINING_JOB_NAME", "")
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if job in running:
                containers.setdefault(job, []).append(process)
        if not containers:
            return None
        name = chance.choice(sorted(containers))
        for process in containers[name]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        return name

    def run(self, chance: random.Random) -> None:
        """Until the command says that all have ended; strikes on the way."""
        size = program.plan("local").size
        strikes = sorted(
            [(chance.randrange(1, size - 4), "launcher") for _ in range(LAUNCHERS_KILLED)]
            + [(chance.randrange(1, size - 4), "tuner") for _ in range(TUNERS_KILLED)]
        )
        print("struck once so many tuners were launched:", strikes)
        until = time.monotonic() + PATIENCE
        launcher, launches = self.launch(), 1
        try:
            while True:
                assert time.monotonic() < until, self.output.read_text()[-5000:]
                is_due = strikes and len(self.tuners()) >= strikes[0][0]
                if is_due and self._strike(strikes[0][1], launcher, chance):
                    strikes.pop(0)
                code = launcher.poll()
                if code == 0:
                    break
                if code is not None:
                    print(f"the launcher has ended with {code}")
                    launches += 1
                    assert launches < LAUNCHES, f"it ends again and again:\n{self.output.read_text()[-5000:]}"
                    launcher = self.launch()
                time.sleep(0.05)
        finally:
            launcher.kill()
            launcher.wait()
        assert not strikes, f"the study was over before {strikes}"

    def _strike(self, what: str, launcher: subprocess.Popen[bytes], chance: random.Random) -> bool:
        if what == "tuner":
            struck = self.kill_tuner(chance)
            if struck is not None:
                print(f"killed {struck}")
            return struck is not None
        launcher.kill()
        print(f"killed the launcher, {len(self.tuners())} tuners launched")
        return True

    def told(self) -> Iterator[dict[str, Any]]:
        """What the scripts have reported, as they have noted it themselves."""
        for line in self.truth.read_text().splitlines():
            yield json.loads(line)


def _check(study: StudyUnderFire) -> None:
    """Exactly 27 experiments, each with all its trials and what they have reported, and nothing that runs on."""
    expected = {
        Cell(program.TAG, benchmark, method, 2, seed).name
        for benchmark in program.CENTRES
        for method in program.METHODS
        for seed in range(program.SEEDS)
    }
    experiments = {one.name: one for one in load_experiments(program.TAG, s3_path=f"s3://{BUCKET}")}
    assert experiments.keys() == expected
    # Processes know their experiment by its name and its id.
    told = {
        (one["experiment"].rpartition("-")[0], int(one["trial"]), one["epoch"]): one["loss"] for one in study.told()
    }
    for name, experiment in experiments.items():
        rows = experiment.results
        seen = [(name, int(trial), int(epoch)) for trial, epoch in zip(rows["trial_id"], rows["epoch"], strict=True)]
        assert [key for key, count in Counter(seen).items() if count > 1] == [], "a report counts twice"
        assert {key: told[key] for key in seen} == dict(zip(seen, rows["loss"], strict=True))
        assert {trial for _, trial, _ in seen} == set(range(program.TRIALS)), f"{name} lacks trials"
        for trial in range(program.TRIALS):
            epochs = sorted(epoch for _, of, epoch in seen if of == trial)
            assert epochs == list(range(1, len(epochs) + 1)), f"{name}, trial {trial} has gaps: {epochs}"
        if experiment.metadata["method"] == "RS":
            assert len(seen) == program.TRIALS * program.EPOCHS
    left = [job["name"] for job in study.cloud.jobs() if job["status"] in ("InProgress", "Stopping")]
    assert left == []


def _run(cloud: LocalCloud, folder: Path, backend: str, at_once: int) -> None:
    seed = draw_seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    study = StudyUnderFire(cloud, folder, backend, at_once)
    study.run(random.Random(seed))
    _check(study)


@pytest.mark.timeout(1500)
def test_27_experiments_are_complete(local_cloud: LocalCloud, tmp_path: Path) -> None:
    """Trials beside their tuners: whoever is killed when, the command given again ends with 27 complete experiments."""
    _run(local_cloud, tmp_path, "local", 8)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_27_experiments_of_training_jobs_are_complete(local_cloud: LocalCloud, tmp_path: Path) -> None:
    """The same with trials that are training jobs themselves."""
    _run(local_cloud, tmp_path, "sagemaker", 4)
