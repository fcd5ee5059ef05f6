"""Hypothesis strategies for domains and config spaces."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from cloudtune.config_space import (
    Categorical,
    ConfigSpaceError,
    Domain,
    Ordinal,
    choice,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    reverseloguniform,
    uniform,
)

finite = st.floats(-1e12, 1e12)
positive = st.floats(1e-12, 1e12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**60), 2**60), finite, st.text(max_size=5))
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
names = st.from_regex(r"[a-rt-zA-Z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)


def _ordered(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=2, max_size=2, unique=True).map(sorted)


def _made(constructor: Any, arguments: st.SearchStrategy[tuple[Any, ...]]) -> st.SearchStrategy[Domain]:
    """Domains from drawn arguments, without those that a constructor refuses for reasons of floating point."""

    def make(drawn: tuple[Any, ...]) -> Domain | None:
        try:
            made: Domain = constructor(*drawn)
        except ConfigSpaceError:
            return None
        return made

    return arguments.map(make).filter(lambda made: made is not None).map(lambda made: made)  # type: ignore[arg-type,return-value]


def _key(value: Any) -> Any:
    return repr(value) if isinstance(value, (list, dict)) else value


floats = st.one_of(
    _made(uniform, _ordered(finite).map(tuple)),
    _made(loguniform, _ordered(positive).map(tuple)),
    _made(reverseloguniform, _ordered(st.floats(0, 1 - 1e-12)).map(tuple)),
)
integers = st.one_of(
    st.tuples(st.integers(-(2**44), 2**44), st.integers(0, 2**44)).map(lambda t: randint(t[0], t[0] + t[1])),
    st.tuples(st.integers(1, 2**44), st.integers(0, 2**44)).map(lambda t: lograndint(t[0], t[0] + t[1])),
    st.tuples(st.integers(-20, 20), st.integers(0, 20)).map(lambda t: randint(t[0], t[0] + t[1])),
    st.tuples(st.integers(1, 20), st.integers(0, 20)).map(lambda t: lograndint(t[0], t[0] + t[1])),
)
finite_ranges = st.one_of(
    _made(finrange, st.tuples(finite, finite, st.integers(2, 30))),
    _made(logfinrange, st.tuples(positive, positive, st.integers(2, 30))),
    _made(finrange, st.tuples(st.integers(-99, 0), st.integers(1, 99), st.integers(2, 9), st.just(True))),
    _made(logfinrange, st.tuples(st.integers(1, 9), st.integers(99, 9999), st.integers(2, 9), st.just(True))),
)
categoricals: st.SearchStrategy[Domain] = _made(
    choice, st.tuples(st.lists(json_values, min_size=1, max_size=6, unique_by=_key))
)
ordinals: st.SearchStrategy[Domain] = st.one_of(
    _made(ordinal, st.tuples(st.lists(json_values, min_size=1, max_size=6, unique_by=_key), st.just("equal"))),
    _made(ordinal, st.tuples(st.lists(finite, min_size=2, max_size=8, unique=True).map(sorted))),
    _made(logordinal, st.tuples(st.lists(positive, min_size=2, max_size=8, unique=True).map(sorted))),
    _made(ordinal, st.tuples(st.lists(st.integers(-99, 99), min_size=2, max_size=8, unique=True).map(sorted))),
)
domains: st.SearchStrategy[Domain] = st.one_of(floats, integers, finite_ranges, categoricals, ordinals)
spaces: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names, st.one_of(domains, json_values), max_size=6)


def values_of(domain: Domain) -> st.SearchStrategy[Any]:
    """Values of ``domain``, its ends among them."""
    return st.one_of(st.sampled_from([0.0, math.nextafter(1.0, 0.0)]), st.floats(0, 1, exclude_max=True)).map(
        domain.from_uniform
    )


def all_values(domain: Domain) -> list[Any]:
    """The values of a domain that lists them."""
    if isinstance(domain, (Categorical, Ordinal)):
        return list(domain.categories)
    values: list[Any] = list(domain.values)  # type: ignore[attr-defined]
    return values
