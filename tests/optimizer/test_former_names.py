"""Arguments under the names they have in Syne Tune."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA, GridSearch, MedianStopping, RandomSearch
from cloudtune.optimizer.schedulers import FIFOScheduler, HyperbandScheduler

SPACE = {"x": uniform(0, 1), "epochs": 3}
SCHEDULERS = [RandomSearch, GridSearch, ASHA, MedianStopping, FIFOScheduler, HyperbandScheduler]


@pytest.mark.parametrize("cls", SCHEDULERS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        ({"metrics": ["loss"]}, "'metrics'; write metric"),
        ({"metric": "loss", "do_minimize": False}, "'do_minimize'; write mode='min' or mode='max'"),
        ({"metric": "loss", "max_resource_level": 9}, "'max_resource_level'; write max_resource_attr, with the number"),
        ({"metric": "loss", "time_attr": "epoch"}, "'time_attr'; write resource_attr"),
        ({"metric": "loss", "search_space": SPACE}, "'search_space'; write config_space"),
    ],
)
def test_a_former_name_is_answered_with_the_name_here(cls: Any, arguments: dict[str, Any], instead: str) -> None:
    """Who comes from Syne Tune reads what to write instead, not only that the name is unknown."""
    with pytest.raises(TypeError) as caught:
        cls(SPACE, **arguments)
    assert f"{cls.__name__} has no argument {instead}" in str(caught.value)


def test_a_name_that_a_method_has_is_accepted() -> None:
    """The general schedulers take ``search_options``; the ready-made methods say what to write instead."""
    FIFOScheduler(SPACE, metric="loss", search_options={"allow_duplicates": True})
    with pytest.raises(TypeError, match="RandomSearch has no argument 'search_options'; write the searcher's options"):
        RandomSearch(SPACE, metric="loss", search_options={"allow_duplicates": True})  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", SCHEDULERS, ids=lambda cls: cls.__name__)
def test_other_unknown_names_and_the_signature_are_as_usual(cls: Any) -> None:
    """A misspelt name gives Python's own error, and completion still sees the arguments."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'metrik'"):
        cls(SPACE, metric="loss", metrik="loss")
    assert {"config_space", "metric", "mode"} <= set(inspect.signature(cls).parameters)
