"""``cloudtune ps`` and ``reap`` where experiments of one name or tag lie at several places."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from cloudtune.aws.clients import Aws
from cloudtune.aws.job_place import is_at, s3_path_of
from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.cli import main
from cloudtune.cli.job_places import places_of
from cloudtune.localcloud.in_process import InProcessCloud
from tests.aws.conftest import training_request
from tests.studies.recorded_study import RecordedStudy, cell_of, job_of

ANNA, BOB = cell_of(0), cell_of(1)


@pytest.fixture
def cloud(in_process_cloud: InProcessCloud, monkeypatch: pytest.MonkeyPatch) -> InProcessCloud:
    """Two people's studies of one tag, with a tuner each."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    for prefix, cell in (("anna", ANNA), ("bob/of-2026", BOB)):
        study = RecordedStudy(in_process_cloud, prefix=prefix)
        study.begin(cell)
        study.tag_job(cell)
    return in_process_cloud


def command(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, [*arguments])


def running(cloud: InProcessCloud) -> list[str]:
    """Names of the jobs that nobody has stopped."""
    return [job.name for job in cloud.jobs() if job.status == "InProgress"]


def test_reap_ends_nobody_elses_jobs(cloud: InProcessCloud) -> None:
    """Where a tag means several places it ends nothing, and names them; with one of them it ends what lies there."""
    refused = command("reap", "heights", "--yes")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1] == (
        "Error: heights has jobs at several places, and they may be somebody else's: name one of "
        "s3://experiments/anna, s3://experiments/bob/of-2026 with --s3-path"
    )
    assert running(cloud) == [job_of(ANNA), job_of(BOB)]
    done = command("reap", "heights", "--yes", "--json", "--grace", "0", "--s3-path", "s3://experiments/anna/")
    assert json.loads(done.stdout)["stopped"] == [job_of(ANNA)], done.output
    assert running(cloud) == [job_of(BOB)]


def test_what_lies_at_one_place_needs_no_place(cloud: InProcessCloud) -> None:
    """A name of one experiment, or of one job, means one place; so does a tag once the other's jobs have ended."""
    assert command("reap", BOB.name, job_of(ANNA), "--yes", "--grace", "0").exit_code == 0
    assert running(cloud) == []


def test_an_experiment_of_one_name_at_two_places_is_refused_as_well(cloud: InProcessCloud) -> None:
    """Also as ``TAG/NAME``; the name of a job is enough, since no two have it."""
    also = RecordedStudy(cloud, prefix="anna")
    second = also.begin(BOB, attempt=1)
    also.tag_job(BOB, attempt=1)
    for name in (BOB.name, f"heights/{BOB.name}"):
        assert "has jobs at several places" in command("reap", name, "--yes").stderr
    assert command("reap", second, "--yes", "--grace", "0").exit_code == 0
    assert running(cloud) == [job_of(ANNA), job_of(BOB)]


def test_all_jobs_of_one_place(cloud: InProcessCloud) -> None:
    """Without names, all that lies there is meant; nothing there is nothing to end."""
    told = command("reap", "--all", "--yes", "--grace", "0", "--s3-path", "s3://experiments/of-nobody")
    assert (told.exit_code, told.stdout) == (0, "there is nothing to end\n")
    assert command("reap", "--all", "--yes", "--grace", "0", "--s3-path", "s3://experiments/bob/of-2026").exit_code == 0
    assert running(cloud) == [job_of(ANNA)]


def test_ps_shows_where_jobs_lie(cloud: InProcessCloud) -> None:
    """In a column where they lie at several places; of those at one that was named it needs none."""
    header, *rows = command("ps", "heights").stdout.splitlines()
    assert header.split()[-1] == "place"
    assert [row.split()[-1] for row in rows] == ["s3://experiments/anna", "s3://experiments/bob/of-2026"]
    assert command("ps").stdout.splitlines()[0].split()[-1] == "tuner"
    header, row = command("ps", "heights", "--s3-path", "s3://experiments/anna").stdout.splitlines()
    assert (header.split()[-1], ANNA.name in row) == ("tuner", True)
    listed = json.loads(command("ps", "--json", "--s3-path", "s3://experiments/bob/of-2026").stdout)
    assert [one["name"] for one in listed] == [job_of(BOB)]
    assert command("ps", "heights", "--s3-path", "s3://experiments/bob").stdout == (
        "no training job of heights of experiments at s3://experiments/bob runs in us-east-1, "
        "and no warm pool is kept\n"
    )


def test_the_places_of_a_study_that_reap_announces(cloud: InProcessCloud) -> None:
    """Of jobs named one by one it is shown where each lies, before it is asked."""
    done = command("reap", job_of(ANNA), job_of(BOB))
    assert done.stdout.splitlines()[0].split()[-1] == "place"
    assert "End 2 jobs?" in done.stdout


def test_a_place_that_only_a_tag_tells(in_process_cloud: InProcessCloud) -> None:
    """In a tag some characters are replaced: it is the same place all the same; one that was cut off is none."""
    place = "s3://data/team(a)/cloudtune/study/mnist/abc123/"
    in_tag = place.replace("(", "-").replace(")", "-")
    jobs: dict[str, OurJob] = {}
    for number, tag in enumerate((in_tag, "s3://data/" + "p" * 246, None)):
        request = training_request(f"mnist-abc123-{number}-0")
        tags = {"experiment": "mnist", "tag": "study", "trial": str(number), "place": tag or in_tag}
        request["Tags"] = [{"Key": f"cloudtune:{key}", "Value": value} for key, value in tags.items()]
        if tag is None:
            request["Environment"] = {"CLOUDTUNE_PLACE": place, "CLOUDTUNE_JOB_ID": f"abc123-{number}-0"}
        in_process_cloud.client("sagemaker").create_training_job(**request)
    for job in find_our_jobs(Aws()).jobs:
        jobs[job.trial] = job
    assert [s3_path_of(jobs[trial]) for trial in "012"] == ["s3://data/team-a-", "", "s3://data/team(a)"]
    assert [is_at(jobs[trial], "s3://data/team(a)") for trial in "012"] == [True, False, True]
    assert places_of(jobs.values()) == ["s3://data/team(a)"]
