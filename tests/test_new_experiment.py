"""Names of new experiments: one that is taken, by a tuner that runs or by one that has ended, gives way to the next."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cloudtune import new_experiment
from cloudtune.new_experiment import Claimed, claim
from cloudtune.store import places
from cloudtune.store.local_store import LocalStore

NOON = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments lie in the test's own folder."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path))


def claimed() -> Claimed:
    """A new experiment called after one and the same millisecond."""
    return claim("digits", NOON, places.experiment_path(places.suffixed_name("digits", NOON)), 10.0)


def test_a_name_that_is_free_is_taken_as_it_is() -> None:
    """With its folder and its time; the store is open, so that nobody else gets it."""
    new = claimed()
    assert (new.name, new.created) == (places.suffixed_name("digits", NOON), NOON)
    assert new.path == places.experiment_path(new.name)
    assert new.store.exists()
    new.store.close()


def test_tuners_of_the_same_millisecond_get_names_of_their_own() -> None:
    """Each its own folder, and a time that goes with its name."""
    new = [claimed() for _ in range(3)]
    assert len({one.name for one in new}) == len({one.path for one in new}) == 3
    assert [one.name for one in new] == [places.suffixed_name("digits", one.created) for one in new]
    for one in new:
        one.store.close()


def test_an_experiment_that_began_and_ended_meanwhile_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our look and our lease: it is not continued by mistake."""
    others: list[Claimed] = []

    def another_one(*_: object) -> None:
        if not others:
            store = LocalStore(places.experiment_path(places.suffixed_name("digits", NOON)))
            store.open()
            store.append([{"event": "clock", "time": 1.0}])
            store.close()
            others.append(Claimed(store, places.suffixed_name("digits", NOON), store.path, NOON))

    monkeypatch.setattr(new_experiment, "_mention_unfinished", another_one)
    new = claimed()
    assert new.name != others[0].name
    assert [entry["event"] for entry in new.store.read()] == ["epoch"]
    new.store.close()


def test_an_experiment_that_has_ended_keeps_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """A new one is beside it; that the other is not finished is mentioned."""
    caplog.set_level(logging.INFO)
    first = claimed()
    first.store.append([{"event": "clock", "time": 1.0}])
    first.store.close()
    second = claimed()
    assert second.name != first.name
    second.store.close()
    assert f"cloudtune resume {first.name}" in caplog.text
    kept = LocalStore(first.path)
    assert [entry["event"] for entry in kept.read()][-1] == "clock"
