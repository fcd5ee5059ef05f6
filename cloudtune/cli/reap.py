"""``cloudtune reap``: ends training jobs that nobody drives any more."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cloudtune.cli.failures import debug_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudtune.aws.our_jobs import OurJob, OurJobs
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
    region: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    """Ends training jobs whose tuner is gone, and the warm pools that they left.

    With NAMEs of experiments or jobs it ends these, whether their tuner lives or not. Jobs with
    cloudtune's agent are first asked to save their checkpoints and to end; the experiment can be
    continued later. The exit code is 1 if something could not be ended or judged.

    \b
    Example:
      cloudtune reap --older-than 3600 --yes
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
    signs = signs_of(aws, found.jobs)
    unknown: list[OurJob] = []
    if names or everything:
        chosen = _named(found, names) if names else found.jobs
    else:
        chosen, unknown = orphans(found.jobs, signs, found.now, older_than)
    if not as_json:
        _announce(found, chosen, signs)
    result = Reaped()
    if chosen:
        if not yes:
            click.confirm(f"End {_count(chosen)}?", abort=True)
        experiments = {job.experiment for job in chosen}
        result = reap(
            aws,
            chosen,
            signs,
            grace=grace,
            whole_experiments=not names or experiments <= set(names),
            tell=(lambda _: None) if as_json else click.echo,
        )
    _conclude(result, unknown, signs, as_json)


def _named(found: OurJobs, names: Sequence[str]) -> list[OurJob]:
    """Jobs of these names or of experiments of these names."""
    for name in names:
        if not any(name in (job.name, job.experiment) for job in found.jobs):
            click.echo(f"nothing of {name} runs; `cloudtune ps` shows what does", err=True)
    return [job for job in found.jobs if job.name in names or job.experiment in names]


def _announce(found: OurJobs, chosen: Sequence[OurJob], signs: Mapping[str, SignOfLife]) -> None:
    from cloudtune.cli.ps import show

    if not chosen:
        click.echo("there is nothing to end")
        return
    show(chosen, signs, found.now)
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
