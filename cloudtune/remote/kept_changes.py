"""What `cloudtune resume --here` changes, kept in S3: whoever continues the experiment next goes on with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.experiments.s3_finding import S3Experiment
from cloudtune.remote.launches import writable
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.tuner import Tuner

logger = logging.getLogger(__name__)

#: Beside what launches have left.
_NAME = "changes.json"
_AFTER, _CHANGES = "after", "changes"


def kept_changes(place: TunerPlace, launch: int) -> dict[str, Any]:
    """What was changed after a launch, see :func:`cloudtune.remote.changes.changes_of`; empty where nothing was.

    A launch brings its own limits, and what was changed before it no longer counts.

    Args:
        place: Of the experiment.
        launch: Number of the launch to begin with.

    Raises:
        AwsError: S3 does not answer.
    """
    key = place.keys.prefix + _NAME
    got = place.bucket.get(key)
    if got is None:
        return {}
    try:
        kept = json.loads(got.body)
        after, changes = kept[_AFTER], kept[_CHANGES]
    except (ValueError, KeyError, TypeError):
        after, changes = None, None
    if not isinstance(after, int) or not isinstance(changes, dict):
        logger.warning(
            "%s is damaged: limits that `cloudtune resume --here` has changed are what they were before",
            place.bucket.uri(key),
        )
        return {}
    return changes if after >= launch else {}


class KeepChanges(TunerCallback):
    """Keeps changes once the tuner that they were made to drives the experiment.

    Args:
        experiment: Of the tuner.
        changes: See :func:`cloudtune.remote.changes.changes_of`.
    """

    def __init__(self, experiment: S3Experiment, changes: Mapping[str, Any]) -> None:
        self._experiment = experiment
        self._changes = changes

    def on_tuning_start(self, tuner: Tuner) -> None:
        """Writes them. Raises AwsError."""
        experiment = writable(self._experiment)
        place = TunerPlace(experiment.bucket, experiment.root)
        launch = max(place.attempts(), default=-1)
        kept = {_AFTER: launch, _CHANGES: {**kept_changes(place, launch), **self._changes}}
        place.bucket.put(place.keys.prefix + _NAME, json.dumps(kept).encode())
