"""A tuner of training jobs under all faults at once, killed again and again: nothing is lost, doubled or left."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from cloudtune.aws.prices import price_per_hour
from cloudtune.localcloud import CloudSettings, Fault, LocalCloud
from tests.backend.sagemaker.chaos import accounts, program

ROOT = Path(__file__).parents[4]

#: Of the run that is to be repeated. Tests themselves see no such variables of the machine.
SEED = os.environ.get("CLOUDTUNE_CHAOS_SEED")

#: Faults of calls, of tuner and agents alike: (kind, operation, resource, who), each with a probability drawn anew.
OF_CALLS = (
    ("throttle", "sagemaker:*", "*", "*"),
    ("internal_error", "sagemaker:*", "*", "*"),
    ("answer_lost", "sagemaker:*", "*", "*"),
    ("request_lost", "sagemaker:*", "*", "*"),
    ("resource_limit", "sagemaker:CreateTrainingJob", "*", "*"),
    ("slow_answer", "sagemaker:*", "*", "*"),
    ("slow_down", "s3:*", "*", "*"),
    ("internal_error", "s3:*", "*", "*"),
    ("answer_lost", "s3:*", "*", "*"),
    ("request_lost", "s3:*", "*", "*"),
    ("slow_answer", "s3:*", "*", "*"),
    ("write_lost", "s3:*", "*/checkpoints/*", "job:*"),
    ("write_lost", "s3:PutObject", "*/life.json", "*"),
    ("throttle", "logs:*", "*", "*"),
    ("internal_error", "logs:*", "*", "*"),
    ("expired_token", "sagemaker:*", "*", "*"),
    ("expired_token", "s3:*", "*", "client"),
)
#: Faults of jobs: (kind, fields).
OF_JOBS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("capacity", {}),
    ("job_internal_error", {"seconds": 1.0}),
    ("slow_start", {"seconds": 2.0}),
    ("slow_stop", {"seconds": 2.0}),
    ("hang_stopping", {"seconds": 3.0}),
    ("console_stop", {"seconds": 1.0}),
    ("late_logs", {"seconds": 2.0}),
    ("shuffled_logs", {"seconds": 2.0}),
)
OF_SPOT: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("spot_interruption", {"seconds": 1.5, "notice": True}),
    ("spot_interruption", {"seconds": 1.2, "notice": False}),
)
OF_POOLS: tuple[tuple[str, Mapping[str, object]], ...] = (("no_warm_pool", {}),)


def _seed() -> int:
    return int(SEED or random.SystemRandom().randrange(10**6))


def _order_faults(cloud: LocalCloud, kind: str, chance: random.Random) -> None:
    for name, operation, resource, who in OF_CALLS:
        seconds = 1.0 if name == "slow_answer" else 0.0
        # Credentials that expire twice in a row are the user's business: the tuner ends, as another test shows.
        probability = 0.001 if name == "expired_token" else chance.uniform(0.002, 0.02)
        cloud.faults.add(Fault(name, operation, resource=resource, who=who, seconds=seconds, probability=probability))
    for trial in chance.sample(range(20), 2):  # as a role without rights in the bucket has it
        cloud.faults.add(Fault("access_denied", "s3:PutObject", resource="*/inbox/*", who=f"job:*-{trial}-0"))
    for name, fields in (*OF_JOBS, *(OF_SPOT if kind == "spot" else OF_POOLS)):
        cloud.faults.add(Fault(name, probability=chance.uniform(0.03, 0.08), **fields))  # type: ignore[arg-type]


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
    """One experiment, from its first start to its end."""

    def __init__(self, cloud: LocalCloud, folder: Path, trials: int, workers: int, kind: str) -> None:
        self.cloud = cloud
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
                try:
                    tuner.wait(chance.uniform(0.5, 12.0))
                except subprocess.TimeoutExpired:
                    tuner.kill()
        with self.tuner() as tuner:
            try:
                code = tuner.wait(patience)
            except subprocess.TimeoutExpired:
                tuner.kill()
                pytest.fail(f"the tuner did not end:\n{self.output.read_text()[-8000:]}")
        assert code == 0, self.output.read_text()[-8000:]

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


def _chaos(tmp_path: Path, trials: int, workers: int, kind: str, kills: int, patience: float) -> dict[int, float]:
    seed = _seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    chance = random.Random(seed)
    with LocalCloud(_settings(tmp_path / "jobs"), seed=seed) as cloud:
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        _order_faults(cloud, kind, chance)
        chaos = Chaos(cloud, tmp_path / "run", trials, workers, kind)
        chaos.run(kills, chance, patience)
        fired = {one.kind for one in cloud.faults.fired()}
        cloud.faults.clear()
        problems = chaos.problems()
        assert not problems, f"seed {seed}, {len(problems)} problems:\n" + "\n".join(problems)
        print(f"{len(fired)} kinds of faults have struck: {', '.join(sorted(fired))}")
        return chaos.configs()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["pool"])
def test_thirty_trials_under_all_faults_and_two_kills(tmp_path: Path, kind: str) -> None:
    """Every report once and in order, no job twice, none left, costs as billed; on machines that are kept warm."""
    configs = _chaos(tmp_path, trials=30, workers=8, kind=kind, kills=2, patience=400)
    assert sorted(configs) == list(range(30))


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["spot", pytest.param("pool", marks=pytest.mark.long)])
def test_hundred_trials_under_all_faults_and_five_kills(tmp_path: Path, kind: str) -> None:
    """The same with 100 trials of up to 20 reports and 16 workers; and the trials are those of a run without faults."""
    configs = _chaos(tmp_path / "faults", trials=100, workers=16, kind=kind, kills=5, patience=2000)
    with LocalCloud(_settings(tmp_path / "jobs")) as cloud:
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        calm = Chaos(cloud, tmp_path / "calm", 100, 16, kind)
        calm.run(0, random.Random(0), 2000)
        assert calm.problems() == []
        assert calm.configs() == configs
