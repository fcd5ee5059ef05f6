"""A cloud without doors for tests of the executor: the real platform over moto's backends in this process."""

from __future__ import annotations

import io
import itertools
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sagemaker.models import sagemaker_backends

from cloudtune.localcloud.jobs.training_job import TrainingJob
from cloudtune.localcloud.platform import Platform
from cloudtune.localcloud.settings import CloudSettings
from tests.localcloud.jobs.job_leftovers import descriptors, job_threads, marked_processes

BUCKET = "a-bucket"
ROLE = "arn:aws:iam::123456789012:role/training"
GROUP = "/aws/sagemaker/TrainingJobs"
#: Longer than anything takes on a busy machine.
PATIENCE = 60.0


class Place:
    """One cloud, with one bucket."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], endpoint: str | None = None) -> None:
        self.folder = folder
        self.platform = Platform(CloudSettings(folder=str(folder), **settings), endpoint=endpoint)
        self.account = self.platform.settings.account
        self.region = self.platform.settings.region
        self._numbers = itertools.count()
        s3_backends[self.account]["aws"].create_bucket(BUCKET, self.region)

    @property
    def executor(self) -> Any:
        assert self.platform.executor is not None
        return self.platform.executor

    def create(self, *command: str, name: str = "", **request: Any) -> TrainingJob:
        """Creates a job that runs ``command``, and lets the executor start it."""
        name = name or f"job-{next(self._numbers)}"
        algorithm = {"TrainingImage": "an-image", "TrainingInputMode": "File", **request.pop("algorithm", {})}
        if command:
            algorithm["ContainerEntrypoint"] = list(command)
        whole = {
            "TrainingJobName": name,
            "AlgorithmSpecification": algorithm,
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            **request,
        }
        job = TrainingJob(whole, self.platform.clock, self.account, self.region)
        self.platform.jobs.of(self.account, self.region)[name] = job
        self.platform.created(job)
        return job

    def python(self, script: str, *arguments: str, **request: Any) -> TrainingJob:
        """Creates a job that runs a Python script."""
        return self.create("python", "-c", script, *arguments, **request)

    def run(self, *command: str, **request: Any) -> TrainingJob:
        """Creates a job and waits for its end."""
        return self.ended(self.create(*command, **request))

    def ended(self, job: TrainingJob) -> TrainingJob:
        """Waits for the end of a job."""
        assert job.wait(PATIENCE), f"{job.name} is {job.state}"
        return job

    def stop(self, job: TrainingJob) -> None:
        """As StopTrainingJob does it."""
        assert job.want_stop()
        self.platform.stop_wanted(job)

    def put(self, key: str, content: bytes | str) -> None:
        """Puts an object into the bucket."""
        data = content.encode() if isinstance(content, str) else content
        path = self.folder / "object-to-put"
        path.write_bytes(data)
        self.platform.storage.upload(str(path), BUCKET, key)
        path.unlink()

    def get(self, key: str) -> bytes:
        return self.platform.storage.read(BUCKET, key)

    def objects(self, prefix: str = "") -> list[str]:
        return [found.key for found in self.platform.storage.list(BUCKET, prefix)]

    def archive(self, key: str) -> dict[str, bytes | str]:
        """What is in a tar archive: content of files, targets of links."""
        with tarfile.open(fileobj=io.BytesIO(self.get(key))) as archive:
            found: dict[str, bytes | str] = {}
            for member in archive.getmembers():
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    found[member.name] = file.read()
                elif member.issym():
                    found[member.name] = member.linkname
            return found

    def streams(self, job: TrainingJob) -> dict[str, list[str]]:
        """Stream -> lines, of one job."""
        self.platform.logs.deliver(everything=True)
        group = logs_backends[self.account][self.region].groups.get(GROUP)
        if group is None:
            return {}
        found = self.platform.logs.streams(group, job.name + "/")
        return {stream.log_stream_name: [line.message for line in stream.events] for stream in found}

    def lines(self, job: TrainingJob) -> list[str]:
        """All lines of a job, stream after stream."""
        return [line for lines in self.streams(job).values() for line in lines]

    def secondaries(self, job: TrainingJob) -> list[str]:
        """The secondary statuses that the job went through."""
        return [row["Status"] for row in job.describe()["SecondaryStatusTransitions"]]

    def wait_for(self, condition: Callable[[], object], what: str = "") -> None:
        """Waits until something is so."""
        wait_until(condition, what)

    def wait_for_line(self, job: TrainingJob, line: str) -> None:
        """Waits until a job has written a line."""
        wait_until(lambda: line in self.lines(job) or job.is_terminal, f"{line!r} from {job.name}")
        assert line in self.lines(job), job.state


def wait_until(condition: Callable[[], object], what: str = "") -> None:
    """Waits until something is so, and fails if it is not within a minute."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what or condition}"
        pause.wait(0.005)


@contextmanager
def cloud(folder: Path, endpoint: str | None = None, **settings: Any) -> Iterator[Place]:
    """A cloud for a test; afterwards nothing of it is left."""
    folder.mkdir(exist_ok=True)
    before = descriptors()
    place = Place(folder, settings, endpoint)
    try:
        yield place
    finally:
        place.platform.close()
        for backends in (s3_backends, logs_backends, sagemaker_backends):
            backends.reset()
        s3_backends.bucket_accounts.clear()
    assert os.listdir(folder) == []
    assert job_threads() == []
    assert marked_processes(place.platform.id) == []
    assert descriptors() <= before, f"open: {descriptors() - before}"
