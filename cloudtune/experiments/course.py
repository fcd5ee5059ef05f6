"""How an experiment stands, rebuilt from the entries of its log; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import JobState
from cloudtune.constants import ST_LIMITS
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.store.entries import EPOCH, EXPERIMENT
from cloudtune.store.s3_log import S3LogFollower
from cloudtune.store.store import Entry
from cloudtune.tuning_status import TuningStatus

_EVERY_LIMIT = StoppingCriterion(
    max_wallclock_time=1,
    max_num_trials_started=1,
    max_num_trials_completed=1,
    max_num_trials_finished=1,
    max_num_evaluations=1,
    max_cost=1,
)


class Course:
    """Takes the entries of a log, from its beginning on."""

    def __init__(self) -> None:
        #: What the entries so far say.
        self.status = TuningStatus()
        #: The entry that says what is tuned and how; None while it has not come.
        self.header: Entry | None = None
        #: How many tuners have driven it.
        self.epoch = 0
        #: Of the newest of them: its training job (None: it ran in none), and when it began, in Unix seconds.
        self.job: str | None = None
        self.since = 0.0

    def apply(self, entry: Entry) -> None:
        """Takes the next entry."""
        if entry["event"] == EXPERIMENT:
            method = entry["scheduler"]
            self.header = entry
            self.status = TuningStatus(
                metrics=method["metric_names"],
                mode=method["metric_mode"],
                resource_attr=method.get("resource_attr"),
                max_resource_attr=method.get("max_resource_attr"),
            )
        else:
            if entry["event"] == EPOCH:
                self.epoch = entry["epoch"]
                self.job = entry["owner"].get("job")
                self.since = entry["unix"]
            self.status.apply(entry)

    def ended_before(self, job: JobState) -> bool:
        """Whether all of it is what tuners before this job's have done: its own has not begun, or never did."""
        return self.job != job.name and self.since < job.created.timestamp()

    def apply_all(self, blocks: Iterable[list[Entry]]) -> None:
        """Takes many entries."""
        for block in blocks:
            for entry in block:
                self.apply(entry)

    @property
    def experiment_id(self) -> str:
        """Part of the names of its jobs; "" while it is not known."""
        return "" if self.header is None else str(self.header["experiment_id"])


class S3Course:
    """The course of an experiment in S3, brought up to date again and again.

    Args:
        bucket: Where it lies.
        root: Prefix of the experiment.
    """

    def __init__(self, bucket: Bucket, root: str) -> None:
        self._bucket = bucket
        self._root = root
        self._begin()

    def _begin(self) -> None:
        self._log = S3LogFollower(self._bucket, self._root)
        self._rewinds = self._log.rewinds
        self._course = Course()

    def read(self) -> Course:
        """The course as it is now. Raises AwsError."""
        blocks = self._log.new_blocks()
        if self._log.rewinds != self._rewinds:
            self._begin()  # a tuner went on without entries that were read
            blocks = self._log.new_blocks()
        self._course.apply_all(blocks)
        return self._course


class KnownLimits:
    """The limits of an experiment as its metadata tell them: for a display, where there is no stopping criterion.

    Args:
        metadata: What ``metadata.json`` holds, or nothing.
    """

    def __init__(self, metadata: Mapping[str, Any] | None = None) -> None:
        limits = (metadata or {}).get(ST_LIMITS)
        #: Name -> limit.
        self.limits: dict[str, float] = {
            str(name): limit
            for name, limit in (limits if isinstance(limits, dict) else {}).items()
            if isinstance(limit, int | float)
        }

    def describe(self) -> list[tuple[str, float, Callable[[TuningStatus], float]]]:
        """See :meth:`cloudtune.stopping_criterion.Criterion.describe`."""
        return [(name, self.limits[name], so_far) for name, _, so_far in _EVERY_LIMIT.describe() if name in self.limits]
