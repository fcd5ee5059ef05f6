"""``cloudtune ps``: the jobs that cost money now, whoever started them."""

from __future__ import annotations

import datetime as dt
import io
import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.aws.prices import price_per_hour
from cloudtune.aws.signs_of_life import SignOfLife, signs_of_life
from cloudtune.cli.ps import duration, tuner_state
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.aws.conftest import training_request
from tests.cli.our_training_jobs import SLEEPER, Account

UNLIMITED = ("ListTrainingJobs", "Search", "DescribeTrainingJob", "ListTags", "StopTrainingJob", "UpdateTrainingJob")


@pytest.fixture
def account(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", ",".join(f"sagemaker:{operation}=1000" for operation in UNLIMITED))
    return Account(local_cloud)


@pytest.mark.parametrize("command", ["ps", "reap"])
def test_the_commands_explain_themselves(command: str) -> None:
    """``--help`` shows how the command is typed, and needs nothing that is slow to import."""
    program = (
        f"import sys; from cloudtune.cli import main; main(['{command}', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'botocore'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"cloudtune {command} --" in done.stdout.partition("Example:")[2]


def test_nothing_runs(account: Account) -> None:
    """It is said in words, and as an empty array."""
    done = account.run("ps")
    assert (done.exit_code, done.stdout) == (
        0,
        "no training job of cloudtune runs in us-east-1, and no warm pool is kept\n",
    )
    assert account.listed() == []


def test_what_runs_is_told_with_its_experiment_state_and_cost(account: Account) -> None:
    """A job with its tags; jobs of others, and those that have ended, are left out."""
    name = account.start("mnist", trial=7)
    account.wait_until_training(name)
    account.start("over", script="pass")
    account.cloud.wait_for_job("over-abc123-0-0")
    account.sagemaker.create_training_job(**training_request("somebody-elses", SLEEPER))
    account.sagemaker.create_training_job(**training_request("other-abc123-0-0", SLEEPER))
    account.live("mnist")
    (row,) = account.listed()
    assert (row["name"], row["experiment"], row["tag"], row["trial"]) == (name, "mnist", "study", "7")
    assert (row["state"], row["instance_type"], row["instance_count"]) == ("Training", "ml.m5.large", 1)
    assert (row["is_spot"], row["is_warm_pool"], row["place"]) == (False, False, account.place("mnist"))
    price = price_per_hour("ml.m5.large", "us-east-1")
    assert price is not None
    assert row["cost"] == pytest.approx(price * row["seconds"] / 3600)
    assert row["tuner"]["alive"] is True
    told = account.run("ps")
    assert told.exit_code == 0
    header, line = told.stdout.splitlines()
    assert header.split() == ["experiment", "job", "trial", "state", "for", "instance", "cost", "tuner"]
    assert line.startswith(f"mnist       {name}  7      Training")
    assert "alive" in line


def test_warm_pools_are_told(account: Account) -> None:
    """Instances that are kept after a job cost money, too."""
    name = account.start("mnist", script="pass", keep_alive=3600)
    account.cloud.wait_for_job(name)
    (row,) = account.listed()
    assert (row["name"], row["state"], row["is_warm_pool"]) == (name, "warm pool", True)
    assert "warm pool" in account.run("ps").stdout


@pytest.mark.parametrize("environment", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "access_denied", "operation": "sagemaker:Search"},
        {"fault": "stale_search", "seconds": 3600},
        {"fault": "throttle", "operation": "sagemaker:Search", "count": 3},
        {"fault": "throttle", "operation": "sagemaker:ListTrainingJobs", "count": 3},
        {"fault": "internal_error", "operation": "sagemaker:DescribeTrainingJob", "count": 1},
    ],
)
def test_no_job_is_missed_when_search_is_denied_stale_or_slow(
    account: Account, faults: CloudFaults, fault: dict[str, Any], environment: bool
) -> None:
    """The list of jobs knows what Search does not; tags are asked for where the environment says nothing."""
    name = account.start("mnist", trial=7, environment=environment)
    account.sagemaker.create_training_job(**training_request("other-abc123-0-0", SLEEPER))
    faults.add(**fault)
    (row,) = account.listed()
    assert (row["name"], row["experiment"], row["tag"], row["trial"]) == (name, "mnist", "study", "7")
    assert row["place"] == account.place("mnist")


def test_the_state_is_that_of_now_though_search_is_behind(account: Account, faults: CloudFaults) -> None:
    """Search still says that the job is starting."""
    faults.add("slow_start", seconds=4)
    name = account.start("mnist")
    account.wait_until_training(name)
    faults.add("stale_search", seconds=3)
    assert account.listed()[0]["state"] == "Training"


def test_all_pages_are_read(account: Account, faults: CloudFaults) -> None:
    """More jobs than a page holds, by Search and without it."""
    faults.add("slow_start", seconds=10_000)
    names = {account.start("mnist", trial) for trial in range(105)}
    assert {row["name"] for row in account.listed()} == names
    calls = account.cloud.call_counts()
    assert calls["sagemaker:Search"] == 2
    faults.add("access_denied", operation="sagemaker:Search")
    assert {row["name"] for row in account.listed()} == names


def test_what_keeps_us_from_knowing_is_told(account: Account, faults: CloudFaults) -> None:
    """No life object, and one that may not be read, are different things."""
    account.start("mnist")
    assert account.listed()[0]["tuner"] == {
        "alive": False,
        "age": None,
        "was_called_off": False,
        "unreadable": "",
    }
    faults.add("access_denied", operation="s3:GetObject")
    done = account.run("ps")
    assert done.exit_code == 0
    assert "unknown" in done.stdout
    assert f"of the tuner of {account.place('mnist')} nothing is known" in done.stderr
    assert account.listed()[0]["tuner"]["alive"] is None


def test_a_denied_list_is_an_error(account: Account, faults: CloudFaults) -> None:
    """Without the list, jobs could be missed: that is no answer."""
    faults.add("access_denied", operation="sagemaker:ListTrainingJobs")
    done = account.run("ps")
    assert done.exit_code == 1
    assert "ListTrainingJobs" in done.stderr


class FixedS3(Aws):
    """S3 with a clock and an object of its own."""

    def __init__(self, body: bytes, date: str, modified: dt.datetime) -> None:
        super().__init__("us-east-1")
        self.passed: dict[str, Any] = {}
        self._answer = {
            "Body": io.BytesIO(body),
            "LastModified": modified,
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
        }

    @property
    def account(self) -> str:
        return "123456789012"

    def call(
        self,
        service: str,
        operation: str,
        *,
        patience: float | None = None,
        cancel: threading.Event | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        assert (service, operation, params["Key"]) == ("s3", "get_object", "cloudtune/a/b/abc123/life.json")
        self.passed = params
        return self._answer


@pytest.mark.parametrize(
    ("nonce", "minutes", "expected"),
    [("tuner", 1, "alive (60 s ago)"), ("tuner", 25, "silent for 25 min"), ("reaper-1", 1, "called off")],
)
def test_the_age_of_a_sign_of_life_is_by_the_clock_of_s3(nonce: str, minutes: int, expected: str) -> None:
    """In answers from years ago: the clock of this machine does not count."""
    modified = dt.datetime(2020, 1, 1, 11, 60 - minutes, tzinfo=dt.timezone.utc)
    aws = FixedS3(json.dumps({"nonce": nonce}).encode(), "Wed, 01 Jan 2020 12:00:00 GMT", modified)
    place = "s3://data/cloudtune/a/b/abc123/"
    assert tuner_state(signs_of_life(aws, [place])[place]) == expected
    assert aws.passed["ExpectedBucketOwner"] == aws.account, "a bucket of somebody else tells nothing"


def test_a_place_that_is_none_is_said_to_be_unknown(account: Account) -> None:
    """A job whose bucket is gone, or that does not say where its experiment is."""
    places = ["", "s3://no-such-bucket/cloudtune/a/b/abc123/"]
    signs = signs_of_life(Aws(), places)
    assert all(signs[place].unreadable and not signs[place].is_alive for place in places)
    assert tuner_state(SignOfLife()) == "no sign of life"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (119, "119 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_times_are_short(seconds: float, text: str) -> None:
    """One number with a unit that fits it."""
    assert duration(seconds) == text
