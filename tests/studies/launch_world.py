"""Studies that are launched on a cloud inside the test's process, whose jobs the test moves by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloudtune.aws.clients import aws_for
from cloudtune.aws.quotas import forget_quotas
from cloudtune.aws.s3 import Bucket
from cloudtune.config_space import randint
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.launching import StudyLaunch, launch_study
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings
from tests.studies.recorded_study import BUCKET, said_of

TUNERS, TRIALS = "ml.m5.large", "ml.g4dn.xlarge"
ACCOUNT = Account(
    s3_path=f"s3://{BUCKET}",
    role="arn:aws:iam::123456789012:role/tuner",
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
    tuner_image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/tune:1",
    tuner_instance_type=TUNERS,
)
#: Two cells of a study of which others are launched as well.
PLAN = Plan("heights", ("height",), ("RS", "ASHA"), (2,), settings=CellSettings(max_wallclock_time=600))


def quota_of(instance_type: str) -> str:
    """Name of a quota."""
    return f"{instance_type} for training job usage"


class LaunchWorld:
    """One account, and whoever launches there.

    Args:
        cloud: Where.
        folder: For the training script.
    """

    def __init__(self, cloud: InProcessCloud, folder: Path) -> None:
        self.cloud = cloud
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        self.script = folder / "train.py"
        self.script.write_text("print('not run here; would read --st_checkpoint_dir')")
        self.epochs = 9
        self.told: list[str] = []
        #: Called with each line that is told: what happens in the account meanwhile.
        self.meanwhile: Callable[[str], object] = lambda _line: None

    @property
    def catalogue(self) -> Catalogue:
        """One benchmark."""
        return Catalogue({"height": self.benchmark})

    def benchmark(self) -> BenchmarkDefinition:
        """As it is defined now."""
        return BenchmarkDefinition(
            name="height",
            script=self.script,
            config_space={"width": randint(0, 20), "epochs": self.epochs},
            metric="loss",
            mode="min",
            resource_attr="epoch",
            max_resource_attr="epochs",
            max_wallclock_time=3600.0,
            n_workers=4,
            instance_type=TRIALS,
        )

    def launch(self, plan: Plan = PLAN, account: Account = ACCOUNT, **options: Any) -> StudyLaunch:
        """Launches a plan; what is told is kept."""

        def tell(line: str) -> None:
            self.told.append(line)
            self.meanwhile(line)

        return launch_study(self.catalogue, plan, account, tell=tell, **options)

    # ------------------------------------------------------------------ what there is

    @property
    def bucket(self) -> Bucket:
        """Of all studies."""
        return Bucket(aws_for(None, None), BUCKET)

    def place(self, tag: str = "heights") -> StudyPlace:
        """Of a study."""
        return StudyPlace(self.bucket, "", tag)

    def jobs(self, status: str = "") -> list[str]:
        """Names of all jobs, or of those in a status, sorted."""
        return sorted(job.name for job in self.cloud.jobs() if status in ("", job.status))

    def set_quota(self, instance_type: str, instances: int, use: str = "training job usage") -> None:
        """Sets a quota; it is asked for anew from then on, as by a program that begins."""
        self.cloud.set_quota(f"{instance_type} for {use}", instances)
        forget_quotas()

    def uploads(self) -> int:
        """How often an archive was put."""
        return sum(call.resource.endswith("bundle.zip") for call in self.cloud.calls("s3:PutObject"))

    # ------------------------------------------------------------------ what happens to tuners

    def job_of(self, cell: Cell, attempt: int = 0) -> str:
        """Name of the job of a launch."""
        return TunerPlace(self.bucket, self.place(cell.tag).experiment(cell.name)).job_name(cell.name, attempt)

    def begin(self, cell: Cell, attempt: int = 0) -> None:
        """Has a tuner say that it runs."""
        job = self.job_of(cell, attempt)
        self.cloud.job(job).move("Training")
        self._say(cell, job, "running", "")

    def end(self, cell: Cell, state: str = "finished", why: str = "stopping criterion reached") -> None:
        """Has the newest tuner of a cell come to its end."""
        job = self._newest(cell)
        self._say(cell, job, state, why)
        self.cloud.job(job).finish("Completed", "Completed", "")

    def kill(self, cell: Cell) -> None:
        """Has the newest tuner of a cell die."""
        self.cloud.job(self._newest(cell)).finish("Failed", "Failed", "", "AlgorithmError: killed, exit code: 137")

    def _newest(self, cell: Cell) -> str:
        start = self.job_of(cell).rpartition("-")[0]
        return max(job for job in self.jobs() if job.startswith(start))

    def _say(self, cell: Cell, job: str, state: str, why: str) -> None:
        said = replace(said_of(cell), job=job, state=state, why=why)
        self.bucket.put(self.place(cell.tag).status_of(cell.name), said.to_json("nonce", 1))


def cells_of(plan: Plan = PLAN) -> list[Cell]:
    """Its cells, in the plan's order."""
    return plan.cells({"height": 4})


def names_of(plan: Plan = PLAN) -> tuple[str, ...]:
    """Their names."""
    return tuple(cell.name for cell in cells_of(plan))
