"""In which state an experiment is, whatever its tuner has said and its job has done."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.training_jobs import JobSummary
from cloudtune.remote.overview_form import Overview
from cloudtune.studies.cell_standing import STATES
from cloudtune.studies.standing_rules import Known, standing_of
from tests.studies.recorded_study import cell_of, said_of

CELL = cell_of(0)
STATUSES = ("InProgress", "Stopping", "Completed", "Failed", "Stopped")


def job(status: str, name: str = "tuner-1", secondary: str = "Training") -> JobSummary:
    """The newest job of the tuner."""
    return JobSummary(name, "arn", status, secondary, dt.datetime.now(dt.timezone.utc), None, None)


def known(said: Overview | None = None, age: float | None = 5.0) -> Known:
    """What S3 tells."""
    return Known(CELL.name, "s3://there", CELL, said, said is not None, age if said is not None else None)


def said(state: str, name: str = "tuner-1") -> Overview:
    """What the tuner in a job has said."""
    return said_of(CELL, state=state, job=name, why="" if state == "running" else f"{state}, it says")


jobs = st.none() | st.builds(job, st.sampled_from(STATUSES), st.sampled_from(("tuner-1", "tuner-2")))
overviews = st.none() | st.builds(
    said, st.sampled_from(("running", "finished", "failed", "interrupted", "unfinished")), st.just("tuner-1")
)
ages = st.none() | st.floats(0, 1e6)


@given(overview=overviews, newest=jobs, age=ages)
def test_every_case_has_a_state(overview: Overview | None, newest: JobSummary | None, age: float | None) -> None:
    """What has finished is finished; a job that lives drives its experiment; one that has ended does not."""
    standing = standing_of(known(overview, age), newest)
    assert standing.state in STATES
    if overview is not None and overview.state == "finished":
        assert standing.state == "finished"
    elif newest is not None and not newest.is_terminal:
        assert standing.is_driven
        assert (standing.state == "running") == (overview is not None and overview.job == newest.name)
    elif newest is not None:
        assert not standing.is_driven
        assert standing.state != "waiting"
    elif overview is None:
        assert standing.state == "waiting"
    assert (standing.left is not None) == (standing.is_driven and overview is not None)
    if standing.state == "unfinished":
        assert standing.why


@pytest.mark.parametrize(("age", "state"), [(0.0, "running"), (180.0, "running"), (181.0, "unfinished")])
def test_without_a_job_the_last_sign_decides(age: float, state: str) -> None:
    """Three signs of life that are missing are an end; S3's own clock tells how old the last one is."""
    standing = standing_of(known(said("running"), age), None)
    assert (standing.state, standing.last_sign) == (state, age)
    assert ("has not been heard of for 3 minutes" in standing.why) == (state == "unfinished")


def test_time_goes_on_between_two_signs() -> None:
    """What is left of the time limit is less by the age of what was said, and never below nothing."""
    assert standing_of(known(said("running"), 30.0), job("InProgress")).left == 370.0
    assert standing_of(known(said("running"), 500.0), job("InProgress")).left == 0.0


def test_why_a_job_has_ended_is_told() -> None:
    """In SageMaker's words where it was asked; that it was stopped, or has just ended, where not."""
    running = known(said("running"))
    assert standing_of(running, job("Failed"), "no space left").why == "no space left"
    assert standing_of(running, job("Failed")).why == "training job tuner-1 has failed"
    assert standing_of(running, job("Stopped")).why == "training job tuner-1 was stopped"
    assert "has not said how" in standing_of(running, job("Completed")).why
    assert standing_of(known(said("failed")), job("Failed"), "exit code 1").why == "failed, it says"
    later = standing_of(known(said("interrupted")), job("Stopped", "tuner-2"))
    assert (later.state, later.why) == ("interrupted", "interrupted, it says")


def test_a_tuner_that_has_ended_in_a_job_that_has_not() -> None:
    """It still drives: nobody may launch another one before the job is over."""
    standing = standing_of(known(said("interrupted")), job("Stopping"))
    assert (standing.state, standing.why) == ("running", "its tuner ends: interrupted, it says")


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_tuner_whose_machine_was_taken_away(state: str) -> None:
    """Whether or not it could say so: its job goes on on another machine."""
    standing = standing_of(known(said(state)), job("InProgress", secondary="Restarting"))
    assert (standing.state, standing.why) == ("starting", "training job tuner-1: Restarting")
