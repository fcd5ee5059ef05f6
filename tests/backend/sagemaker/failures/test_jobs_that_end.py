"""Jobs that end otherwise than their scripts meant: spot, console, maximum runtime, a crash."""

from __future__ import annotations

import pytest

from cloudtune.errors import TooManyFailures
from cloudtune.localcloud import Fault
from cloudtune.store.entries import BILL
from tests.backend.sagemaker.failures.experiment import Experiment, wait_until
from tests.backend.sagemaker.harness import BUCKET


def _was_interrupted(experiment: Experiment) -> bool:
    """Whether SageMaker has taken the job's machine away: its script cannot go on any more."""
    return any(one["Status"] == "Interrupted" for one in experiment.describe()["SecondaryStatusTransitions"])


@pytest.mark.parametrize("notice", [True, False], ids=["with notice", "without notice"])
def test_a_spot_interruption_loses_nothing(experiment: Experiment, notice: bool) -> None:
    """The same job goes on as a new run, from the last good generation; no epoch counts twice, none is missing."""
    with experiment.running([{"epochs": 5, "hold": 3}], job={"use_spot": True}):
        experiment.wait_for_epoch(3)
        wait_until(lambda: experiment.saved() >= 3, "a checkpoint of epoch 3")
        experiment.cloud.interrupt_job(experiment.job(), notice=notice)
        wait_until(lambda: _was_interrupted(experiment), "the end of the first run")
        experiment.release(0)
        experiment.wait_for_epoch(5)
    assert [(entry["run"], entry["metrics"]["epoch"]) for entry in experiment.reports()] == [
        (0, 1), (0, 2), (0, 3), (1, 4), (1, 5),
    ]  # fmt: skip
    assert {entry["metrics"]["began_at"] for entry in experiment.reports() if entry["run"] == 1} == {3}
    assert experiment.jobs() == {"0-0": "Completed"}
    assert experiment.ends() == ["Completed"]
    experiment.check_whole()


def test_a_spot_interruption_before_anything_was_saved(experiment: Experiment) -> None:
    """A script that saves nothing begins anew; what it repeats is kept in the log and counts once."""
    options = {"job": {"use_spot": True}, "spot_without_checkpoints": True}
    with experiment.running([{"epochs": 4, "hold": 2, "save": 0}], **options) as running:
        experiment.wait_for_epoch(2)
        experiment.cloud.interrupt_job(experiment.job(), notice=False)
        wait_until(lambda: _was_interrupted(experiment), "the end of the first run")
        experiment.release(0)
    assert experiment.epochs() == [1, 2, 1, 2, 3, 4]
    assert [bool(entry.get("replay")) for entry in experiment.reports()] == [False, False, True, True, False, False]
    assert running.tuner.status.num_evaluations == 4
    experiment.check_whole()


def test_a_job_stopped_from_the_console(experiment: Experiment) -> None:
    """The trial ends as stopped, with the reason; its worker takes the next trial."""
    configs = [{"epochs": 3, "hold": 2}, {"epochs": 2}]
    with experiment.running(configs, tuner={"n_workers": 1}):
        experiment.wait_for_epoch(2)
        experiment.cloud.stop_job(experiment.job())
    assert experiment.ends() == ["Stopped", "Completed"]
    assert experiment.reasons() == ["stopped from outside (in the console, or by StopTrainingJob)"]
    assert experiment.epochs() == experiment.epochs(1) == [1, 2]
    experiment.check_whole()


def test_a_job_that_reaches_its_longest_runtime(experiment: Experiment) -> None:
    """The trial ends as stopped; the reason names the limit and what to raise; its worker takes the next trial."""
    experiment.run([{"epochs": 3, "hold": 2}] * 2, job={"max_run": 4}, tuner={"n_workers": 1})
    assert experiment.ends() == ["Stopped", "Stopped"]
    for trial in (0, 1):
        assert experiment.reasons(trial) == [
            "it reached its longest allowed runtime of 4 seconds; raise max_run if it needs more"
        ]
    experiment.check_whole()


def test_a_trial_that_crashes_has_failed(experiment: Experiment) -> None:
    """Failed, with the reason in one sentence and the last lines in the log; its reports count; another goes on."""
    tuner = experiment.run([{"epochs": 3, "crash": 2}, {"epochs": 3}], tuner={"max_failures": 1})
    assert sorted(experiment.ends()) == ["Completed", "Failed"]
    (reason,) = experiment.reasons(0)
    first, _, rest = reason.partition("\n")
    assert first == "train.py ended with exit code 1, its output ends with: ZeroDivisionError: no loss is left"
    assert "about to divide" in rest.splitlines()
    assert experiment.epochs() == [1, 2]
    assert experiment.epochs(1) == [1, 2, 3]
    assert tuner.status.records[0].first_reason == first
    assert experiment.says(f"trial 0 failed: {first}")
    experiment.check_whole()


@pytest.mark.parametrize("channel", ["s3", "logs"])
def test_a_script_that_ends_its_own_container(experiment: Experiment, channel: str) -> None:
    """Whoever sends SIGTERM to the first process is told so; the report that was printed last is no reason."""
    experiment.run([{"epochs": 3, "kills": 2}], tuner={"max_failures": 1}, report_channel=channel)
    assert experiment.ends() == ["Failed"]
    (reason,) = experiment.reasons()
    assert reason.splitlines()[0] == (
        "the container was sent SIGTERM, not by SageMaker but from inside, its output ends with: about to begin"
    )
    assert "tune-metric" not in experiment.describe()["FailureReason"]
    assert experiment.epochs() == [1, 2]
    experiment.check_whole()


def test_too_many_crashes_end_the_tuner(experiment: Experiment) -> None:
    """The tuner ends with the reason of the first; what still ran has ended, and is billed."""
    with pytest.raises(TooManyFailures, match=r"The first was trial 0: .*ZeroDivisionError: no loss is left"):
        experiment.run([{"epochs": 3, "crash": 2}, {"epochs": 3, "hold": 1}])
    assert experiment.ends(0) == ["Failed"]
    assert experiment.ends(1) == ["Interrupted"]
    assert len(experiment.entries(BILL)) == 2
    experiment.check_whole()


def test_a_failure_of_sagemaker_is_not_the_scripts(experiment: Experiment) -> None:
    """A failure of SageMaker's own is not the script's: the trial goes on from its checkpoint, as the next attempt."""
    with experiment.running([{"epochs": 4, "hold": 2}]):
        experiment.wait_for_epoch(2)
        experiment.cloud.faults.add(Fault("job_internal_error", job="*-0-0"))
        wait_until(experiment.ends, "the end of the first attempt")
        experiment.release(0)
    assert experiment.ends() == ["Interrupted", "Completed"]
    assert experiment.reasons()[0].startswith("SageMaker itself failed (InternalServerError")
    assert experiment.epochs()[-2:] == [3, 4]
    assert experiment.jobs() == {"0-0": "Failed", "0-1": "Completed"}
    experiment.check_whole()


def test_a_job_that_ends_before_its_first_report(experiment: Experiment) -> None:
    """A script that ends well without a word has failed, and the reason says what to do."""
    with pytest.raises(TooManyFailures):
        experiment.run([{"silent": 1}])
    assert experiment.ends() == ["Failed"]
    assert experiment.reasons() == [
        "it ended without a report; call report(loss=..., epoch=...) in the training script"
    ]


def test_a_container_that_never_runs_our_program(experiment: Experiment) -> None:
    """No head, no end mark, no log: what SageMaker says becomes the reason, and no log is waited for."""
    with pytest.raises(TooManyFailures):
        experiment.run([{}], job={"inputs": {"data": f"s3://{BUCKET}/not-there/"}})
    (reason,) = experiment.reasons()
    assert "not-there" in reason
    assert experiment.count("logs:*") == 0
    experiment.check_whole()


@pytest.mark.parametrize("how", ["deleted", "truncated", "garbage"])
def test_the_source_is_lost_between_two_trials(experiment: Experiment, how: str) -> None:
    """A job without the source has not failed: the source is uploaded again, and the trial goes on."""
    with experiment.running([{"epochs": 2, "hold": 1}, {"epochs": 2}, {"epochs": 2}], tuner={"n_workers": 1}):
        experiment.wait_for_epoch(1)
        (archive,) = experiment.objects("cloudtune/code/")
        if how == "deleted":
            experiment.s3.delete_object(Bucket=BUCKET, Key=archive)
        else:
            whole = experiment.s3.get_object(Bucket=BUCKET, Key=archive)["Body"].read()
            body = whole[: len(whole) // 2] if how == "truncated" else b"garbage"
            experiment.s3.put_object(Bucket=BUCKET, Key=archive, Body=body)
        experiment.release(0)
    assert experiment.ends() == ["Completed", "Interrupted", "Completed", "Completed"]
    assert experiment.reasons(1)[0] == (
        "the source in S3 was deleted or changed before its job had begun; it was uploaded again"
    )
    assert experiment.epochs(1) == experiment.epochs(2) == [1, 2]
    assert experiment.objects("cloudtune/code/") == [archive]
    experiment.check_whole()


def test_a_spot_instance_that_never_comes(experiment: Experiment) -> None:
    """The trial ends as stopped; the reason names the limit and what to raise; its worker takes the next trial."""
    experiment.cloud.faults.add(Fault("slow_start", seconds=3600))
    options = {"use_spot": True, "max_run": 3, "max_wait": 3}
    experiment.run([{"epochs": 1}] * 2, job=options, tuner={"n_workers": 1})
    assert experiment.ends() == ["Stopped", "Stopped"]
    assert experiment.count("logs:*") == 0
    for trial in (0, 1):
        assert experiment.reasons(trial) == [
            "it waited for a spot instance for longer than max_wait; raise max_wait, or do without use_spot"
        ]
    experiment.check_whole()


def test_a_job_that_may_not_be_created(experiment: Experiment) -> None:
    """The trial fails with what AWS said and what to do; nothing is tried again and again."""
    experiment.cloud.faults.add(Fault("access_denied", "sagemaker:CreateTrainingJob"))
    experiment.run([{"epochs": 1}], tuner={"max_failures": 1})
    assert experiment.ends() == ["Failed"]
    (reason,) = experiment.reasons()
    assert reason.startswith("its job could not be created: sagemaker:CreateTrainingJob of ")
    assert reason.endswith(
        "allow it in the IAM policy of the user or role that asks, or in the policy of what it asks for."
    )
    assert experiment.count("sagemaker:CreateTrainingJob") == 1


@pytest.mark.parametrize("how", ["spot", "console", "crash"])
def test_the_same_where_reports_come_from_the_log(experiment: Experiment, how: str) -> None:
    """Spot interruption, console, crash: without the agent's objects in S3 the outcome is the same."""
    config = {"epochs": 4, "hold": 2, "crash": 3 if how == "crash" else 0}
    options = {"job": {"use_spot": True}, "report_channel": "logs", "tuner": {"max_failures": 1}}
    with experiment.running([config], **options):
        experiment.wait_for_epoch(2)
        if how == "spot":
            experiment.cloud.interrupt_job(experiment.job(), notice=True)
        elif how == "console":
            experiment.cloud.stop_job(experiment.job())
        if how != "console":
            experiment.release(0)
    fresh = [report["metrics"]["epoch"] for report in experiment.reports() if not report.get("replay")]
    assert (experiment.ends(), fresh) == {
        "spot": (["Completed"], [1, 2, 3, 4]),
        "console": (["Stopped"], [1, 2]),
        "crash": (["Failed"], [1, 2, 3]),
    }[how]
    if how == "crash":
        assert "ZeroDivisionError: no loss is left" in experiment.reasons()[0].splitlines()[0]
    experiment.check_whole()
