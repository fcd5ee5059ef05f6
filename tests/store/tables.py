"""Tables of results for tests, as a log could have them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from cloudtune.store.results import ResultsTable

#: Everything that JSON has a form for.
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec=None), max_size=5),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
#: Most columns hold one type, some of whose values may be missing.
_KINDS: list[st.SearchStrategy[Any]] = [
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-100, 100),
    st.integers(),
    st.booleans(),
    st.sampled_from(["CONTINUE", "STOP", "PAUSE"]),
    st.text(st.characters(codec=None), max_size=5),
    VALUES,
]
_KINDS += [kind | st.none() for kind in _KINDS]
NAMES = st.text(min_size=1, max_size=6)


@st.composite
def columns(draw: st.DrawFn, count: int) -> dict[str, list[Any]]:
    """Some columns of so many values."""
    found = {}
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        kind = draw(st.sampled_from(_KINDS))
        found[name] = draw(st.lists(kind, min_size=count, max_size=count))
    return found


@st.composite
def tables(draw: st.DrawFn) -> ResultsTable:
    """Any table of results."""
    configs = draw(st.integers(1, 4))
    rows = draw(st.lists(st.integers(0, configs - 1), max_size=12))
    return ResultsTable(draw(columns(len(rows))), draw(columns(configs)), rows)


def exactly(value: Any) -> Any:
    """The value in a form that is equal only for the same types and the same numbers: 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: exactly(one) for key, one in value.items()}
    if isinstance(value, list):
        return [exactly(one) for one in value]
    # As text: NaN is itself then, and so is what is no character by itself.
    return type(value).__name__, repr(value)


def all_of(table: ResultsTable) -> Any:
    """All of a table, in that form."""
    return exactly(table.columns), exactly(table.config), exactly(table.config_of_row)
