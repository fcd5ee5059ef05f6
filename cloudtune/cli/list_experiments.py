"""``cloudtune list``: the experiments on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudtune.cli.failures import debug_option, one_line

if TYPE_CHECKING:
    from cloudtune.cli.finding import ExperimentSummary

_HEADER = ("name", "state", "begun (UTC)", "seconds", "trials", "reports", "best")


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with an object per experiment.")
@debug_option
def list_command(as_json: bool) -> None:
    """Lists the experiments on this machine, oldest first.

    An unfinished one was killed, an interrupted one ended by a signal, of a failed one too many
    trials did; `cloudtune resume NAME` continues each.

    \b
    Example:
      cloudtune list --json
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from dataclasses import asdict

    from cloudtune.cli.finding import experiment_folders, summarise
    from cloudtune.errors import CloudtuneError
    from cloudtune.store.places import experiments_root

    summaries = []
    for path in experiment_folders():
        try:
            summaries.append(summarise(path))
        except (CloudtuneError, OSError) as error:
            click.echo(f"{path.name} is left out: {one_line(error)}", err=True)
    summaries.sort(key=lambda summary: summary.created)
    if as_json:
        click.echo(json.dumps([asdict(summary) for summary in summaries]))
        return
    if not summaries:
        click.echo(f"there are no experiments in {experiments_root()}")
        return
    rows = [_HEADER, *(_row(summary) for summary in summaries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(summary: ExperimentSummary) -> tuple[str, ...]:
    return (
        summary.name,
        summary.state,
        _moment(summary.created),
        f"{summary.seconds:.1f}",
        str(summary.trials),
        str(summary.reports),
        "-" if summary.best is None else f"{summary.metric}={summary.best:.6g}",
    )


def _moment(unix_seconds: float) -> str:
    from datetime import datetime, timezone

    return f"{datetime.fromtimestamp(unix_seconds, tz=timezone.utc):%Y-%m-%d %H:%M:%S}"
