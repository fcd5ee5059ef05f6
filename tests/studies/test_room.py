"""What quotas leave: never more is given than there is, and nobody overtakes one that waits for the same machines."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.studies.machines import Machines
from cloudtune.studies.room import Room

TYPES = ("a", "b", "c")
KINDS = st.tuples(st.sampled_from(TYPES), st.booleans())
MACHINES = st.builds(
    Machines,
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True).map(tuple),
    st.integers(1, 4),
    st.booleans(),
)
QUOTAS = st.dictionaries(KINDS, st.none() | st.integers(0, 8))


def room_of(quotas: dict[tuple[str, bool], int | None]) -> Room:
    """With these quotas; those left out are not known."""
    return Room(lambda kind, is_spot: quotas.get((kind, is_spot)))


@given(QUOTAS, st.lists(st.tuples(st.sampled_from(TYPES), st.integers(1, 3)), max_size=3), st.lists(MACHINES))
def test_no_more_is_given_than_there_is(
    quotas: dict[tuple[str, bool], int | None], in_use: list[tuple[str, int]], asked: list[Machines]
) -> None:
    """Of all types that some experiments may have, they get at most what is free of these."""
    room = room_of(quotas)
    room.occupy(in_use, is_spot=False)
    given_to = [one for one in asked if room.take([one]) is None]
    used = Counter[tuple[str, bool]]()
    for kind, count in in_use:
        used[kind, False] += count
    for is_spot in (False, True):
        for subset in ({"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", "c"}, {"b", "c"}, set(TYPES)):
            limits = [quotas.get((kind, is_spot)) for kind in subset]
            if None in limits:
                continue
            free = sum(max(0, (limit or 0) - used[kind, is_spot]) for kind, limit in zip(subset, limits, strict=True))
            bound = [one.count for one in given_to if one.is_spot == is_spot and subset.issuperset(one.types)]
            assert sum(bound) <= free


@given(QUOTAS, MACHINES, st.lists(MACHINES))
def test_nobody_overtakes(quotas: dict[tuple[str, bool], int | None], first: Machines, others: list[Machines]) -> None:
    """Once somebody waits for a type, nothing of it is given to those behind."""
    room = room_of(quotas)
    if room.take([first]) is None:
        return
    for one in others:
        shares = one.is_spot == first.is_spot and set(one.types) & set(first.types)
        assert not (shares and room.take([one]) is None)


def test_all_or_nothing() -> None:
    """Where the trials do not fit, the tuner's machine is not taken either."""
    room = room_of({("a", False): 2, ("b", False): 1})
    short = room.take([Machines(("a",), 2), Machines(("b",), 2)])
    assert short is not None
    assert str(short) == "of 1 instances ('b for training job usage') 0 are in use or put aside"
    assert room.take([Machines(("a",), 2)]) is None


def test_tuner_and_trials_of_one_type() -> None:
    """They have one quota together."""
    wanted = [Machines(("a",), 1), Machines(("a",), 2)]
    assert room_of({("a", False): 3}).take(wanted) is None
    short = room_of({("a", False): 2}).take(wanted)
    assert short is not None
    assert (short.allowed, short.used) == (2, 0)


def test_what_is_put_aside_may_be_more_than_there_is() -> None:
    """An experiment that waits for machines is served before the next one begins."""
    room = room_of({("a", False): 4})
    room.reserve(Machines(("a",), 8), 8)
    short = room.take([Machines(("a",), 1)])
    assert short is not None
    assert short.used == 4


def test_a_type_that_is_named_twice() -> None:
    """It has one quota: three instances are no room for four."""
    room = Room(lambda _type, _is_spot: 3)
    short = room.take([Machines(("a", "a"), 4)])
    assert short is not None
    assert short.allowed == 3
