"""A local cloud whose builds of images find the fakes of a test as their tools."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cloudtune.localcloud import CloudSettings, LocalCloud
from tests.container.fake_tools import FakeTools


def path_with(bench: FakeTools) -> str:
    """A PATH on which the fakes come before what the machine has."""
    return f"{bench.path}:{os.environ['PATH']}"


@contextmanager
def cloud_with(bench: FakeTools) -> Iterator[LocalCloud]:
    """A cloud whose builds find these tools: its processes keep the PATH that they are started with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path_with(bench))
        cloud = LocalCloud(CloudSettings()).start()
    with cloud:
        yield cloud
