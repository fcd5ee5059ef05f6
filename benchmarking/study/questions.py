"""Questions to the records, one comparison each, and how they are answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarking.study.bootstrap import Interval, interval
from benchmarking.study.experiment import Experiment
from benchmarking.study.measures import MEASURES
from benchmarking.study.plan import Plan
from benchmarking.study.playing import Record
from benchmarking.study.records import Records

HOLDS, FAILS, OPEN = "holds", "does not hold", "not shown"
ALL_TABLES = "all tables"

Wanted = Literal["below", "above", ""]


@dataclass(frozen=True)
class Question:
    """How a setup compares with another.

    Args:
        claim: To which it belongs.
        ours: Name of a setup.
        theirs: Name of the setup that it is compared with.
        measure: Name of a measure.
        wanted: ``"below"`` or ``"above"`` the bound; "": only told.
        bound: A factor: 1 is no difference.
    """

    claim: str
    ours: str
    theirs: str
    measure: str
    wanted: Wanted = ""
    bound: float = 1.0


@dataclass(frozen=True)
class Answer:
    """To a question, on one table or over all of them.

    Args:
        table: Its name.
        seeds: How many were compared.
        shown: Mean and interval, as factors.
        verdict: What is to be thought of what was wanted; "" if nothing was.
    """

    table: str
    seeds: int
    shown: Interval
    verdict: str


def verdict(found: Interval, wanted: Wanted, bound: float) -> str:
    """Whether an interval shows what was wanted.

    Args:
        found: Of the measure.
        wanted: See :class:`Question`.
        bound: No difference, or how great a difference is wanted or allowed.

    Returns:
        ``"not shown"`` where the interval covers the bound, or there is none; "" where nothing is wanted.
    """
    if not wanted:
        return ""
    if np.isnan(found.lower):
        return OPEN
    if wanted == "above":
        return HOLDS if found.lower > bound else FAILS if found.upper < bound else OPEN
    return HOLDS if found.upper < bound else FAILS if found.lower > bound else OPEN


def answers(question: Question, plan: Plan, records: Records) -> list[Answer]:
    """Over all tables, and for each. For all of them a seed counts once, with its mean over tables, if it has all."""
    tables = plan.tables[question.claim]
    pairs = {table: _pairs(question, plan, records, table) for table in tables}
    complete = [seed for seed in range(plan.seeds) if all(seed in of_table for of_table in pairs.values())]
    found: list[Answer] = []
    if len(tables) > 1 and complete:
        found.append(_answer(question, ALL_TABLES, [[pairs[table][seed] for table in tables] for seed in complete]))
    found += [
        _answer(question, table, [[pair] for pair in of_table.values()])
        for table, of_table in pairs.items()
        if of_table
    ]
    return found


def _pairs(question: Question, plan: Plan, records: Records, table: str) -> dict[int, tuple[Record, Record]]:
    setups = {setup.name: setup for setup in plan.setups_of(question.claim)}
    found: dict[int, tuple[Record, Record]] = {}
    for seed in range(plan.seeds):
        ours, theirs = (
            records.get(Experiment(question.claim, table, setups[name], seed).key)
            for name in (question.ours, question.theirs)
        )
        if ours is not None and theirs is not None:
            found[seed] = (ours, theirs)
    return found


def _answer(question: Question, table: str, by_seed: Sequence[Sequence[tuple[Record, Record]]]) -> Answer:
    measure = MEASURES[question.measure]
    values = [float(np.mean([measure(*pair) for pair in pairs])) for pairs in by_seed]
    found = interval(values)
    shown = Interval(*(math.exp(end) for end in (found.centre, found.lower, found.upper)))
    return Answer(table, len(values), shown, verdict(shown, question.wanted, question.bound))


def over_all(found: Sequence[Answer], tables: Sequence[str]) -> Answer | None:
    """The answer over all of these tables, for a single one its own; None: no seed has all of them."""
    wanted = tables[0] if len(tables) == 1 else ALL_TABLES
    return next((answer for answer in found if answer.table == wanted), None)


def of_all(verdicts: Sequence[str]) -> str:
    """A claim holds if all that it says holds, and does not if any of it does not."""
    judged = [one for one in verdicts if one]
    if not judged:
        return OPEN
    return FAILS if FAILS in judged else OPEN if OPEN in judged else HOLDS


Answers = Mapping[Question, Sequence[Answer]]
