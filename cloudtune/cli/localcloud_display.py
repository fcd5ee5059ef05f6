"""Shows the jobs of a local cloud as they go: a table that stays in place in a terminal, lines elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

#: Rows of the table: those of the newest jobs.
_MOST_ROWS = 20
_COLORS = {"InProgress": "cyan", "Stopping": "yellow", "Completed": "green", "Failed": "red", "Stopped": "yellow"}

HEADER = ("job", "status", "secondary", "instance", "run", "seconds", "reason")


class JobLines:
    """A line on standard error whenever a job enters another status."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str, int]] = {}

    def show(self, jobs: Iterable[dict[str, Any]]) -> None:
        """Tells what is new in the rows."""
        for job in jobs:
            state = (job["status"], job["secondary"], job["run"])
            if self._known.get(job["name"]) == state:
                continue
            self._known[job["name"]] = state
            reason = f": {job['failure_reason']}" if job["failure_reason"] else ""
            click.echo(f"{_moment(job['since'])}  {job['name']}  {job['status']}  {job['secondary']}{reason}", err=True)


class JobTable:
    """A table on standard error, redrawn in place."""

    def __init__(self, update: Any) -> None:
        self._update = update

    def show(self, jobs: Iterable[dict[str, Any]]) -> None:
        """Draws the rows."""
        self._update(_table([*jobs]))


@contextmanager
def job_display() -> Iterator[JobLines | JobTable]:
    """What suits standard error."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield JobLines()
        return
    from rich.live import Live

    with Live(_table([]), console=console, refresh_per_second=4, transient=True) as live:
        yield JobTable(live.update)


def cells(job: dict[str, Any]) -> tuple[str, ...]:
    """A job as texts, in the order of :data:`HEADER`."""
    return (
        job["name"],
        job["status"],
        job["secondary"],
        f"{job['instance_count']} x {job['instance_type']}" + (" spot" if job["spot"] else ""),
        str(job["run"]),
        "-" if job["training_seconds"] is None else str(job["training_seconds"]),
        job["failure_reason"] or "",
    )


def summary(jobs: Sequence[dict[str, Any]]) -> str:
    """How many jobs there are, by status: ``3 jobs (2 Completed, 1 Failed)``."""
    if not jobs:
        return "no jobs"
    counts = Counter(job["status"] for job in jobs)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return f"{len(jobs)} job{'s' if len(jobs) > 1 else ''} ({told})"


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width."""
    everything = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in everything) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything
    ]


def _table(jobs: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=summary(jobs), title_justify="left", expand=False)
    for name in HEADER:
        table.add_column(name, overflow="ellipsis", no_wrap=name != "reason")
    for job in jobs[-_MOST_ROWS:]:
        name, status, *rest = cells(job)
        table.add_row(Text(name), Text(status, style=_COLORS.get(status, "")), *(Text(cell) for cell in rest))
    return table


def _moment(unix_seconds: float) -> str:
    from datetime import datetime, timezone

    return f"{datetime.fromtimestamp(unix_seconds, tz=timezone.utc):%H:%M:%S}"
