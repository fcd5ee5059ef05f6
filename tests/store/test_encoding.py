"""Entries as lines of JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.store.encoding import encode, encode_lines

_NUMBERS = st.integers(0, 10**9)
_VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.floats(), max_size=2))
_METRICS = st.dictionaries(st.text(), _VALUES, max_size=4)


@st.composite
def _reports(draw: st.DrawFn) -> dict[str, Any]:
    """Reports as the loop makes them, and some that are a little different."""
    entry: dict[str, Any] = {"event": "report"}
    for name in ("trial", "attempt", "run", "number"):
        entry[name] = draw(st.one_of(_NUMBERS, _NUMBERS, st.booleans()))
    entry["time"] = draw(st.one_of(st.floats(), st.floats(0, 1e6), st.integers()))
    entry["decision"] = draw(st.sampled_from(["CONTINUE", "STOP", "PAUSE"]))
    entry["status"] = "InProgress"
    entry["metrics"] = draw(_METRICS)
    if draw(st.booleans()):
        entry[draw(st.sampled_from(["late", "extra", "replay", "unusable"]))] = draw(
            st.one_of(st.just(True), st.text())
        )
    if draw(st.integers(0, 5)) == 0:
        entry.pop(draw(st.sampled_from(["run", "status", "metrics"])))
    return entry


@given(st.lists(st.one_of(_reports(), st.builds(lambda m: {"event": "suggest", **m}, _METRICS)), max_size=5))
def test_lines_are_what_each_entry_is_by_itself(entries: list[dict[str, Any]]) -> None:
    """The quick way of writing reports makes the very bytes of the plain one, whatever stands in them."""
    assert encode_lines(entries)[0] == "".join(encode(entry) + "\n" for entry in entries).encode()


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_times_that_are_no_numbers(time: float) -> None:
    """A time that is not finite is written as JSON does."""
    entry: dict[str, Any] = dict.fromkeys(("trial", "attempt", "run", "number"), 0)
    entry = {"event": "report", **entry, "time": time, "decision": "STOP", "status": "x", "metrics": {}}
    assert encode_lines([entry])[0] == (encode(entry) + "\n").encode()


def test_numbers_of_numpy_are_plain() -> None:
    """A report with a number of numpy is written like one with Python's."""
    entry: dict[str, Any] = dict.fromkeys(("trial", "attempt", "run", "number"), 0)
    entry = {"event": "report", **entry, "time": np.float64(0.5), "decision": "STOP", "status": "x", "metrics": {}}
    assert encode_lines([entry])[0] == encode_lines([{**entry, "time": 0.5}])[0]
