"""What the log says of where trials are, and what backends are told of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cloudtune import StoppingCriterion
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.store import entries
from cloudtune.tuner import Tuner
from tests.virtual import Machine, MemoryStore, Program, VirtualBackend
from tests.virtual_tuner import curve, make_tuner, of_kind

THERE = {"place": "s3://bucket/there/"}


class Somewhere(VirtualBackend):
    """A backend whose trials are somewhere."""

    def __init__(self, machine: Machine, at: Mapping[str, str]) -> None:
        super().__init__(machine)
        self.at = at
        self.told: list[ExperimentPlace] = []

    def open(self, place: ExperimentPlace) -> None:
        self.told.append(place)
        super().open(place)

    def trials_at(self) -> Mapping[str, str]:
        return self.at


def tuner_with(machine: Machine, at: Mapping[str, str], trials: int) -> tuple[Tuner, Somewhere]:
    """A tuner whose log lies in S3."""
    tuner = make_tuner(machine, stop_criterion=StoppingCriterion(max_num_trials_started=trials))
    tuner.trial_backend = backend = Somewhere(machine, at)
    assert isinstance(tuner._store, MemoryStore)
    tuner._store.s3_path, tuner._store.s3_region, tuner._store.kms_key = "s3://bucket", "eu-west-1", "key"
    return tuner, backend


def test_it_is_noted_once_before_any_trial() -> None:
    """A new experiment's backend hears where the log lies, every later one also where its trials have been."""
    machine = Machine(Program(curve, levels=3))
    for trials in (2, 4):
        tuner, backend = tuner_with(machine, THERE, trials)
        tuner.run()
        (told,) = backend.told
        assert (told.s3_path, told.s3_region, told.kms_key) == ("s3://bucket", "eu-west-1", "key")
        assert told.trials_at == ({} if trials == 2 else THERE)
    events = [entry["event"] for entry in machine.log]
    assert events.count(entries.PLACE) == 1
    assert events.index(entries.PLACE) < events.index(entries.SUGGEST)
    assert of_kind(machine, entries.PLACE) == [{"event": entries.PLACE, "trials_at": THERE}]


def test_trials_of_which_nothing_is_noted_stay_where_they_are() -> None:
    """They began when trials did not lie beside the log: the backend by itself knows where."""
    machine = Machine(Program(curve, levels=3))
    tuner_with(machine, {}, 2)[0].run()
    assert of_kind(machine, entries.PLACE) == []
    tuner, backend = tuner_with(machine, THERE, 4)
    tuner.run()
    assert backend.told[0].s3_path is None
    assert of_kind(machine, entries.PLACE) == [{"event": entries.PLACE, "trials_at": THERE}]


def test_a_backend_may_ask_whether_the_log_is_still_its_tuners() -> None:
    """What it was given raises once another tuner has the log."""
    from cloudtune.errors import Fenced

    machine = Machine(Program(curve, levels=3))
    tuner, backend = tuner_with(machine, {}, 2)
    ask = []

    def on_open(place: ExperimentPlace) -> None:
        place.confirm()
        machine.owner = None
        ask.append(place.confirm)

    backend.open = on_open  # type: ignore[method-assign]
    with pytest.raises(Fenced):
        tuner.run()
    with pytest.raises(Fenced):
        ask[0]()
