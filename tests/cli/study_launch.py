"""A study that a test launches by command on the cloud in its process, and what of it has arrived there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dill
from click.testing import CliRunner, Result

from benchmarking.definitions.digits_mlp import digits_mlp
from cloudtune.cli.launch import make_launch_command
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.remote.tuner_job import PICKLE
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.extra_arguments import ExtraArgument
from cloudtune.tuner import Tuner

#: Name of a flag -> words behind it; None: the flag is left out.
Words = Mapping[str, tuple[str, ...] | None]

BUCKET = "experiments"
CATALOGUE = Catalogue(
    {"digits_mlp": digits_mlp, "digits_again": digits_mlp},
    extra_arguments=[
        ExtraArgument("brackets", int),
        ExtraArgument("allow_duplicates", bool),
        ExtraArgument("type", str),
        ExtraArgument("reduction_factor", float),
    ],
)
#: One experiment.
SMALL: Words = {
    "experiment_tag": ("study",),
    "benchmark": ("digits_mlp",),
    "method": ("ASHA",),
    "s3_path": (f"s3://{BUCKET}",),
    "yes": (),
}


@dataclass
class Arrived:
    """What a launch has brought into the cloud. Objects and tuners are read when they are first asked for.

    Args:
        cloud: Where.
        result: Of the command.
        bucket: Of the experiments.
    """

    cloud: InProcessCloud
    result: Result
    bucket: str = BUCKET

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """What was asked for of each tuner's job, in the order of their creation."""
        return [job.request for job in self.cloud.jobs()]

    @property
    def job(self) -> dict[str, Any]:
        """That of the only one."""
        (job,) = self.jobs
        return job

    @cached_property
    def objects(self) -> dict[str, bytes]:
        """Key -> content of each object in the bucket of the experiments."""
        s3 = self.cloud.client("s3")
        keys = [row["Key"] for row in s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    @cached_property
    def tuners(self) -> dict[str, Tuner]:
        """The tuners that have arrived, as their jobs unpickle them, by experiment."""
        found = (dill.loads(body) for key, body in self.objects.items() if key.endswith(f"/{PICKLE}"))
        return {tuner.name: tuner for tuner in found}

    @property
    def tuner(self) -> Tuner:
        """The only one."""
        (tuner,) = self.tuners.values()
        return tuner

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the only experiment."""
        return {**self.tuner.metadata, **self.tuner.scheduler.metadata()}


def launch(
    cloud: InProcessCloud, flags: Words, catalogue: Catalogue | None = CATALOGUE, make_bucket: bool = True
) -> Arrived:
    """Runs the command with some flags, and those of a small study where they do not say otherwise.

    Args:
        cloud: Where.
        flags: Of the command.
        catalogue: Of the study; None: the flags name it.
        make_bucket: Make the bucket of the experiments first.
    """
    all_flags = {**SMALL, **flags}
    words = [word for name, behind in all_flags.items() if behind is not None for word in (f"--{name}", *behind)]
    (s3_path,) = all_flags["s3_path"] or ("",)
    bucket = s3_path.removeprefix("s3://").partition("/")[0]
    if make_bucket:
        (region,) = all_flags.get("region") or ("us-east-1",)
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        cloud.client("s3", region_name=region).create_bucket(Bucket=bucket, **where)
    return Arrived(cloud, CliRunner().invoke(make_launch_command(catalogue), words), bucket)
