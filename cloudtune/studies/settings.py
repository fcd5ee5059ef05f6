"""What applies to every cell of a plan, beside its method, benchmark, workers and seed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.studies.seeds import master_seed

BACKENDS = ("sagemaker", "local", "simulator")


@dataclass(frozen=True)
class CellSettings:
    """Settings that decide what an experiment is: a cell that exists with others is not continued.

    Args:
        backend: Where trials run: ``"sagemaker"`` (each a training job), ``"local"`` (beside the loop) or
            ``"simulator"`` (a table of learning curves).
        random_seed: Master seed. Default: one that the tag decides.
        max_wallclock_time: Active tuning time in seconds. Default: the benchmark's.
        scale_max_wallclock_time: Multiply it by the benchmark's default number of workers over the cell's, where the
            cell has fewer.
        max_num_trials_started: No cell starts more trials.
        instance_type: Of the trials' machines, best first; the others where that one is not to be had. Default: the
            benchmark's.
        max_failures: More failed trials than this end an experiment.
        warm_pool: Keep machines for the next trial, ten minutes at the longest.
        use_spot: Run trials on spot capacity.
        delete_checkpoints: Delete a trial's checkpoints when it is over.
        start_jobs_without_delay: A worker counts as free once its trial was told to stop.
        extra: Arguments of one's own, by name: they reach the method's constructor and the metadata.

    Raises:
        ValueError: A value is out of range, or two contradict each other.
    """

    backend: str = "sagemaker"
    random_seed: int | None = None
    max_wallclock_time: float | None = None
    scale_max_wallclock_time: bool = False
    max_num_trials_started: int | None = None
    instance_type: tuple[str, ...] = ()
    max_failures: int = 1
    warm_pool: bool = False
    use_spot: bool = False
    delete_checkpoints: bool = False
    start_jobs_without_delay: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instance_type", tuple(self.instance_type))
        object.__setattr__(self, "extra", dict(self.extra))
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
        for name in ("max_wallclock_time", "max_num_trials_started"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be a number above 0, got {value}")
        for name in ("random_seed", "max_failures"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if self.backend != "sagemaker":
            for name in ("warm_pool", "use_spot", "start_jobs_without_delay"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} is for trials that are training jobs, and backend={self.backend!r} runs them beside "
                        "the loop; leave one of them out"
                    )
        twice = [one for one, count in Counter(self.instance_type).items() if count > 1]
        if twice:
            raise ValueError(f"instance_type names {', '.join(twice)} twice; name each type once, best first")
        if self.use_spot and self.warm_pool:
            raise ValueError("SageMaker keeps no spot machines: leave out use_spot or warm_pool")
        try:
            json.dumps(self.extra, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"an argument of one's own must be a JSON value: {error}") from error

    def master_seed(self, tag: str) -> int:
        """Of a study with this tag: the one that was given, or else one that the tag decides."""
        return master_seed(tag) if self.random_seed is None else self.random_seed

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; see :meth:`from_dict`."""
        return json.loads(json.dumps(dataclasses.asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CellSettings:
        """The settings that :meth:`to_dict` has described.

        Raises:
            ValueError: There is something that this version does not know.
        """
        known = {one.name for one in dataclasses.fields(cls)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise ValueError(
                f"this version of cloudtune knows no setting called {', '.join(unknown)}; a newer one wrote them: "
                "upgrade with pip install -U cloudtune"
            )
        return cls(**values)

    def differences(self, other: CellSettings) -> dict[str, tuple[Any, Any]]:
        """Settings in which two differ: name -> (ours, the other's). Arguments of one's own by their own names."""
        mine, theirs = self.to_dict(), other.to_dict()
        own, others = mine.pop("extra"), theirs.pop("extra")
        pairs = {name: (mine[name], theirs[name]) for name in mine}
        pairs.update({name: (own.get(name), others.get(name)) for name in {**own, **others}})
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
