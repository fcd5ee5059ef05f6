"""A figure for each claim: the place of the best value so far over virtual time, with intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarking.study.bootstrap import Interval, interval
from benchmarking.study.experiment import Experiment
from benchmarking.study.measures import rank_at
from benchmarking.study.plan import Plan
from benchmarking.study.records import Records

_POINTS = 60


def draw(claim: str, plan: Plan, records: Records, path: Path) -> bool:
    """Draws the setups of a claim into a file.

    Time is that of the slowest setup on each table, from 0 to 1, so that tables can be averaged: geometric means.

    Returns:
        False if no seed is complete, and nothing was drawn.
    """
    seeds = [seed for seed in range(plan.seeds) if _complete(claim, plan, records, seed)]
    if not seeds or not plan.tables[claim]:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    for setup in plan.setups_of(claim):
        times, course = _course(claim, setup.name, plan, records, seeds)
        (line,) = axes.plot(times, [one.centre for one in course], label=setup.name)
        if len(seeds) > 1:
            lower, upper = [one.lower for one in course], [one.upper for one in course]
            axes.fill_between(times, lower, upper, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="virtual time, as a share of the slowest's")
    axes.set_ylabel("place of the best so far, 1 is the table's best")
    axes.set_title(f"{len(seeds)} seeds, {len(plan.tables[claim])} tables", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without what differs from one version of the library to the next.
    figure.savefig(path, metadata={"Software": None})
    return True


def _complete(claim: str, plan: Plan, records: Records, seed: int) -> bool:
    keys = [
        Experiment(claim, table, setup, seed).key for table in plan.tables[claim] for setup in plan.setups_of(claim)
    ]
    return all(key in records for key in keys)


def _course(
    claim: str, name: str, plan: Plan, records: Records, seeds: Sequence[int]
) -> tuple[list[float], list[Interval]]:
    """Geometric means over tables, then intervals over seeds, from where on every experiment has a value."""
    shares = np.geomspace(0.005, 1, _POINTS).tolist()
    setups = {setup.name: setup for setup in plan.setups_of(claim)}
    times: list[float] = []
    course: list[Interval] = []
    for share in shares:
        by_seed = []
        for seed in seeds:
            ranks = []
            for table in plan.tables[claim]:
                longest = max(records[Experiment(claim, table, one, seed).key]["seconds"] for one in setups.values())
                record = records[Experiment(claim, table, setups[name], seed).key]
                ranks.append(rank_at(record, share * longest) if share * longest <= 1.01 * record["seconds"] else None)
            known = [math.log(rank) for rank in ranks if rank is not None]
            by_seed.append(float(np.mean(known)) if len(known) == len(ranks) else math.nan)
        if not any(map(math.isnan, by_seed)):
            found = interval(by_seed)
            times.append(share)
            course.append(Interval(*(math.exp(end) for end in (found.centre, found.lower, found.upper))))
    return times, course
