"""``tuner.dill`` holds what another program needs to build the tuner again, and is written quickly."""

from __future__ import annotations

import sys
from typing import Any

import dill
import pytest

from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.tuner_pickle import pickled, read_pickle


def test_what_can_be_imported_is_pickled_without_dill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dill takes many times as long; what comes back is the same."""
    monkeypatch.setattr(dill, "dumps", None)
    state = pickled(StoppingCriterion(max_cost=1.5), "demo")
    assert state is not None
    assert read_pickle(state, "tuner.dill", StoppingCriterion) == StoppingCriterion(max_cost=1.5)


def test_what_the_program_itself_defines_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the script is there in a program that does not have it; its name alone would find nothing there."""

    class Own:
        def __init__(self) -> None:
            self.answer = 42

    Own.__module__, Own.__qualname__ = "__main__", "Own"
    monkeypatch.setattr(sys.modules["__main__"], "Own", Own, raising=False)
    state = pickled(Own(), "demo")
    monkeypatch.delattr(sys.modules["__main__"], "Own")
    assert state is not None
    again: Any = read_pickle(state, "tuner.dill", object)
    assert again.answer == 42


def test_a_function_without_a_name_goes_along() -> None:
    """As a user's criterion often is."""
    state = pickled({"criterion": lambda status: status > 3}, "demo")
    assert state is not None
    again: Any = read_pickle(state, "tuner.dill", dict)
    assert again["criterion"](4)
    assert not again["criterion"](3)
