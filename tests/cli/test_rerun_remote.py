"""``cloudtune rerun`` as a training job, with trials that are training jobs, on the local cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click.testing
import pytest

from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.cli import main
from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import open_budget
from cloudtune.studies.seeds import rerun_seeds
from tests.studies.noisy_study import MASTER, TAG, run_study

BUCKET = "experiments"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/any:1"
ROLE = "arn:aws:iam::123456789012:role/any"
LINE = ("rerun", TAG, "--best", "--random_seed", str(MASTER), "--catalogue", "tests.studies.noisy_study", "--json")
AS_JOBS = (*LINE, "--backend", "sagemaker", "--image_uri", IMAGE, "--tuner_image_uri", IMAGE, "--role", ROLE, "--wait")


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Jobs start at once."""
    return CloudSettings(start_delay=0.0)


@pytest.fixture
def cloud(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """A cloud with a bucket, and a study that was run on this machine."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}")
    monkeypatch.chdir(Path(__file__).parents[2])
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    run_study()
    return local_cloud


def told(*arguments: str) -> dict[str, Any]:
    result = click.testing.CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    (one,) = json.loads(result.stdout)["reruns"]
    assert isinstance(one, dict)
    return one


def test_the_winner_as_training_jobs(cloud: LocalCloud) -> None:
    """A job for the tuner and one per seed; the same command again only reads; more seeds are more jobs."""
    first = told(*AS_JOBS, "--num_seeds", "2")
    assert [run["seed"] for run in first["runs"]] == rerun_seeds(MASTER, "noisy", 2)
    assert len(cloud.jobs()) == 1 + 2
    assert told(*AS_JOBS, "--num_seeds", "2") == first
    assert len(cloud.jobs()) == 1 + 2
    more = told(*AS_JOBS, "--num_seeds", "3")
    assert more["runs"][:2] == first["runs"]
    assert [run["seed"] for run in more["runs"]] == rerun_seeds(MASTER, "noisy", 3)
    assert len(cloud.jobs()) == 2 + 3
    assert {job["status"] for job in cloud.jobs()} == {"Completed"}
    # What was run again as jobs is another experiment than what is run here, though it is called the same.
    here = told(*LINE, "--num_seeds", "1")
    assert (here["name"], here["runs"]) == (first["name"], first["runs"][:1])
    assert len(cloud.jobs()) == 2 + 3


def test_the_money_of_the_study_counts(cloud: LocalCloud) -> None:
    """Where the study has a limit that leaves nothing, its winner is not run again as jobs; the message says so."""
    place = StudyPlace(Bucket(aws_for(None, None), BUCKET), "", TAG)
    open_budget(place, 0.0001)
    result = click.testing.CliRunner().invoke(main, AS_JOBS)
    assert result.exit_code == 1
    assert "max_cost" in result.stderr.splitlines()[-1]
    assert cloud.jobs() == []


#: A catalogue in which the run of one seed fails; where the seed stands is filled in.
FAILING = """
from cloudtune.studies.catalogue import Catalogue
from tests.studies.noisy_study import noisy

CATALOGUE = Catalogue({"noisy": lambda: noisy(environment={"FAILS": %r})})
"""


def test_a_run_that_has_failed_costs_once(cloud: LocalCloud, tmp_path: Path) -> None:
    """It is told, with how to see its log; another call launches nothing, and tells of no costs."""
    fails, catalogue = tmp_path / "fails", tmp_path / "failing.py"
    fails.write_text(str(rerun_seeds(MASTER, "noisy", 2)[1]))
    catalogue.write_text(FAILING % str(fails))
    arguments = [
        str(catalogue) if one == "tests.studies.noisy_study" else one for one in (*AS_JOBS, "--num_seeds", "2")
    ]
    first, again = (click.testing.CliRunner().invoke(main, arguments) for _ in range(2))
    assert (first.exit_code, again.exit_code) == (1, 1), first.output
    assert again.stdout == first.stdout
    (one,) = json.loads(again.stdout)["reruns"]
    assert (one["state"], one["started"], [run["trial_id"] for run in one["runs"]]) == ("finished", 2, [0])
    assert [run["trial_id"] for run in one["failed"]] == [1]
    assert len(cloud.jobs()) == 1 + 2
    assert first.stderr
    assert again.stderr == ""
    in_words = click.testing.CliRunner().invoke(main, [one for one in arguments if one != "--json"])
    assert f"1 of 2 runs failed: trial 1, see `cloudtune logs {TAG}/{one['name']} 1` (" in in_words.stdout


def test_asked_again_while_it_runs(cloud: LocalCloud) -> None:
    """Where its tuner is on its way, or at work, that is told: no second one, no costs, no question."""
    arguments = [one for one in AS_JOBS if one not in {"--wait", "--json"}] + ["--num_seeds", "2"]
    first = click.testing.CliRunner().invoke(main, arguments)
    assert first.exit_code == 0, first.output
    (tuner,) = (job["name"] for job in cloud.jobs() if "-tuning-" in job["name"])
    assert f"It is under way as training job {tuner}; the same command tells more once it has ended." in first.stdout
    again = click.testing.CliRunner().invoke(main, arguments)
    assert again.exit_code == 0, again.output
    assert again.stderr == ""
    assert [job["name"] for job in cloud.jobs() if "-tuning-" in job["name"]] == [tuner]
    assert told(*AS_JOBS, "--num_seeds", "2")["state"] == "finished"
    assert len(cloud.jobs()) == 1 + 2
