"""Which schedulers of Ray Tune can be driven without Ray, and how they are made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from cloudtune.optimizer.class_options import check_options
from cloudtune.optimizer.extras import need_extra

#: Name -> Ray Tune's class.
RAY_SCHEDULERS = {
    "asha": "AsyncHyperBandScheduler",
    "hyperband": "HyperBandScheduler",
    "median": "MedianStoppingRule",
}

#: Class of Ray Tune -> why it cannot be driven, and what to use. Their subclasses likewise.
_REFUSED = {
    "PopulationBasedTraining": "copies checkpoints, and writes files; use PopulationBasedTraining of cloudtune",
    "PopulationBasedTrainingReplay": "copies checkpoints by itself; use PopulationBasedTraining of cloudtune",
    "ResourceChangingScheduler": "asks Ray's cluster for resources; use its base_scheduler",
    "HyperBandForBOHB": "needs TuneBOHB; use HyperbandScheduler(..., searcher='optuna') of cloudtune",
}


@contextmanager
def quiet(seed: int = 0) -> Iterator[None]:
    """Warnings are not shown inside, and numpy's global generator, which Ray Tune uses, is seeded; all is undone."""
    state = np.random.get_state()  # noqa: NPY002 - Ray Tune draws from it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def ray_scheduler(scheduler: Any, options: Mapping[str, Any] | None, metric: str, mode: str, resource_attr: str) -> Any:
    """A scheduler of Ray Tune that knows what is optimised.

    Args:
        scheduler: A name of :data:`RAY_SCHEDULERS`, or an object.
        options: Keyword arguments for a name.
        metric: What is optimised. An object may have been given the same, as with the other two.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Its ``time_attr``.

    Raises:
        MissingExtra: Ray Tune is not installed.
        ValueError: The scheduler is not known, cannot be driven, is for something else, or refuses its options.
        TypeError: It is neither a name nor a scheduler of Ray Tune, or does not know one of the options.
    """
    for package in ("ray", "pyarrow"):
        need_extra(package, "ray", "RayTuneScheduler")
    with quiet():
        from ray.tune import schedulers

        if isinstance(scheduler, str):
            if scheduler not in RAY_SCHEDULERS:
                raise ValueError(
                    f"scheduler {scheduler!r} is not known; use one of {', '.join(map(repr, RAY_SCHEDULERS))}, or an "
                    "object of Ray Tune"
                )
            made = getattr(schedulers, RAY_SCHEDULERS[scheduler])
            ours = {"time_attr": resource_attr, "metric": metric, "mode": mode}
            if not isinstance(options, Mapping | None):
                raise TypeError(f"scheduler_options must be a dictionary of names to values, got {options!r}")
            check_options("scheduler_options", options or {}, made, "Ray Tune", ours)
            scheduler = _constructed(made, {**ours, **(options or {})}, options or {})
        elif options:
            raise ValueError("scheduler_options cannot be given together with a scheduler object; give them to it")
        if not isinstance(scheduler, schedulers.TrialScheduler):
            raise TypeError(f"scheduler must be a name or a scheduler of Ray Tune, got {scheduler!r}")
    for kind in type(scheduler).__mro__:
        if kind.__name__ in _REFUSED:
            raise ValueError(f"Ray Tune's {type(scheduler).__name__} cannot be used: it {_REFUSED[kind.__name__]}")
    _agree(scheduler, metric, mode, resource_attr)
    return scheduler


def _constructed(made: Any, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """An object of Ray Tune's class. What it asserts about its arguments is told as ours."""
    try:
        return made(**arguments)
    except (AssertionError, TypeError, ValueError, ArithmeticError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items()) or "nothing"
        raise ValueError(
            f"scheduler_options are {given}, which Ray Tune's {made.__name__} refuses ({error}); max_t is a positive "
            "number of resource_attr, such as 27, grace_period one of at most max_t, such as 1, and reduction_factor "
            "above 1, such as 3"
        ) from error


def _agree(scheduler: Any, metric: str, mode: str, resource_attr: str) -> None:
    """Tells a scheduler what is optimised, unless it was told the same already."""
    known = {name: getattr(scheduler, f"_{name}", None) for name in ("metric", "mode", "time_attr")}
    wanted = {"metric": metric, "mode": mode, "time_attr": resource_attr}
    for name, value in known.items():
        if value is not None and value != wanted[name]:
            ours = "resource_attr" if name == "time_attr" else name
            raise ValueError(
                f"Ray Tune's {type(scheduler).__name__} was made with {name}={value!r}, but {ours} is "
                f"{wanted[name]!r}; give both the same"
            )
    scheduler.set_search_properties(
        metric if known["metric"] is None else None, mode if known["mode"] is None else None
    )
