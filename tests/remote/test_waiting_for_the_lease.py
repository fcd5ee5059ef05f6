"""A remote tuner whose experiment somebody else seems to drive: it waits for a sign that that one is alive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloudtune import Tuner
from cloudtune.errors import ExperimentLocked
from cloudtune.interruption import SignalWatch
from cloudtune.remote import program
from cloudtune.remote.program import Run
from cloudtune.remote.tuner_job import Settings
from cloudtune.store.s3_lease import LeaseState


def lease(age: float | None, released: bool = False) -> LeaseState:
    """What the lease object says when it is looked at."""
    return LeaseState({"job": "another"}, 1, age, released, "theirs", "etag")


def tries(monkeypatch: pytest.MonkeyPatch, *looks: LeaseState | None) -> int:
    """How often a tuner was run until it had the experiment, which it gets after so many looks at the lease.

    Raises:
        ExperimentLocked: It was given up before.
    """
    left, made = list(looks), 0

    def run(takeover: bool) -> None:
        nonlocal made
        made += 1
        if left:
            raise ExperimentLocked("somebody drives the experiment")

    monkeypatch.setattr(program, "_WATCH_INTERVAL", 0.0)
    monkeypatch.setattr(program, "read_lease", lambda *_: left.pop(0))
    one: Any = Run.__new__(Run)
    one._settings, one._signals = Settings("digits", "", "cloudtune/digits/digits/", 1000), SignalWatch()
    one._place = SimpleNamespace(bucket=None)
    one._drive(cast(Tuner, SimpleNamespace(run=run, time_to_end=None)))
    return made


def test_one_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease grows old, and is nobody's in the end."""
    assert tries(monkeypatch, lease(50.0), lease(70.0), lease(88.0)) == 4


@pytest.mark.parametrize("last", [lease(1.0), lease(None)])
def test_one_that_lives(monkeypatch: pytest.MonkeyPatch, last: LeaseState) -> None:
    """It has renewed its lease, or may have."""
    with pytest.raises(ExperimentLocked):
        tries(monkeypatch, lease(15.0), last)


@pytest.mark.parametrize("last", [lease(0.5, released=True), None])
def test_one_that_ends_at_that_moment(monkeypatch: pytest.MonkeyPatch, last: LeaseState | None) -> None:
    """It has given its lease back between our try and our look: that is no sign of life."""
    assert tries(monkeypatch, lease(15.0), last) == 3
