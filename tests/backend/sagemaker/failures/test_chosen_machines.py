"""Configurations that choose the machines of their trials."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.store.entries import BILL
from tests.backend.sagemaker.failures.experiment import Experiment


def test_configurations_choose_their_machines(experiment: Experiment) -> None:
    """Type and number are those of the job and of its bill; the script, which knows no such arguments, gets neither."""
    chosen: list[dict[str, Any]] = [{"st_instance_type": "ml.m5.xlarge"}, {"st_instance_count": 2}, {}]
    experiment.run([{"epochs": 1, **one} for one in chosen])
    assert experiment.ends() == ["Completed"] * 3
    given = [experiment.describe(trial)["ResourceConfig"] for trial in range(3)]
    machines = [(one["InstanceType"], one["InstanceCount"]) for one in given]
    assert machines == [("ml.m5.xlarge", 1), ("ml.m5.large", 2), ("ml.m5.large", 1)]
    bills = {bill["trial"]: bill for bill in experiment.entries(BILL)}
    for trial, hourly in enumerate((0.23, 2 * 0.115, 0.115)):
        assert bills[trial]["dollars"] == pytest.approx(hourly * bills[trial]["seconds"] / 3600)
    experiment.check_whole()
