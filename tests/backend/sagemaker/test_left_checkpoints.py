"""Checkpoints that an earlier tuner should have deleted, found by few calls among the trials that have ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cloudtune.agent.protocol import Keys
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.localcloud import LocalCloud
from tests.backend.sagemaker.harness import BUCKET, make_backend, training_job

KEYS = Keys("cloudtune/name/name/abcdef")


def listed(cloud: LocalCloud) -> int:
    return len(cloud.calls("s3:ListObjectsV2"))


@pytest.mark.parametrize("isolated", [False, True])
def test_only_what_is_there_is_deleted(cloud: LocalCloud, tmp_path: Path, isolated: bool) -> None:
    """Of a hundred trials that have ended, those with checkpoints are found by one listing; others keep theirs."""
    s3 = cloud.client("s3")
    folder = KEYS.synced if isolated else KEYS.checkpoints
    for trial in (3, 70, 200):
        s3.put_object(Bucket=BUCKET, Key=f"{folder(trial)}file", Body=b"saved")

    def left() -> list[str]:
        page: dict[str, Any] = s3.list_objects_v2(Bucket=BUCKET, Prefix=KEYS.prefix)
        return [one["Key"] for one in page.get("Contents", ()) if one["Key"].endswith("/file")]

    backend: SageMakerBackend = make_backend(training_job(enable_network_isolation=isolated), delete_checkpoints=True)
    backend.open(ExperimentPlace("name", "abcdef", tmp_path, 4))
    try:
        before = listed(cloud)
        backend.delete_left_checkpoints(range(100))
        deadline = time.monotonic() + 60
        while not backend.wind_down():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        after = listed(cloud)
    finally:
        backend.close(stop_running=False)
    assert left() == [f"{folder(200)}file"]
    # For each that was there: before and after the deletion, of its manifests too.
    assert after - before <= 1 + 2 * 4
