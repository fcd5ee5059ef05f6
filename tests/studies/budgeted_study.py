"""Four experiments on the local cloud, each a tuner's job whose trials are jobs, that share a limit of money."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.config_space import choice
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import GridSearch
from cloudtune.remote import RemoteLauncher
from cloudtune.store.s3_log import S3LogView
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import StudyBudget, open_budget
from cloudtune.studies.ledger import Book
from cloudtune.studies.purse_filler import Pace
from tests.backend.sagemaker.failures import train
from tests.backend.sagemaker.harness import BUCKET, HURRY, make_backend, training_job
from tests.remote.remote_experiment import JOB, PATIENCE

NAMES = [f"cell-{number}" for number in range(4)]
TUNER_TYPE, TRIAL_TYPE = "ml.t3.medium", "ml.m5.large"
#: US dollars per hour: a second of a trial costs ten cents.
PRICES = {TUNER_TYPE: 0.36, TRIAL_TYPE: 360.0}
#: Seconds.
TRIAL_MAX_RUN, TUNER_MAX_RUN = 30, 3600
TRIAL_COST = PRICES[TRIAL_TYPE] * (TRIAL_MAX_RUN + STOP_GRACE) / 3600
TUNER_COST = PRICES[TUNER_TYPE] * (TUNER_MAX_RUN + STOP_GRACE) / 3600
QUICK = Pace(look=0.5, retry=0.2, spacing=0.05, longest_wait=60.0)


class BudgetedStudy:
    """The study.

    Args:
        cloud: Where.
        folder: For prices, and for the files that let scripts go on.
        max_cost: US dollars.
    """

    def __init__(self, cloud: LocalCloud, folder: Path, max_cost: float) -> None:
        self.cloud = cloud
        self.folder = folder
        self.max_cost = max_cost
        self.place = StudyPlace(Bucket(aws_for(None, None), BUCKET), "", "study")
        budget = open_budget(self.place, max_cost, pace=QUICK)
        assert budget is not None
        self.budget: StudyBudget = budget

    @staticmethod
    def write_prices(folder: Path) -> Path:
        """The file of prices."""
        path = folder / "prices.json"
        path.write_text(json.dumps({"usd_per_hour": {"*": PRICES}}), encoding="utf-8")
        return path

    def launch(self, name: str, trials: int, space: dict[str, Any] | None = None, **options: Any) -> str:
        """Launches a cell; the name of its tuner's job."""
        environment = {"GATES": str(self.folder)}  # and no prices: they travel with the tuner
        job = training_job(
            Path(train.__file__), environment=environment, instance_type=TRIAL_TYPE, max_run=TRIAL_MAX_RUN
        )
        losses = choice([1.0 + number for number in range(trials)])
        tuner = Tuner(
            trial_backend=make_backend(job, cadence=HURRY),
            scheduler=GridSearch({"epochs": 1, **(space or {}), "loss": losses}, metric="loss"),
            stop_criterion=StoppingCriterion(max_num_trials_started=trials, max_wallclock_time=3000),
            n_workers=2,
            max_failures=0,
            tuner_name=name,
            suffix_tuner_name=False,
        )
        given = {
            **JOB,
            "instance_type": TUNER_TYPE,
            "max_run": TUNER_MAX_RUN,
            "s3_path": f"s3://{BUCKET}",
            "tag": "study",
            "environment": environment,
            **options,
        }
        launcher = RemoteLauncher(tuner, **given)
        self.budget.admit(name, launcher)
        return launcher.run(wait=False).job_name

    def wait(self, *jobs: str) -> list[str]:
        """The states in which these jobs end."""
        return [self.cloud.wait_for_job(job, timeout=PATIENCE)["status"] for job in jobs]

    def book(self) -> Book:
        """What the ledger says."""
        return self.budget.book()

    def log(self, name: str) -> list[dict[str, Any]]:
        """The log of an experiment."""
        return list(S3LogView(self.place.bucket, self.place.experiment(name)).entries())

    def trial_jobs(self) -> list[dict[str, Any]]:
        """Jobs of trials, as the cloud has recorded them."""
        return [job for job in self.cloud.jobs() if "-tuning-" not in job["name"]]

    def bill(self) -> float:
        """What the cloud's own record says that all jobs have cost."""
        return sum(_bill(job) for job in self.cloud.jobs())

    def most_committed(self) -> float:
        """The most that was committed at any moment, by the cloud's own record: trials could run until their limit.

        Tuners' jobs count with what they cost in the end: while one closes its log, its study counts on its end soon.
        """
        jobs = self.cloud.jobs()
        return max(sum(_committed(job, moment) for job in jobs) for moment in [job["created"] for job in jobs])


def _bill(job: dict[str, Any]) -> float:
    return float(PRICES[job["instance_type"]] * (job["billable_seconds"] or 0) / 3600)


def _committed(job: dict[str, Any], moment: float) -> float:
    if "-tuning-" in job["name"]:
        return _bill(job)
    if job["created"] > moment:
        return 0.0
    if job["since"] <= moment and job["status"] not in ("InProgress", "Stopping"):
        return _bill(job)
    return TRIAL_COST
