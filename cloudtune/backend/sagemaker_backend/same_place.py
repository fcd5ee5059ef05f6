"""Remembers where in S3 an experiment lies: continued elsewhere, it would hear nothing of its trials."""

from __future__ import annotations

import json
import os
from pathlib import Path

from cloudtune.errors import ExperimentMismatch

_NAME = "sagemaker-place.json"


def check_same_place(folder: Path, experiment_id: str, place: str) -> None:
    """Compares the place with the one of the experiment's earlier tuners, which is kept beside its log.

    Args:
        folder: The experiment's local folder.
        experiment_id: Of the experiment.
        place: ``s3://bucket/prefix``. Default buckets are named for account and region, and others are refused to
            other accounts and regions, so that it stands for these, too.

    Raises:
        ExperimentMismatch: It is another one.
    """
    path = folder / _NAME
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("experiment_id") != experiment_id:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".tmp")
        fresh.write_text(json.dumps({"experiment_id": experiment_id, "place": place}))
        os.replace(fresh, path)
    elif known["place"] != place:
        raise ExperimentMismatch(
            f"the trials of this experiment report to {known['place']}, and this tuner would look for them in {place}; "
            "use the s3_path, region and account that it began with to continue it, or choose another tuner_name to "
            "begin a new one"
        )
