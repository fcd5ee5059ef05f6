"""What it takes to launch a study: twenty cells of one source, without limits and at the rate that AWS allows."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarking.definitions import BENCHMARKS
from benchmarking.overhead.account import BUCKET, IMAGE, ROLE
from benchmarking.overhead.measurement import Row, seconds
from cloudtune.aws.quotas import forget_quotas
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.settings import AWS_RATES
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.launching import StudyLaunch, launch_study
from cloudtune.studies.plan import Plan

#: Methods x seeds, as many as the study of the guide has for each number of workers.
METHODS, SEEDS = ("RS", "ASHA", "MSR", "GS"), 5
CELLS = len(METHODS) * SEEDS
#: What the issue allows, in seconds: without limits, and at one creation a second.
FREE_TIME, PACED_TIME = 3.0, 25.0
_ACCOUNT = Account(s3_path=f"s3://{BUCKET}", role=ROLE, image_uri=IMAGE, tuner_image_uri=IMAGE)


def measure(repeats: int) -> list[Row]:
    """All rows about launching studies."""
    del repeats
    os.environ["CLOUDTUNE_AWS_RATES"] = "sagemaker:*=inf"
    with _cloud() as cloud:
        first = seconds(lambda: _launch("first"))
        uploads = sum(call.resource.endswith("bundle.zip") for call in cloud.calls("s3:PutObject"))
        before = len(cloud.calls())
        again = seconds(lambda: _launch("second"))
        calls = len(cloud.calls()) - before
        nothing = seconds(lambda: _launch("second", new=0))
        s3 = cloud.client("s3")
        one_call = statistics.median(
            seconds(lambda: s3.put_object(Bucket=BUCKET, Key="floor", Body=b"x" * 1000)) for _ in range(50)
        )
    del os.environ["CLOUDTUNE_AWS_RATES"]
    with _cloud(rates=AWS_RATES) as cloud:
        paced = seconds(lambda: _launch("paced"))
        assert len(cloud.jobs()) == CELLS
    return [
        Row(f"launching {CELLS} cells, the first time in a process", first, FREE_TIME, "s", 1.0, "the target"),
        Row("... uploads of the archive", uploads, 1, "puts", 1.0, "one"),
        Row("... of another study", again, FREE_TIME, "s", 1.0, "the target"),
        Row("... against its AWS calls one after another", again, calls * one_call, "s", None, f"{calls} calls"),
        Row("... the same command again, with nothing to launch", nothing, again, "s", None, "launching them"),
        Row(f"launching {CELLS} cells at AWS's rates", paced, PACED_TIME, "s", 1.0, "the target"),
    ]


@contextlib.contextmanager
def _cloud(**settings: Any) -> Iterator[LocalCloud]:
    """A local cloud with a bucket, whose jobs never start: nothing but launching takes time."""
    with LocalCloud(start_delay=10_000.0, **settings) as cloud, cloud.activate():
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        forget_quotas()
        yield cloud


def _launch(tag: str, new: int = CELLS) -> StudyLaunch:
    plan = Plan(tag, ("digits_mlp",), METHODS, (8,), num_seeds=SEEDS)
    done = launch_study(Catalogue(BENCHMARKS), plan, _ACCOUNT)
    assert len(done.launched) == new, f"{len(done.launched)} cells were launched, not {new}"
    return done
