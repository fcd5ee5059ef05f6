"""Names of experiments from any names of scripts and functions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.default_name import MAX_LENGTH, default_name
from cloudtune.store.places import MAX_NAME_LENGTH, validate_name


@given(st.text(max_size=200))
def test_always_valid(text: str) -> None:
    """Whatever the text, an experiment may be called so; a text that is a valid name and has single dashes stays."""
    name = default_name(text, fallback="script")
    assert validate_name(name) == name
    assert "--" not in name
    assert default_name(name, fallback="other") == name


def test_as_long_as_allowed() -> None:
    """The store's longest name is ours."""
    assert MAX_LENGTH == MAX_NAME_LENGTH
