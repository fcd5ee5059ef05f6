"""Fixtures of the agent's tests."""

from __future__ import annotations

import pytest

from cloudtune.localcloud import LocalCloud
from tests.agent.agent_job import AgentJobs


@pytest.fixture
def jobs(local_cloud: LocalCloud) -> AgentJobs:
    """Jobs of agents on a clean cloud."""
    return AgentJobs(local_cloud)
