"""``cloudtune sync``: the results of a study, brought here."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.cli import main
from cloudtune.experiments import load_experiments
from cloudtune.localcloud import LocalCloud
from cloudtune.store.places import experiments_root
from tests.experiments.in_s3 import DEFAULT_BUCKET, account
from tests.experiments.studies_in_s3 import ended, place, running

__all__ = ["account"]


def sync(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sync", *arguments])


def test_the_command_explains_itself() -> None:
    """``--help`` shows how the command is typed, and needs nothing that is slow to import."""
    program = (
        "import sys; from cloudtune.cli import main; main(['sync', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'botocore'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cloudtune sync tmlr-10" in done.stdout.partition("Example:")[2]


@pytest.mark.usefixtures("account")
def test_a_study_is_brought_here() -> None:
    """It is told what was done, and where the copy is; a second time that nothing has changed."""
    ended("study-0")
    ended("study-1")
    store = running("study-2")
    folder = experiments_root() / "_synced" / DEFAULT_BUCKET / "_" / "study"
    done = sync("study")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"study: 3 experiments in {folder} (2 fetched, 1 read from their logs, 0 unchanged)\n"
    assert "(0 fetched, 0 read from their logs, 3 unchanged)" in sync("study").stdout
    assert len(load_experiments("study", download_from_s3=False)) == 3
    store.close()


@pytest.mark.usefixtures("account")
def test_as_json() -> None:
    """One object with all names, in the place that was given."""
    ended("study-0", place="s3://data/team")
    Bucket(aws_for(), "data").put("team/cloudtune/study/_study/results/a b.table", b"x")
    done = sync("study", "--s3-path", "s3://data/team", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    passed_over = told.pop("passed_over")
    assert told == {
        "tag": "study",
        "place": "s3://data/team/cloudtune/study/",
        "path": str(experiments_root() / "_synced" / "data" / "team" / "study"),
        "fetched": ["study-0"],
        "read": [],
        "unchanged": [],
    }
    assert list(passed_over) == ["a b"]


@pytest.mark.usefixtures("account")
def test_what_is_passed_over_is_named_once() -> None:
    """On standard error, with the reason; the others are there, and the command has done its work."""
    ended("study-0")
    place().bucket.put(place().experiment("study-1") + "remote/tuner.dill", b"x")
    done = sync("study")
    assert done.exit_code == 0
    assert "study: 1 experiments" in done.stdout
    assert done.stderr.count("study-1 is passed over: it has no event log") == 1


def test_names_in_s3_cannot_write_to_the_terminal(account: LocalCloud) -> None:
    """Whoever may write to the bucket may call an object anything."""
    ended("study-0")
    key = "cloudtune/study/\x1b[2Jgone/log/0"
    account.client("s3").put_object(Bucket=DEFAULT_BUCKET, Key=key, Body=b"x")
    done = sync("study")
    assert "\x1b" not in done.output
    assert "\\x1b[2Jgone is passed over" in done.stderr


@pytest.mark.usefixtures("account")
def test_no_such_study() -> None:
    """One plain line, with what may have been meant, and exit code 1."""
    ended("study-0")
    done = sync("studdy")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: there is no experiment 'studdy' in s3://")
    assert "did you mean 'study'?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_cloud() -> None:
    """No region: the error says how to set one."""
    done = sync("study")
    assert done.exit_code == 1
    assert "No AWS region is set" in done.stderr
