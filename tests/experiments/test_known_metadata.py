"""``metadata.json`` as others read it: a damaged one hides nothing else."""

from __future__ import annotations

import logging

import pytest

from cloudtune.experiments import load_experiment
from cloudtune.experiments.known_metadata import metadata_in_folder, metadata_in_s3
from cloudtune.store.places import experiment_path
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, header, recorded_in_s3
from tests.experiments.recorded import METADATA, record, trial

__all__ = ["account"]

DAMAGE = [b"", b'{"seed": 1', b"[]", b"\xff\xfe"]


@pytest.mark.parametrize("damaged", DAMAGE)
def test_damaged_metadata_of_a_folder(damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is named in a warning, and what the log says is taken."""
    caplog.set_level(logging.WARNING, "cloudtune")
    record("demo", header("demo"), trial(0, lr=0.1)).close()
    folder = experiment_path("demo")
    assert metadata_in_folder(folder) == METADATA
    (folder / "metadata.json").write_bytes(damaged)
    loaded = load_experiment("demo")
    assert loaded.metadata["seed"] == 1
    assert loaded.metadata["metric_names"] == ["loss"]
    assert f"{folder / 'metadata.json'} is damaged and passed over" in caplog.text
    assert metadata_in_folder(folder / "nowhere") is None


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("damaged", DAMAGE[:2])
def test_damaged_metadata_in_s3(damaged: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The same."""
    caplog.set_level(logging.WARNING, "cloudtune")
    store = recorded_in_s3("demo", header("demo"), trial(0, lr=0.1))
    assert metadata_in_s3(store.bucket, store.root) == METADATA
    store.bucket.put(f"{store.root}metadata.json", damaged)
    assert load_experiment("demo").metadata["metric_names"] == ["loss"]
    assert f"s3://{DEFAULT_BUCKET}/{store.root}metadata.json is damaged" in caplog.text
    assert metadata_in_s3(store.bucket, "nowhere/") is None
