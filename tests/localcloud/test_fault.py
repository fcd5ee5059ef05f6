"""Faults: what is accepted, what is refused, and the way through JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.fault import KINDS, ONLY_FOR, Fault
from tests.localcloud.test_settings import faults


@given(faults)
def test_a_fault_comes_back_from_json_as_it_was(fault: Fault) -> None:
    """The command line and HTTP hand faults on as JSON; what is left at its default is not written."""
    values = json.loads(json.dumps(fault.to_dict()))
    assert Fault.from_dict(values) == fault
    assert set(values) - {"kind"} <= {
        entry.name for entry in dataclasses.fields(fault) if getattr(fault, entry.name) != entry.default
    }


def test_a_misspelt_kind_is_answered_with_the_one_that_was_meant() -> None:
    """Nobody has to look up the list for a slip of the finger."""
    with pytest.raises(ValueError, match="did you mean 'throttle'"):
        Fault("throtle")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "needs a kind"),
        ({"kind": "throttle", "propability": 1}, "no field 'propability'"),
        ({"kind": "throttle", "probability": 1.5}, "probability"),
        ({"kind": "throttle", "probability": "often"}, "probability"),
        ({"kind": "throttle", "probability": float("nan")}, "probability"),
        ({"kind": "throttle", "count": -1}, "count"),
        ({"kind": "throttle", "count": 1.5}, "count"),
        ({"kind": "throttle", "count": True}, "count"),
        ({"kind": "throttle", "after": float("inf")}, "after"),
        ({"kind": "throttle", "seconds": -0.1}, "seconds"),
        ({"kind": "throttle", "seconds": None}, "seconds"),
        ({"kind": "throttle", "after": 3, "until": 2}, "never"),
        ({"kind": "throttle", "until": float("nan")}, "never"),
        ({"kind": "throttle", "operation": None}, "operation"),
        ({"kind": "throttle", "notice": "no"}, "notice"),
        ({"kind": 7}, "kind"),
    ],
)
def test_values_without_sense_are_refused_by_name(values: dict[str, Any], named: str) -> None:
    """They come over HTTP too: always a ValueError that names the field, never a TypeError from somewhere inside."""
    with pytest.raises(ValueError, match=named):
        Fault.from_dict(values)


@given(st.sampled_from(sorted(KINDS)))
def test_every_kind_has_a_description_and_makes_a_fault(kind: str) -> None:
    """What the command line lists can be ordered as it is listed."""
    assert KINDS[kind].endswith(".")
    assert Fault(kind).kind == kind


def test_kinds_that_are_for_some_operations_exist() -> None:
    """A renamed kind does not lose its restriction."""
    assert set(ONLY_FOR) <= set(KINDS)
