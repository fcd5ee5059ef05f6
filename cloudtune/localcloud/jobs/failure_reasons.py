"""Why jobs end other than Completed, in AWS's words as far as they are known."""

from __future__ import annotations

import errno
import signal

#: AWS cuts FailureReason to so many characters; the exit code at its end is kept.
MAX_CHARACTERS = 1024

INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."
CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)


class JobFailed(Exception):
    """Ends a job as Failed; the message is its FailureReason."""


class JobStopped(Exception):
    """Ends a job as Stopped.

    Args:
        secondary: Its last secondary status: Stopped, MaxRuntimeExceeded or MaxWaitTimeExceeded.
        message: What is told with that status.
    """

    def __init__(self, secondary: str = "Stopped", message: str = "Training job stopped") -> None:
        super().__init__(message)
        self.secondary = secondary
        self.message = message


def max_runtime_exceeded() -> JobStopped:
    """Of a job that trained for longer than MaxRuntimeInSeconds, over all its runs."""
    return JobStopped("MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds provided")


def max_wait_exceeded() -> JobStopped:
    """Of a spot job that has not ended within MaxWaitTimeInSeconds of its creation."""
    return JobStopped("MaxWaitTimeExceeded", "Training job waiting time exceeded MaxWaitTimeInSeconds provided")


def pending_too_long() -> JobStopped:
    """Of a job that got no place among the running jobs within MaxPendingTimeInSeconds."""
    return JobStopped(message="Training job was pending for longer than MaxPendingTimeInSeconds provided")


def algorithm_error(failure: str, exit_code: int, host: str = "") -> str:
    """Of a container that ended with an exit code other than 0, negative for a signal.

    Args:
        failure: What the container wrote to /opt/ml/output/failure, or the last lines of its output.
        exit_code: As the sandbox tells it.
        host: Named where the job has several, such as ``algo-2``.

    Without a text nothing stands between colon and comma, as on AWS: "AlgorithmError: , exit code: 1".
    """
    if exit_code < 0:
        end = f", exit code: {128 - exit_code} ({_signal_name(-exit_code)})"
    else:
        end = f", exit code: {exit_code}"
    start = f"AlgorithmError: {host}: " if host else "AlgorithmError: "
    return start + failure[: MAX_CHARACTERS - len(start) - len(end)] + end


def cannot_start(why: str) -> str:
    """Of a container whose command cannot be run."""
    return (
        "AlgorithmError: CannotStartContainerError. Please make sure the container can be run with 'docker run <image> "
        f"train'. {why}"
    )


def no_isolation() -> str:
    """Of a job without network, where nothing can take the network away from a process."""
    return (
        "ClientError: EnableNetworkIsolation needs namespaces, and this local cloud runs jobs without them on this "
        "machine. Leave it out, or start the local cloud with sandbox='namespaces' to learn why there are none."
    )


def no_objects(uri: str, bucket: str, region: str, role: str) -> str:
    """Of a channel for which S3 has no object."""
    return (
        "ClientError: Data download failed: Failed to download data. No S3 objects found under S3 URL "
        f'"{uri}" given in input data source. '
        f"Please ensure that the bucket exists in the selected region ({region}), that objects "
        f'exist under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def download_failed(why: str) -> str:
    """Of inputs or checkpoints that cannot be brought to the job."""
    return f"ClientError: Data download failed: {why}"


def upload_failed(why: str) -> str:
    """Of outputs or checkpoints that cannot be brought to S3."""
    return f"ClientError: Artifact upload failed: {why}"


def volume_full(held: int, limit: int) -> str:
    """Of a job that wrote more than its volume holds; both in bytes."""
    return (
        f"ClientError: No space left on device: the job's files take {held} bytes, its volume holds {limit}. "
        "Please use a larger VolumeSizeInGB."
    )


def log_too_long(limit: int) -> str:
    """Of a job that wrote more output than the cloud keeps; ``limit`` in bytes."""
    return (
        f"ClientError: The job wrote more than {limit} bytes to its log, which is where this local cloud ends a job "
        "(setting log_limit)."
    )


def of_os_error(error: OSError) -> str:
    """Of the platform's own files that cannot be written or read."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "ClientError: No space left on device, where this machine keeps the files of jobs."
    # Where the files lie on this machine is not the job's business; the cloud's log tells it.
    return f"ClientError: The files of the job cannot be handled: {error.strerror or error}"[:MAX_CHARACTERS]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
