"""``cloudtune plot`` and ``report`` of a study that was synced, where S3 cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.studies.cell import Cell
from tests.experiments.in_s3 import account, header
from tests.experiments.recorded import recorded, row, trial
from tests.experiments.studies_in_s3 import ended, place

__all__ = ["account"]

REPORTS = [trial(0, lr=0.5), *(row(0, float(number), loss=1 / number, epoch=number) for number in (1, 2, 3))]


def run(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, [*arguments])


@pytest.fixture
def synced(account: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """A study in S3 that was synced."""
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        name = Cell("study", "digits", "RS", 4, seed).name
        place().bucket.put(place().status_of(name), b"{}")
        ended(name, *REPORTS, benchmark="digits", method="RS", seed=seed, n_workers=4)
    assert run("sync", "study").exit_code == 0
    return account


def test_the_copy_serves_without_a_network(synced: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without AWS set up at all; it is said how old that may be."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    drawn = run("plot", "study")
    assert drawn.exit_code == 0, drawn.output
    assert Path("study.png").is_file()
    assert "What is shown is as it was synced last, since S3 cannot be read: No AWS region is set" in drawn.stderr
    done = run("report", "study")
    assert done.exit_code == 0, done.output
    page = Path("study.html").read_text(encoding="utf-8")
    assert "in a copy on this machine" in page
    assert "What is shown is as it was synced last" in page
    assert "2 experiments" in done.stdout


def test_the_copy_serves_where_s3_refuses(synced: LocalCloud, faults: CloudFaults) -> None:
    """Whatever the reason; what was never synced is nowhere, and the reason is told."""
    faults.add("access_denied", operation="s3:*")
    assert run("plot", "study").exit_code == 0
    refused = run("plot", "widths")
    assert refused.exit_code == 1
    assert "there is no study or experiment 'widths' on this machine, nor can one be read from S3 (" in refused.stderr


def test_experiments_of_this_machine_stand_beside_the_copy(synced: LocalCloud, faults: CloudFaults) -> None:
    """A study of which a part ran here."""
    name = Cell("study", "digits", "ASHA", 4, 0).name
    finished = {"event": "finish", "why": "enough", "state": "finished", "time": 9.0}
    recorded(
        name, header(name), *REPORTS, finished, tag="study", benchmark="digits", method="ASHA", n_workers=4, seed=0
    )
    faults.add("access_denied", operation="s3:*")
    done = run("report", "study")
    assert done.exit_code == 0, done.output
    assert "3 experiments" in done.stdout


def test_what_the_copy_has_besides_is_left_out(synced: LocalCloud) -> None:
    """Experiments that were in S3 once, or in another cloud's bucket of that name, are told and not compared."""
    name = Cell("study", "digits", "RS", 4, 1).name
    bucket = place().bucket
    bucket.delete([one.key for one in bucket.list("cloudtune/study/") if name in one.key])
    drawn = run("plot", "study", "-o", "study.svg")
    assert drawn.exit_code == 0, drawn.output
    assert f"Passed over is '{name}': it is gone from S3; what was copied before is kept" in drawn.stderr
    done = run("report", "study")
    assert done.exit_code == 0, done.output
    assert "1 experiments" in done.stdout or "1 experiment" in done.stdout
    page = Path("study.html").read_text(encoding="utf-8")
    assert "it is gone from S3" in page


def test_a_study_that_has_gone_from_s3(synced: LocalCloud) -> None:
    """As after a local cloud has ended, whose results were fetched: the copy is shown, and it is said why."""
    bucket = place().bucket
    bucket.delete([one.key for one in bucket.list("cloudtune/")])
    drawn = run("plot", "study", "-o", "study.svg")
    assert drawn.exit_code == 0, drawn.output
    assert "What is shown was synced before; S3 has it no more: there is no experiment 'study' in" in drawn.stderr
    assert Path("study.svg").is_file()
