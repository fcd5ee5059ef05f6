"""What a look at a study costs: ``cloudtune status TAG`` of a hundred experiments, and its next look when followed."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict

from benchmarking.overhead.account import BUCKET, IMAGE, ROLE
from benchmarking.overhead.measurement import Row, seconds
from cloudtune.aws.clients import Aws
from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud import LocalCloud
from cloudtune.remote.overview_form import Overview
from cloudtune.remote.standing import Best, Limit
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell import Cell
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.status import StudyWatch

CELLS, RUNNING, FINISHED = 100, 60, 30
#: What the issue allows: seconds, and lists of objects and jobs.
TIME, LISTS = 2.0, 5
_TAG = "bench"


def measure(repeats: int) -> list[Row]:
    """All rows about looks at studies."""
    # Jobs never start: all that is looked at is what is said of them.
    with LocalCloud(start_delay=10_000.0) as cloud, cloud.activate():
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        place = StudyPlace(Bucket(Aws(), BUCKET), "", _TAG)
        _fill(cloud, place)
        before = cloud.call_counts()
        command = [sys.executable, "-m", "cloudtune.cli", "status", _TAG, "--s3-path", f"s3://{BUCKET}"]
        taken = [
            seconds(lambda: subprocess.run(command, env=os.environ.copy(), check=True, capture_output=True))
            for _ in range(repeats)
        ]
        after = cloud.call_counts()
        lists = sum(after[name] - before.get(name, 0) for name in after if ":List" in name or ":Search" in name)
        start = statistics.median(seconds(_start) for _ in range(3))
        s3 = cloud.client("s3")
        key = place.status_of(_cell(0).name)
        one_get = statistics.median(seconds(lambda: s3.get_object(Bucket=BUCKET, Key=key)) for _ in range(50))
        watch = StudyWatch(place)
        first = seconds(watch.look)
        again = statistics.median(seconds(watch.look) for _ in range(repeats))
        median = statistics.median(taken)
    return [
        Row(f"cloudtune status, {CELLS} experiments", median, TIME, "s", 1.0, "the target"),
        Row("... against starting a program with boto3", median, start, "s", None, "imports, a client"),
        Row("... lists of objects and jobs", lists / repeats, LISTS, "calls", 1.0, "the target"),
        Row("... the look alone, first", first, CELLS * one_get, "s", None, f"{CELLS} objects, one after another"),
        Row("... the look alone, with nothing new", again, one_get, "s", None, "one object"),
    ]


def _start() -> None:
    imports = "import boto3, click; boto3.client('s3', region_name='us-east-1')"
    subprocess.run([sys.executable, "-c", imports], check=True)


def _cell(number: int) -> Cell:
    return Cell(_TAG, "digits", "RS" if number % 2 else "ASHA", 4, number // 2)


def _fill(cloud: LocalCloud, place: StudyPlace) -> None:
    """A study in its middle: some experiments run, some have finished, some wait."""
    sagemaker = cloud.client("sagemaker")
    for number in range(CELLS):
        cell = _cell(number)
        job = TunerPlace(place.bucket, place.experiment(cell.name)).job_name(cell.name, 0)
        record = {"format": 1, "cell": asdict(cell), "settings": CellSettings().to_dict()}
        place.bucket.put(place.cell(cell.name), json.dumps(record).encode())
        if number < RUNNING:
            sagemaker.create_training_job(
                TrainingJobName=job,
                RoleArn=ROLE,
                AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
                OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
                ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                StoppingCondition={"MaxRuntimeInSeconds": 3600},
            )
        if number < RUNNING + FINISHED:
            said = _said(cell, job, "running" if number < RUNNING else "finished")
            place.bucket.put(place.status_of(cell.name), said.to_json("nonce", 1))


def _said(cell: Cell, job: str, state: str) -> Overview:
    config = {f"parameter_{number}": number / 7 for number in range(8)}
    return Overview(
        name=cell.name,
        tag=cell.tag,
        state=state,
        why="",
        trials={"InProgress": 4, "Completed": 40, "Stopped": 60},
        reports=2000,
        metric="validation_error",
        mode="min",
        best=Best("validation_error", 0.1 + cell.seed / 1000, 17, config),
        seconds=1200.0,
        cost=3.5,
        limits=[Limit("seconds", 3600.0, 1200.0)],
        n_workers=cell.n_workers,
        created=1_700_000_000.0,
        unix=1_700_001_200.0,
        job=job,
        metadata=asdict(cell),
    )
