"""``cloudtune ps``: the training jobs that cost money now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.job_places import is_named, places_of, s3_path_option, those_at

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from cloudtune.aws.our_jobs import OurJob
    from cloudtune.aws.signs_of_life import SignOfLife

HEADER = ("experiment", "job", "trial", "state", "for", "instance", "cost", "tuner")
#: Another column, where there are several.
PLACE = "place"


@click.command("ps")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@s3_path_option
@click.option("--region", metavar="NAME", help="To look at. [default: what AWS_REGION or the profile says]")
@click.option("--profile", metavar="NAME", help="Of your AWS configuration.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with an object per job.")
@debug_option
def ps_command(
    names: tuple[str, ...], s3_path: str | None, region: str | None, profile: str | None, as_json: bool
) -> None:
    """Lists the training jobs of cloudtune that run, and warm pools that are kept.

    Of all experiments in the account and region, or of those that NAMEs name: experiments, tags of
    studies, or jobs. Oldest first. A tuner that is alive gives a sign of life at least every three
    minutes; `cloudtune reap` ends jobs whose tuner is gone. Where experiments of these NAMEs lie at
    several places in S3, it is shown where each lies.

    \b
    Example:
      cloudtune ps --region us-east-1
      cloudtune ps tmlr-10
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from cloudtune.aws.clients import aws_for
    from cloudtune.aws.our_jobs import find_our_jobs
    from cloudtune.aws.signs_of_life import signs_of

    aws = aws_for(region, profile)
    found = find_our_jobs(aws)
    there = those_at(found.jobs, s3_path)
    jobs = [job for job in there if is_named(job, names)] if names else there
    signs = signs_of(aws, jobs)
    if as_json:
        click.echo(json.dumps([as_object(job, signs[job.place], found.now) for job in jobs]))
        return
    if not jobs:
        what = f"training job of {' or '.join(names)}" if names else "training job of cloudtune"
        where = "" if s3_path is None else f" of experiments at {s3_path}"
        click.echo(f"no {what}{where} runs in {aws.region}, and no warm pool is kept")
        return
    show(jobs, signs, found.now, with_places=bool(names))


def show(jobs: Iterable[OurJob], signs: Mapping[str, SignOfLife], now: dt.datetime, with_places: bool = False) -> None:
    """Prints a table of jobs, and what keeps us from knowing of their tuners.

    Args:
        jobs: The rows.
        signs: For each place, what is known of its tuner.
        now: The time by AWS's clock.
        with_places: Show where each lies, if they lie at several places.
    """
    from cloudtune.aws.job_place import s3_path_of
    from cloudtune.cli.localcloud_display import text_table

    rows = list(jobs)
    with_places = with_places and len(places_of(rows)) > 1
    cells = [_cells(job, signs[job.place], now) + (s3_path_of(job) or "-",) * with_places for job in rows]
    for line in text_table(HEADER + (PLACE,) * with_places, cells):
        click.echo(line)
    for place in dict.fromkeys(job.place for job in rows):
        if signs[place].unreadable:
            click.echo(f"of the tuner of {place or 'some jobs'} nothing is known: {signs[place].unreadable}", err=True)


def as_object(job: OurJob, sign: SignOfLife, now: dt.datetime) -> dict[str, Any]:
    """A job and its tuner, for JSON; times are seconds."""
    from dataclasses import asdict

    row = {**asdict(job), "state": job.state}
    for name in ("since", "created"):
        row[name] = row[name].timestamp()
    for name in ("status", "secondary", "hears", "place_may_differ"):
        del row[name]
    row["state_seconds"] = _seconds_since(job.since, now)
    # A tuner's own job gives signs of life to the jobs of its trials, not to itself.
    row["tuner"] = None if job.is_tuner else {"alive": None if sign.unreadable else sign.is_alive, **asdict(sign)}
    return row


def _cells(job: OurJob, sign: SignOfLife, now: dt.datetime) -> tuple[str, ...]:
    return (
        job.experiment or "-",
        job.name,
        job.trial or "-",
        job.state,
        duration(_seconds_since(job.since, now)),
        f"{job.instance_count} x {job.instance_type}" + (" spot" if job.is_spot else ""),
        "-" if job.cost is None else f"${job.cost:.2f}",
        "itself" if job.is_tuner else tuner_state(sign),
    )


def tuner_state(sign: SignOfLife) -> str:
    """A tuner in a few words."""
    if sign.unreadable:
        return "unknown"
    if sign.age is None:
        return "no sign of life"
    if sign.was_called_off:
        return "called off"
    return f"alive ({duration(sign.age)} ago)" if sign.is_alive else f"silent for {duration(sign.age)}"


def duration(seconds: float) -> str:
    """Such as ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _seconds_since(moment: dt.datetime, now: dt.datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
