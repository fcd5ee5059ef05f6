"""What the tests of studies share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.aws import quotas
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.studies import launch_queue, study_progress
from tests.studies.launch_world import LaunchWorld


@pytest.fixture
def world(in_process_cloud: InProcessCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchWorld:
    """An account in which nothing runs; calls are not paced, and those who wait look again at once."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setattr(quotas, "_told", {})
    monkeypatch.setattr(launch_queue, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(launch_queue, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(study_progress, "FIRST_PAUSE", 0.01)
    return LaunchWorld(in_process_cloud, tmp_path)
