"""What the chaos runs order: every trouble, in pairs that a seed draws."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backend.sagemaker.chaos import troubles
from tests.backend.sagemaker.chaos.plan import Meeting, draw, pairs

SEEDS = st.integers(0, 10**6)
KINDS = st.sampled_from(["spot", "pool"])


def _pairs(meetings: tuple[Meeting, ...]) -> set[frozenset[str]]:
    return {frozenset(meeting.pair) for meeting in meetings}


def _all_pairs(names: list[str]) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in itertools.combinations(names, 2)}


def _of_jobs(kind: str) -> list[str]:
    return [name for name, trouble in troubles.of(kind).items() if trouble.in_a_job]


@settings(max_examples=20)
@given(seed=SEEDS, kind=KINDS, trials=st.integers(1, 120))
def test_a_seed_is_a_plan(seed: int, kind: str, trials: int) -> None:
    """The printed seed repeats the plan, to the last fault; a trial has its pair however many follow it."""
    plan = draw(seed, kind, trials)
    assert plan == draw(seed, kind, trials)
    assert [meeting.pair for meeting in plan.trials] == [one.pair for one in draw(seed, kind, 120).trials[:trials]]


def test_another_seed_is_another_plan() -> None:
    """Which troubles meet is drawn."""
    assert len({tuple(meeting.pair for meeting in draw(seed, "spot", 100).trials) for seed in range(20)}) == 20


@given(names=st.lists(st.text(max_size=3), min_size=2, max_size=40, unique=True), seed=SEEDS)
def test_everybody_meets_everybody_once_and_nobody_waits(names: list[str], seed: int) -> None:
    """All pairs, each once, and at any time nobody is more than two meetings ahead of another."""
    found = pairs(names, random.Random(seed))
    assert len(found) == len(names) * (len(names) - 1) // 2
    assert {frozenset(pair) for pair in found} == _all_pairs(names)
    count = Counter(dict.fromkeys(names, 0))
    for pair in found:
        count.update(pair)
        assert max(count.values()) - min(count.values()) <= 2


@settings(max_examples=20)
@given(seed=SEEDS, kind=KINDS)
def test_every_trouble_is_in_every_plan(seed: int, kind: str) -> None:
    """A hundred trials have seven of each trouble that jobs can have, thirty have two; the stretches have all pairs."""
    for trials, least in ((100, 7), (30, 2)):
        plan = draw(seed, kind, trials)
        count = Counter(name for meeting in plan.trials for name in meeting.pair)
        assert count.keys() == set(_of_jobs(kind))
        assert min(count.values()) >= least
        assert _pairs(plan.stretches) == _all_pairs(list(troubles.of(kind)))
        two_rounds = plan.stretches[: len(troubles.of(kind))]
        assert {name for meeting in two_rounds for name in meeting.pair} == set(troubles.of(kind))


@settings(max_examples=20)
@given(seed=SEEDS, kind=KINDS)
def test_a_hundred_trials_have_a_hundred_pairs(seed: int, kind: str) -> None:
    """No pair comes twice before all have come, and no trouble is paired with itself."""
    plan = draw(seed, kind, 100)
    assert len(_pairs(plan.trials)) == 100
    assert all(len(pair) == 2 for pair in _pairs(plan.trials))


@pytest.mark.parametrize("kind", ["spot", "pool"])
def test_thirty_seeds_have_all_pairs(kind: str) -> None:
    """A run has a third of all pairs in its trials: any two troubles that jobs can have meet in one of thirty runs."""
    met = set().union(*(_pairs(draw(seed, kind, 100).trials) for seed in range(30)))
    assert met == _all_pairs(_of_jobs(kind))


@settings(max_examples=20)
@given(seed=SEEDS, kind=KINDS)
def test_a_pair_strikes_its_trial_alone(seed: int, kind: str) -> None:
    """The faults of a trial match its jobs and objects, and those of no other."""
    plan = draw(seed, kind, 12)
    for trial, meeting in enumerate(plan.trials):
        assert set(meeting.faults) == set(meeting.pair)
        for fault in itertools.chain(*meeting.faults.values()):
            if fault.job != "*":
                matched = [other for other in range(12) if fnmatchcase(f"chaos-3f9a-{other}-1", fault.job)]
            else:
                folder = "experiments/cloudtune/user/chaos/3f9a/trials"
                matched = [other for other in range(12) if fnmatchcase(f"{folder}/{other}/3/task", fault.resource)]
            assert matched == [trial], fault


@settings(max_examples=20)
@given(seed=SEEDS, kind=KINDS)
def test_credentials_never_expire_twice_in_a_row(seed: int, kind: str) -> None:
    """A tuner ends where new credentials have expired too: no two such faults can strike one call."""
    plan = draw(seed, kind, 100)
    every = [
        *(
            fault
            for meeting in (*plan.trials, *plan.stretches)
            for name in meeting.pair
            for fault in meeting.faults[name]
        ),
        *itertools.chain(*plan.between.values()),
    ]
    expiring = [fault for fault in every if fault.kind == "expired_token"]
    assert expiring
    for fault in expiring:
        assert fault.count == 1
        of_one_trial = fault.job != "*" or fault.resource.startswith("*s/")
        assert of_one_trial or fault.operation == "sagemaker:List*" or fault.resource == "*/life.json"
