"""AWS's own SDKs, unchanged, train on the local cloud: their requests, their launchers inside the job, their log tails.

Each SDK lives in an environment of its own (``make test-sdk`` builds both); that environment is also the image.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloudtune.localcloud import LocalCloud

pytestmark = [pytest.mark.sdk, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUCKET = "sdk-bucket"


def train(
    program: str, sdk: str, folder: Path, sandbox: str = "namespaces"
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, list[str]]]:
    """Runs a program with an SDK; what it printed, how its jobs are described, and their log lines."""
    environment = ROOT / ".venv" / sdk
    python = environment / "bin" / "python"
    assert python.exists(), f"{python} is missing; run: make test-sdk"
    config = folder / "config.yaml"
    config.write_text(
        "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n", encoding="utf-8"
    )
    with LocalCloud(sandbox=sandbox, images={"*": str(environment)}) as cloud:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        done = subprocess.run(
            [python, HERE / program, BUCKET, HERE / "source"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
                "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
                **cloud.environment(),
            },
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        results = [
            json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines() if line.startswith("RESULT ")
        ]
        sagemaker, logs = cloud.client("sagemaker"), cloud.client("logs")
        described = [sagemaker.describe_training_job(TrainingJobName=result["job"]) for result in results]
        lines = {
            result["job"]: [
                event["message"]
                for page in logs.get_paginator("filter_log_events").paginate(
                    logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{result['job']}/"
                )
                for event in page["events"]
            ]
            for result in results
        }
        model = cloud.client("s3").list_objects_v2(Bucket=BUCKET)
        keys = [entry["Key"] for entry in model["Contents"]]
        assert any(key.endswith("model.tar.gz") for key in keys), (keys, done.stdout[-2000:], described)
    return results, described, lines


@pytest.mark.parametrize("sandbox", ["namespaces", "folders"])
def test_the_sdk_v2_estimator_trains_through_awss_own_toolkit(tmp_path: Path, sandbox: str) -> None:
    """Script mode, checkpoints that the second job goes on from, metrics by regex, and a failing exit code."""
    results, described, lines = train("estimator_v2.py", "sdk2", tmp_path, sandbox)
    first, second, failed = described
    assert [row["TrainingJobStatus"] for row in described] == ["Completed", "Completed", "Failed"]
    assert results[0]["outcome"] == results[1]["outcome"] == "fitted"
    assert first["FinalMetricDataList"][0]["Value"] == pytest.approx(0.25)
    assert "begin start=0 lr=0.5 host=algo-1" in lines[first["TrainingJobName"]]
    assert "begin start=2 lr=0.5 host=algo-1" in lines[second["TrainingJobName"]]
    assert "ExitCode 7" in failed["FailureReason"]
    assert "Failed" in results[2]["outcome"]


def test_the_sdk_v3_model_trainer_trains_through_awss_own_drivers(tmp_path: Path) -> None:
    """Its code and driver channels, its shell entry point, checkpoints, and a failure with the user's exit code."""
    results, described, lines = train("trainer_v3.py", "sdk3", tmp_path)
    first, second, failed = described
    assert [row["TrainingJobStatus"] for row in described] == ["Completed", "Completed", "Failed"]
    assert results[0]["outcome"] == results[1]["outcome"] == "trained"
    assert "begin start=0 lr=0.5 host=algo-1" in lines[first["TrainingJobName"]]
    assert "begin start=2 lr=0.5 host=algo-1" in lines[second["TrainingJobName"]]
    assert "exit code: 7" in failed["FailureReason"]
    assert "Failed" in results[2]["outcome"]
