"""The next job of a tuner: like the one before, in a new attempt, with a copy of what was shipped."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.aws.errors import Conflict, NotFound
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.remote.launching import LaunchedElsewhere, launch
from cloudtune.remote.tuner_job import TRIAL, Settings, TunerPlace, is_ours, successor_of

logger = logging.getLogger(__name__)


def create_successor(
    place: TunerPlace,
    described: Mapping[str, Any],
    tags: Sequence[Mapping[str, str]],
    settings: Settings,
    shipped: Mapping[str, bytes],
    attempt: int,
    patience: float | None = None,
) -> str:
    """Creates the job that carries on for another one; its name.

    Args:
        place: Of the experiment.
        described: The other job, as DescribeTrainingJob tells of it.
        tags: Of the other job.
        settings: For the program.
        shipped: Files of the input channel, by name.
        attempt: Number of the launch; a later one is taken where the name is another job's.
        patience: For how many seconds throttled and failed calls are repeated.

    Raises:
        LaunchedElsewhere: Somebody else is about to create one.
        AwsError: It could not be created; the same launch command continues as well.
    """
    aws = place.bucket.aws
    training = TrainingJobs(aws)
    while True:
        name = place.job_name(settings.name, attempt)
        try:
            with launch(place, attempt, settings, shipped) as launched:
                uri = place.bucket.uri(place.keys.task_folder(TRIAL, attempt))
                request = successor_of(described, name, uri, attempt, launched)
                request["Tags"] = [dict(tag) for tag in tags if not tag["Key"].startswith("aws:")]
                try:
                    training.create(request, patience=patience)
                except Conflict:
                    if not is_ours(aws, name, request):
                        attempt += 1
                        continue
        except LaunchedElsewhere as other:
            if other.job is None or other.job != os.environ.get("TRAINING_JOB_NAME"):
                raise
            # This job was about to do it already, before its machine was replaced.
            try:
                training.describe(name)
            except NotFound:
                attempt += 1
                continue
        logger.info("training job %s carries on", name)
        return name
