"""A program that knows nothing but boto3 sees the SageMaker it would see on AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from cloudtune.localcloud import LocalCloud

CLIENT = Path(__file__).with_name("client.py")


def test_a_client_that_knows_boto3_only_sees_a_whole_sagemaker(tmp_path: Path) -> None:
    """Create, describe, list with filters and pages, stop, logs, metrics, artifacts, resuming from a checkpoint."""
    assert "cloudtune" not in CLIENT.read_text(encoding="utf-8").replace("cloudtune-local-role", "")
    with LocalCloud() as cloud:
        done = subprocess.run(
            [sys.executable, CLIENT],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **cloud.environment()},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.rpartition("SEEN ")[2])
    assert seen["ok"]["TrainingJobStatus"] == "Completed"
    assert seen["ok"]["FinalMetricDataList"][0]["Value"] == 1 / 3
    assert [row["Status"] for row in seen["ok"]["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert seen["fails"]["TrainingJobStatus"] == "Failed"
    assert seen["fails"]["FailureReason"] == "AlgorithmError: the disk is on fire, exit code: 9"
    assert seen["stopped"]["TrainingJobStatus"] == seen["stopped"]["SecondaryStatus"] == "Stopped"
    assert seen["lines"]["stopped"][-1] == "stopping"
    assert seen["lines"]["ok"][0] == "start=0 pid=1 channels=['code']"
    assert seen["lines"]["resumed"][0].startswith("start=3 ")
    assert seen["pages"] == [["truth-fails", "truth-ok", "truth-resumed"], ["truth-stopped"]]
    assert seen["failed"] == ["truth-fails"]
    assert seen["found"] == ["truth-ok", "truth-resumed"]
    assert len(seen["model"]) == 1
    assert seen["again"] == "ResourceInUse"
