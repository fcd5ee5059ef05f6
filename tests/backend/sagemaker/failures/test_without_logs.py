"""A caller that may not read the logs of jobs."""

from __future__ import annotations

import pytest

from cloudtune.aws.errors import AccessDenied
from cloudtune.localcloud import Fault
from tests.backend.sagemaker.failures.experiment import Experiment
from tests.backend.sagemaker.harness import BUCKET


def test_a_failed_job_of_which_nothing_can_be_read(experiment: Experiment) -> None:
    """Trials that fail before their containers run are failed trials, with SageMaker's reason; no log is looked for."""
    experiment.cloud.faults.add(Fault("access_denied", "logs:*", who="client"))
    missing = {"inputs": {"data": f"s3://{BUCKET}/not-there/"}}
    experiment.run([{}, {}], job=missing, tuner={"max_failures": 2, "n_workers": 1})
    assert experiment.ends() == ["Failed", "Failed"]
    assert all("not-there" in reason for trial in range(2) for reason in experiment.reasons(trial))
    assert experiment.cloud.calls("logs:*", who="client") == []  # no container of theirs has ever run
    experiment.check_whole()


def test_logs_that_are_the_only_way(experiment: Experiment) -> None:
    """Where reports come from the log, the tuner ends with a sentence that says what is missing."""
    experiment.cloud.faults.add(Fault("access_denied", "logs:FilterLogEvents", who="client"))
    with pytest.raises(AccessDenied, match=r"logs:FilterLogEvents .* is not allowed"):
        experiment.run([{"epochs": 2}], report_channel="logs")
