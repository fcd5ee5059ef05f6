"""Waiting for machines: who may be tried when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.sagemaker_backend.machines import Machines

G4, G5 = "ml.g4dn.xlarge", "ml.g5.xlarge"


def test_the_first_type_that_need_not_wait() -> None:
    """A type that was refused is passed over until its wait is over; then it is first again."""
    machines = Machines(first_wait=10, longest_wait=100)
    assert machines.choose([G4, G5], now=0) == G4
    wait = machines.refused(G4, now=0)
    assert machines.choose([G4, G5], now=wait / 2) == G5
    assert machines.choose([G4], now=wait / 2) is None
    assert machines.choose([G4, G5], now=wait) == G4


@given(st.integers(1, 60))
def test_waits_double_up_to_the_longest(refusals: int) -> None:
    """Each refusal in a row waits about twice as long as the one before, and never longer than the longest."""
    machines = Machines(first_wait=10, longest_wait=600)
    waits = [machines.refused(G4, now=0) for _ in range(refusals)]
    for number, wait in enumerate(waits):
        ideal = min(600, 10 * 2**number)
        assert 0.75 * ideal <= wait <= ideal


def test_a_grant_ends_the_growth() -> None:
    """Once there was a machine, the next refusal waits as briefly as the first."""
    machines = Machines(first_wait=10, longest_wait=600)
    for _ in range(5):
        machines.refused(G4, now=0)
    machines.granted(G4)
    assert machines.refused(G4, now=0) <= 10


def test_a_machine_given_back_is_tried_at_once() -> None:
    """When one of our own jobs ends there may be a machine now; if there is none after all, the waits go on growing."""
    machines = Machines(first_wait=10, longest_wait=600)
    machines.refused(G4, now=0)
    machines.freed()
    assert machines.choose([G4], now=0) == G4
    assert machines.refused(G4, now=0) >= 15


def test_the_next_time() -> None:
    """It is the earliest of all types, and none as long as one type need not wait."""
    machines = Machines(first_wait=10, longest_wait=600)
    first = machines.refused(G4, now=0)
    assert machines.next_time([G4]) == first
    assert machines.next_time([G4, G5]) is None
    machines.refused(G5, now=100)
    assert machines.next_time([G4, G5]) == first
