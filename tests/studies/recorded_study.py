"""A study on the local cloud of which there is only what launchers and tuners say of it, and jobs that tests move."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from cloudtune.aws.clients import Aws, aws_for
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.remote.overview_form import Overview
from cloudtune.remote.standing import Best, Limit
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell import Cell
from cloudtune.studies.settings import CellSettings
from tests.aws.conftest import ACCOUNT, training_request

BUCKET = "experiments"


def cell_of(seed: int, method: str = "RS", tag: str = "heights") -> Cell:
    """One cell of the study."""
    return Cell(tag, "height", method, 4, seed)


def said_of(cell: Cell, **more: Any) -> Overview:
    """What the tuner of a cell says that has run for a while."""
    metadata = asdict(cell)
    overview = Overview(
        name=cell.name,
        tag=cell.tag,
        state="running",
        why="",
        trials={"InProgress": 2, "Completed": 5, "Failed": 1},
        reports=40,
        metric="loss",
        mode="min",
        best=Best("loss", 0.25, 3, {"width": 7}),
        seconds=600.0,
        cost=1.5,
        limits=[Limit("seconds", 1000.0, 600.0), Limit("trials started", 20.0, 8.0)],
        n_workers=cell.n_workers,
        created=1_700_000_000.0,
        unix=1_700_000_600.0,
        job=job_of(cell),
        metadata=metadata,
    )
    return replace(overview, **more)


def job_of(cell: Cell, attempt: int = 0) -> str:
    """Name of the job of a cell's tuner."""
    place = TunerPlace(Bucket(aws_for(), BUCKET), f"cloudtune/{cell.tag}/{cell.name}/")
    return place.job_name(cell.name, attempt)


class RecordedStudy:
    """One study.

    Args:
        cloud: Where.
        tag: Of the study.
        prefix: Where it lies in the bucket.
    """

    def __init__(self, cloud: InProcessCloud, tag: str = "heights", prefix: str = "") -> None:
        self.cloud = cloud
        cloud.client("s3").create_bucket(Bucket=BUCKET)  # in us-east-1, it may be there
        self._sagemaker = cloud.client("sagemaker")
        self.bucket = Bucket(Aws(budget=RateBudget({})), BUCKET, ACCOUNT)
        self.place = StudyPlace(self.bucket, prefix, tag)

    def record(self, *cells: Cell) -> None:
        """Has a launcher record cells."""
        for cell in cells:
            record = {"format": 1, "cell": asdict(cell), "settings": CellSettings().to_dict()}
            self.bucket.put(self.place.cell(cell.name), json.dumps(record).encode())

    def say(self, overview: Overview) -> None:
        """Has a tuner say something."""
        self.bucket.put(self.place.status_of(overview.name), overview.to_json("nonce", 1))

    def begin(self, cell: Cell, attempt: int = 0, secondary: str = "Training") -> str:
        """Creates the job of a cell's tuner; its name."""
        name = job_of(cell, attempt)
        place = TunerPlace(self.bucket, self.place.experiment(cell.name))
        uri = place.uri
        self.bucket.put(place.keys.task(0, attempt), b"{}")
        self._sagemaker.create_training_job(**training_request(name, Environment={"CLOUDTUNE_PLACE": uri}))
        self.cloud.job(name).move(secondary)
        return name

    def end(self, cell: Cell, status: str = "Completed", reason: str = "", attempt: int = 0) -> None:
        """Ends that job."""
        self.cloud.job(job_of(cell, attempt)).finish(status, status, "", reason or None)

    def tag_job(self, cell: Cell, attempt: int = 0) -> None:
        """Has the job of a cell's tuner carry the tags that a launcher gives it."""
        uri = TunerPlace(self.bucket, self.place.experiment(cell.name)).uri
        tags = {"experiment": cell.name, "tag": cell.tag, "trial": "tuner", "place": uri}
        arn = self._sagemaker.describe_training_job(TrainingJobName=job_of(cell, attempt))["TrainingJobArn"]
        self._sagemaker.add_tags(
            ResourceArn=arn, Tags=[{"Key": f"cloudtune:{key}", "Value": value} for key, value in tags.items()]
        )
