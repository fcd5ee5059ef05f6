"""``cloudtune sync``: brings the results of a study from S3 to this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from cloudtune.cli.experiment_place import place_options
from cloudtune.cli.failures import debug_option

if TYPE_CHECKING:
    from cloudtune.experiments.gathering import Gathered


@click.command("sync")
@click.argument("tag")
@place_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def sync_command(tag: str, s3_path: str | None, region: str | None, profile: str | None, as_json: bool) -> None:
    """Copies the results of all experiments of TAG from S3, but only what has changed.

    From then on load_experiments(TAG) and `cloudtune plot` can do without a network. Neither checkpoints nor
    other files of trials are copied. Experiments that cannot be read are named, and passed over.

    \b
    Example:
      cloudtune sync tmlr-10
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from cloudtune.aws.clients import aws_for
    from cloudtune.experiments.gathering import gather
    from cloudtune.experiments.s3_finding import find_study
    from cloudtune.status_table import printable
    from cloudtune.store.places import experiments_root

    gathered = gather(find_study(tag, s3_path, aws_for(region, profile)), experiments_root())
    if as_json:
        click.echo(json.dumps(as_object(gathered)))
    else:
        total = len(gathered.fetched) + len(gathered.read) + len(gathered.unchanged)
        click.echo(
            f"{tag}: {total} experiments in {gathered.path} ({len(gathered.fetched)} fetched, {len(gathered.read)} "
            f"read from their logs, {len(gathered.unchanged)} unchanged)"
        )
    for name, why in gathered.passed_over.items():
        click.echo(f"{printable(name)} is passed over: {printable(why)}", err=True)


def as_object(gathered: Gathered) -> dict[str, object]:
    """What was done, for JSON."""
    from dataclasses import asdict

    return {**asdict(gathered), "path": str(gathered.path)}
