"""``cloudtune doctor``: what it finds in an account, and how it tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from tests.cli.doctor.diagnosis import ACCOUNT, BUCKET, IMAGE, LOCAL, doctor


def test_all_is_well_on_a_ready_account(ready: LocalCloud) -> None:
    """Every check says ok, in order of what the later ones need; the table's old price is worth a warning."""
    found = doctor()
    assert found.code == 0
    assert list(found.findings) == [
        "region",
        "identity",
        "role",
        "bucket",
        "role's rights",
        "your rights",
        "instance type",
        "quota",
        "spot quota",
        "warm pools",
        "image",
        "Python",
        "price",
    ]
    assert {what for what, finding in found.findings.items() if finding["state"] != "ok"} <= {"price", "Python"}
    assert found.text("region") == "us-east-1"
    assert ACCOUNT in found.text("identity")
    assert LOCAL in found.text("role")
    assert BUCKET in found.text("bucket")
    assert IMAGE in found.text("image")
    assert found.state("price") == "warning"
    assert "0.7364 USD an hour, as of 2024-12-01" in found.text("price")
    assert found.fix("price") == "cloudtune doctor --refresh-prices"


def test_it_changes_nothing_unless_asked_to(ready: LocalCloud, settings: Path) -> None:
    """Looking at an account makes no call that writes, and leaves no file."""
    doctor()
    harmless = ("Get", "List", "Describe", "Head", "Simulate")
    called = [name for name, _ in ready.call_counts().items() if name != "s3:CreateBucket"]
    assert all(name.partition(":")[2].startswith(harmless) for name in called), called
    assert list(settings.iterdir()) == []


def test_it_prints_a_line_for_each_thing_and_one_for_the_whole(ready: LocalCloud) -> None:
    """For people: state, thing, how it is; the fix below what needs one."""
    done = CliRunner().invoke(main, ["doctor", "--bucket", "not-there"])
    lines = done.stdout.splitlines()
    assert done.exit_code == 1
    assert lines[0].split() == ["ok", "region", "us-east-1"]
    (line,) = (number for number, text in enumerate(lines) if text.startswith("problem"))
    assert lines[line].split()[:3] == ["problem", "bucket", "not-there"]
    assert lines[line + 1].strip() == "fix: cloudtune doctor --create-bucket --bucket not-there"
    assert lines[-1] == "1 problem: see the fix below each"
    assert CliRunner().invoke(main, ["doctor"]).stdout.splitlines()[-1] == "no problem was found"


def test_the_command_runs_as_users_run_it(local_cloud: LocalCloud) -> None:
    """In a process of its own: output as JSON, and exit code 1 for a problem."""
    command = [sys.executable, "-m", "cloudtune.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["ok"] is False


def test_its_help_shows_an_example_and_loads_nothing_heavy() -> None:
    """Like every command; boto3 is loaded when AWS is asked."""
    program = (
        "import sys; from cloudtune.cli import main; main(['doctor', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'botocore', 'dill'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cloudtune doctor" in done.stdout.partition("Example:")[2]


def test_without_a_region_nothing_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing to do first, and no stack of errors that follow from it."""
    found = doctor()
    assert list(found.findings) == ["region"]
    assert found.state("region") == "problem"
    assert "AWS_REGION" in found.fix("region")


def test_without_credentials_nothing_else_is_asked(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Region and identity are all that can be told."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    found = doctor()
    assert list(found.findings) == ["region", "identity"]
    assert found.state("identity") == "problem"
    assert "aws sso login" in found.fix("identity")


def test_a_profile_that_does_not_exist_is_a_problem(local_cloud: LocalCloud) -> None:
    """It is named, and nothing else is asked."""
    found = doctor("--profile", "nobody")
    assert list(found.findings) == ["region", "identity"]
    assert "nobody" in found.text("identity")
    assert found.code == 1


def test_one_check_that_fails_keeps_no_other_from_being_made(ready: LocalCloud, faults: CloudFaults) -> None:
    """Where AWS refuses something unforeseen the error is the finding, in its own words."""
    faults.add("access_denied", operation="iam:*")
    found = doctor()
    assert "role" in found.problems()
    assert found.state("quota") == "ok"
    assert found.state("image") == "ok"


def test_throttling_is_waited_for(ready: LocalCloud, faults: CloudFaults, fresh_quotas: None) -> None:
    """A busy account is not a sick one."""
    for operation in ("sts:GetCallerIdentity", "iam:ListRoles", "servicequotas:*"):
        faults.add("throttle", operation=operation, count=1)
    assert doctor().problems() == []


def test_a_traceback_is_shown_on_request_only(monkeypatch: pytest.MonkeyPatch, local_cloud: LocalCloud) -> None:
    """What is no finding ends the command in one line, and with --debug in its traceback."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr("cloudtune.aws.checks.check_region", broken)
    done = CliRunner().invoke(main, ["doctor"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "boom" in done.stderr
    assert isinstance(CliRunner().invoke(main, ["doctor", "--debug"]).exception, RuntimeError)
