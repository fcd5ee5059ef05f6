"""What two experiments of the same table and seed are compared by: one number for a pair of records."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from benchmarking.study.playing import Record

#: Regrets below count as none: what is left are digits.
_LEAST_REGRET = 1e-9


#: From ours and theirs: the logarithm of a factor, so that means of it are geometric means.
Measure = Callable[[Record, Record], float]


def _ratio(of_one: Callable[[Record], float]) -> Measure:
    return lambda ours, theirs: math.log(of_one(ours)) - math.log(of_one(theirs))


def final_rank(record: Record) -> float:
    """Place of the best value in the end."""
    steps = record["steps"]
    return float(steps[-1][1] if steps else record["end_rank"])


def rank_at(record: Record, seconds: float) -> float | None:
    """Place of the best value so far; None before the first."""
    rank = None
    for time, place in record["steps"]:
        if time > seconds:
            break
        rank = float(place)
    return rank


def time_to(record: Record, rank: float) -> float | None:
    """Virtual seconds until the best value so far has this place or a better one; None: never."""
    return next((time for time, place in record["steps"] if place <= rank), None)


def _time_to_their_rank(ours: Record, theirs: Record) -> float:
    """Until each has their final rank for the first time. Ours that never has it: twice its whole time."""
    rank = final_rank(theirs)
    reached, first = time_to(ours, rank), time_to(theirs, rank)
    return math.log(2 * ours["seconds"] if reached is None else reached) - math.log(first or theirs["seconds"])


def _regret_after(evaluations: int) -> Measure:
    return _ratio(lambda record: max(record["regret"][evaluations - 1], _LEAST_REGRET))


MEASURES: Mapping[str, Measure] = {
    "rank": _ratio(final_rank),
    "rank trained to the end": _ratio(lambda record: record["end_rank"]),
    "epochs": _ratio(lambda record: record["epochs"]),
    "worker-seconds": _ratio(lambda record: record["worker_seconds"]),
    "speed-up": _ratio(lambda record: 1 / record["seconds"]),
    "time to their final rank": _time_to_their_rank,
    "regret after 30": _regret_after(30),
    "regret after 60": _regret_after(60),
}
