"""Results of remote tuners, gathered: what real jobs on the local cloud have written, row by row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cloudtune.experiments import load_experiment, load_experiments, sync
from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.backend.sagemaker.harness import BUCKET
from tests.experiments.studies_in_s3 import Asked
from tests.remote.remote_experiment import RemoteTuning, wait_until

TAG = "study"
PLACE = f"s3://{BUCKET}"


@pytest.fixture(scope="session")
def local_cloud_settings() -> CloudSettings:
    """Jobs start at once, and are killed soon where they do not heed SIGTERM."""
    return CloudSettings(stop_grace=20.0, start_delay=0.0)


@pytest.fixture
def tuning(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteTuning:
    """Experiments in a bucket of their own; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    local_cloud.client("s3").create_bucket(Bucket=BUCKET)
    gates = tmp_path / "gates"
    gates.mkdir()
    return RemoteTuning(local_cloud, gates)


def text_of(name: str) -> str:
    """Something that no format must change."""
    return f'text of {name}: ü, "quoted", a,b'


def launch(tuning: RemoteTuning, name: str, as_jobs: bool, **space: object) -> str:
    """Launches a tuner of two trials; the name of its job."""
    tuner = tuning.tuner(
        as_jobs,
        {"epochs": 2, "text": text_of(name), **space},
        trials=2,
        tuner_name=name,
        metadata={"tag": TAG, "of": name},
    )
    return tuning.launch(tuner, tag=TAG).job_name


def test_remote_tuners_are_gathered_as_their_logs_have_them(tuning: RemoteTuning) -> None:
    """Loop and trials as jobs, and a loop with local trials; one that still runs, and is gathered again at its end."""
    jobs = {"study-jobs": launch(tuning, "study-jobs", True), "study-local": launch(tuning, "study-local", False)}
    for job in jobs.values():
        assert tuning.wait_for_end(job)["status"] == "Completed"
    holding = launch(tuning, "study-running", False, hold=1)
    running = f"{TAG}/study-running"
    wait_until(lambda: reports(running) >= 1, "a report of the tuner that goes on")
    gathered = sync(TAG, PLACE)
    assert (gathered.fetched, gathered.read) == (["study-jobs", "study-local"], ["study-running"])
    loaded = {one.name: one for one in load_experiments(TAG, download_from_s3=False)}
    for name in jobs:
        check_alike(loaded[name].results, load_experiment(f"{TAG}/{name}", s3_path=PLACE).results)
        assert loaded[name].metadata == load_experiment(f"{TAG}/{name}", s3_path=PLACE).metadata
        assert loaded[name].metadata["of"] == name
        assert len(loaded[name].results) == 4
        assert set(loaded[name].results["config_text"]) == {text_of(name)}
    assert 1 <= len(loaded["study-running"].results) <= 2
    tuning.release(0, 1)
    assert tuning.wait_for_end(holding)["status"] == "Completed"
    assert sync(TAG, PLACE).fetched == ["study-running"]
    asked = Asked(tuning.cloud)
    assert sync(TAG, PLACE).unchanged == [*sorted(jobs), "study-running"]
    assert asked.new() == {"ListObjectsV2": 1}
    check_alike(load_experiment("study-running").results, load_experiment(running, s3_path=PLACE).results)
    assert len(load_experiment("study-running").results) == 4


def reports(name: str) -> int:
    """How many an experiment in S3 has so far."""
    from cloudtune.errors import ExperimentNotFound

    try:
        return len(load_experiment(name, s3_path=PLACE).results)
    except ExperimentNotFound:
        return 0


def check_alike(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Row by row, with the types of the columns and of each value."""
    pd.testing.assert_frame_equal(found, expected)
    for name in expected.columns:
        left, right = list(found[name]), list(expected[name])
        assert [type(value) for value in left] == [type(value) for value in right], name
