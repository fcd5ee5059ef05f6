"""A remote tuner says how its experiment stands: while it runs, at its end, and whatever keeps it from that."""

from __future__ import annotations

import pytest

from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.remote.overview_form import Overview
from cloudtune.store.study_place import StudyPlace
from tests.remote.remote_experiment import NAME, ROOT, RemoteTuning, wait_until

pytestmark = pytest.mark.timeout(900)


def told(tuning: RemoteTuning) -> Overview | None:
    """What stands in S3."""
    got = tuning.bucket.get(StudyPlace.of_experiment(tuning.bucket, ROOT).status_of(NAME))
    return None if got is None else Overview.from_json(got.body)


def test_from_the_first_trial_to_the_end(tuning: RemoteTuning) -> None:
    """While it runs: with the first report; at its end: all of it, and why."""
    tuner = tuning.tuner(False, {"epochs": 2, "hold": 1}, trials=2, metadata={"benchmark": "height", "depth": 3})
    launched = tuning.launch(tuner)
    wait_until(lambda: (said := told(tuning)) is not None and said.best is not None, "the first report")
    said = told(tuning)
    assert said is not None
    assert (said.name, said.tag, said.state, said.why, said.job) == (NAME, NAME, "running", "", launched.job_name)
    assert said.trials["InProgress"] >= 1
    assert (said.metric, said.mode, said.n_workers) == ("loss", "min", 2)
    assert said.metadata == {"benchmark": "height", "depth": 3}
    tuning.release(0, 1)
    tuning.wait_for_end(launched.job_name)
    said = told(tuning)
    assert said is not None
    assert (said.state, said.why) == ("finished", "stopping criterion reached")
    assert (said.trials, said.reports) == ({"Completed": 2}, 4)
    assert said.best is not None
    assert (said.best.value, said.best.trial, said.best.config["loss"]) == (1.0, 0, 1.0)
    assert {(one.name, one.limit, one.so_far) for one in said.limits} >= {("trials started", 2.0, 2.0)}
    assert tuning.entries("finish")


def test_a_tuner_that_is_stopped_and_its_successor(tuning: RemoteTuning) -> None:
    """Interrupted; the next one, which has another job, goes on from there."""
    tuner = tuning.tuner(False, {"epochs": 2, "hold": 1}, trials=1)
    first = tuning.launch(tuner)
    tuning.wait_for_reports(1)
    tuning.cloud.client("sagemaker").stop_training_job(TrainingJobName=first.job_name)
    tuning.wait_for_end(first.job_name)
    said = told(tuning)
    assert said is not None
    assert (said.state, said.reports) == ("interrupted", 1)
    assert "SIGTERM" in said.why
    created = said.created
    tuning.release(0)
    second = tuning.launch(tuner)
    tuning.wait_for_end(second.job_name)
    said = told(tuning)
    assert said is not None
    assert (said.state, said.job, said.created) == ("finished", second.job_name, created)


def test_trials_that_fail_too_often(tuning: RemoteTuning) -> None:
    """The tuner ends with an error, and has said that it has failed."""
    launched = tuning.launch(tuning.tuner(False, {"epochs": 1, "fail": True}, trials=1))
    tuning.wait_for_end(launched.job_name)
    said = told(tuning)
    assert said is not None
    assert (said.state, said.why, said.trials) == ("failed", "too many failed trials", {"Failed": 1})


def test_s3_that_fails_now_and_then(tuning: RemoteTuning, faults: CloudFaults) -> None:
    """The tuner is not held up: it reaches its end while what it says is not taken, and its job completes."""
    faults.add("internal_error", operation="s3:PutObject", resource="*_study/status/*")
    launched = tuning.launch(tuning.tuner(False, {"epochs": 1}, trials=1))
    assert tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    assert told(tuning) is None
    tuning.check_whole({0: 1})
    output = tuning.output(launched.job_name)
    assert output.count("was not written for `cloudtune status`") == 1
