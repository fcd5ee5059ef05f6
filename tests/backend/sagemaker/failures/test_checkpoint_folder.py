"""A job's description that names another folder for its checkpoints."""

from __future__ import annotations

import pytest

from cloudtune.optimizer.scheduler import SchedulerDecision
from tests.backend.sagemaker.failures.experiment import Experiment


@pytest.mark.parametrize("isolated", [False, True], ids=["kept by cloudtune", "kept by SageMaker"])
def test_a_folder_of_the_users_choice(experiment: Experiment, isolated: bool) -> None:
    """A paused trial goes on from what it has saved there, whoever keeps the folder."""
    experiment.run(
        [{"epochs": 4, "hold": 2}],
        plan={"decisions": {(0, 2): SchedulerDecision.PAUSE}},
        job={
            "checkpoint_local_path": "/opt/ml/kept",
            "checkpoint_s3_uri": "s3://experiments/kept",
            "enable_network_isolation": isolated,
        },
    )
    assert experiment.ends() == ["Paused", "Completed"]
    began = [(entry["metrics"]["epoch"], entry["metrics"]["began_at"]) for entry in experiment.reports()]
    assert began == [(1, 0), (2, 0), (3, 2), (4, 2)]
    experiment.check_whole()
