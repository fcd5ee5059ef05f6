"""A preview as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cloudtune.experiments.quantities import dollars, duration, plural
from cloudtune.studies.expected_costs import TRIALS

if TYPE_CHECKING:
    from cloudtune.studies.cell_groups import CellGroup
    from cloudtune.studies.preview import Preview

#: More rows of the table of experiments are not shown.
_ROWS = 40
_UNKNOWN = "unknown"
#: What the cost at most counts.
_BOUND = "if each worker began a trial right before the time limit that nobody stops before its job's own limit"
#: The same where trials run beside their tuner.
_BOUND_OF_TUNERS = "if each tuner's job, with its trials, ran until its own limit"


def preview_lines(found: Preview) -> list[str]:
    """The lines, without line ends."""
    return [
        *_experiments(found),
        *_where(found),
        *_quotas(found),
        *_time(found),
        *_costs(found),
        *(f"not known: {note}" for note in found.notes),
        *(f"PROBLEM: {problem}" for problem in found.problems),
    ]


def _experiments(found: Preview) -> list[str]:
    cells = found.cells
    names = cells[0].name if len(cells) == 1 else f"{cells[0].name} ... {cells[-1].name}"
    lines = [f"study {found.tag}: {plural(len(cells), 'experiment')}, {names}"]
    if found.states:
        there = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
        lines.append(f"  of these there are already: {there}; what follows is about those that have not finished")
    rows: list[tuple[str, ...]] = [("method", "benchmark", "workers", "seeds", "time limit of each")]
    rows += [_row(group) for group in found.groups[:_ROWS]]
    lines += _table(rows, numbers=(2,)) if found.groups else []
    more = len(found.groups) - _ROWS
    return [*lines, f"  ... and {more:,} more combinations"] if more > 0 else lines


def _row(group: CellGroup) -> tuple[str, ...]:
    first = group.first
    seeds = sorted(cell.seed for cell in group.cells)
    return first.method, first.benchmark, str(first.n_workers), _ranges(seeds), duration(group.limit)


def _ranges(numbers: Sequence[int]) -> str:
    """``0-4, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _where(found: Preview) -> list[str]:
    if found.region is None and not found.problems:
        return ["runs on this machine"]
    region, account, results = (said or _UNKNOWN for said in (found.region, found.account, found.results))
    return [f"runs in region {region}, account {account}; results: {results}"]


def _quotas(found: Preview) -> list[str]:
    if not found.quotas:
        return []
    rows = [("quota", "needed", "account has", "in use now")]
    for need in found.quotas:
        needed = f"instead of {need.instead_of}" if need.instead_of else str(need.needed)
        have = _UNKNOWN if need.have is None else str(need.have)
        in_use = "" if "warm pool" in need.name else _UNKNOWN if need.in_use is None else str(need.in_use)
        rows.append((need.name, needed, have, in_use))
    short = [need for need in found.quotas if need.raised_by]
    advice = [f"  {need.needed - (need.have or 0):,} more {need.name}: {need.raised_by}" for need in short]
    delayed = any(group.without_delay for group in found.groups)
    more = ["  start_jobs_without_delay: up to twice as many trials' machines for a while, as far as quotas allow"]
    return [*_table(rows, numbers=(1, 2, 3)), *advice, *(more if delayed else [])]


def _time(found: Preview) -> list[str]:
    course, number = found.course, sum(len(group.cells) for group in found.groups)
    if not number:
        return ["nothing is left to be launched"]
    if course.stuck == number:
        return []
    some = number - course.stuck
    if course.at_once < some:
        how = f"at most {course.at_once:,} of {some:,} run at once, in {plural(course.count, 'wave')}: "
    else:
        how = f"all {some:,} run at once: " if some > 1 else ""
    short = [need.name for need in found.quotas if need.is_enough is False and not need.instead_of]
    unknown = [need.name for need in found.quotas if need.have is None and not need.instead_of]
    why = f"; the quota {', '.join(short)} is too small for more at once" if short and course.at_once < some else ""
    if found.affordable is not None and course.at_once == max(1, found.affordable) < some:
        why += (
            f"; max_cost lets {found.affordable:,} at once have all workers busy, and more of them with fewer workers"
        )
    why += "; more if quotas are too small that are not known" if unknown else ""
    starts = ", and some minutes for machines to start" if found.quotas else ""
    return [f"time: {how}{duration(course.seconds)} at most{starts}{why}"]


def _costs(found: Preview) -> list[str]:
    costs = found.costs
    if not found.groups or (not costs.items and found.region is not None):
        return []
    if not costs.items:
        return ["cost: nothing at AWS"]
    without = f", without {', '.join(costs.unpriced)}, whose price is not known" if costs.unpriced else ""
    limited = ", without max_cost" if found.max_cost is not None else ""
    busy = dollars(costs.busy) if not costs.unpriced else _amount(None, costs.busy)
    lines = [f"cost with all workers busy until the time limit{limited}: {busy}{without}"]
    for item in costs.items:
        price = "price unknown" if item.usd_per_hour is None else f"${item.usd_per_hour:.4g} an hour"
        total = "" if item.busy is None else f" = {dollars(item.busy)}"
        lines.append(f"  {item.what}: {item.busy_hours:,.1f} hours of {item.instance_type}, {price}{total}")
    lines += [f"  prices: {source}" for source in dict.fromkeys(item.source for item in costs.items if item.source)]
    lines.append(f"cost probably: {_amount(found.likely, costs.likely)}{without}, {costs.basis}")
    bound = _BOUND if any(item.what == TRIALS for item in costs.items) else _BOUND_OF_TUNERS
    bound = "max_cost" if found.most is not None and found.most < costs.most else bound
    lines.append(f"cost at most: {_amount(found.most, costs.most)}{without}, {bound}")
    if found.max_cost is not None:
        taken = f", of which {dollars(found.committed)} are gone" if found.committed else ""
        lines.append(
            f"max_cost: {dollars(found.max_cost)} for the whole study{taken}; an experiment with all workers busy "
            f"commits {dollars(found.committed_by_each)}, with one trial ahead, and gives back what it does not need"
        )
    return lines


def _amount(known: float | None, of_priced: float) -> str:
    if known is not None:
        return dollars(known)
    return f"more than {dollars(of_priced)}" if of_priced else _UNKNOWN


def _table(rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> list[str]:
    """Columns side by side; those of numbers end in line."""
    rows = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]  # fmt: skip
