"""What these tests share: an experiment on a clean local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.backend.sagemaker.failures.experiment")


@pytest.fixture
def experiment(cloud: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """An experiment that has not begun."""
    from cloudtune.aws.quotas import forget_quotas
    from tests.backend.sagemaker.failures.experiment import Experiment

    forget_quotas()  # an earlier test's cloud had others
    gates = tmp_path / "gates"
    gates.mkdir()
    return Experiment(cloud, gates, caplog)


@pytest.fixture
def commands(experiment: Any, tmp_path: Path) -> Iterator[Any]:
    """Commands of the experiment, given as in a shell."""
    from tests.backend.sagemaker.failures.commands import Commands

    given = Commands(experiment, tmp_path)
    yield given
    given.kill_all()
