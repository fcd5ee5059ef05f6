"""What SageMakerBackend refuses when it is made, and what it knows before it is open."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from cloudtune.backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend import Cadence, TrainingJob
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.localcloud import LocalCloud
from cloudtune.trial import Bill
from tests.backend.sagemaker.harness import make_backend


def job(folder: Path, source: str = "pass", **members: Any) -> TrainingJob:
    script = folder / "my_train.py"
    script.write_text(source)
    return TrainingJob(script, **members)


def test_spot_needs_checkpoints(tmp_path: Path) -> None:
    """Spot instances are refused for a script that does not seem to save anything, unless the user insists."""
    with pytest.raises(ValueError, match=r"nothing in the source of my_train.py mentions st_checkpoint_dir"):
        SageMakerBackend(job(tmp_path, use_spot=True))
    SageMakerBackend(job(tmp_path, use_spot=True), spot_without_checkpoints=True)
    SageMakerBackend(job(tmp_path, "parser.add_argument('--st_checkpoint_dir')", use_spot=True))
    SageMakerBackend(job(tmp_path))


@pytest.mark.parametrize(
    ("options", "members", "words"),
    [
        ({"report_channel": "mail"}, {}, "report_channel must be one of auto, s3, logs"),
        ({"report_channel": "s3"}, {"enable_network_isolation": True}, "the job has no network"),
        ({"report_channel": "s3"}, {"keep_own_entry": True}, "starts without cloudtune's agent"),
        ({"stop_grace": 121}, {}, "stop_grace must be 0 to 100 seconds"),
        ({"stop_grace": -1}, {}, "stop_grace must be 0 to 100 seconds"),
        ({"fallback_instance_types": ["g5.xlarge"]}, {}, "did you mean 'ml.g5.xlarge'"),
        (
            {"fallback_instance_types": ["ml.g5.xlarge"]},
            {"instance_groups": [{"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1}]},
            "the job has groups of instances",
        ),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], members: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Each is refused in one sentence when the backend is made, not when the first trial starts."""
    with pytest.raises(ValueError, match=words):
        SageMakerBackend(job(tmp_path, **members), **options)


def test_what_is_no_job(tmp_path: Path) -> None:
    """Anything else than a description of a job is refused, with what is expected."""
    with pytest.raises(TypeError, match="describes no job"):
        SageMakerBackend(str(tmp_path))


def test_a_cadence_has_no_zeros() -> None:
    """An interval of zero would be a loop that never rests."""
    with pytest.raises(ValueError, match="poll must be above 0 seconds"):
        Cadence(poll=0)
    with pytest.raises(ValueError, match="settle must be above 0 seconds"):
        Cadence(settle=(1.0, 0.0))


@pytest.mark.parametrize("slow", [{"life": 1300.0}, {"agent_watch": 1300.0}, {"life_timeout": 100.0}])
def test_a_tuner_that_lives_is_not_taken_for_dead(slow: dict[str, Any]) -> None:
    """Signs of life come, and are looked at, some times before their absence ends a trial."""
    with pytest.raises(ValueError, match="life_timeout must be at least three times as long as life"):
        Cadence(**slow)


def test_how_reports_travel(tmp_path: Path) -> None:
    """Through S3 where the job can; through its log where it has no network or no agent, or the user wants it."""
    assert SageMakerBackend(job(tmp_path)).uses_s3
    assert not SageMakerBackend(job(tmp_path), report_channel="logs").uses_s3
    assert not SageMakerBackend(job(tmp_path, enable_network_isolation=True)).uses_s3
    assert not SageMakerBackend(job(tmp_path, keep_own_entry=True)).uses_s3


def test_name_and_pickling(tmp_path: Path) -> None:
    """The experiment is called like the script; a backend that is not open can be sent anywhere."""
    backend = SageMakerBackend(job(tmp_path), fallback_instance_types=["ml.g5.xlarge"])
    again = pickle.loads(pickle.dumps(backend))
    assert backend.default_name == again.default_name == "my-train"
    assert again.fallback_instance_types == ("ml.g5.xlarge",)
    assert backend.start_jobs_without_delay is False


def test_it_has_not_wound_down_before_the_last_bill_was_taken(cloud: LocalCloud, tmp_path: Path) -> None:
    """A bill that came since the last poll is waited for: the tuner would end without it."""
    backend = make_backend()
    backend.open(ExperimentPlace("bills", "abcdef", tmp_path, 1))
    try:
        assert backend._work is not None
        backend._work.desk.deliver([Bill(0, 0, 1.0, 10.0, 0.0, "ml.m5.large", final=True)])
        before = backend.wind_down()
        events = backend.poll(10)
        while not backend.wind_down():
            events += backend.poll(0.1)
    finally:
        backend.close(stop_running=True)
    assert not before
    assert [type(event) for event in events] == [Bill]
