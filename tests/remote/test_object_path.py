"""The place of an object inside another, as a person would write it."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.remote.object_path import path_of


class Box:
    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def method(self) -> None: ...


@dataclass
class Slotted:
    __slots__ = ("inside",)
    inside: Any


@given(kinds=st.lists(st.sampled_from(["attribute", "slot", "dict", "list", "tuple", "deque", "ordered"]), max_size=12))
def test_a_path_leads_to_the_object(kinds: list[str]) -> None:
    """What is written can be evaluated, and is the object, whatever it is nested in."""
    makers: dict[str, Any] = {
        "attribute": Box,
        "slot": Slotted,
        "dict": lambda inside: {"other": None, "a key": inside},
        "list": lambda inside: [None, inside],
        "tuple": lambda inside: (None, None, inside),
        "deque": lambda inside: deque([inside]),
        "ordered": lambda inside: OrderedDict(inside=inside),
    }
    innermost = object()
    chain: list[object] = [innermost]
    for kind in kinds:
        chain.insert(0, makers[kind](chain[0]))
    root = chain[0]
    assert eval(path_of(chain, "root"), {"root": root}) is innermost
    # Pickling goes by way of things that have no name of their own.
    detour = [part for one in chain for part in (one, object(), type(one))]
    assert eval(path_of(detour[:-2], "root"), {"root": root}) is innermost


def test_a_path_names_variables_of_functions() -> None:
    """A closure's, a default's and a global's name; and whose method it is."""
    captured = object()

    def function(argument: object = Slotted, *, keyword: object = OrderedDict) -> object:
        return captured, argument, keyword, Box

    assert path_of([[function], function, captured], "x") == "x[0] -> captured"
    assert path_of([function, Slotted], "x") == "x -> argument"
    assert path_of([function, OrderedDict], "x") == "x -> keyword"
    assert path_of([function, Box], "x") == "x -> Box"
    box = Box(1)
    method = box.method
    assert path_of([method, box], "x") == "x's Box"


def test_what_only_the_pickled_state_has_is_an_attribute_too() -> None:
    """An object may give other things to pickle than those that it has."""
    made = object()
    assert path_of([Box(1), {"packed": made}, made], "x") == "x.packed"


@pytest.mark.parametrize("chain", [[], [object()]])
def test_the_outermost_object_is_just_called_so(chain: list[object]) -> None:
    """Its name is the whole path."""
    assert path_of(chain, "tuner") == "tuner"


def test_a_variable_that_is_not_set_yet_is_no_obstacle() -> None:
    """A recursive function may be looked at before it has its name."""

    def function() -> object:
        return later

    assert path_of([function, Box], "x") == "x -> Box"
    later = 1
    assert function() == later
