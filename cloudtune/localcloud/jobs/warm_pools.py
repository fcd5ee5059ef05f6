"""Warm pools: the instances of a completed job, kept for the next one that matches.

Kept after completion only, not after a stop or a failure. How AWS decides there is not known for sure.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.localcloud.jobs.training_job import TrainingJob
    from cloudtune.localcloud.platform import Platform

#: What of a request must be alike for the instances to be used again, beside region, account and instances.
_ALIKE = ("RoleArn", "VpcConfig", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")


@dataclass
class _Pool:
    job: TrainingJob
    kind: str
    began: float
    expires: float


class WarmPools:
    """The warm pools of a cloud. Thread-safe. A thread lives while there are pools, to see to their end."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._changed = threading.Condition()
        self._pools: list[_Pool] = []
        self._users: dict[str, TrainingJob] = {}
        self._thread: threading.Thread | None = None

    def take(self, job: TrainingJob) -> bool:
        """Gives the instances of a pool to a job that is about to start; False if none matches."""
        if not job.keep_alive_seconds:
            return False
        with self._changed:
            now = self._platform.clock.time()
            kind = _kind(job)
            pool = next((pool for pool in self._pools if pool.kind == kind and pool.expires > now), None)
            if pool is None:
                return False
            self._pools.remove(pool)
            self._users[job.arn] = job
            _tell(pool.job, {**_retained(pool, now), "Status": "Reused", "ReusedByJob": job.name})
            _tell(job, {"Status": "InUse"})
            self._changed.notify_all()
            return True

    @contextlib.contextmanager
    def keep(self, job: TrainingJob, wanted: bool = True) -> Iterator[Mapping[str, Any] | None]:
        """To be held while a job ends: what its record is to say of its warm pool, None for nothing.

        The instances can be taken from the end of the context on, so that nobody sees them taken before the job ended.

        Args:
            job: That is about to end.
            wanted: Whether its end is one after which instances are kept.
        """
        with self._changed:
            used = self._users.pop(job.arn, None) is not None
            if not (wanted and job.keep_alive_seconds and self._allowed(job)):
                yield {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0} if used else None
                return
            now = self._platform.clock.time()
            yield {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 0}
            self._pools.append(_Pool(job, _kind(job), now, now + job.keep_alive_seconds))
            if self._thread is None:
                self._thread = threading.Thread(target=self._expire, name="warm pools", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def update(self, job: TrainingJob) -> None:
        """The request's KeepAlivePeriodInSeconds has changed (UpdateTrainingJob): the pool ends by the new one."""
        with self._changed:
            for pool in self._pools:
                if pool.job is job:
                    pool.expires = pool.began + job.keep_alive_seconds
            self._changed.notify_all()

    def in_use(self, instance_type: str, account: str, region: str) -> int:
        """Instances that wait in pools, or that a job has taken from one and will give back."""
        with self._changed:
            holders = [pool.job for pool in self._pools] + list(self._users.values())
        return sum(
            job.instance_count
            for job in holders
            if (job.instance_type, job.account, job.region) == (instance_type, account, region)
        )

    def clear(self) -> None:
        """Forgets all pools: the records of their jobs are gone."""
        with self._changed:
            self._pools.clear()
            self._users.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def close(self) -> None:
        """As ``clear``, and the thread has ended."""
        self.clear()

    def _allowed(self, job: TrainingJob) -> bool:
        limit = self._platform.quotas.limit(f"{job.instance_type} for training warm pool usage")
        used = self.in_use(job.instance_type, job.account, job.region)
        return limit is None or used + job.instance_count <= limit

    def _expire(self) -> None:
        with self._changed:
            while self._pools:
                now = self._platform.clock.time()
                for pool in [pool for pool in self._pools if pool.expires <= now]:
                    self._pools.remove(pool)
                    _tell(pool.job, {**_retained(pool, now), "Status": "Terminated"})
                if self._pools:
                    first = min(pool.expires for pool in self._pools)
                    self._changed.wait(min(self._platform.clock.real(first - now), threading.TIMEOUT_MAX))
            self._thread = None


def _kind(job: TrainingJob) -> str:
    resources = job.request.get("ResourceConfig") or {}
    algorithm = job.request.get("AlgorithmSpecification") or {}
    return json.dumps(
        [
            job.account,
            job.region,
            job.instance_type,
            job.instance_count,
            resources.get("VolumeSizeInGB"),
            resources.get("VolumeKmsKeyId"),
            algorithm.get("TrainingImage"),
            algorithm.get("AlgorithmName"),
            *(job.request.get(name) or None for name in _ALIKE),
        ],
        sort_keys=True,
    )


def _retained(pool: _Pool, now: float) -> dict[str, int]:
    seconds = math.ceil(max(0.0, min(now, pool.expires) - pool.began))
    return {"ResourceRetainedBillableTimeInSeconds": seconds}


def _tell(job: TrainingJob, warm_pool: dict[str, Any]) -> None:
    job.move(job.state.secondary, warm_pool=warm_pool)
