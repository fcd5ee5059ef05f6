"""Launches that cannot be, and what is said of each; jobs that cannot run what was launched."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws.buckets import BucketMissing
from cloudtune.aws.errors import AccessDenied, InvalidRequest, QuotaReached
from cloudtune.aws.roles import NoExecutionRole
from cloudtune.backend import LocalBackend, SimulatorBackend
from cloudtune.blackbox import TabularBlackbox, load_blackbox
from cloudtune.config_space import uniform
from cloudtune.errors import ExperimentMismatch
from cloudtune.localcloud import Fault, LocalCloud
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote import RemoteLauncher
from cloudtune.remote.pickling import CannotShip
from cloudtune.remote.tuner_job import PICKLE
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import JOB, NAME, RemoteTuning

pytestmark = pytest.mark.timeout(600)
SPACE = {"epochs": 1}


def launches(cloud: LocalCloud) -> int:
    """How many training jobs there are."""
    return len(cloud.jobs())


def test_no_role(tuning: RemoteTuning) -> None:
    """Nothing names one, and the account has none that SageMaker may assume."""
    iam = tuning.cloud.client("iam")
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
        iam.delete_role(RoleName=name)
    with pytest.raises(NoExecutionRole, match="role"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1), role=None)
    assert launches(tuning.cloud) == 0


def test_a_role_that_may_not_be_passed(tuning: RemoteTuning) -> None:
    """AWS refuses the job, and the message names operation and right."""
    tuning.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob"))
    with pytest.raises(AccessDenied, match=f"CreateTrainingJob of {NAME}"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1))


def test_a_bucket_that_is_missing(tuning: RemoteTuning) -> None:
    """It is named, with the command that creates it."""
    with pytest.raises(BucketMissing, match=r"no bucket nowhere .* --create-bucket"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1), s3_path="s3://nowhere")
    assert launches(tuning.cloud) == 0


def test_a_place_that_is_too_long(tuning: RemoteTuning) -> None:
    """Jobs could not be told of it."""
    with pytest.raises(InvalidRequest, match="give a shorter s3_path"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1), s3_path=f"s3://{BUCKET}/" + "p" * 500)
    assert tuning.bucket.list("") == []


def test_the_key_encrypts_the_output_of_the_tuners_job(tuning: RemoteTuning) -> None:
    """As it does everything else in the experiment's place."""
    launched = tuning.launch(tuning.tuner(False, SPACE, trials=1), kms_key="alias/experiments")
    job = tuning.cloud.client("sagemaker").describe_training_job(TrainingJobName=launched.job_name)
    assert job["OutputDataConfig"]["KmsKeyId"] == "alias/experiments"


def test_an_instance_type_that_is_none(tuning: RemoteTuning) -> None:
    """Before anything is uploaded."""
    with pytest.raises(ValueError, match="m5"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1), instance_type="m5-large")
    assert tuning.bucket.list("") == []


def test_an_instance_type_without_quota(tuning: RemoteTuning) -> None:
    """The message names the quota; nothing runs, and the same launch works once there is one."""
    fault = tuning.cloud.faults.add(Fault("resource_limit", operation="sagemaker:CreateTrainingJob"))
    tuner = tuning.tuner(False, SPACE, trials=1)
    with pytest.raises(QuotaReached, match=re.escape("ml.m5.large for training job usage")):
        tuning.launch(tuner)
    assert launches(tuning.cloud) == 0
    tuning.cloud.faults.remove(fault)
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"
    tuning.check_whole({0: 1})


def test_an_option_that_no_job_has(tuning: RemoteTuning) -> None:
    """A misspelt one is answered with the name that is probably meant."""
    with pytest.raises(TypeError, match="did you mean 'volume_size'"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1), volumesize=7)


def test_requirements_that_contradict_each_other(tuning: RemoteTuning, tmp_path: Path) -> None:
    """The job ends before the tuner begins, and its reason shows what pip has said."""
    tuner = tuning.tuner(False, SPACE, trials=1)
    launched = tuning.launch(tuner, requirements=["--no-index", "dill==0.0.1", "dill==0.0.2"])
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert "requirements" in job["failure_reason"]
    assert "dill" in job["failure_reason"]
    assert tuning.log() == []


def test_a_name_whose_experiment_is_another_one(tuning: RemoteTuning) -> None:
    """Another config space is refused, naming the key; the same one continues."""
    tuner = tuning.tuner(False, SPACE, trials=1)
    tuning.wait_for_end(tuning.launch(tuner).job_name)
    other = Tuner(
        trial_backend=tuner.trial_backend,
        scheduler=RandomSearch({"epochs": 1, "loss": uniform(0, 1)}, metric="loss"),
        stop_criterion=StoppingCriterion(max_num_trials_started=1),
        n_workers=1,
        tuner_name=NAME,
        suffix_tuner_name=False,
    )
    with pytest.raises(ExperimentMismatch, match=f"experiment '{NAME}' began with"):
        tuning.launch(other)
    assert launches(tuning.cloud) == 1
    again = tuning.launch(tuning.tuner(False, SPACE, trials=1))
    assert tuning.wait_for_end(again.job_name)["status"] == "Completed"
    tuning.check_whole({0: 1})


def test_a_pickle_that_is_changed_in_s3(tuning: RemoteTuning) -> None:
    """It is not unpickled; the job's reason says so, and launching again goes on from the log."""
    tuner = tuning.tuner(False, SPACE, trials=1)
    key = tuning.place.keys.task_folder(0, 0) + PICKLE
    pickle = b"cos\nsystem\n(S'touch /tmp/never'\ntR."
    launched = tuning.launch_amid(tuner, lambda: tuning.bucket.put(key, pickle))
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert "launch again" in job["failure_reason"]
    assert tuning.wait_for_end(tuning.launch(tuner).job_name)["status"] == "Completed"
    tuning.check_whole({0: 1})


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _damaged_inside(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes(100) + body[middle + 100 :]


@pytest.mark.parametrize("spoil", [_half, _damaged_inside, lambda _: b"garbage"])
def test_an_archive_that_is_changed_in_s3(tuning: RemoteTuning, spoil: Callable[[bytes], bytes]) -> None:
    """The job's reason is one sentence that says so; launching again uploads it anew."""
    whole: dict[str, bytes] = {}

    def change() -> None:
        (archive,) = tuning.bucket.list("cloudtune/code/")
        whole[archive.key] = tuning.bucket.get(archive.key).body  # type: ignore[union-attr]
        tuning.bucket.put(archive.key, spoil(whole[archive.key]))

    tuner = tuning.tuner(False, SPACE, trials=1)
    launched = tuning.launch_amid(tuner, change)
    ((archive, before),) = whole.items()
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert re.fullmatch(
        rf"AlgorithmError: the archive {archive} was changed or damaged after it was uploaded \(.*\): launch "
        "again, which replaces it, exit code: 1",
        job["failure_reason"],
    )
    again = tuning.launch(tuner)
    assert tuning.bucket.get(archive).body == before  # type: ignore[union-attr]
    assert tuning.wait_for_end(again.job_name)["status"] == "Completed"
    tuning.check_whole({0: 1})


@pytest.mark.defect("C16")
def test_a_tuner_that_writes_no_messages(tuning: RemoteTuning) -> None:
    """``no_tuner_logging=True`` leaves warnings, and the lines that the console draws from."""
    quiet = tuning.launch(tuning.tuner(False, SPACE, trials=1), no_tuner_logging=True)
    tuning.wait_for_end(quiet.job_name)
    text = tuning.output(quiet.job_name)
    assert " INFO " not in text
    assert '"best_loss":' in text


def test_only_a_tuner_is_shipped() -> None:
    """What looks like one is named."""
    with pytest.raises(TypeError, match="got LocalBackend"):
        RemoteLauncher(LocalBackend(entry_point=__file__), **JOB, s3_path=f"s3://{BUCKET}")  # type: ignore[arg-type]


def test_a_name_whose_experiment_is_another_simulation(tuning: RemoteTuning) -> None:
    """It is refused before a job is made for it, naming the setting."""

    def simulated(seed: int) -> Tuner:
        table = load_blackbox("digits_mlp")
        assert isinstance(table, TabularBlackbox)
        scheduler = RandomSearch(
            table.config_space, metric="validation_error", restrict_configurations=table.configurations()
        )
        criterion = StoppingCriterion(max_num_trials_started=1)
        return Tuner(
            SimulatorBackend("digits_mlp", seed=seed),
            scheduler,
            criterion,
            n_workers=1,
            tuner_name=NAME,
            suffix_tuner_name=False,
        )

    assert tuning.wait_for_end(tuning.launch(simulated(0)).job_name)["status"] == "Completed"
    with pytest.raises(ExperimentMismatch, match=f"'{NAME}' began with the backend's seed = 0, now it is 1;"):
        tuning.launch(simulated(1))
    assert launches(tuning.cloud) == 1


def test_another_experiment_under_the_name_of_one_that_runs(tuning: RemoteTuning) -> None:
    """It is refused, and not taken for the one that runs."""
    launched = tuning.launch(tuning.tuner(True, {"epochs": 2, "hold": 1}, trials=1))
    tuning.wait_for_reports(1)
    with pytest.raises(ExperimentMismatch, match=f"experiment '{NAME}' began with"):
        tuning.launch(tuning.tuner(True, {"epochs": 3, "hold": 1}, trials=1))
    tuning.release(0)
    tuning.wait_for_end(launched.job_name)


def test_a_tuner_that_has_run_here(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it knows is of another log: it is to be made anew."""
    monkeypatch.setenv("GATES", str(tuning.gates))
    tuner = tuning.tuner(False, SPACE, trials=1)
    tuner.run()
    with pytest.raises(ExperimentMismatch, match="has run here already"):
        tuning.launch(tuner)


def test_a_credential_in_the_jobs_environment(tuning: RemoteTuning, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may describe the job could read it: it is named, and its value is not shown."""
    monkeypatch.setenv("MY_API_KEY", "0123456789abcdef-very-secret")
    with pytest.raises(CannotShip, match="MY_API_KEY") as error:
        tuning.launch(tuning.tuner(False, SPACE, trials=1), environment={"KEY": "0123456789abcdef-very-secret"})
    assert "very-secret" not in str(error.value)
    assert launches(tuning.cloud) == 0


@pytest.mark.defect("R7")
def test_an_image_with_another_python(tuning: RemoteTuning) -> None:
    """It is told before pip is asked for packages that this Python does not have; both sides are named."""
    key = tuning.place.keys.task(0, 0)

    def change() -> None:
        task = json.loads(tuning.bucket.get(key).body)  # type: ignore[union-attr]
        assert task["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
        tuning.bucket.put(key, json.dumps({**task, "python": "3.99"}).encode())

    launched = tuning.launch_amid(tuning.tuner(False, SPACE, trials=1), change)
    job = tuning.wait_for_end(launched.job_name)
    assert job["status"] == "Failed"
    assert "pickled with Python 3.99" in job["failure_reason"]
    assert "cloudtune image build" in job["failure_reason"]
    assert "installing the requirements" not in tuning.output(launched.job_name)
