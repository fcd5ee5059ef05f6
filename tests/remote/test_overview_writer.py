"""What is written of how an experiment stands: by whom, when, and what becomes of it where S3 does not take it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.clients import Aws
from cloudtune.aws.rate_budget import RateBudget
from cloudtune.aws.s3 import Bucket, Got
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.errors import CloudtuneError, ExperimentLocked, Fenced, NewerFormat
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote.overview import Pace, TellsOverview
from cloudtune.remote.overview_form import DamagedOverview, Overview
from cloudtune.remote.standing import Best, Limit
from cloudtune.store.study_place import StudyPlace
from cloudtune.trial import Trial
from tests.remote.remote_experiment import wait_until
from tests.studies.recorded_study import cell_of, said_of

ROOT = "cloudtune/study/digits/"
#: What is not told at once is told soon; what is not new, often.
QUICK = Pace(changed=0.05, unchanged=0.1, end=20.0)
#: Nothing is told by itself.
NEVER = Pace(changed=3000.0, unchanged=3000.0, end=20.0)


@pytest.fixture
def bucket(in_process_cloud: InProcessCloud) -> Bucket:
    """An empty bucket."""
    in_process_cloud.client("s3").create_bucket(Bucket="experiments")
    return Bucket(Aws(budget=RateBudget({})), "experiments")


@pytest.fixture
def tuner(tmp_path: Path) -> Tuner:
    """A tuner that nobody runs."""
    script = tmp_path / "train.py"
    script.touch()
    return Tuner(
        trial_backend=LocalBackend(str(script)),
        scheduler=RandomSearch({"x": uniform(0, 1)}, metric="loss", mode="max"),
        stop_criterion=StoppingCriterion(max_wallclock_time=100.0),
        n_workers=3,
        tuner_name="digits",
        suffix_tuner_name=False,
    )


class Told:
    """Makes what tells, ends it, and reads what was told."""

    def __init__(self, bucket: Bucket, tuner: Tuner) -> None:
        self.bucket, self.tuner = bucket, tuner
        self.key = StudyPlace.of_experiment(bucket, ROOT).status_of("digits")
        self.made: list[TellsOverview] = []

    def begin(self, pace: Pace = NEVER, job: str = "tuner-1", bucket: Bucket | None = None) -> TellsOverview:
        """One that has begun to tell."""
        telling = self.make(pace, job, bucket)
        telling.on_tuning_start(self.tuner)
        return telling

    def make(self, pace: Pace = NEVER, job: str = "tuner-1", bucket: Bucket | None = None) -> TellsOverview:
        """One that has not."""
        self.made.append(TellsOverview(self.tuner, bucket or self.bucket, ROOT, job, pace=pace))
        return self.made[-1]

    def object(self) -> dict[str, Any]:
        """What stands in S3; {} if nothing does."""
        got = self.bucket.get(self.key)
        return {} if got is None else json.loads(got.body)

    def wait_for(self, **wanted: Any) -> dict[str, Any]:
        """Returns it once it has these members."""
        wait_until(lambda: wanted.items() <= self.object().items(), f"{wanted}")
        return self.object()


@pytest.fixture
def told(bucket: Bucket, tuner: Tuner) -> Iterator[Told]:
    """What is told of an experiment; all that tell end with the test."""
    told = Told(bucket, tuner)
    yield told
    for telling in told.made:
        telling.on_tuning_end()


def test_at_once_when_the_tuner_begins(told: Told) -> None:
    """Nobody waits for the first report to see that it runs."""
    told.begin()
    said = told.wait_for(state="running", beat=1)
    assert (said["name"], said["job"], said["n_workers"], said["metric"], said["mode"]) == (
        "digits",
        "tuner-1",
        3,
        "loss",
        "max",
    )
    assert said["limits"] == [{"name": "seconds", "limit": 100.0, "so_far": 0.0}]


def test_soon_with_the_first_trial_and_the_first_report(told: Told) -> None:
    """The tuner is asked for the time at its next turn; later trials and reports wait for the next beat."""
    telling = told.begin()
    due = telling.next_time()
    assert due is not None
    assert due > 3000.0
    events: list[Callable[[], None]] = [
        lambda: telling.on_start_trial(Trial(0, {})),
        lambda: telling.on_trial_result(Trial(0, {}), "InProgress", {}, "CONTINUE"),
    ]
    for event in events:
        event()
        assert telling.next_time() == 0.0
        telling.on_time(5000.0, told.tuner.status)
        assert telling.next_time() == 8000.0
        event()
        assert telling.next_time() == 8000.0
    told.wait_for(state="running")


def test_signs_of_life_while_nothing_changes(told: Told) -> None:
    """Each is another object, so that its age tells that the tuner lives."""
    told.begin(QUICK)
    wait_until(lambda: told.object().get("beat", 0) >= 3, "three objects")


def test_what_changes_is_told_with_the_next_beat(told: Told) -> None:
    """Not with each event: the tuner's thread takes stock, another one writes."""
    telling = told.begin(QUICK)
    told.tuner.status.num_evaluations = 7
    telling.on_time(0.0, told.tuner.status)
    told.wait_for(reports=7)


def test_a_tuner_that_has_lost_its_experiment_is_silent(told: Told) -> None:
    """Whoever began later tells; the earlier one notices, and writes over nothing."""
    earlier = told.begin(QUICK, "tuner-1")
    told.wait_for(job="tuner-1")
    told.begin(NEVER, "tuner-2")
    said = told.wait_for(job="tuner-2")
    earlier.on_tuning_end()
    assert told.object() == said


def test_an_answer_that_is_lost(told: Told, in_process_cloud: InProcessCloud) -> None:
    """The object was written, and its writer does not know: it is its own, and no other tuner's."""
    telling = told.begin(QUICK)
    told.wait_for(state="running")
    in_process_cloud.faults.add("answer_lost", operation="s3:PutObject", count=1)
    wait_until(in_process_cloud.faults.fired, "the fault")
    told.tuner.status.num_evaluations = 9
    telling.on_time(0.0, told.tuner.status)
    told.wait_for(reports=9)


def test_an_object_that_somebody_deletes(told: Told) -> None:
    """The next beat writes it again."""
    told.begin(QUICK)
    told.wait_for(state="running")
    told.bucket.delete([told.key])
    told.wait_for(state="running")


def test_s3_out_of_reach_is_tried_again(
    told: Told, in_process_cloud: InProcessCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and costs the tuner nothing."""
    caplog.set_level("INFO", "cloudtune")
    in_process_cloud.faults.add("internal_error", operation="s3:PutObject", count=4)
    told.begin(QUICK)
    told.wait_for(state="running")
    assert caplog.text.count("was not written for `cloudtune status`") == 1


class Hanging(Bucket):
    """A bucket of which no answer comes until the test is over."""

    def __init__(self) -> None:
        super().__init__(Aws("us-east-1"), "hanging")
        self.is_over = threading.Event()

    def with_patience(self, patience: float | None) -> Bucket:
        return self

    def get(self, key: str) -> Got | None:
        self.is_over.wait(60.0)
        return None

    def put_own(self, key: str, body: bytes, **condition: Any) -> str:
        return "etag"


def test_the_end_does_not_wait_for_long(told: Told) -> None:
    """An S3 that does not answer holds up neither the tuner nor its end."""
    hanging = Hanging()
    telling = told.begin(Pace(end=0.1), bucket=hanging)
    telling.on_tuning_end()
    assert not hanging.is_over.is_set()
    hanging.is_over.set()


def test_how_the_tuner_has_ended(told: Told) -> None:
    """As its log says; where that says nothing, unfinished, and why if the tuner knows."""
    status = told.tuner.status
    telling = told.begin()
    telling.on_tuning_end()
    assert told.object()["state"] == "unfinished"
    telling.tuner_failed(CloudtuneError("the disk\nis full"))
    assert (told.object()["state"], told.object()["why"]) == ("unfinished", "the disk is full")
    status.finished_state, status.finished_why = "interrupted", "handing over to another job"
    telling = told.begin()
    telling.on_tuning_end()
    assert (told.object()["state"], told.object()["why"]) == ("interrupted", "handing over to another job")
    telling.tuner_failed(CloudtuneError("no successor"))
    assert (told.object()["state"], told.object()["why"]) == ("interrupted", "no successor")
    status.finished_state, status.finished_why = "failed", "too many failed trials"
    telling = told.begin()
    telling.on_tuning_end()
    telling.tuner_failed(CloudtuneError("2 trials failed"))
    assert (told.object()["state"], told.object()["why"]) == ("failed", "too many failed trials")


@pytest.mark.parametrize("error", [Fenced("lost"), ExperimentLocked("driven")])
def test_whose_experiment_is_anothers_says_nothing_more(told: Told, error: CloudtuneError) -> None:
    """What the other tuner says stays."""
    telling = told.begin()
    telling.on_tuning_end()
    before = told.object()
    telling.tuner_failed(error)
    assert told.object() == before


def test_a_tuner_that_had_not_begun_says_nothing(told: Told) -> None:
    """What an earlier one has said of its trials is worth more; its job tells why it has failed."""
    telling = told.make()
    telling.tuner_failed(CloudtuneError("another config space"))
    assert told.object() == {}


numbers = st.floats(allow_nan=False, allow_infinity=False)
overviews = st.builds(
    Overview,
    name=st.text(),
    tag=st.text(),
    state=st.sampled_from(("running", "finished", "failed", "interrupted", "unfinished")),
    why=st.text(),
    trials=st.dictionaries(st.text(), st.integers(0, 10**6)),
    reports=st.integers(0, 10**9),
    metric=st.just("loss"),
    mode=st.sampled_from(("min", "max")),
    best=st.none() | st.builds(Best, st.just("loss"), numbers, st.integers(0), st.dictionaries(st.text(), numbers)),
    seconds=numbers,
    cost=numbers,
    limits=st.lists(st.builds(Limit, st.text(), numbers, numbers)),
    n_workers=st.integers(1, 100),
    created=numbers,
    unix=numbers,
    job=st.text(),
    metadata=st.dictionaries(st.text(), st.text()),
)


@given(overview=overviews)
def test_what_is_read_is_what_was_said(overview: Overview) -> None:
    """In all its members."""
    assert asdict(Overview.from_json(overview.to_json("nonce", 1))) == asdict(overview)


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_object_is_told_as_one(place: int, byte: int) -> None:
    """Whatever byte is another one: either it can be read, or it is said that it cannot."""
    body = bytearray(said_of(cell_of(0)).to_json("nonce", 1))
    body[place % len(body)] = byte
    with contextlib.suppress(DamagedOverview, NewerFormat):
        assert Overview.from_json(bytes(body)).state
