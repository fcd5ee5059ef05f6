"""A gate in this process for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.localcloud.gate.stand_in import StandIn, open_gate


@pytest.fixture
def cloud() -> Iterator[StandIn]:
    with open_gate() as opened:
        yield opened
