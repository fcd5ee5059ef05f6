"""``cloudtune status TAG``: how the experiments of a study stand, once or live."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cloudtune.studies.cell_standing import StudyStanding
    from cloudtune.studies.finding import Study

#: Seconds between two looks when followed.
INTERVAL = 5.0


def show_study(study: Study, as_json: bool) -> None:
    """Prints how a study stands."""
    standing = study.standing()
    if as_json:
        click.echo(json.dumps(standing.as_object()))
        return
    from cloudtune.cli.study_table import drawn, plain_lines, remarks

    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(drawn(standing))
        return
    for line in plain_lines(standing):
        click.echo(line)
    for line in remarks(standing):
        click.echo(line, err=True)


def follow_study(study: Study, interval: float = INTERVAL) -> None:
    """Shows a study live until nothing of it runs or waits: a table in its place on a terminal, lines elsewhere.

    Ctrl-C ends following, and nothing else. Where AWS does not answer for a while, the next look tells again.

    Args:
        study: Which.
        interval: Seconds between two looks.
    """
    from rich.console import Console

    from cloudtune.cli.study_table import drawn, plain_lines, remarks

    console = Console(stderr=True)
    standing: StudyStanding | None = None
    try:
        if console.is_terminal:
            from rich.live import Live

            with Live(console=console, auto_refresh=False, transient=True) as live:
                standing = _look(study, interval, lambda now: live.update(drawn(now, console.height), refresh=True))
        else:
            standing = _look(study, interval, _Lines(study.tag).show)
    except KeyboardInterrupt:
        click.echo(f"the study {study.tag} goes on; `cloudtune status {study.tag} -f` follows it again", err=True)
        return
    for line in plain_lines(standing):
        click.echo(line)
    for line in remarks(standing):
        click.echo(line, err=True)


def _look(study: Study, interval: float, show: Callable[[StudyStanding], object]) -> StudyStanding:
    """Looks until all experiments have ended; how they stand then."""
    import threading

    from cloudtune.aws.errors import PASSING

    never = threading.Event()
    told = False
    while True:
        try:
            standing = study.standing()
        except PASSING as error:
            if not told:
                click.echo(f"{' '.join(str(error).split())} Trying again", err=True)
            told = True
        else:
            told = False
            show(standing)
            if not any(one.is_driven or one.state == "waiting" for one in standing.cells):
                return standing
        never.wait(interval)


class _Lines:
    """A line on standard error whenever an experiment enters another state."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._states: dict[str, str] = {}
        self._summary = ""

    def show(self, standing: StudyStanding) -> None:
        """Tells what is new."""
        from cloudtune.cli.study_table import row, summary

        for one in standing.cells:
            if self._states.get(one.name) != one.state:
                self._states[one.name] = one.state
                name, state, trials, best, *_ = row(one, self._tag)
                numbers = "" if trials == "-" else f", trials {trials}, best {best}"
                click.echo(f"{name}: {state}{numbers}" + (f" ({one.why})" if one.why else ""), err=True)
        if (line := summary(standing)) != self._summary:
            self._summary = line
            click.echo(line, err=True)
