"""How an experiment stands, from the entries of its log."""

from __future__ import annotations

import pytest

from cloudtune.experiments.course import Course, KnownLimits, S3Course
from cloudtune.localcloud import LocalCloud
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.tuning_status import TuningStatus
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, header, opened_in_s3
from tests.experiments.recorded import THREE_TRIALS, row, trial

__all__ = ["account"]


def test_from_the_first_entry_on() -> None:
    """What is tuned stands in the log as well: metric, mode, resource."""
    course = Course()
    assert (course.header, course.experiment_id) == (None, "")
    course.apply_all([[header("demo"), *THREE_TRIALS[:4]], THREE_TRIALS[4:]])
    assert course.experiment_id == "abc123"
    assert course.status.incumbent == (0.4, 1, 2)
    assert course.status.num_trials_started == 3


def test_limits_are_those_of_the_criterion() -> None:
    """Each limit that a criterion describes is known by its name, with how far the experiment is."""
    criterion = StoppingCriterion(
        max_wallclock_time=1,
        max_num_trials_started=2,
        max_num_trials_completed=3,
        max_num_trials_finished=4,
        max_num_evaluations=5,
        max_cost=6,
    )
    status = TuningStatus()
    status.wallclock_time = 0.5
    described = [(name, limit, so_far(status)) for name, limit, so_far in criterion.describe()]
    metadata = {"st_limits": {name: limit for name, limit, _ in described}}
    known = [(name, limit, so_far(status)) for name, limit, so_far in KnownLimits(metadata).describe()]
    assert known == described
    for odd in (None, {}, {"st_limits": None}, {"st_limits": {"seconds": "many", "moons": 1}}):
        assert KnownLimits(odd).describe() == []


@pytest.mark.usefixtures("account")
def test_read_again_and_again() -> None:
    """Each reading adds what has come since."""
    store = opened_in_s3("demo", header("demo"), trial(0, lr=0.1))
    course = S3Course(store.bucket, store.root)
    assert course.read().status.num_evaluations == 0
    store.append([row(0, 1.0, loss=0.5, epoch=1)])
    store.flush()
    assert course.read().status.num_evaluations == 1
    assert course.read().status.num_evaluations == 1
    store.close()


def test_a_log_that_went_back(account: LocalCloud) -> None:
    """A tuner could not read what had been read here and went on without it: all is read anew."""
    store = opened_in_s3("demo", header("demo"), trial(0, lr=0.1))
    store.append([row(0, 1.0, loss=0.5, epoch=1)])
    store.flush()
    course = S3Course(store.bucket, store.root)
    assert course.read().status.incumbent == (0.5, 0, 1)
    store.close()
    s3 = account.client("s3")
    last = s3.list_objects_v2(Bucket=DEFAULT_BUCKET, Prefix=f"{store.root}log/")["Contents"][-1]["Key"]
    s3.put_object(Bucket=DEFAULT_BUCKET, Key=last, Body=b"")
    again = opened_in_s3("demo", row(0, 1.0, loss=0.75, epoch=1))
    assert course.read().status.incumbent == (0.75, 0, 1)
    again.close()
