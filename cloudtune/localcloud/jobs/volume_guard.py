"""Keeps a job within its volume."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.failure_reasons import JobFailed, volume_full

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.settings import CloudSettings

#: No disk is written faster, in bytes a second: so long before the limit can be reached nobody needs to look.
_FASTEST = 500e6
_SHORTEST, _LONGEST = 1.0, 30.0
#: Of the time, at most this share goes into looking.
_SHARE = 0.02


class VolumeGuard:
    """Measures the folder of a job now and then: the oftener, the fuller.

    Args:
        folder: To be measured.
        limit: In bytes; None: nothing is measured.
    """

    def __init__(self, folder: str, limit: int | None) -> None:
        self._folder = folder
        self._limit = limit
        #: Real seconds after which to check again; None: never.
        self.pause = None if limit is None else self._pause(0, 0.0)
        self._checked = time.monotonic()

    def check(self) -> None:
        """Raises JobFailed if the folder holds more than the limit."""
        if self._limit is None:
            return
        began = time.monotonic()
        held = job_files.size_of(self._folder, self._limit)
        if held > self._limit:
            raise JobFailed(volume_full(held, self._limit))
        self._checked = time.monotonic()
        self.pause = self._pause(held, self._checked - began)

    def check_if_due(self) -> None:
        """As ``check``, if the pause after the last one is over."""
        if self.pause is not None and time.monotonic() - self._checked >= self.pause:
            self.check()

    def _pause(self, held: int, took: float) -> float:
        left = ((self._limit or 0) - held) / _FASTEST
        return max(min(max(left, _SHORTEST), _LONGEST), took / _SHARE)


def volume_limit(setting: int | None, gigabytes: int | None) -> int | None:
    """Bytes that a job may write: the cloud's setting, else what the request has."""
    if setting is not None:
        return setting
    return gigabytes * 1024**3 if gigabytes else None


def volume_of(job: TrainingJob, settings: CloudSettings) -> int | None:
    """The same of a job."""
    return volume_limit(settings.volume_limit, (job.request.get("ResourceConfig") or {}).get("VolumeSizeInGB"))
