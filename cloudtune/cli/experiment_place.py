"""Where commands look for an experiment: on this machine first, then in S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pathlib import Path

    from cloudtune.errors import ExperimentNotFound
    from cloudtune.experiments.s3_finding import S3Experiment

_Command = TypeVar("_Command", bound=Callable[..., Any])


def place_options(command: _Command) -> _Command:
    """Adds ``--s3-path``, ``--region`` and ``--profile`` to a command."""
    for option in (
        click.option("--profile", metavar="NAME", help="Of your AWS configuration."),
        click.option("--region", metavar="NAME", help="Of AWS. [default: what AWS_REGION or the profile says]"),
        click.option(
            "--s3-path",
            metavar="s3://BUCKET[/PREFIX]",
            help="Where remote experiments lie. [default: CLOUDTUNE_S3_PATH, or the account's own bucket]",
        ),
    ):
        command = option(command)
    return command


def locate(name: str, s3_path: str | None, region: str | None, profile: str | None) -> Path | S3Experiment:
    """The experiment of a name: its folder on this machine, or its place in S3.

    Args:
        name: ``NAME``, in S3 also ``TAG/NAME`` or ``s3://...``.
        s3_path: Where to look in S3; given, this machine is not looked at.
        region: Of AWS.
        profile: Of the AWS configuration.

    Raises:
        ExperimentNotFound: It is in neither.
    """
    from cloudtune.cli.finding import find_experiment
    from cloudtune.errors import CloudtuneError, ExperimentNotFound

    not_here: Exception | None = None
    if s3_path is None and "/" not in name:
        try:
            return find_experiment(name)
        except (ExperimentNotFound, ValueError) as error:
            not_here = error
    from cloudtune.aws.clients import aws_for
    from cloudtune.experiments.s3_finding import find_in_s3

    try:
        return find_in_s3(name, s3_path, aws_for(region, profile))
    except CloudtuneError as error:
        if not_here is None:
            raise
        raise nor_in_s3(not_here, error) from error


def nor_in_s3(not_here: Exception, error: Exception) -> ExperimentNotFound:
    """Says that something is neither on this machine nor, as far as can be told, in S3: what was in the way first.

    Args:
        not_here: That it is not on this machine.
        error: Why it cannot be had from S3.
    """
    import os

    from cloudtune.aws.buckets import BucketMissing
    from cloudtune.aws.errors import is_not_set_up
    from cloudtune.constants import ENV_S3_PATH
    from cloudtune.errors import ExperimentNotFound

    said = " ".join(str(error).split())
    # Where nobody has set AWS up, or there is no bucket, it is this machine that was meant.
    nobody_uses_s3 = isinstance(error, BucketMissing) or is_not_set_up(error)
    if isinstance(error, ExperimentNotFound) or (nobody_uses_s3 and not os.environ.get(ENV_S3_PATH)):
        return ExperimentNotFound(f"{not_here}; nor can one be read from S3 ({said})")
    return ExperimentNotFound(f"{said.rstrip('.')}; and on this machine {not_here}")
