"""What commands that take an experiment or a tag work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudtune.cli.experiment_place import locate, nor_in_s3

if TYPE_CHECKING:
    from pathlib import Path

    from cloudtune.experiments.s3_finding import S3Experiment
    from cloudtune.studies.finding import Study


def locate_experiment_or_study(
    name: str, s3_path: str | None, region: str | None, profile: str | None
) -> Path | S3Experiment | Study:
    """The experiment of a name, or the study of a tag.

    An experiment on this machine comes first, then a study, then an experiment in S3: a single experiment there has a
    tag only if somebody has given it one, and then ``TAG/NAME`` names it.

    Args:
        name: ``NAME`` or ``TAG``, in S3 also ``TAG/NAME`` or ``s3://...``.
        s3_path: Where to look in S3; given, this machine is not looked at.
        region: Of AWS.
        profile: Of the AWS configuration.

    Raises:
        ExperimentNotFound: There is nothing of that name, as far as can be seen.
        CloudtuneError: The place that was given cannot be read.
    """
    if "/" not in name and not (s3_path is None and _is_here(name)):
        from cloudtune.aws.clients import aws_for
        from cloudtune.cli.finding import find_experiment
        from cloudtune.errors import CloudtuneError, ExperimentNotFound
        from cloudtune.studies.finding import find_study

        try:
            study = find_study(name, s3_path, lambda: aws_for(region, profile))
        except CloudtuneError as error:
            # Looking for an experiment would come upon the same, perhaps after another minute.
            if s3_path is not None:
                raise
            try:
                return find_experiment(name)
            except (ExperimentNotFound, ValueError) as not_here:
                raise nor_in_s3(not_here, error) from error
        if study is not None:
            return study
    return locate(name, s3_path, region, profile)


def _is_here(name: str) -> bool:
    """Whether there is an experiment of this name on this machine."""
    from cloudtune.store.log import is_experiment
    from cloudtune.store.places import experiment_path

    try:
        return is_experiment(experiment_path(name))
    except ValueError:
        return False
