"""``cloudtune logs``: what a tuner, or a trial, has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudtune.cli.experiment_place import place_options
from cloudtune.cli.failures import debug_option
from cloudtune.cli.study_place import locate_experiment_or_study

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudtune.studies.finding import Study

_TRIAL: click.ParamType[int] = click.IntRange(min=0)


@click.command("logs")
@click.argument("experiment", metavar="EXPERIMENT|TAG")
@click.argument("rest", metavar="[CELL] [TRIAL]", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until it ends or Ctrl-C.")
@place_options
@debug_option
def logs_command(
    experiment: str, rest: tuple[str, ...], follow: bool, s3_path: str | None, region: str | None, profile: str | None
) -> None:
    """Prints what the tuner of EXPERIMENT has written, or what its trial number TRIAL has.

    Of training jobs it is read from CloudWatch, of trials on this machine from the experiment's
    folder, of trials on the tuner's own machine from S3, where store_logs_localbackend keeps it. Of a
    study, TAG CELL names the experiment; of CELL, the part behind the tag will do.

    \b
    Example:
      cloudtune logs height-tuning 3 -f
      cloudtune logs tmlr-10 digits-ASHA-w4-0 3 -f
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from pathlib import Path

    from cloudtune.cli.running import log_progress
    from cloudtune.remote import outputs
    from cloudtune.studies.finding import Study

    cell, trial = _parsed(rest)
    log_progress()
    found = locate_experiment_or_study(experiment, s3_path, region, profile)
    if isinstance(found, Study):
        if cell is None:
            raise click.UsageError(
                f"{experiment} is a study: name one of its experiments as CELL, for instance "
                f"`cloudtune logs {experiment} {_example(found)}`"
            )
        found = found.experiment(cell)
    elif cell is not None:
        raise click.UsageError(f"{experiment} is an experiment, and {cell!r} is no number of a trial of it")
    lines: Iterator[str]
    if isinstance(found, Path):
        lines = outputs.of_local_experiment(found, trial, follow, region, profile)
    elif trial is None:
        lines = outputs.of_tuner(found, follow)
    else:
        lines = outputs.of_remote_trial(found, trial, follow)
    try:
        for line in lines:
            click.echo(line)
    except KeyboardInterrupt:
        if not follow:
            raise


def _parsed(rest: tuple[str, ...]) -> tuple[str | None, int | None]:
    """CELL and TRIAL, of which each may be missing."""
    if len(rest) > 2:
        raise click.UsageError(f"got unexpected extra argument ({rest[2]})")
    is_trial = len(rest) == 1 and rest[0].lstrip("-").isdecimal()
    cell = None if is_trial or not rest else rest[0]
    trial = rest[0] if is_trial else rest[1] if len(rest) == 2 else None
    if trial is None:
        return cell, None
    return cell, _TRIAL(trial, click.Argument(["trial"]), click.get_current_context())


def _example(study: Study) -> str:
    from cloudtune.studies.finding import short_name

    names = [one.name for one in study.standing().cells]
    return short_name(study.tag, names[0]) if names else "CELL"
