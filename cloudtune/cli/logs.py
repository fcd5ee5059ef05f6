"""``cloudtune logs``: what a tuner, or a trial, has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudtune.cli.experiment_place import locate, place_options
from cloudtune.cli.failures import debug_option

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("logs")
@click.argument("experiment")
@click.argument("trial", type=click.IntRange(min=0), required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until it ends or Ctrl-C.")
@place_options
@debug_option
def logs_command(
    experiment: str, trial: int | None, follow: bool, s3_path: str | None, region: str | None, profile: str | None
) -> None:
    """Prints what the tuner of EXPERIMENT has written, or what its trial number TRIAL has.

    Of training jobs it is read from CloudWatch, of trials on this machine from the experiment's
    folder, of trials on the tuner's own machine from S3, where store_logs_localbackend keeps it.

    \b
    Example:
      cloudtune logs height-tuning 3 -f
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from pathlib import Path

    from cloudtune.cli.running import log_progress
    from cloudtune.remote import outputs

    log_progress()
    found = locate(experiment, s3_path, region, profile)
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
