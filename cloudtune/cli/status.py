"""``cloudtune status``: how an experiment stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudtune.cli.experiment_place import place_options
from cloudtune.cli.failures import debug_option
from cloudtune.cli.study_place import locate_experiment_or_study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudtune.remote.standing import Standing


@click.command("status")
@click.argument("experiment", metavar="EXPERIMENT|TAG")
@click.option("-f", "--follow", is_flag=True, help="Show what runs remotely live until it ends; Ctrl-C leaves it.")
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def status_command(
    experiment: str, follow: bool, s3_path: str | None, region: str | None, profile: str | None, as_json: bool
) -> None:
    """Tells how EXPERIMENT stands: who drives it, its trials, its best value, its limits.

    It is looked for on this machine, then in S3, there as NAME or TAG/NAME. Of a study, which its TAG
    names, it shows all experiments: state, trials, best value, time, cost.

    \b
    Example:
      cloudtune status height-tuning --json
      cloudtune status tmlr-10 -f
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    if follow and as_json:
        raise click.UsageError("give --follow or --json, not both")
    from pathlib import Path

    from cloudtune.remote.standing import standing_in_s3, standing_of_folder
    from cloudtune.studies.finding import Study

    found = locate_experiment_or_study(experiment, s3_path, region, profile)
    if isinstance(found, Study):
        from cloudtune.cli.study_status import follow_study, show_study

        if follow:
            follow_study(found)
        else:
            show_study(found, as_json)
        return
    if follow:
        if isinstance(found, Path):
            raise click.UsageError(f"only remote experiments can be followed; that of {found} is shown where it runs")
        from cloudtune.cli.running import log_progress
        from cloudtune.remote.following import follow as follow_it

        log_progress()
        follow_it(found.bucket.aws, found.uri, tell=lambda text: click.echo(text, err=True))
        return
    standing = standing_of_folder(found) if isinstance(found, Path) else standing_in_s3(found)
    if as_json:
        click.echo(json.dumps(standing.as_object()))
        return
    rows = list(_rows(standing))
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        click.echo(f"{label:{width}}  {text}")


def _rows(standing: Standing) -> Iterator[tuple[str, str]]:
    from cloudtune.status_table import format_value, printable

    why = f" ({printable(standing.why)})" if standing.why else ""
    yield "experiment", f"{standing.name}: {standing.state}{why}"
    yield "place", standing.place
    if standing.tuner is not None:
        job = standing.tuner
        yield "tuner", f"training job {job.name}: {job.secondary or job.status}, {job.instance_type}"
    if standing.driven_by:
        yield "driven by", f"{standing.driven_by} (epoch {standing.epoch})"
    counts = ", ".join(f"{count} {_words(status)}" for status, count in standing.trials.items())
    yield "trials", f"{counts or 'none'}; {standing.reports} reports"
    if standing.best is not None:
        best = standing.best
        config = ", ".join(f"{printable(name)}={format_value(value)}" for name, value in best.config.items())
        yield "best", f"{best.metric}={best.value:.6g} by trial {best.trial} ({config})"
    yield "time", f"{standing.seconds:.1f} s of tuning"
    if standing.cost:
        yield "cost", f"${standing.cost:.2f}"
    for limit in standing.limits:
        yield "limit", f"{limit.so_far:.4g} of {limit.limit:.6g} {limit.name}"
    if standing.last_error:
        yield "last error", printable(standing.last_error)
    if standing.damage:
        yield "damage", standing.damage


def _words(status: str) -> str:
    return {"InProgress": "running"}.get(status, status.lower())
