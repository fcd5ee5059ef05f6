"""Where in S3 trials are, and in which region: continued elsewhere, an experiment would hear nothing of them."""

from __future__ import annotations

import json
import re

from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.errors import ExperimentMismatch

#: What a SageMaker backend tells of where its trials are.
PLACE, REGION = "place", "region"

#: Beside the log on this machine, where earlier versions have noted it.
_EARLIER = "sagemaker-place.json"
_PLACE = re.compile(r"(?P<path>s3://[^/]+(?:/.+)?)/cloudtune/[^/]+/[^/]+/[^/]+/?")


def chosen_path(given: str | None, region: str, place: ExperimentPlace) -> str | None:
    """``s3://bucket[/prefix]`` of the trials; None: the account's default bucket.

    A place that the user gave counts, then where they have been so far, then where the log lies.

    Args:
        given: The backend's ``s3_path``.
        region: Of their jobs, which read and write no bucket of another one.
        place: Of the experiment.
    """
    before = _PLACE.fullmatch(_noted(place).get(PLACE, ""))
    if given is not None:
        return given
    if before is not None:
        return before["path"]
    return place.s3_path if place.s3_region == region else None


def chosen_region(given: str | None, is_default: bool, place: ExperimentPlace) -> str | None:
    """The region of the trials; None: that of the environment.

    Args:
        given: The backend's.
        is_default: It is only where the log is read, and gives way to where the trials have been so far.
        place: Of the experiment.

    Raises:
        ExperimentMismatch: The user gave another one than that where they have been so far.
    """
    before = _noted(place).get(REGION)
    if before is None or given == before:
        return given
    if given is None or is_default:
        return before
    raise ExperimentMismatch(
        f"the training jobs of this experiment run in {before}, and this tuner would look for them in {given}; use the "
        "region that it began with to continue it, or choose another tuner_name to begin a new one"
    )


def check_same_place(place: ExperimentPlace, where: str) -> None:
    """Compares with where the experiment's trials have been so far.

    Args:
        place: Of the experiment.
        where: ``s3://bucket/prefix`` of its trials.

    Raises:
        ExperimentMismatch: It is another one.
    """
    noted = _noted(place)
    if noted.get(PLACE, where) != where:
        raise ExperimentMismatch(
            f"the trials of this experiment report to {noted[PLACE]}, and this tuner would look for them in {where}; "
            "use the s3_path, region and account that it began with to continue it, or choose another tuner_name to "
            "begin a new one"
        )


def _noted(place: ExperimentPlace) -> dict[str, str]:
    if place.trials_at:
        return dict(place.trials_at)
    path = place.path / _EARLIER
    noted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {PLACE: str(noted["place"])} if noted.get("experiment_id") == place.experiment_id else {}
