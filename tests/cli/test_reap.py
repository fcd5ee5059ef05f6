"""``cloudtune reap``: ends the jobs that nobody drives any more, and no others."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from cloudtune.aws import signs_of_life
from cloudtune.aws.clients import Aws
from cloudtune.aws.errors import AccessDenied
from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.aws.reaping import orphans
from cloudtune.aws.s3 import Bucket, Got
from cloudtune.aws.signs_of_life import SignOfLife
from cloudtune.localcloud import CloudSettings
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import wait_until
from tests.cli.our_training_jobs import LISTENER, Account
from tests.cli.test_ps import account

__all__ = ["account"]


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    return CloudSettings(stop_grace=1.0)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tuner counts as gone at once, so that no test has to wait for minutes."""
    monkeypatch.setattr(signs_of_life, "ALIVE", -1.0)


def reaped(account: Account, *arguments: str) -> dict[str, Any]:
    done = account.run("reap", *arguments, "--yes", "--json")
    result: dict[str, Any] = {**json.loads(done.stdout), "code": done.exit_code}
    return result


def job(place: str, age: float) -> OurJob:
    created = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc) - dt.timedelta(seconds=age)
    return OurJob(
        f"job-{place}",
        "e",
        "t",
        "0",
        place,
        False,
        "InProgress",
        "Training",
        False,
        created,
        created,
        "m",
        1,
        False,
        0,
        0,
        True,
    )


def test_orphans_are_jobs_whose_tuner_has_been_silent_for_long() -> None:
    """By the age of the sign of life; without one by the job's; where nothing is known, nothing is done."""
    signs = {
        "alive": SignOfLife(age=30.0),
        "silent": SignOfLife(age=1000.0),
        "none": SignOfLife(),
        "called off": SignOfLife(age=5.0, was_called_off=True),
        "denied": SignOfLife(unreadable="AccessDenied"),
    }
    now = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
    gone, unknown = orphans([job(place, 5000.0) for place in signs], signs, now, 900.0)
    assert [one.place for one in gone] == ["silent", "none", "called off"]
    assert [one.place for one in unknown] == ["denied"]
    gone, _ = orphans([job("none", 100.0)], signs, now, 900.0)
    assert not gone, "a job of which there is no sign of life may just have been created"


def test_jobs_of_a_tuner_that_lives_are_left_alone(account: Account) -> None:
    """And there is nothing to ask."""
    name = account.start("mnist")
    account.live("mnist")
    done = account.run("reap")
    assert (done.exit_code, done.stdout) == (0, "there is nothing to end\n")
    assert account.status(name) == "InProgress"


@pytest.mark.parametrize("within", ["team(a)/x/", "p" * 250 + "/"])
def test_a_place_that_no_tag_can_hold_is_found(account: Account, within: str) -> None:
    """Tags have no parentheses and 256 characters; what lives at such a place is not taken for dead."""
    account.within = within
    name = account.start("mnist")
    account.live("mnist")
    assert account.listed()[0]["place"] == account.place("mnist")
    found = find_our_jobs(Aws())
    signs = signs_of_life.signs_of(Aws(), found.jobs)
    assert [one.name for one in found.jobs] == [name]
    assert orphans(found.jobs, signs, found.now + dt.timedelta(hours=1), 900.0) == ([], [])


def test_a_place_that_only_a_tag_names_is_not_trusted(account: Account) -> None:
    """That there is no sign of life may mean that the tag is not quite the place: nothing is ended, and it is told."""
    account.within = "team(a)/"
    name = account.start("mnist", environment=False)
    account.live("mnist")
    done = account.run("reap", "--older-than", "0", "--yes")
    assert done.exit_code == 1
    assert f"{name}: left alone, since of its tuner nothing is known (only a tag says where" in done.stderr
    assert account.status(name) == "InProgress"
    assert account.listed()[0]["tuner"]["alive"] is None


def test_a_bucket_of_somebody_else_is_neither_believed_nor_written_to(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns it could keep jobs alive, or end them."""
    account.live("mnist")
    place = account.place("mnist")
    assert signs_of_life.signs_of_life(Aws(), [place])[place].is_alive
    monkeypatch.setattr(Aws, "account", "999999999999")
    assert "s3:GetObject" in signs_of_life.signs_of_life(Aws(), [place])[place].unreadable
    with pytest.raises(AccessDenied):
        signs_of_life.call_off(Aws(), place)
    assert account.life("mnist")["stop_all"] is None


def test_it_asks_before_it_ends_anything(account: Account) -> None:
    """No is an answer, and so is nothing at all."""
    name = account.start("mnist")
    for answer in ("n\n", None):
        done = account.run("reap", "mnist", answer=answer)
        assert done.exit_code == 1
        assert "End 1 job?" in done.output
    assert account.status(name) == "InProgress"
    assert account.run("reap", "mnist", answer="y\n").exit_code == 0
    assert account.cloud.wait_for_job(name)["status"] == "Stopped"


def test_jobs_with_the_agent_end_by_themselves(account: Account, silent: None) -> None:
    """They are told through S3 to pause, which saves their checkpoints; SageMaker is not asked to stop them."""
    account.live("mnist", wishes={"0-0": "stop"})
    names = [account.start("mnist", trial, LISTENER, agent=True) for trial in (0, 1)]
    account.wait_until_training(*names)
    account.wait_for_age()
    result = reaped(account, "--older-than", "0")
    assert result == {
        "ok": True,
        "paused": names,
        "stopped": [],
        "ended": [],
        "pools": [],
        "failed": {},
        "left": {},
        "code": 0,
    }
    assert [account.status(name) for name in names] == ["Completed", "Completed"]
    assert "sagemaker:StopTrainingJob" not in account.cloud.call_counts()
    life = account.life("mnist")
    assert (life["stop_all"], life["wishes"], life["beat"]) == ("pause", {"0-0": "stop"}, 2)


def test_the_warm_pool_that_such_a_job_leaves_is_ended(account: Account, silent: None) -> None:
    """It came to be only after the jobs were looked for."""
    account.live("mnist")
    name = account.start("mnist", 0, LISTENER, agent=True, keep_alive=3600)
    account.wait_until_training(name)
    result = reaped(account, "mnist")
    assert (result["paused"], result["pools"], result["code"]) == ([name], [name], 0)
    assert account.describe(name)["WarmPoolStatus"]["Status"] == "Terminated"
    assert account.listed() == []


def test_agents_that_do_not_listen_are_stopped_after_their_grace(account: Account, silent: None) -> None:
    """An agent that hangs costs a little more time, no more money."""
    name = account.start("mnist", agent=True)
    account.live("mnist")
    account.wait_until_training(name)
    result = reaped(account, "mnist", "--grace", "0.5")
    assert (result["paused"], result["stopped"], result["code"]) == ([], [name], 0)
    assert account.cloud.wait_for_job(name)["status"] == "Stopped"


def test_a_tuner_that_awakes_is_not_overwritten(
    account: Account, silent: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and writing its life object it has written itself: the jobs are stopped, the object is its."""
    account.live("mnist")
    name = account.start("mnist", 0, LISTENER, agent=True)
    account.wait_until_training(name)
    read = Bucket.get

    def read_then_awake(self: Bucket, key: str) -> Got | None:
        got = read(self, key)
        if account.life("mnist")["nonce"] != "awake":
            account.live("mnist", nonce="awake")
        return got

    monkeypatch.setattr(Bucket, "get", read_then_awake)
    result = reaped(account, "mnist")
    assert (result["paused"], result["stopped"]) == ([], [name])
    assert account.life("mnist")["nonce"] == "awake"
    assert account.life("mnist")["stop_all"] is None


def test_a_live_tuner_is_warned_of(account: Account) -> None:
    """Who ends the jobs of a tuner that lives is told that it may start others; its life object is not touched."""
    account.live("mnist")
    name = account.start("mnist", 0, LISTENER, agent=True)
    account.wait_until_training(name)
    done = account.run("reap", "--all", "--yes")
    assert done.exit_code == 0
    assert "the tuner of mnist is alive and may start new jobs; end it first" in done.stderr
    assert f"{name}: stopped" in done.stdout
    assert account.life("mnist")["stop_all"] is None


def test_only_what_is_named_is_ended(account: Account) -> None:
    """Experiments and single jobs, by their names; a name that nothing has is said so."""
    mnist = [account.start("mnist", trial) for trial in (0, 1)]
    others = [account.start("digits", trial) for trial in (0, 1)]
    done = account.run("reap", "mnist", others[1], "nothing", "--yes")
    assert done.exit_code == 0
    assert "nothing of nothing runs" in done.stderr
    for name in (*mnist, others[1]):
        assert account.cloud.wait_for_job(name)["status"] == "Stopped"
    assert account.status(others[0]) == "InProgress"


def test_naming_one_job_does_not_call_off_its_experiment(account: Account, silent: None) -> None:
    """The other trials of the experiment go on."""
    account.live("mnist")
    names = [account.start("mnist", trial, LISTENER, agent=True) for trial in (0, 1)]
    account.wait_until_training(*names)
    assert reaped(account, names[0])["stopped"] == [names[0]]
    assert account.life("mnist")["stop_all"] is None
    assert account.status(names[1]) == "InProgress"


def test_warm_pools_are_ended(account: Account) -> None:
    """Instances that wait for a next job that never comes."""
    name = account.start("mnist", script="pass", keep_alive=3600)
    account.cloud.wait_for_job(name)
    done = account.run("reap", "--all", answer="y\n")
    assert done.exit_code == 0
    assert "End 1 warm pool?" in done.output
    assert f"{name}: warm pool ended" in done.stdout
    assert account.listed() == []


def test_a_job_that_is_being_stopped_is_not_stopped_again(account: Account, faults: CloudFaults) -> None:
    """It is counted neither as done nor as failed."""
    name = account.start("mnist")
    account.wait_until_training(name)
    faults.add("hang_stopping", job=name, seconds=3600)
    account.sagemaker.stop_training_job(TrainingJobName=name)
    result = reaped(account, "mnist")
    assert (result["stopped"], result["failed"], result["code"]) == ([], {}, 0)
    assert account.cloud.call_counts()["sagemaker:StopTrainingJob"] == 1


def test_throttling_is_survived(account: Account, faults: CloudFaults) -> None:
    """At the life object, at the list and at the stop."""
    names = [account.start("mnist", trial) for trial in (0, 1)]
    account.live("mnist")
    for operation in ("s3:GetObject", "sagemaker:ListTrainingJobs", "sagemaker:StopTrainingJob"):
        faults.add("throttle", operation=operation, count=2)
    assert sorted(reaped(account, "mnist")["stopped"]) == names


def test_what_cannot_be_stopped_is_told_and_fails(account: Account, faults: CloudFaults) -> None:
    """The others are ended all the same."""
    names = [account.start("mnist", trial) for trial in (0, 1)]
    faults.add("access_denied", operation="sagemaker:StopTrainingJob", job=names[0])
    done = account.run("reap", "mnist", "--yes")
    assert done.exit_code == 1
    assert f"{names[0]}: could not be ended: " in done.stderr
    assert account.cloud.wait_for_job(names[1])["status"] == "Stopped"
    assert account.status(names[0]) == "InProgress"
    result = reaped(account, "mnist")
    assert (result["ok"], list(result["failed"]), result["code"]) == (False, [names[0]], 1)


def test_where_nothing_is_known_of_the_tuner_jobs_are_left_and_that_is_told(
    account: Account, faults: CloudFaults
) -> None:
    """Rights that are missing are no reason to end a job, nor to keep silent about it."""
    name = account.start("mnist")
    account.live("mnist")
    faults.add("access_denied", operation="s3:GetObject")
    done = account.run("reap", "--older-than", "0", "--yes")
    assert done.exit_code == 1
    assert f"{name}: left alone, since of its tuner nothing is known" in done.stderr
    assert account.status(name) == "InProgress"
    assert account.run("reap", "mnist", "--yes").exit_code == 0, "named, it is ended"


def test_a_life_object_that_cannot_be_written_does_not_save_the_job(
    account: Account, faults: CloudFaults, silent: None
) -> None:
    """Then the job is stopped by SageMaker."""
    account.live("mnist")
    name = account.start("mnist", 0, LISTENER, agent=True)
    account.wait_until_training(name)
    faults.add("access_denied", operation="s3:PutObject", who="client")
    done = account.run("reap", "mnist", "--yes")
    assert done.exit_code == 0
    assert "cannot be asked to end" in done.stdout
    assert f"{name}: stopped" in done.stdout


@pytest.mark.parametrize("arguments", [["--json"], ["--all", "mnist"], ["--older-than", "-1"]])
def test_options_that_make_no_sense_are_refused(account: Account, arguments: list[str]) -> None:
    """Before anything is looked at."""
    done = account.run("reap", *arguments)
    assert done.exit_code == 2
    assert account.cloud.call_counts().get("sagemaker:ListTrainingJobs") is None


def test_a_job_that_ended_meanwhile_is_no_failure(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends while the question is on the screen."""
    name = account.start("mnist")
    account.wait_until_training(name)

    def stop_then_agree(*_: object, **__: object) -> bool:
        account.sagemaker.stop_training_job(TrainingJobName=name)
        wait_until(lambda: account.status(name) == "Stopped")
        return True

    monkeypatch.setattr("click.confirm", stop_then_agree)
    done = account.run("reap", "mnist")
    assert done.exit_code == 0
    assert f"{name}: had ended" in done.stdout
