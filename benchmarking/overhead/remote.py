"""What it costs to ship a tuner: launching it, with a small source or a large one, and its first trial there."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarking.overhead.account import BUCKET, IMAGE, ROLE
from benchmarking.overhead.measurement import Row, seconds
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend.sagemaker_backend import SageMakerBackend, TrainingJob
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.config_space import uniform
from cloudtune.localcloud import LocalCloud
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote import RemoteLauncher

LAUNCHES = 20
#: What the issue allows, in seconds.
LAUNCH_TIME, FIRST_TRIAL_TIME = 0.5, 2.0
#: Bytes of the large source, in so many files; what it may take, in uploads of as many bytes.
LARGE, LARGE_FILES, LARGE_REPEATS = 50_000_000, 10, 5
LARGE_FACTOR = 1.5

_TRAIN = """
import argparse, time
from cloudtune import Reporter
parser = argparse.ArgumentParser()
for name in ("x", "st_checkpoint_dir"):
    parser.add_argument("--" + name)
parser.parse_args()
Reporter()(loss=1.0)
"""


def measure(repeats: int) -> list[Row]:
    """All rows about remote tuners."""
    del repeats
    return [*_launching(), *_large_source(), *_first_trial()]


@contextlib.contextmanager
def cloud_with_script(**settings: Any) -> Iterator[tuple[LocalCloud, Path]]:
    """A local cloud with a bucket, and a training script."""
    with LocalCloud(**settings) as cloud, cloud.activate(), tempfile.TemporaryDirectory() as folder:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        script = Path(folder, "train.py")
        script.write_text(_TRAIN)
        yield cloud, script


def make_tuner(script: Path, trials: int = 2, source: Path | None = None, **options: Any) -> Tuner:
    """Random search with trials that are training jobs; ``source``: the folder that the script lies in travels."""
    described: dict[str, Any] = {"instance_type": "ml.m5.large", "image_uri": IMAGE, "role": ROLE, "volume_size": 1}
    if source is not None:
        described["source_dir"] = source
    job = TrainingJob(script if source is None else script.name, max_run=3600, **described)
    backend: TrialBackend = SageMakerBackend(job, f"s3://{BUCKET}")
    return Tuner(
        trial_backend=backend,
        scheduler=RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_started=trials, max_wallclock_time=600),
        n_workers=2,
        **options,
    )


def _launch(tuner: Tuner) -> str:
    launcher = RemoteLauncher(tuner, image_uri=IMAGE, role=ROLE, s3_path=f"s3://{BUCKET}", volume_size=1)
    return launcher.run(wait=False).job_name


# ---------------------------------------------------------------------------------------------- launching


def _launching() -> list[Row]:
    """Jobs that never start, so that nothing but the launch takes time; and no wait for AWS's one creation a second."""
    os.environ["CLOUDTUNE_AWS_RATES"] = "sagemaker:*=inf"
    with cloud_with_script(start_delay=10_000.0) as (cloud, script):
        first = seconds(lambda: _launch(make_tuner(script, tuner_name="first")))
        before = len(cloud.calls())
        taken = [
            seconds(lambda number=number: _launch(make_tuner(script, tuner_name=f"launch-{number}")))  # type: ignore[misc]
            for number in range(LAUNCHES)
        ]
        calls = (len(cloud.calls()) - before) / LAUNCHES
        uploads = sum(call.operation == "PutObject" and call.resource.endswith("bundle.zip") for call in cloud.calls())
        s3 = cloud.client("s3")
        one_call = statistics.median(
            seconds(lambda: s3.put_object(Bucket=BUCKET, Key="floor", Body=b"x" * 1000)) for _ in range(50)
        )
        median = statistics.median(taken)
    del os.environ["CLOUDTUNE_AWS_RATES"]
    return [
        Row("RemoteLauncher.run(wait=False), archive uploaded", median, LAUNCH_TIME, "s", 1.0, "the target"),
        Row("... against its AWS calls one after another", median, calls * one_call, "s", None, f"{calls:.0f} calls"),
        Row("... the first time in a process", first, median, "s", None, "the next ones"),
        Row(f"uploads of the archive by {LAUNCHES + 1} launches", uploads, 1, "puts", 1.0, "one"),
    ]


def _large_source() -> list[Row]:
    """The first launch of 50 MB that cannot be packed, and boto3's own upload of as many, in turn.

    What may come on top of the upload: reading, hashing and packing what is sent, which takes its own time for each
    byte (the factor), and what launching takes in any case (the constant).
    """
    os.environ["CLOUDTUNE_AWS_RATES"] = "sagemaker:*=inf"
    with cloud_with_script(start_delay=10_000.0) as (cloud, script):
        s3, source = cloud.client("s3"), script.parent
        _launch(make_tuner(script, tuner_name="imports"))
        numbers = iter(range(LARGE_REPEATS))

        def launch() -> float:
            number = next(numbers)
            for part in range(LARGE_FILES):
                noise = random.Random(f"{number} {part}").randbytes(LARGE // LARGE_FILES)
                source.joinpath(f"{part}.bin").write_bytes(noise)
            tuner = make_tuner(script, source=source, tuner_name=f"large-{number}")
            return seconds(lambda: _launch(tuner))

        def upload() -> float:
            whole = source.parent / f"{source.name}.whole"
            whole.write_bytes(b"".join(path.read_bytes() for path in sorted(source.glob("*.bin"))))
            try:
                return seconds(lambda: s3.upload_file(str(whole), BUCKET, "floor"))
            finally:
                whole.unlink()

        taken = [(launch(), upload()) for _ in range(LARGE_REPEATS)]
        # The least of each: what else the machine does meanwhile meets so long a call on one side or the other.
        launching, uploading = (min(times) for times in zip(*taken, strict=True))
    del os.environ["CLOUDTUNE_AWS_RATES"]
    allowed = LARGE_FACTOR * uploading + LAUNCH_TIME
    name = f"{LARGE_FACTOR} x a bare upload + {LAUNCH_TIME} s"
    return [
        Row(f"... {LARGE // 1_000_000} MB source, the first time", launching, allowed, "s", 1.0, name),
        Row("... against the bare upload alone", launching, uploading, "s", None, "boto3's upload_file"),
    ]


# ---------------------------------------------------------------------------------------------- the first trial


def _first_trial() -> list[Row]:
    """From the start of the tuner's container to the first CreateTrainingJob that comes from it."""
    taken = []
    with cloud_with_script(start_delay=0.0) as (cloud, script):
        for number in range(4):
            name = _launch(make_tuner(script, trials=1, tuner_name=f"first-{number}"))
            cloud.wait_for_job(name, timeout=120)
            described = cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
            began = next(
                one["StartTime"].timestamp()
                for one in described["SecondaryStatusTransitions"]
                if one["Status"] == "Training"
            )
            created = cloud.calls("sagemaker:CreateTrainingJob", who=f"job:{name}")
            taken.append(created[0].at - began)
    # The first run of all compiles what it imports.
    median = statistics.median(taken[1:])
    imports = "import boto3, dill, numpy, json; boto3.client('s3', region_name='us-east-1')"
    floor = min(seconds(lambda: subprocess.run([sys.executable, "-c", imports], check=True)) for _ in range(3))
    return [
        Row("remote tuner: container's start to first trial created", median, FIRST_TRIAL_TIME, "s", 1.0, "the target"),
        Row("... against what it has to import", median, floor, "s", None, "boto3, dill, numpy, a client"),
    ]
