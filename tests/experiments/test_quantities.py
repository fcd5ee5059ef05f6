"""Numbers as a person reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.quantities import NOTHING, dollars, duration, moment, number, plural
from cloudtune.experiments.values import as_number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (1.2345, "1.23 s"),
        (42.4, "42 s"),
        (59.6, "1 min 00 s"),
        (200.0, "3 min 20 s"),
        (7500.0, "2 h 05 min"),
        (360_000.0, "4 d 4 h"),
        (None, NOTHING),
        (float("nan"), NOTHING),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    """In the two greatest units that say something."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "$0.00"), (1234.5, "$1,234.50"), (0.9, "$0.90"), (0.00123, "$0.0012"), (None, NOTHING)],
)
def test_amounts_of_money(amount: float | None, text: str) -> None:
    """In dollars and cents; less than a cent is not shown as nothing."""
    assert dollars(amount) == text


@given(st.one_of(st.floats(), st.none()))
def test_no_moment_is_an_error(unix: float | None) -> None:
    """Metadata may hold any number, of years that no calendar has."""
    assert moment(unix) == NOTHING or moment(unix).endswith(" UTC")


def test_a_moment_is_told_in_utc() -> None:
    """Readers of a page that was sent to them live anywhere."""
    assert moment(1_700_000_000) == "2023-11-14 22:13 UTC"


def test_numbers_have_six_digits_that_count() -> None:
    """More of them nobody compares."""
    assert (number(0.123456789), number(None)) == ("0.123457", NOTHING)


def test_one_thing_is_no_things() -> None:
    """Words agree with their number."""
    assert [plural(1, "trial"), plural(0, "trial"), plural(1234, "query", "queries")] == [
        "1 trial",
        "0 trials",
        "1,234 queries",
    ]


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 1.0), (0.5, 0.5), (True, None), ("1", None), (10**400, None), (float("inf"), None)]
)
def test_what_counts_as_a_number(value: Any, expected: float | None) -> None:
    """Finite numbers only."""
    assert as_number(value) == expected
