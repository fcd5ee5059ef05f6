"""Everything about a local cloud that can be chosen when it starts."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.localcloud.fault import Fault

#: Calls per second that AWS allows by default, with bursts of as many calls (at least one). Sources: AWS's quota pages
#: for CreateTrainingJob (1/s), reports of users for ListTrainingJobs (2/s) and FilterLogEvents (5/s); the others are
#: guesses on the careful side.
AWS_RATES: Mapping[str, float] = {
    "sagemaker:CreateTrainingJob": 1.0,
    "sagemaker:StopTrainingJob": 1.0,
    "sagemaker:ListTrainingJobs": 2.0,
    "sagemaker:DescribeTrainingJob": 10.0,
    "sagemaker:Search": 2.0,
    "logs:FilterLogEvents": 5.0,
    "logs:GetLogEvents": 10.0,
    "logs:DescribeLogStreams": 5.0,
}


class FolderUnusable(Exception):
    """Folders for jobs cannot be made where the settings say; the message names the place and says what to do."""


@dataclass(frozen=True)
class CloudSettings:
    """Settings of a local cloud. Seconds are cloud seconds (see ``time_scale``) unless said otherwise.

    Args:
        port: Port on 127.0.0.1; 0 takes a free one.
        region: Where the cloud's own clients and jobs are unless a request says otherwise.
        account: Twelve digits.
        folder: Where the folders of running jobs are made; a temporary folder of the cloud's own by default.
        state_folder: Where the state is kept so that the cloud can be taken down and brought up again; not kept by
            default.
        time_scale: Cloud seconds per real second.
        start_delay: From CreateTrainingJob until the container starts. Minutes on AWS, nothing here by default.
        warm_start_delay: The same where a warm pool is reused.
        stop_grace: From SIGTERM to SIGKILL, for every kind of stop.
        spot_notice: From SIGTERM to SIGKILL when a spot instance is taken away with notice.
        spot_discount: Share of the training time that is not billed for spot jobs.
        spot_restart_delay: Until a new spot instance is found for an interrupted job.
        sync_interval: *Real* seconds between two uploads of the checkpoints that changed.
        images: Glob pattern for image URIs -> path of a Python interpreter, or of the folder of a virtual environment.
            The first match counts; without one a job runs in the environment that the cloud itself runs in.
        quotas: Name of a SageMaker quota, such as ``ml.g4dn.xlarge for training job usage``, ``… for spot training job
            usage``, ``… for training warm pool usage`` -> instances.
        default_quota: Instances allowed where ``quotas`` has no entry; None allows any number.
        rates: Operation (``sagemaker:CreateTrainingJob``) -> calls per second; ``AWS_RATES`` has AWS's. No limits by
            default.
        sandbox: ``namespaces``, ``folders`` or ``auto``: what shows a job its ``/opt/ml``.
        max_running_jobs: How many jobs run at once on this machine; more wait as Pending. None: all.
        log_limit: Bytes that a job may write to its log before it is ended as failed.
        volume_limit: Bytes that a job's folder may hold before the job is ended as failed; by default what the request
            says (``VolumeSizeInGB``).
        seed: Of the faults' random numbers.
        faults: Faults in force from the beginning.
        kept_calls: How many API calls are remembered, newest first to stay; counts go on beyond that.
    """

    port: int = 0
    region: str = "us-east-1"
    account: str = "123456789012"
    folder: str | None = None
    state_folder: str | None = None
    time_scale: float = 1.0
    start_delay: float = 0.0
    warm_start_delay: float = 0.0
    stop_grace: float = 120.0
    spot_notice: float = 120.0
    spot_discount: float = 0.7
    spot_restart_delay: float = 0.0
    sync_interval: float = 1.0
    images: Mapping[str, str] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)
    default_quota: int | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    sandbox: str = "auto"
    max_running_jobs: int | None = None
    log_limit: int = 64_000_000
    volume_limit: int | None = None
    seed: int = 0
    faults: tuple[Fault, ...] = ()
    kept_calls: int = 50_000

    def __post_init__(self) -> None:
        if not (isinstance(self.account, str) and self.account.isdecimal() and len(self.account) == 12):
            raise ValueError(f"account is {self.account!r}; it must be a string of twelve digits.")
        if self.sandbox not in ("auto", "namespaces", "folders"):
            raise ValueError(f"sandbox is {self.sandbox!r}; it must be auto, namespaces or folders.")
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port is {self.port!r}; it must be 0 (a free one) to 65535.")
        for name in ("time_scale", "sync_interval"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be a positive number of seconds.")
        for name in ("start_delay", "warm_start_delay", "stop_grace", "spot_notice", "spot_restart_delay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must not be negative.")
        for name in ("max_running_jobs", "kept_calls"):
            value = getattr(self, name)
            if value is not None and not value >= 1:
                raise ValueError(f"{name} is {value!r}; it must be at least 1.")

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` reads."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        values["faults"] = [fault.to_dict() for fault in self.faults]
        return json.dumps(values, default=dict)

    @classmethod
    def from_json(cls, text: str) -> CloudSettings:
        """Raises ValueError where a field or a fault is not known."""
        values: dict[str, Any] = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("The settings of a local cloud are a JSON object.")
        unknown = set(values) - {entry.name for entry in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"A local cloud has no setting {sorted(unknown)[0]!r}.")
        values["faults"] = tuple(Fault.from_dict(fault) for fault in values.get("faults", ()))
        return cls(**values)


def chosen(settings: CloudSettings | None, overrides: Mapping[str, Any]) -> CloudSettings:
    """The settings with some of them changed; raises TypeError naming one that does not exist."""
    known = {entry.name for entry in dataclasses.fields(CloudSettings)}
    unknown = sorted(set(overrides) - known)
    if unknown:
        close = difflib.get_close_matches(unknown[0], known, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(sorted(known))}."
        raise TypeError(f"A local cloud has no setting {unknown[0]!r}{meant}")
    return dataclasses.replace(settings or CloudSettings(), **overrides)


def check_folder(folder: str) -> None:
    """Makes the folder for jobs' folders, and a folder in it for a moment.

    Raises:
        FolderUnusable: It is a file, or nothing can be made in it.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.rmdir(tempfile.mkdtemp(dir=folder))
    except OSError as error:
        reason = "it is a file" if os.path.isfile(folder) else error.strerror
        raise FolderUnusable(
            f"Jobs cannot have their folders in {folder}: {reason}; choose another folder, or none to have them where "
            "temporary files go."
        ) from error
