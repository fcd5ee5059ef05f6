"""Of jobs that are named by experiment or tag: at which places in S3 their experiments lie."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloudtune.aws.our_jobs import OurJob

_Command = TypeVar("_Command", bound=Callable[..., Any])


def s3_path_option(command: _Command) -> _Command:
    """Adds ``--s3-path`` to a command."""
    return click.option(
        "--s3-path",
        metavar="s3://BUCKET[/PREFIX]",
        help="Only jobs whose experiments lie there. [default: anywhere]",
    )(command)


def is_named(job: OurJob, names: Collection[str]) -> bool:
    """Whether a job, its experiment or its tag is among some names."""
    return job.name in names or _is_experiment_named(job, names)


def _is_experiment_named(job: OurJob, names: Collection[str]) -> bool:
    return not {job.experiment, job.tag, f"{job.tag}/{job.experiment}"}.isdisjoint(names)


def those_at(jobs: Iterable[OurJob], s3_path: str | None) -> list[OurJob]:
    """The jobs whose experiments lie at a place; all where none is given.

    Args:
        jobs: Any.
        s3_path: ``s3://bucket[/prefix]``.

    Raises:
        BucketUnusable: No bucket can be called so.
    """
    if s3_path is None:
        return list(jobs)
    from cloudtune.aws.buckets import parse_bucket
    from cloudtune.aws.job_place import is_at

    place = "s3://" + "/".join(filter(None, parse_bucket(s3_path)))
    return [job for job in jobs if is_at(job, place)]


def places_of(jobs: Iterable[OurJob]) -> list[str]:
    """At which places (``s3://bucket[/prefix]``) their experiments lie, as far as jobs say."""
    from cloudtune.aws.job_place import s3_path_of
    from cloudtune.aws.trial_request import tag_value

    # Where only a tag tells the place, some of its characters may be others: that makes it no other place.
    ordered = sorted(jobs, key=lambda job: not job.place_may_differ)
    places = {tag_value(place): place for job in ordered if (place := s3_path_of(job))}
    return sorted(places.values())


def refuse_several_places(jobs: Collection[OurJob], names: Iterable[str]) -> None:
    """Raises UsageError where a name of an experiment or a tag stands for jobs of several places.

    Args:
        jobs: Those that are there.
        names: Of experiments, tags, or jobs. That of a job is one job's.
    """
    for name in names:
        places = places_of(job for job in jobs if _is_experiment_named(job, (name,)))
        if len(places) > 1:
            raise click.UsageError(
                f"{name} has jobs at several places, and they may be somebody else's: name one of "
                f"{', '.join(places)} with --s3-path"
            )
