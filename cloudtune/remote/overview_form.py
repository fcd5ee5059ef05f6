"""What a tuner says of its experiment in one small object: how it stands, for whoever looks at many experiments."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cloudtune.errors import CloudtuneError, NewerFormat
from cloudtune.remote.standing import Best, Limit
from cloudtune.store.entries import FAILED, FINISHED, INTERRUPTED

if TYPE_CHECKING:
    from cloudtune.tuner import Tuner

#: Version of the form. A higher one is refused.
FORMAT = 1
RUNNING = "running"
#: Its tuner has ended, and has not come to an end of its own.
UNFINISHED = "unfinished"
_STATES = (RUNNING, FINISHED, FAILED, INTERRUPTED, UNFINISHED)


class DamagedOverview(CloudtuneError):
    """What a tuner has said of its experiment cannot be read; the message says why."""


@dataclass(frozen=True)
class Overview:
    """How an experiment stands.

    Args:
        name: Of the experiment.
        tag: What experiments of one study have in common.
        state: ``running``, ``finished``, ``failed``, ``interrupted``, or ``unfinished`` (the tuner itself has failed).
        why: Why the tuner has ended; "" while it has not.
        trials: How many there are, by status.
        reports: Reports that count.
        metric: The first metric.
        mode: ``"min"`` or ``"max"``.
        best: Its best value; None while there is none.
        seconds: Active tuning time.
        cost: US dollars, as far as known.
        limits: What of the stopping criterion can be told.
        n_workers: Trials at the same time.
        created: When the experiment began, Unix seconds.
        unix: When this was said, by the clock of the tuner's machine.
        job: Training job of the tuner; "" if it has none.
        metadata: The user's.
    """

    name: str
    tag: str
    state: str
    why: str
    trials: dict[str, int]
    reports: int
    metric: str | None
    mode: str
    best: Best | None
    seconds: float
    cost: float
    limits: list[Limit]
    n_workers: int
    created: float
    unix: float
    job: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, nonce: str, beat: int) -> bytes:
        """As one JSON object; see :meth:`from_json`.

        Args:
            nonce: Tells one writer's objects from another's.
            beat: Which of its objects this is.
        """
        said = {"format": FORMAT, **asdict(self), "nonce": nonce, "beat": beat}
        if self.best is not None:
            said["best"] = {"value": self.best.value, "trial": self.best.trial, "config": self.best.config}
        return json.dumps(said).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Overview:
        """What :meth:`to_json` has written.

        Raises:
            NewerFormat: A newer cloudtune wrote it.
            DamagedOverview: It is not what was written.
        """
        try:
            said = json.loads(body)
        except ValueError as error:
            raise DamagedOverview("it is not JSON, or not all of it") from error
        if not isinstance(said, dict) or not isinstance(said.get("format"), int):
            raise DamagedOverview("it is not what a tuner writes")
        if said["format"] > FORMAT:
            raise NewerFormat("a newer cloudtune wrote it: upgrade with pip install -U cloudtune")
        try:
            return _overview(said)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DamagedOverview(f"it lacks a part, or has one of another kind ({error!r})") from error


def overview_of(tuner: Tuner, state: str, why: str, job: str, now: float) -> Overview:
    """How a tuner's experiment stands.

    Args:
        tuner: Which.
        state: As :class:`Overview` has it.
        why: As well.
        job: Its training job.
        now: Unix seconds.
    """
    status = tuner.status
    metric, incumbent = status.metric, status.incumbent
    best = None
    if metric is not None and incumbent is not None:
        value, trial, _ = incumbent
        best = Best(metric, value, trial, dict(status.records[trial].trial.config))
    limits = [(name, float(limit), float(so_far(status))) for name, limit, so_far in tuner.stop_criterion.describe()]
    return Overview(
        name=tuner.name,
        tag=tuner.tag or tuner.name,
        state=state,
        why=why,
        trials={one.value: count for one, count in status.num_by_status.items() if count},
        reports=status.num_evaluations,
        metric=metric,
        mode="max" if status.sign < 0 else "min",
        best=best,
        seconds=status.wallclock_time,
        cost=status.cost,
        # What is not finite is no JSON, and no limit.
        limits=[Limit(name, *both) for name, *both in limits if all(map(math.isfinite, both))],
        n_workers=tuner.n_workers,
        created=tuner.creation_time,
        unix=now,
        job=job,
        metadata=tuner.metadata,
    )


def _overview(said: Mapping[str, Any]) -> Overview:
    state, best = str(said["state"]), said["best"]
    if state not in _STATES:
        raise ValueError(f"no state is called {state}")
    metric = None if said["metric"] is None else str(said["metric"])
    return Overview(
        name=str(said["name"]),
        tag=str(said["tag"]),
        state=state,
        why=str(said["why"]),
        trials={str(status): int(count) for status, count in said["trials"].items()},
        reports=int(said["reports"]),
        metric=metric,
        mode="max" if said["mode"] == "max" else "min",
        best=None
        if best is None
        else Best(str(metric), float(best["value"]), int(best["trial"]), dict(best["config"])),
        seconds=float(said["seconds"]),
        cost=float(said["cost"]),
        limits=[Limit(str(one["name"]), float(one["limit"]), float(one["so_far"])) for one in said["limits"]],
        n_workers=int(said["n_workers"]),
        created=float(said["created"]),
        unix=float(said["unix"]),
        job=str(said["job"]),
        metadata=dict(said["metadata"]),
    )
