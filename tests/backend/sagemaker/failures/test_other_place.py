"""An experiment is continued where it lies, or not at all."""

from __future__ import annotations

import pytest

from cloudtune.errors import ExperimentMismatch
from tests.backend.sagemaker.failures.experiment import Experiment
from tests.backend.sagemaker.harness import BUCKET


def test_another_bucket(experiment: Experiment) -> None:
    """Refused before anything is written there, with what to use: the reports of trials that run would be lost."""
    experiment.s3.create_bucket(Bucket="elsewhere")
    experiment.run([{"epochs": 1}] * 2)
    prefix = experiment.keys.prefix
    with pytest.raises(ExperimentMismatch) as refused:
        experiment.run([{"epochs": 1}] * 2, s3_path="s3://elsewhere/studies")
    assert str(refused.value) == (
        f"the trials of this experiment report to s3://{BUCKET}/{prefix}, and this tuner would look for them in "
        f"s3://elsewhere/studies/{prefix}; use the s3_path, region and account that it began with to continue it, or "
        "choose another tuner_name to begin a new one"
    )
    assert experiment.s3.list_objects_v2(Bucket="elsewhere")["KeyCount"] == 0
    experiment.run([{"epochs": 1}] * 2)
    assert experiment.ends() == ["Completed"] * 2
    experiment.check_whole()
