"""What a report to MOASHA costs as trials become many: its fronts are kept up, not sorted anew.

Each trial reports once, at the first level, which is dearest: all results stand in one rung. The floor is sorting the
same points anew by the definition, vectorised, as one would without fronts that are kept.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from benchmarking.overhead.measurement import Row, in_turn
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import MOASHA
from cloudtune.optimizer.schedulers.non_dominated import dominated_by_any
from cloudtune.trial import Trial

SIZES = (1_000, 10_000)
#: Kind of metrics -> the share of sorting anew that a report may cost at each size. All points of one front are sorted
#: in one go.
LIMITS = {"independent": (0.15, 0.3), "trade-off": (0.15, 0.3), "one front": (0.3, 1.5)}
#: Reports timed at each size.
WINDOW = 200
SPACE = {"x": uniform(0, 1)}

Points = npt.NDArray[np.float64]


def points(kind: str, count: int) -> Points:
    """Losses of ``count`` trials.

    Independent; along a curve on which each is paid for with the other, with noise; or on one, all in the first front.
    """
    rng = np.random.default_rng(0)
    if kind == "independent":
        return rng.random((count, 2))
    if kind == "one front":
        first = rng.random(count)
        return np.stack([first, 1 - first], axis=1)
    angle = rng.uniform(0, np.pi / 2, count)
    noise: Points = 1 + 0.1 * rng.random((count, 1))
    return np.stack([1 - np.cos(angle), 1 - np.sin(angle)], axis=1) * noise


def report_cost(kind: str, how: str, size: int) -> float:
    """Mean microseconds of a report, and with promotion of the question what to resume, after ``size`` trials."""
    scheduler = MOASHA(SPACE, metric=["a", "b"], max_t=9, type=how, random_seed=0, points_to_evaluate=[])
    spent = 0.0
    for trial_id, (a, b) in enumerate(points(kind, size + WINDOW).tolist()):
        trial = Trial(trial_id, {"x": 0.5})
        scheduler.on_trial_add(trial)
        begin = time.perf_counter()
        decision = scheduler.on_trial_result(trial, {"epoch": 1, "a": a, "b": b})
        if decision != "CONTINUE":
            scheduler.on_trial_remove(trial)
        if how == "promotion":
            scheduler.suggest()
        spent += time.perf_counter() - begin if trial_id >= size else 0.0
    return spent / WINDOW * 1e6


def sorting_cost(kind: str, size: int) -> float:
    """Microseconds of sorting ``size`` points into the fronts that hold the best third."""
    rest = points(kind, size)
    begin = time.perf_counter()
    while len(rest) > size * 2 / 3:
        dominated = np.concatenate([dominated_by_any(rest[i : i + 500], rest) for i in range(0, len(rest), 500)])
        rest = rest[dominated]
    return (time.perf_counter() - begin) * 1e6


def measure(repeats: int) -> list[Row]:
    """The rows of MOASHA: a report at two sizes against sorting anew at the smaller, and how it grows."""
    rows: list[Row] = []
    for kind, (at_small, at_large) in LIMITS.items():
        anew = min(sorting_cost(kind, SIZES[0]) for _ in range(repeats))
        for how in ("stopping", "promotion"):
            works = [lambda size=size, how=how, kind=kind: report_cost(kind, how, size) for size in SIZES]
            small, large = in_turn(min(repeats, 3), *works)
            name = f"MOASHA {how}, {kind} metrics: report"
            floor = "sorting 1,000 anew"
            rows.append(Row(f"{name} at {SIZES[0]:,} trials", small, anew, "µs", at_small, floor))
            rows.append(Row(f"{name} at {SIZES[1]:,} trials", large, anew, "µs", at_large, floor))
            rows.append(Row(f"{name}, 10k against 1k", large, small, "µs", 6.0, "itself at 1k"))
    return rows
