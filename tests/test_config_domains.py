"""Every domain: its values, their frequencies, the way to the unit cube and back."""

from __future__ import annotations

import copy
import math
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cloudtune.config_space import (
    ConfigSpaceError,
    Domain,
    Float,
    choice,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    parse_domain,
    randint,
    reverseloguniform,
    uniform,
)
from tests.config_space_strategies import categoricals, domains, finite_ranges, floats, integers, ordinals, values_of


def is_plain(value: Any) -> bool:
    return type(value) in (int, float, str, bool, type(None), list, dict)


@given(domain=domains, u=st.floats(0, 1, exclude_max=True))
def test_every_quantile_is_a_plain_value_of_the_domain(domain: Domain, u: float) -> None:
    """No rounding leads out of the range, and no numpy scalar gets into a configuration."""
    value = domain.from_uniform(u)
    assert domain.contains(value)
    assert is_plain(value)
    assert domain.cast(value) == value
    assert type(domain.cast(value)) is type(value)


@given(domain=domains, seed=st.integers(0, 2**32 - 1))
def test_samples_are_values_and_follow_the_generator(domain: Domain, seed: int) -> None:
    """Sampling uses the generator it is given and nothing else."""
    value = domain.sample(np.random.default_rng(seed))
    assert domain.contains(value)
    assert value == domain.sample(np.random.default_rng(seed))
    assert is_plain(value)


@given(domain=domains)
def test_the_default_is_a_value_of_the_domain(domain: Domain) -> None:
    """The first configuration that is tried is valid, whatever the bounds."""
    assert domain.contains(domain.default())
    assert is_plain(domain.default())


@given(domain=st.one_of(integers, finite_ranges, categoricals, ordinals), data=st.data())
def test_decoding_undoes_encoding_exactly_where_values_are_countable(domain: Domain, data: st.DataObject) -> None:
    """A value that a model has seen comes back as the same value."""
    value = data.draw(values_of(domain))
    encoded = domain.to_unit(value)
    assert len(encoded) == domain.unit_dimension
    assert all(type(x) is float and 0 <= x <= 1 for x in encoded)
    assert domain.from_unit(encoded) == value
    assert type(domain.from_unit(encoded)) is type(value)


@given(domain=floats, data=st.data())
def test_decoding_undoes_encoding_up_to_rounding_for_real_numbers(domain: Float, data: st.DataObject) -> None:
    """Encoding loses no more than floating point does: the encodings agree, and the value stays in the range."""
    value = data.draw(values_of(domain))
    encoded = domain.to_unit(value)
    decoded = domain.from_unit(encoded)
    assert domain.lower <= decoded <= domain.upper
    # The unit interval is as fine as the scale allows: log(1 + 1e-15) has few digits.
    width = abs(domain.upper - domain.lower)
    assume(width > 1e-6 * max(abs(domain.lower), abs(domain.upper)))
    assert domain.to_unit(decoded)[0] == pytest.approx(encoded[0], abs=1e-9)


@given(domain=st.one_of(floats, integers, finite_ranges, ordinals), u=st.floats(0, 1), v=st.floats(0, 1))
def test_encodings_keep_the_order(domain: Domain, u: float, v: float) -> None:
    """Of two points of the unit interval the greater one is never the smaller value."""
    low, high = domain.from_unit([min(u, v)]), domain.from_unit([max(u, v)])
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and domain.to_json().get("kind") != "equal":
        assert low <= high


@pytest.mark.parametrize("outside", [-0.5, -math.inf, 1.5, math.inf])
def test_encoded_numbers_outside_the_unit_interval_count_as_its_ends(outside: float) -> None:
    """An optimiser that steps over the edge gets the value at the edge."""
    edge = 0.0 if outside < 0 else 1.0
    for domain in (
        uniform(2, 3),
        loguniform(1, 9),
        randint(1, 9),
        ordinal([1, 2, 4]),
        finrange(0, 1, 5),
        choice(["a", "b"]),
    ):
        assert domain.from_unit([outside]) == domain.from_unit([edge])


@pytest.mark.parametrize("domain", [uniform(0, 1), randint(1, 9), choice(["a", "b", "c"]), ordinal([1, 2])])
def test_an_encoded_nan_is_refused(domain: Domain) -> None:
    """A model that broke down is noticed, and does not silently propose an end of the range."""
    with pytest.raises(ConfigSpaceError, match="NaN"):
        domain.from_unit([math.nan] * domain.unit_dimension)


@pytest.mark.parametrize(
    "domain",
    [
        randint(-3, 6),
        choice(["a", "b", "c"]),
        choice([True, False]),
        ordinal(["s", "m", "l"]),
        ordinal([1, 2, 4, 8], kind="equal"),
        finrange(0, 1, 11),
        logfinrange(1, 1000, 4, cast_int=True),
        ordinal([0, 1, 2, 3]),
        logordinal([1, 2, 4, 8]),
    ],
    ids=str,
)
def test_equally_likely_values_have_exactly_equal_shares_of_the_unit_interval(domain: Domain) -> None:
    """Every value of a finite domain is drawn, and none more often than another."""
    size = domain.size()
    assert size is not None
    per_value = 100
    grid = [(i + 0.5) / (size * per_value) for i in range(size * per_value)]
    counts = Counter(domain.from_uniform(u) for u in grid)
    assert set(counts.values()) == {per_value}
    assert len(counts) == size


def test_values_of_a_log_integer_have_the_shares_of_their_cells() -> None:
    """``lograndint``: the share of k is log((k + 1/2) / (k - 1/2)), the width of its cell, the end values included."""
    n = 200_000
    domain = lograndint(1, 8)
    counts = Counter(domain.from_uniform((i + 0.5) / n) for i in range(n))
    for k in range(1, 9):
        expected = math.log((k + 0.5) / (k - 0.5)) / math.log(8.5 / 0.5)
        assert counts[k] / n == pytest.approx(expected, abs=2e-5)


def test_values_of_an_ordinal_have_the_shares_of_their_neighbourhoods() -> None:
    """``ordinal([1, 2, 5])``: cells end half-way between values, with half an average gap (1) beyond the ends."""
    n = 6_000
    counts = Counter(ordinal([1, 2, 5]).from_uniform((i + 0.5) / n) for i in range(n))
    assert [counts[k] / n for k in (1, 2, 5)] == pytest.approx([1.5 / 6, 2 / 6, 2.5 / 6])


@pytest.mark.parametrize(
    ("domain", "quartiles"),
    [
        (uniform(-2, 2), [-2, -1, 0, 1]),
        (loguniform(1e-4, 1), [1e-4, 1e-3, 1e-2, 1e-1]),
        (reverseloguniform(0, 1 - 1e-4), [0, 1 - 1e-1, 1 - 1e-2, 1 - 1e-3]),
    ],
    ids=str,
)
def test_real_numbers_are_uniform_in_their_scale(domain: Domain, quartiles: list[float]) -> None:
    """Equal steps of the unit interval are equal steps of x, of log x, of -log(1 - x)."""
    assert [domain.from_uniform(i / 4) for i in range(4)] == pytest.approx(quartiles)


@pytest.mark.parametrize(
    ("domain", "middle"),
    [
        (uniform(1, 4), 2.5),
        (loguniform(1e-6, 1), 1e-3),
        (reverseloguniform(0.5, 0.9), 0.7),
        (randint(1, 9), 5),
        (lograndint(1, 100), 10),
        (choice(["x", "y", "z"]), "x"),
        (ordinal(["s", "m", "l"]), "m"),
        (ordinal([1, 2, 5, 10]), 5),
        (logordinal([1, 10, 20, 100]), 10),
        (finrange(0, 1, 11), 0.5),
        (logfinrange(1, 10_000, 5), 100),
    ],
    ids=str,
)
def test_the_default_is_the_middle(domain: Domain, middle: Any) -> None:
    """The midpoint rule of each domain: mean, geometric mean, first category, middle entry, nearest entry."""
    assert domain.default() == (middle if isinstance(middle, str) else pytest.approx(middle))


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (
            uniform(0, 1),
            [0, 1, 0.5, True - 0.5, np.float32(0.5), np.int64(1)],
            [-1e-9, 1.1, "0.1", True, None, math.nan, math.inf],
        ),
        (randint(1, 9), [1, 9, 3.0, np.int32(4), np.float64(2.0)], [0, 10, 2.5, "3", True, None, math.nan, 10**400]),
        (choice(["a", 1, None, [1, 2]]), ["a", 1, 1.0, None, [1, 2], (1, 2)], ["b", True, "1", [2, 1], {1}, ...]),
        (ordinal([1, 2, 4]), [1, 2.0, np.int64(4)], [3, "1", True]),
        (finrange(0, 1, 11), [0, 0.3, 0.1 + 0.2, 1], [0.31, 2, -5, "0.3", True, math.nan, -math.inf, 10**400]),
        (logfinrange(1e-15, 1, 16), [1e-15, 1], [5e-15, 0]),
        (finrange(1, 9, 5, cast_int=True), [1, 3.0], [2, 3.0000000000001]),
    ],
    ids=str,
)
def test_containing_is_strict_about_types_and_lenient_about_rounding(
    domain: Domain, inside: list[Any], outside: list[Any]
) -> None:
    """A string is no number, True is not 1; but 3.0 is 3, a numpy scalar is a number, and 0.3 is the 0.3 of a range."""
    assert [value for value in inside if not domain.contains(value)] == []
    assert [value for value in outside if domain.contains(value)] == []
    assert all(is_plain(domain.cast(value)) for value in inside)
    for value in outside:
        with pytest.raises(ConfigSpaceError, match=r"is not in .*; use"):
            domain.cast(value)


def test_casting_gives_the_value_of_the_domain() -> None:
    """What goes into a log is what the domain would have drawn, so that duplicates are recognised."""
    assert type(uniform(0, 2).cast(1)) is float
    assert type(randint(0, 2).cast(1.0)) is int
    assert type(choice([1, 2]).cast(1.0)) is int
    assert finrange(0, 1, 11).cast(0.3) in finrange(0, 1, 11).values


@given(domain=domains)
def test_a_domain_can_be_pickled_copied_compared_and_written_down(domain: Domain) -> None:
    """Domains go into snapshots, and their text is how they are written in a file."""
    for twin in (pickle.loads(pickle.dumps(domain)), copy.deepcopy(domain), parse_domain(str(domain))):
        assert twin == domain
        assert [twin.from_uniform(i / 16) for i in range(16)] == [domain.from_uniform(i / 16) for i in range(16)]


def test_a_domain_cannot_be_changed() -> None:
    """Neither by assignment, nor through a value that it has given away."""
    with pytest.raises(AttributeError):
        uniform(0, 1).lower = 3  # type: ignore[misc]
    layers = choice([[64, 64], [128]])
    for value in (layers.from_uniform(0.0), layers.default(), layers.cast([64, 64]), layers.from_unit([0.1])):
        value.append(1)
    layers.to_json()["categories"][0].append(1)
    assert layers.default() == [64, 64]


@pytest.mark.parametrize("kind", [None, "equal"])
def test_the_default_kind_of_an_ordinal_goes_by_its_values(kind: str | None) -> None:
    """Increasing numbers are near one another by value; anything else by position, and so is what the user says is."""
    assert ordinal([1, 2, 4], kind).kind == (kind or "nn")
    assert ordinal([4, 2, 1], kind).kind == "equal"
    assert ordinal(["a", "b"], kind).kind == "equal"
    assert ordinal([True, 2], kind).kind == "equal"
    assert ordinal(np.array([1, 2, 4]), kind).kind == (kind or "nn")  # type: ignore[arg-type]
    assert logordinal([1, 2, 4]).kind == "nn-log"


def test_numpy_arguments_become_plain_numbers() -> None:
    """Bounds and categories computed with numpy are as good as written ones, and leave no numpy scalar behind."""
    one: Any = np.int64(1)  # not every version of numpy calls its integers int
    assert uniform(np.float64(0), one) == uniform(0, 1)
    assert type(randint(one, 3 * one).lower) is int
    assert randint(1, 1e3).upper == 1000  # type: ignore[arg-type]
    assert choice(np.arange(3)).categories == (0, 1, 2)  # type: ignore[arg-type]
    assert choice(range(3)).categories == (0, 1, 2)
    assert [type(value) for value in choice([np.int64(1), np.str_("a")]).categories] == [int, str]


BAD: list[tuple[Any, tuple[Any, ...], str]] = [
    (uniform, (1, 0), "uniform(1, 0): the range is empty, the lower bound is above the upper one; swap the bounds"),
    (uniform, (1, 1), "uniform(1, 1): the range has one value only; write the plain value in place of the domain"),
    (uniform, ("0", 1), "uniform('0', 1): the lower bound must be a number, not str; write it without quotes"),
    (uniform, (0, True), "uniform(0, True): the upper bound must be a number, not bool; write a plain number"),
    (uniform, (0, None), "uniform(0, None): the upper bound must be a number, not NoneType; write a plain number"),
    (uniform, (0, math.inf), "uniform(0, inf): the upper bound must be finite; use a large number instead"),
    (uniform, (math.nan, 1), "uniform(nan, 1): the lower bound must be finite; use a large number instead"),
    (uniform, (0, 10**400), "the upper bound must be finite; use a large number instead"),
    (uniform, (-1.7e308, 1.7e308), "the range is too wide for floating-point numbers; use other bounds"),
    (loguniform, (1e300, math.nextafter(1e300, 2e300)), "the range is too narrow for floating-point numbers"),
    (loguniform, (0, 1), "loguniform(0, 1): the lower bound must be above 0; use uniform, or a small positive bound"),
    (loguniform, (-1, 1), "loguniform(-1, 1): the lower bound must be above 0"),
    (reverseloguniform, (0, 1), "reverseloguniform(0, 1): the upper bound must be below 1; use uniform, or bounds"),
    (reverseloguniform, (-0.1, 0.5), "reverseloguniform(-0.1, 0.5): the lower bound must be 0 or more"),
    (Float, (0, 1, "sqrt"), "'sqrt' is not a scale of this domain; use one of linear, log, reverselog"),
    (randint, (2, 1), "randint(2, 1): the range is empty"),
    (randint, (0.5, 3), "randint(0.5, 3): the lower bound must be an integer; use uniform or loguniform for real"),
    (randint, (0, 2**60), "the upper bound must not be beyond 2**53 in size; use a smaller number"),
    (lograndint, (0, 8), "lograndint(0, 8): the lower bound must be above 0; use randint, or a small positive bound"),
    (choice, ([],), "choice([]): there is no value; give at least one"),
    (choice, (["a", "b", "a"],), "choice(['a', 'b', 'a']): the values 'a' and 'a' are equal; list each value once"),
    (choice, ([1, True],), "choice([1, True]): the values 1 and True are equal; list each value once"),
    (choice, ([[1], [1]],), "the values [1] and [1] are equal; list each value once"),
    (choice, ("abc",), "choice('abc'): the values must be a list, not str; a list has the same order in every process"),
    (choice, ({1, 2},), "the values must be a list, not set; a list has the same order in every process"),
    (choice, ([math.nan],), "choice([nan]): nan of type float is not a JSON value; use finite numbers, strings"),
    (choice, ([1, {2}],), "{2} of type set is not a JSON value; use finite numbers, strings, booleans, None"),
    (ordinal, ([],), "ordinal([]): there is no value; give at least one"),
    (ordinal, ([3, 2], "nn"), "ordinal([3, 2]): kind 'nn' needs at least two numbers, strictly increasing; sort"),
    (ordinal, (["a", "b"], "nn"), "kind 'nn' needs at least two numbers, strictly increasing; sort them, or use"),
    (ordinal, ([1, 2], "near"), "ordinal: kind 'near' is not known; use one of equal, nn, nn-log"),
    (
        ordinal,
        ([1, 1 + 1e-15, 1e9],),
        'too close together, or too far apart, for floating-point numbers; use kind="equal"',
    ),
    (ordinal, ([1, 10**400],), 'a value is too large for floating-point numbers; use kind="equal"'),
    (logordinal, ([0, 1],), "logordinal([0, 1]): the first value must be above 0; use ordinal, or positive values"),
    (logordinal, ([2, 1],), "logordinal([2, 1]): kind 'nn-log' needs at least two numbers, strictly increasing"),
    (finrange, (0, 1, 1), "finrange(0, 1, 1): the size must be at least 2; write a plain value in place of"),
    (finrange, (0, 1, 2.5), "finrange(0, 1, 2.5): the size must be an integer; it says how many values there are"),
    (finrange, (1, 0, 3), "finrange(1, 0, 3): the range is empty"),
    (finrange, (0, 3, 9, True), "finrange(0, 3, 9): after rounding to integers some values are equal; use a smaller"),
    (finrange, (0.5, 3, 2, True), "finrange(0.5, 3, 2): with cast_int the bounds must be integers; round them"),
    (finrange, (0, 3, 2, 1), "finrange(0, 3, 2): cast_int must be True or False, not 1"),
    (logfinrange, (0, 1, 3), "logfinrange(0, 1, 3): the lower bound must be above 0; use finrange, or a small"),
]


@pytest.mark.parametrize(("constructor", "arguments", "message"), BAD, ids=[message[:50] for _, _, message in BAD])
def test_a_wrong_domain_is_refused_with_its_remedy(constructor: Any, arguments: tuple[Any, ...], message: str) -> None:
    """Each mistake in a domain is told where it is made, in one sentence that says what to write instead."""
    with pytest.raises(ConfigSpaceError) as caught:
        constructor(*arguments)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)
