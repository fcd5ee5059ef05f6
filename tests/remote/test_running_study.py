"""A study whose tuners run as jobs: how it stands, what it writes, how it is ended and goes on, from any machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cloudtune.localcloud import LocalCloud
from cloudtune.remote.remote_launcher import RemoteExperiment
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell import Cell
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.status import study_standing
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import RemoteTuning, wait_until
from tests.remote.test_from_any_machine import command, run

pytestmark = pytest.mark.timeout(900)

TAG = "heights"


class RunningStudy:
    """Experiments of one trial each, which waits behind its first report.

    Args:
        tuning: What tuners are made with.
    """

    def __init__(self, tuning: RemoteTuning) -> None:
        self.tuning = tuning
        self.place = StudyPlace(tuning.bucket, "", TAG)

    def cell(self, seed: int) -> Cell:
        return Cell(TAG, "height", "GS", 1, seed)

    def record(self, *seeds: int) -> None:
        """Records cells, as launchers do."""
        for seed in seeds:
            record = {"format": 1, "cell": asdict(self.cell(seed)), "settings": CellSettings().to_dict()}
            self.place.bucket.put(self.place.cell(self.cell(seed).name), json.dumps(record).encode())

    def launch(self, seed: int, as_jobs: bool = False, **options: Any) -> RemoteExperiment:
        """Launches the tuner of a cell."""
        cell = self.cell(seed)
        tuner = self.tuning.tuner(
            as_jobs, {"epochs": 2, "hold": 1}, trials=1, workers=1, tuner_name=cell.name, metadata=asdict(cell)
        )
        return self.tuning.launch(tuner, tag=TAG, **options)

    def trial_jobs(self) -> list[dict[str, Any]]:
        """Jobs of trials, oldest first."""
        return [job for job in self.tuning.cloud.jobs() if "-tuning-" not in job["name"]]

    def states(self) -> dict[int, str]:
        """Seed -> state."""
        return {one.cell.seed: one.state for one in study_standing(self.place).cells if one.cell is not None}


@pytest.fixture
def study(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunningStudy:
    """A study in a bucket that the environment names; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}")
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    gates = tmp_path / "gates"
    gates.mkdir()
    return RunningStudy(RemoteTuning(local_cloud, gates))


def test_a_study_that_runs_is_stopped_and_goes_on(study: RunningStudy) -> None:
    """States, table and logs while it runs; all of it ends with one command; launched again, it reaches its end."""
    study.record(0, 1, 2)
    first = [study.launch(0), study.launch(1, as_jobs=True)]
    wait_until(
        lambda: [one.reports for one in study_standing(study.place).cells] == [1, 1, 0], "the first report of each"
    )
    standing = study_standing(study.place)
    assert study.states() == {0: "running", 1: "running", 2: "waiting"}
    assert [one.tuner_job for one in standing.cells] == [*(one.job_name for one in first), None]
    assert all(one.last_sign is not None and one.last_sign < 60 for one in standing.cells[:2])
    assert standing.cells[0].best == 1.0
    table = run("status", TAG).stdout
    assert "height-GS-w1-1  running  0/1/0" in table
    assert "about to begin" in run("logs", TAG, "height-GS-w1-1", "0").stdout
    assert "results of trials will be saved on" in run("logs", TAG, "height-GS-w1-0").stdout
    jobs = {row["trial"] for row in json.loads(run("ps", TAG, "--json").stdout)}
    assert jobs == {"tuner", "0"}

    stopped = json.loads(run("stop", TAG, "--json").stdout)
    assert stopped["ok"]
    assert stopped["asked"] == {study.cell(seed).name: first[seed].job_name for seed in (0, 1)}
    assert stopped["waiting"] == [study.cell(2).name]
    study.tuning.check_nothing_runs()
    assert study.states() == {0: "interrupted", 1: "interrupted", 2: "waiting"}
    mark = study_standing(study.place).stop_mark
    assert mark

    study.tuning.release(0)
    for launched in (study.launch(0), study.launch(1, as_jobs=True), study.launch(2)):
        study.tuning.wait_for_end(launched.job_name)
    standing = study_standing(study.place)
    assert standing.counts == {"finished": 3}
    assert all(one.reports >= 2 for one in standing.cells)
    assert standing.stop_mark == mark
    assert json.loads(run("status", TAG, "--json").stdout)["counts"] == {"finished": 3}
    again = json.loads(run("stop", TAG, "--json").stdout)
    assert (again["asked"], again["ok"]) == ({}, True)


def test_tuners_that_are_gone_leave_jobs_that_stop_ends(study: RunningStudy) -> None:
    """A tuner that was killed is told as unfinished, with why; what it has left ends with the study."""
    study.record(0)
    launched = study.launch(0, as_jobs=True)
    wait_until(lambda: [one.reports for one in study_standing(study.place).cells] == [1], "the first report")
    study.tuning.cloud.faults.add("job_internal_error", job=launched.job_name, seconds=0)
    study.tuning.wait_for_end(launched.job_name)
    (standing,) = study_standing(study.place).cells
    assert standing.state == "unfinished"
    assert standing.why.startswith("InternalServerError")
    assert [one["status"] for one in study.trial_jobs()] == ["InProgress"]
    stopped = json.loads(run("stop", TAG, "--grace", "5", "--json").stdout)
    assert stopped["asked"] == {}
    assert len(stopped["ended"]) == 1
    study.tuning.check_nothing_runs()


def test_stopping_without_waiting(study: RunningStudy) -> None:
    """It returns at once; the tuners end in order."""
    launched = study.launch(0)
    wait_until(lambda: study.states() == {0: "running"}, "the tuner")
    told = command("stop", TAG, "--no-wait")
    assert told.exit_code == 0
    assert f"{study.cell(0).name}: asked to end" in told.output
    assert study.tuning.wait_for_end(launched.job_name)["status"] == "Completed"
    assert study.states() == {0: "interrupted"}
