"""``cloudtune reap``: ends training jobs that nobody drives any more."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.job_places import is_named, refuse_several_places, s3_path_option, those_at

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from cloudtune.aws.our_jobs import OurJob
    from cloudtune.aws.reaping import Reaped
    from cloudtune.aws.signs_of_life import SignOfLife

#: Seconds without a sign of life after which a tuner counts as gone.
_GONE = 900.0
_SECONDS = click.FloatRange(min=0)


@click.command("reap")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="End all jobs of cloudtune, whoever drives them.")
@click.option(
    "--older-than",
    type=_SECONDS,
    default=_GONE,
    show_default=True,
    metavar="SECONDS",
    help="End jobs whose tuner has been silent for longer.",
)
@click.option(
    "--grace",
    type=_SECONDS,
    default=90.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for jobs to save checkpoints and end by themselves.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@s3_path_option
@click.option("--region", metavar="NAME", help="To look at. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; needs --yes.")
@debug_option
def reap_command(
    names: tuple[str, ...],
    everything: bool,
    older_than: float,
    grace: float,
    yes: bool,
    s3_path: str | None,
    region: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Ends training jobs whose tuner is gone, and the warm pools that they left.

    With NAMEs of experiments, tags of studies, or jobs it ends these, whether their tuner lives or not. Jobs with
    cloudtune's agent are first asked to save their checkpoints and to end; the experiment can be
    continued later. The exit code is 1 if something could not be ended or judged. Where a NAME stands
    for jobs of experiments at several places in S3, --s3-path has to say which are meant.

    \b
    Example:
      cloudtune reap --older-than 3600 --yes
      cloudtune reap tmlr-10 --s3-path s3://my-bucket/anna
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    if as_json and not yes:
        raise click.UsageError("--json needs --yes: there is no place for a question")
    if names and everything:
        raise click.UsageError("give NAMEs or --all, not both")
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.our_jobs import find_our_jobs
    from cloudtune.aws.reaping import Reaped, orphans, reap
    from cloudtune.aws.signs_of_life import signs_of

    aws = aws_for(region, profile)
    found = find_our_jobs(aws)
    there = those_at(found.jobs, s3_path)
    refuse_several_places(there, names)
    signs = signs_of(aws, there)
    unknown: list[OurJob] = []
    if names or everything:
        chosen = _named(there, names) if names else there
    else:
        chosen, unknown = orphans(there, signs, found.now, older_than)
    if not as_json:
        _announce(chosen, signs, found.now, bool(names))
    result = Reaped()
    if chosen:
        if not yes:
            click.confirm(f"End {_count(chosen)}?", abort=True)
        meant = {job.experiment for job in chosen if {job.tag, f"{job.tag}/{job.experiment}"} & set(names)}
        experiments = {job.experiment for job in chosen} - meant
        result = reap(
            aws,
            chosen,
            signs,
            grace=grace,
            whole_experiments=not names or experiments <= set(names),
            tell=(lambda _: None) if as_json else click.echo,
        )
    _conclude(result, unknown, signs, as_json)


def _named(jobs: Sequence[OurJob], names: Sequence[str]) -> list[OurJob]:
    """Jobs of these names, of experiments of these names, or of studies of these tags."""
    for name in names:
        if not any(is_named(job, (name,)) for job in jobs):
            click.echo(f"nothing of {name} runs; `cloudtune ps` shows what does", err=True)
    return [job for job in jobs if is_named(job, names)]


def _announce(chosen: Sequence[OurJob], signs: Mapping[str, SignOfLife], now: dt.datetime, with_places: bool) -> None:
    from cloudtune.cli.ps import show

    if not chosen:
        click.echo("there is nothing to end")
        return
    show(chosen, signs, now, with_places)
    for experiment in dict.fromkeys(job.experiment for job in chosen if signs[job.place].is_alive):
        click.echo(f"the tuner of {experiment} is alive and may start new jobs; end it first", err=True)


def _conclude(result: Reaped, unknown: Sequence[OurJob], signs: Mapping[str, SignOfLife], as_json: bool) -> None:
    """Says what was done and what was not, and with which exit code."""
    left = {job.name: signs[job.place].unreadable for job in unknown}
    if as_json:
        click.echo(json.dumps({"ok": not result.failed and not left, **asdict(result), "left": left}))
    else:
        for name in result.paused:
            click.echo(f"{name}: ended by itself")
        for name, reason in result.failed.items():
            click.echo(f"{name}: could not be ended: {reason}", err=True)
        for name, reason in left.items():
            click.echo(
                f"{name}: left alone, since of its tuner nothing is known ({reason}); name it to end it", err=True
            )
    if result.failed or left:
        click.get_current_context().exit(1)


def _count(jobs: Sequence[OurJob]) -> str:
    pools = sum(job.is_warm_pool for job in jobs)
    running = len(jobs) - pools
    parts = [f"{running} job{'s' * (running > 1)}"] * (running > 0) + [f"{pools} warm pool{'s' * (pools > 1)}"] * (
        pools > 0
    )
    return " and ".join(parts)
