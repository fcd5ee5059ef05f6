"""``cloudtune rerun`` of a study that lies in S3: run again here, also where S3 is out of reach by then."""

from __future__ import annotations

import json
from typing import Any

import click.testing
import pytest

from cloudtune.cli import main
from cloudtune.experiments import sync
from cloudtune.localcloud import LocalCloud
from tests.experiments.in_s3 import DEFAULT_BUCKET, account
from tests.experiments.recorded import row, trial
from tests.experiments.studies_in_s3 import ended

__all__ = ["account"]

LINE = ("rerun", "study", "--best", "--catalogue", "tests.studies.noisy_study")


def _told(*arguments: str) -> tuple[dict[str, Any], str]:
    result = click.testing.CliRunner().invoke(main, [*LINE, *arguments, "--json"])
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["reruns"]
    assert isinstance(one, dict)
    return one, result.stderr


def test_a_study_in_s3_is_run_again_here(account: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results are fetched; once they are here, what was fetched does where S3 cannot be read."""
    for method, error in (("RS", 0.2), ("ASHA", 0.1)):
        ended(
            f"study-noisy-{method}-w1-0",
            trial(0, x=error, max_epochs=1),
            row(0, 1.0, error=error, epoch=1),
            metric_names=["error"],
            benchmark="noisy",
            method=method,
        )
    first, _ = _told("--num_seeds", "2")
    assert (first["study"]["experiment"], first["study"]["value"]) == ("study-noisy-ASHA-w1-0", 0.1)
    assert first["config"] == {"x": 0.1, "max_epochs": 3}
    assert len(first["runs"]) == 2
    again, said = _told("--num_seeds", "2")
    assert again == first
    assert "what was fetched before" not in said
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://not-there-any-more")
    offline, said = _told("--num_seeds", "3")
    assert offline["runs"][:2] == first["runs"]
    assert len(offline["runs"]) == 3
    assert "what was fetched before counts, for the study cannot be read from S3 (" in said
    assert "not-there-any-more" in said


def test_copies_of_several_places_where_s3_is_out_of_reach(
    account: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which study is meant is to be said: none is taken, nor is it told that there is none."""
    for number, place in enumerate((f"s3://{DEFAULT_BUCKET}", "s3://data/team")):
        ended(
            f"study-noisy-RS-w1-{number}",
            trial(0, x=0.1, max_epochs=1),
            row(0, 1.0, error=0.1, epoch=1),
            place=place,
            metric_names=["error"],
            benchmark="noisy",
            method="RS",
        )
        sync("study", place)
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", "s3://not-there-any-more")
    result = click.testing.CliRunner().invoke(main, [*LINE, "--dry_run"])
    assert result.exit_code == 1
    assert "of several places in S3: name the one that is meant as s3_path (--s3-path)" in result.output
