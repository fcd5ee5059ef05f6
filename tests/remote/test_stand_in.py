"""Signs of life for a tuner that has ended and tries for its successor: who gets them, and when there are no more."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.clients import aws_for
from cloudtune.aws.signs_of_life import call_off, give_sign
from cloudtune.backend import LocalBackend
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.experiments.s3_finding import find_in_s3
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.remote.own_job import OwnJob
from cloudtune.remote.stand_in import StandIn
from cloudtune.remote.standing import standing_in_s3
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.entries import EXPERIMENT, PLACE
from cloudtune.store.s3_store import S3Store
from tests.backend.sagemaker.harness import BUCKET, HURRY, make_backend, training_job
from tests.remote.remote_experiment import NAME, SCRIPT, RemoteTuning, wait_until

pytestmark = pytest.mark.timeout(300)

JOB = "digits-tuning-0-1"


class Trials:
    """Of an experiment whose tuner, a training job, has ended.

    Args:
        place: Of the experiment.
        monkeypatch: Says which job this process is.
    """

    def __init__(self, place: TunerPlace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.job = OwnJob(place.bucket.aws, place, 1, JOB)
        self._monkeypatch = monkeypatch
        self.uri = place.bucket.uri(place.root + "abc123/")
        self._key = protocol.Keys(place.root + "abc123/").life
        noted = {"event": PLACE, "trials_at": {"place": self.uri}}
        self.drive(JOB, {"event": EXPERIMENT, "experiment_id": "abc123", "scheduler": {}}, noted)
        self.write({"nonce": "of the tuner", "beat": 7, "stop_all": None, "wishes": {"0-0": "stop"}})

    def drive(self, job: str | None, *entries: dict[str, Any]) -> None:
        """Drives the experiment, in a job or elsewhere, and ends."""
        if job is None:
            self._monkeypatch.delenv("TRAINING_JOB_NAME")
        else:
            self._monkeypatch.setenv("TRAINING_JOB_NAME", job)
        store = S3Store(self.place.bucket, self.place.root)
        store.open()
        store.append(entries)
        store.close()

    def life(self) -> dict[str, Any]:
        """What their agents read."""
        got = self.place.bucket.get(self._key)
        assert got is not None
        life: dict[str, Any] = json.loads(got.body)
        return life

    def write(self, life: dict[str, Any]) -> None:
        """Has their agents read something else."""
        self.place.bucket.put(self._key, json.dumps(life).encode())

    def wait_for_signs(self, beat: int) -> None:
        """Returns when there were so many."""
        wait_until(lambda: self.life()["beat"] >= beat, "signs of life")


@pytest.fixture
def trials(place: TunerPlace, monkeypatch: pytest.MonkeyPatch) -> Trials:
    return Trials(place, monkeypatch)


def stand_ins() -> list[threading.Thread]:
    """That give signs."""
    return [one for one in threading.enumerate() if one.name == "cloudtune stand-in"]


def wait_for_its_end() -> None:
    """Returns when no more signs are given."""
    wait_until(lambda: not stand_ins(), "the end of the signs")


def test_signs_go_on(trials: Trials) -> None:
    """Again and again, with all that the tuner has wished; none comes afterwards."""
    with StandIn(trials.job, 0.02):
        trials.wait_for_signs(10)
    wait_for_its_end()
    life = trials.life()
    assert (life["nonce"], life["stop_all"], life["wishes"]) == ("of the tuner", None, {"0-0": "stop"})


def test_trials_that_expect_none(trials: Trials) -> None:
    """Nothing is written."""
    with StandIn(trials.job, None):
        assert stand_ins() == []
    assert trials.life()["beat"] == 7


@pytest.mark.parametrize("job", [None, "digits-tuning-0-2"])
def test_none_is_given_for_another_tuner(trials: Trials, job: str | None) -> None:
    """One that takes the experiment gives its own, and if it dies its trials are to notice."""
    with StandIn(trials.job, 0.02):
        trials.wait_for_signs(8)
        trials.drive(job)
        wait_for_its_end()
    beat = trials.life()["beat"]
    with StandIn(trials.job, 0.02):
        wait_for_its_end()
    assert trials.life()["beat"] == beat


def test_none_is_given_to_trials_that_were_called_off(trials: Trials) -> None:
    """Somebody has ended them on purpose."""
    assert call_off(trials.place.bucket.aws, trials.uri)
    called_off = trials.life()
    with StandIn(trials.job, 0.02):
        wait_for_its_end()
    assert trials.life() == called_off


def test_an_s3_that_fails_for_a_while(trials: Trials, faults: CloudFaults) -> None:
    """The next sign is given all the same."""
    faults.add("internal_error", operation="s3:PutObject", resource="*/life.json", count=15)
    with StandIn(trials.job, 0.02):
        trials.wait_for_signs(8)
    wait_for_its_end()
    assert len(faults.fired()) == 15
    life = trials.life()
    assert life["beat"] >= 8
    assert life["wishes"] == {"0-0": "stop"}


def test_what_somebody_else_writes_beside_it_stays(trials: Trials) -> None:
    """Between a look and the sign that follows it: that is not written, and the next one is, with the new wish."""
    wished = {**trials.life(), "beat": 1000, "wishes": {"0-0": "stop", "1-0": "pause"}}
    aws = trials.place.bucket.aws
    assert give_sign(aws, trials.uri, lambda: trials.write(wished))
    assert trials.life() == wished
    assert give_sign(aws, trials.uri, lambda: None)
    assert (trials.life()["beat"], trials.life()["wishes"]) == (1001, wished["wishes"])


def test_which_trials_expect_signs() -> None:
    """Those whose agents look at S3, as often as their tuner gives them; not those beside the loop."""
    assert make_backend(training_job(SCRIPT), cadence=replace(HURRY, life=3.0)).sign_interval == 3.0
    assert make_backend(training_job(SCRIPT), report_channel="logs").sign_interval is None
    assert LocalBackend(entry_point=str(SCRIPT)).sign_interval is None


@pytest.mark.defect("R6")
def test_trials_do_not_miss_their_tuner_while_a_successor_is_tried_for(tuning: RemoteTuning) -> None:
    """They go on although the quota has no room for a successor, until the job that tries for one has ended."""
    tuning.cloud.set_quota("ml.m5.large for training job usage", 2)
    tuner = tuning.tuner(True, {"epochs": 4, "hold": 2}, trials=1)
    assert isinstance(tuner.trial_backend, SageMakerBackend)
    tuner.trial_backend.cadence = replace(HURRY, life_timeout=3.0)
    job = tuning.launch(tuner, max_run=48).job_name
    wait_until(lambda: "cannot be created at the moment" in tuning.output(job), "a try for a successor")
    standing = standing_in_s3(find_in_s3(NAME, f"s3://{BUCKET}", aws_for(None, None)))
    assert standing.why.startswith(
        f"handing over to another job, which {job} tries to create for as long as it may run"
    )
    ended = tuning.wait_for_end(job)
    assert ended["status"] != "Completed"
    assert len(tuning.tuner_jobs()) == 1
    # Had it missed the tuner, its instance would have been free for a successor. From now on it does.
    wait_until(lambda: tuning.trial_jobs()[0]["status"] != "InProgress", "the end of the trial without any tuner")
