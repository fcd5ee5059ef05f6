"""How a study is shown: a row for each experiment, and a line about all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cloudtune.cli.ps import duration

if TYPE_CHECKING:
    from rich.console import Group

    from cloudtune.studies.cell_standing import CellStanding, StudyStanding

HEADER = ("cell", "state", "done/running/failed", "best", "elapsed", "cost", "left")

_DONE = ("Completed", "Stopped")
#: Of an experiment that has ended, paused trials are done as well: nobody goes on with them.
_PAUSED = ("Paused",)
_RUNNING = ("InProgress", "Stopping")
_FAILED = ("Failed",)
_COLORS: Mapping[str, str] = {
    "running": "cyan",
    "starting": "blue",
    "finished": "green",
    "interrupted": "yellow",
    "unfinished": "yellow",
    "failed": "red",
}
#: Lines of a terminal that are not rows: header, summary, what there is to say, the cursor.
_OTHER_LINES = 6
_NONE = "-"


def row(one: CellStanding, tag: str) -> tuple[str, ...]:
    """An experiment as texts, in the order of :data:`HEADER`."""
    from cloudtune.status_table import printable
    from cloudtune.studies.cell_standing import FAILED, FINISHED
    from cloudtune.studies.finding import short_name

    done = (*_DONE, *_PAUSED) if one.state in (FINISHED, FAILED) else _DONE
    return (
        printable(short_name(tag, one.name)),
        one.state,
        "/".join(str(_count(one, statuses)) for statuses in (done, _RUNNING, _FAILED)) if one.trials else _NONE,
        _NONE if one.best is None else f"{printable(one.metric or '')}={one.best:.6g}",
        duration(one.seconds) if one.seconds else _NONE,
        f"${one.cost:.2f}" if one.cost >= 0.005 else _NONE,
        _NONE if one.left is None else duration(one.left),
    )


def summary(standing: StudyStanding) -> str:
    """All experiments in one line."""
    from cloudtune.studies.finding import short_name

    counts = ", ".join(f"{count} {state}" for state, count in standing.counts.items())
    parts = [f"{standing.tag}: {len(standing.cells)} experiment{'s' * (len(standing.cells) != 1)} ({counts or 'none'})"]
    running = sum(_count(one, _RUNNING) for one in standing.cells)
    if running:
        parts.append(f"{running} trial{'s' * (running != 1)} running")
    if standing.cost >= 0.005:
        parts.append(f"${standing.cost:.2f}")
    best = standing.best
    if best is not None:
        parts.append(f"best {best.metric}={best.best:.6g} by {short_name(standing.tag, best.name)}")
    return ", ".join(parts)


def remarks(standing: StudyStanding) -> list[str]:
    """What there is to say of single experiments, and of what could not be looked at."""
    from cloudtune.status_table import printable
    from cloudtune.studies.cell_standing import FINISHED, STARTING
    from cloudtune.studies.finding import short_name

    said = []
    for one in standing.cells:
        name = short_name(standing.tag, one.name)
        if one.why and one.state not in (FINISHED, STARTING):
            said.append(printable(f"{name} is {one.state}: {one.why}"))
        if one.damage:
            said.append(printable(f"{name}: {one.damage}"))
    return said + [printable(note) for note in standing.notes]


def plain_lines(standing: StudyStanding) -> list[str]:
    """The table for what is no terminal."""
    from cloudtune.cli.localcloud_display import text_table

    rows = [row(one, standing.tag) for one in standing.cells]
    return [*(text_table(HEADER, rows) if rows else []), summary(standing)]


def drawn(standing: StudyStanding, height: int | None = None) -> Group:
    """The table for a terminal.

    Args:
        standing: Of the study.
        height: Lines that there are; of more experiments those are shown first of which there is most to see.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    said = remarks(standing)
    room = len(standing.cells) if height is None else max(1, height - _OTHER_LINES - min(len(said), 3))
    shown = _of_interest(standing.cells, room)
    table = Table(expand=False, box=None, pad_edge=False, header_style="bold")
    for name in HEADER:
        table.add_column(name, overflow="ellipsis", no_wrap=True, justify="right" if name in HEADER[4:] else "left")
    for one in shown:
        name, state, *rest = row(one, standing.tag)
        table.add_row(Text(name), Text(state, style=_COLORS.get(state, "")), *(Text(cell) for cell in rest))
    lines = [summary(standing)]
    if len(shown) < len(standing.cells):
        lines.append(f"({len(standing.cells) - len(shown)} more experiments not shown)")
    lines += said if height is None else said[:3]
    return Group(table, *(Text(line) for line in lines))


def _of_interest(cells: Sequence[CellStanding], room: int) -> list[CellStanding]:
    if len(cells) <= room:
        return list(cells)
    ranks = ("running", "starting", "failed", "unfinished", "interrupted", "finished", "waiting")
    chosen = sorted(cells, key=lambda one: (ranks.index(one.state), one.name))[:room]
    names = {one.name for one in chosen}
    return [one for one in cells if one.name in names]


def _count(one: CellStanding, statuses: Iterable[str]) -> int:
    return sum(one.trials.get(status, 0) for status in statuses)
