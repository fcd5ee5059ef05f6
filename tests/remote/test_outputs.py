"""Where what trials have written is read: in their own region, wherever their experiment lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cloudtune.aws.clients import Aws
from cloudtune.aws.job_names import job_name
from cloudtune.aws.s3 import Bucket
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.store.local_store import LocalStore
from cloudtune.store.places import experiment_path
from cloudtune.store.s3_store import S3Store
from cloudtune.store.store import Entry
from tests.aws.conftest import training_request
from tests.experiments.in_s3 import header
from tests.experiments.recorded import METADATA, trial

NAME = "afar"
HOME, AWAY = "us-east-1", "eu-west-1"
ENTRIES: list[Entry] = [
    header(NAME),
    {"event": "place", "trials_at": {"place": f"s3://data/cloudtune/{NAME}/{NAME}/abc123/", "region": HOME}},
    trial(0, lr=0.1),
]


@pytest.fixture(autouse=True)
def _a_job_at_home(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial has run in one region, and this machine is set up for another one."""
    local_cloud.client("s3").create_bucket(Bucket="data")
    request = training_request(job_name(NAME, "abc123", 0, 0), "print('hello from the trial')")
    local_cloud.client("sagemaker").create_training_job(**request)
    local_cloud.wait_for_job(request["TrainingJobName"])
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, AWAY)


def logs(*options: str) -> str:
    """What ``cloudtune logs`` prints of the trial."""
    done = CliRunner().invoke(main, ["logs", NAME, "0", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("metadata", [{**METADATA, "backend": "SageMakerBackend"}, None])
def test_of_an_experiment_in_s3(local_cloud: LocalCloud, metadata: dict[str, object] | None) -> None:
    """Its log lies in a bucket of another region; that trials are jobs is known also without ``metadata.json``."""
    local_cloud.client("s3", region_name=AWAY).create_bucket(
        Bucket="away", CreateBucketConfiguration={"LocationConstraint": AWAY}
    )
    store = S3Store(Bucket(Aws(AWAY), "away"), f"cloudtune/{NAME}/{NAME}/")
    store.open()
    store.append(ENTRIES)
    if metadata is not None:
        store.write_metadata(metadata)
    store.close()
    assert logs("--s3-path", "s3://away") == "hello from the trial\n"


def test_of_an_experiment_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever region this machine is set up for now, or none at all."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path))
    store = LocalStore(experiment_path(NAME))
    store.open()
    store.append(ENTRIES)
    store.write_metadata({**METADATA, "backend": "SageMakerBackend"})
    store.close()
    assert logs() == "hello from the trial\n"
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    assert logs() == "hello from the trial\n"
