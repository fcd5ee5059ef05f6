"""What two experiments of the same table and seed are compared by: one number for a pair of records."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarking.study.playing import Record

#: Regrets below count as none: what is left are digits.
_LEAST_REGRET = 1e-9


@dataclass(frozen=True)
class Measure:
    """A number for a pair of records.

    Args:
        of_pair: From ours and theirs.
        of_one: From one record alone, such that ``of_pair`` is its difference. None: there is no such number.
        is_logarithm: Means are taken of logarithms, and told as factors.
    """

    of_pair: Callable[[Record, Record], float]
    of_one: Callable[[Record], float] | None = None
    is_logarithm: bool = True

    def shown(self, value: float) -> float:
        """As readers want it: a factor where it is a logarithm."""
        return math.exp(value) if self.is_logarithm else value


def _ratio(of_one: Callable[[Record], float]) -> Measure:
    def logarithm(record: Record) -> float:
        return math.log(of_one(record))

    return Measure(lambda ours, theirs: logarithm(ours) - logarithm(theirs), logarithm)


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


def _time_fraction(ours: Record, theirs: Record) -> float:
    """Of their time, what ours need for their final quality; 1 if they do not reach it."""
    reached = time_to(ours, final_rank(theirs))
    return 1.0 if reached is None else min(1.0, reached / theirs["seconds"])


def _regret_after(evaluations: int) -> Measure:
    return _ratio(lambda record: max(record["regret"][evaluations - 1], _LEAST_REGRET))


def _speed_up(ours: Record, theirs: Record) -> float:
    return math.log(theirs["seconds"] / ours["seconds"])


MEASURES: Mapping[str, Measure] = {
    "rank": _ratio(final_rank),
    "rank trained to the end": _ratio(lambda record: record["end_rank"]),
    "epochs": _ratio(lambda record: record["epochs"]),
    "worker-seconds": _ratio(lambda record: record["worker_seconds"]),
    "speed-up": Measure(_speed_up),
    "share of the time": Measure(_time_fraction, is_logarithm=False),
    "regret after 30": _regret_after(30),
    "regret after 60": _regret_after(60),
}
