"""Command lines from configurations."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.arguments import command_line, config_json

values = st.text() | st.floats(allow_nan=False) | st.integers() | st.booleans() | st.lists(st.integers() | st.text())


@given(values)
def test_argparse_gets_the_value_back(value: Any) -> None:
    """Whatever the value, argparse reads the very text; from it the value can be had again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--value")
    parser.add_argument("--next")
    seen = parser.parse_args(command_line({"value": value, "next": "end"}))
    assert seen.next == "end"
    if isinstance(value, list):
        assert json.loads(seen.value) == value
    elif isinstance(value, float):
        assert float(seen.value) == value
    else:
        assert seen.value == str(value)


def test_numpy_scalars_are_numbers() -> None:
    """A scheduler of one's own may suggest numpy numbers: they are written as Python's."""
    config = {"rate": np.float64(0.1), "n": np.int32(-3), "zero_d": np.array(2), "flag": np.bool_(True)}
    assert command_line(config) == ["--rate", "0.1", "--n=-3", "--zero_d", "2", "--flag", "True"]
    assert json.loads(config_json(config)) == {"rate": 0.1, "n": -3, "zero_d": 2, "flag": True}
