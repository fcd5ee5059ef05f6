"""``cloudtune resume``: continues an experiment under its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.experiment_place import locate, place_options
from cloudtune.cli.failures import debug_option
from cloudtune.cli.limits import criterion_of, limit_options
from cloudtune.cli.running import plot_option, run_and_tell

if TYPE_CHECKING:
    from cloudtune.experiments.s3_finding import S3Experiment


@click.command("resume")
@click.argument("name")
@limit_options
@click.option("--n-workers", type=click.IntRange(min=1), help="Trials at the same time. [default: as before]")
@click.option("--max-failures", type=click.IntRange(min=0), help="As for tune. [default: as before]")
@click.option("--takeover", is_flag=True, help="Take the experiment over from a tuner that seems to drive it.")
@click.option("--here", is_flag=True, help="Continue a remote experiment on this machine.")
@click.option("-f", "--follow", is_flag=True, help="Show an experiment that goes on remotely live, until it ends.")
@place_options
@plot_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@debug_option
def resume_command(
    name: str,
    n_workers: int | None,
    max_failures: int | None,
    takeover: bool,
    here: bool,
    follow: bool,
    s3_path: str | None,
    region: str | None,
    profile: str | None,
    plot: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Continues the experiment NAME, however it ended.

    Nothing that was reported is lost, and the time spent so far counts. Limits given here replace
    the old ones, all together; without any, the old ones hold.

    A remote experiment, NAME or TAG/NAME, goes on remotely, in a new training job like its last
    one; with --here it goes on on this machine.

    \b
    Example:
      cloudtune resume train-2026-01-31-12-00-00-000 --max-wallclock-time 1200
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from pathlib import Path

    from cloudtune.remote.changes import change, changes_of
    from cloudtune.tuner import Tuner

    changes = changes_of(criterion_of(options), n_workers, max_failures)
    found = locate(name, s3_path, region, profile)
    if here and follow:
        raise click.UsageError("give --here or --follow, not both: what runs here is shown anyway")
    if isinstance(found, Path):
        if here or follow:
            raise click.UsageError(f"--here and --follow are for remote experiments; that of {found} lies here")
        tuner = Tuner.load(found)
        tuner.trial_backend.use_credentials(region, profile)
    elif here:
        from cloudtune.studies.resuming import Resuming

        Resuming(found).check_here()
        tuner = Tuner.takeover(found.uri, region=region, profile=profile)
        tuner.read_log()
        if changes:
            from cloudtune.remote.kept_changes import KeepChanges

            tuner.callbacks.append(KeepChanges(found, changes))
    else:
        if plot:
            raise click.UsageError("--plot needs --here: what goes on remotely draws nothing here")
        if takeover:
            raise click.UsageError("--takeover needs --here: a remote tuner that lives is ended by `cloudtune stop`")
        _launch_again(found, changes, follow, as_json)
        return
    before = tuner.status.num_evaluations
    change(tuner, changes)
    run_and_tell(tuner, takeover=takeover, plot=plot, as_json=as_json)
    if tuner.status.num_evaluations == before:
        click.echo(
            "nothing was left to do: a limit was reached before; widen it, as --max-wallclock-time 1200", err=True
        )


def _launch_again(found: S3Experiment, changes: Mapping[str, Any], follow: bool, as_json: bool) -> None:
    from cloudtune.cli.running import log_progress
    from cloudtune.remote.following import follow as follow_it
    from cloudtune.remote.relaunching import launch_again
    from cloudtune.studies.resuming import Resuming

    if follow and as_json:
        raise click.UsageError("give --follow or --json, not both")
    job = launch_again(found, changes, Resuming(found).admit)
    if as_json:
        click.echo(json.dumps({"name": found.name, "place": found.uri, "job": job}))
        return
    click.echo(f"{found.name} goes on as training job {job}; `cloudtune status {found.known_as}` tells how it stands")
    if follow:
        log_progress()
        follow_it(found.bucket.aws, found.uri, job, tell=lambda text: click.echo(text, err=True))
