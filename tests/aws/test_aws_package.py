"""The package as it is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cloudtune.aws


def test_public_names_come_when_they_are_used() -> None:
    """Importing the package, or its core, costs no boto3; the names that users are told of are there."""
    program = """
import sys
import cloudtune.aws, cloudtune.aws.clients, cloudtune.aws.s3, cloudtune.aws.training_jobs, cloudtune.aws.s3_listing
assert not {"boto3", "botocore", "s3transfer", "sagemaker", "urllib3"} & set(sys.modules), "too early"
from cloudtune.aws import TrainingJob, get_execution_role
assert set(cloudtune.aws.__all__) <= set(dir(cloudtune.aws))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_other_names_are_missing_as_usual() -> None:
    """With the error that any module gives."""
    with pytest.raises(AttributeError, match=r"cloudtune\.aws.*no attribute 'nothing'"):
        _ = cloudtune.aws.nothing
