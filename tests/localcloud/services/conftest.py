"""Fixtures of the services' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.localcloud.services.small_sagemaker import SmallSagemaker, small_sagemaker


@pytest.fixture
def sagemaker() -> Iterator[SmallSagemaker]:
    """An empty SageMaker without limits."""
    with small_sagemaker() as empty:
        yield empty
