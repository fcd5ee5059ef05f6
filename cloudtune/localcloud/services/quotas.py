"""How many instances an account may use at once, by instance type and way of use."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudtune.localcloud.aws_error import AwsError
from cloudtune.localcloud.jobs.training_job import instances_of

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

ON_DEMAND = "for training job usage"
SPOT = "for spot training job usage"
WARM_POOL = "for training warm pool usage"
LONGEST_RUN = "Longest run time for a training job"
MOST_INSTANCES = "Maximum number of instances per training job"
#: Limits of a single job, which AWS raises on request: seconds and instances. From AWS's page of default quotas.
DEFAULTS: Mapping[str, int] = {LONGEST_RUN: 432_000, MOST_INSTANCES: 20}


class Quotas:
    """The limits of all accounts and regions, and what is used of them. Thread-safe.

    Args:
        platform: The cloud. Its settings have the limits at the start; ``set`` changes them.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._limits: dict[str, int] = dict(platform.settings.quotas)
        #: Increases that clients asked Service Quotas for, as it describes them; oldest first.
        self.requests: list[dict[str, Any]] = []

    def limit(self, name: str) -> int | None:
        """The limit of that name (``ml.g4dn.xlarge for training job usage``); None: there is none."""
        found = self._limits.get(name)
        if found is not None:
            return found
        return DEFAULTS.get(name, self._platform.settings.default_quota)

    def set(self, name: str, value: int) -> None:
        """Changes a limit from now on; jobs that run already go on. Raises ValueError for a negative one."""
        if value < 0:
            raise ValueError(f"The quota {name!r} cannot be {value}: give 0 or more instances.")
        with self._lock:
            self._limits = {**self._limits, name: value}

    def limits(self) -> dict[str, int]:
        """The limits that were set, by settings or ``set``."""
        return dict(self._limits)

    def used(self, name: str, account: str, region: str) -> int:
        """Instances in use now: of jobs in progress or stopping, or of warm pools. 0 for a name we do not know."""
        kind, _, use = name.partition(" ")
        if use == WARM_POOL:
            return self._platform.warm_pools.in_use(kind, account, region)
        if use not in {ON_DEMAND, SPOT}:
            return 0
        live = self._platform.jobs.live(account, region)
        return sum(job.instances.get(kind, 0) for job in live if job.is_spot == (use == SPOT))

    def check(self, job_request: Mapping[str, Any], account: str, region: str) -> None:
        """Raises AwsError ResourceLimitExceeded where the job would go over a limit.

        To be called, like the creation itself, with ``jobs.creating`` held.
        """
        wanted = instances_of(job_request)
        self._check_one(MOST_INSTANCES, sum(wanted.values()), 0, "Instances")
        seconds = (job_request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds", 0)
        self._check_one(LONGEST_RUN, seconds, 0, "Seconds")
        use = SPOT if job_request.get("EnableManagedSpotTraining") else ON_DEMAND
        for kind, count in wanted.items():
            name = f"{kind} {use}"
            if self.limit(name) is not None:
                self._check_one(name, count, self.used(name, account, region), "Instances")

    def _check_one(self, name: str, wanted: int, used: int, unit: str) -> None:
        limit = self.limit(name)
        if limit is not None and used + wanted > limit:
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{name}' is {limit} {unit}, with current utilization of {used} "
                f"{unit} and a request delta of {wanted} {unit}. Please use AWS Service Quotas to request an increase "
                "for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase "
                "for this quota.",
            )
