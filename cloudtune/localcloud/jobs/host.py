"""One host of one run of a job: its folder, its container, its log, its checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.checkpoint_sync import CheckpointSync
from cloudtune.localcloud.jobs.failure_reasons import JobFailed, algorithm_error, no_isolation
from cloudtune.localcloud.jobs.image_environments import behind_links
from cloudtune.localcloud.jobs.job_environment import (
    container_command,
    container_environment,
    is_isolated,
    temporary_folders,
)
from cloudtune.localcloud.jobs.job_log import JobLog
from cloudtune.localcloud.jobs.ml_folder import MlFolder, checkpoint_path, host_groups
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.volume_guard import volume_of
from cloudtune.localcloud.sandbox.sandbox import Container, ContainerSpec, Sandbox

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform


class Host:
    """A host that is not made yet.

    Args:
        platform: The cloud.
        job: Whose host.
        name: ``algo-1`` and so on.
        root: Folder of the host, which exists.
        stream: Of its log.
    """

    def __init__(self, platform: Platform, job: TrainingJob, name: str, root: str, stream: str) -> None:
        self.name = name
        self.ml = MlFolder(os.path.join(root, "ml"))
        self.log = JobLog(platform, job, stream)
        self.exit_code: int | None = None
        #: Where the container's output is read; -1 before it starts and after it has ended.
        self.output = -1
        self.container: Container | None = None
        self.sync: CheckpointSync | None = None
        self._platform = platform
        self._job = job
        self._root = root
        path = checkpoint_path(job.request)
        if path is not None:
            place = S3Location.parse(job.request["CheckpointConfig"]["S3Uri"])
            largest = volume_of(job, platform.settings)
            self.sync = CheckpointSync(platform.storage, place, self.ml.path, path, largest)

    def start(self, sandbox: Sandbox, addresses: Mapping[str, str]) -> None:
        """Starts the container. Raises ContainerStartFailed; JobFailed if it asks for what the sandbox cannot do."""
        if is_isolated(self._job) and sandbox.kind == "folders":
            raise JobFailed(no_isolation())
        self.output, output = os.pipe()
        os.set_blocking(self.output, False)
        try:
            environment = container_environment(self._platform, self._job, self.name, self._root)
            self.container = sandbox.start(
                ContainerSpec(
                    command=container_command(self._job),
                    environment=environment,
                    ml_folder=self.ml.path,
                    output=output,
                    hostname=self.name,
                    hosts=addresses,
                    network=not is_isolated(self._job),
                    temporary=temporary_folders(self._root),
                    keep=[
                        *(self._job.request.get("HyperParameters") or {}).values(),
                        *behind_links(environment["PATH"]),
                    ],
                )
            )
        finally:
            os.close(output)

    def read(self) -> bytes | None:
        """What the container wrote: None if there is nothing now, empty bytes if there will be nothing any more."""
        try:
            data = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return None
        return data

    def failure_reason(self) -> str:
        """Why the container ended with a code other than 0.

        What it wrote to ``/opt/ml/output/failure``; without such a file the last lines of its output, where AWS has
        nothing at all.
        """
        code = self.exit_code or 0
        failure = job_files.read_text(self.ml.path, "output/failure", 1024)
        text = failure or (self.log.last_lines if code > 0 else "")
        return algorithm_error(text, code, self.name if len(host_groups(self._job)) > 1 else "")

    def close(self) -> None:
        """Kills the container, and sends the rest of the log that is known."""
        if self.container is not None:
            self.container.close()
        self.close_output()
        self.log.flush()

    def close_output(self) -> None:
        """No more output is read."""
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
