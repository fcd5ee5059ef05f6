"""Synchronous Hyperband decides exactly as a naive implementation of the paper does, and always comes to its end."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from cloudtune.config_space import choice, uniform
from cloudtune.optimizer.baselines import SyncHyperband
from tests.contracts.scheduler_contract import METRIC, PROGRAMS, STEPS, Simulation, Step
from tests.optimizer.halving_reference import SynchronousReference

SETTINGS = st.tuples(
    st.sampled_from([(1, 3.0, 9, 3), (1, 2.0, 8, 2), (2, 1.5, 11, 1), (1, 4.0, 4, None), (5, 3.0, 5, None)]),
    st.booleans(),
    st.booleans(),
)


def make(
    space: dict[str, Any], rungs: tuple[int, float, int, int | None], ends_itself: bool, maximize: bool
) -> tuple[SyncHyperband, SynchronousReference]:
    """A scheduler, and the reference for it."""
    grace_period, reduction_factor, max_t, brackets = rungs
    scheduler = SyncHyperband(
        {**space, "epochs": max_t},
        metric=METRIC,
        mode="max" if maximize else "min",
        max_resource_attr="epochs" if ends_itself else None,
        max_t=max_t,
        grace_period=grace_period,
        reduction_factor=reduction_factor,
        brackets=brackets,
        random_seed=1,
    )
    return scheduler, SynchronousReference(scheduler.rung_levels, scheduler.brackets, ends_itself, maximize)


def compare(log: list[tuple[Any, ...]], reference: SynchronousReference, size: float = float("inf")) -> None:
    """Tells a log to the reference, which must have answered the same; there are ``size`` configurations."""
    for entry in log:
        if entry[0] == "report":
            _, trial, epoch, _, decision, result = entry
            assert decision == reference.reported(trial, epoch, result[METRIC])
        elif entry[0] == "suggest":
            _, resumed, config, trial, *_ = entry
            expected = reference.next(len(reference.bracket_of) >= size)
            assert expected is not None
            assert resumed == expected[0]
            if reference.ends_itself:
                assert config["epochs"] == expected[1]
            if resumed is None:
                reference.began(trial)
        elif entry[0] == "script end":
            assert reference.script_ended(entry[1], entry[-1][METRIC]) == "PAUSE"
        elif entry[0] == "nothing":
            assert reference.next(len(reference.bracket_of) >= size) is None
        elif entry[0] == "complete":
            assert reference.script_ended(entry[1], entry[-1][METRIC]) == "CONTINUE"
            reference.ended(entry[1])
        elif entry[0] in ("remove", "error"):
            reference.ended(entry[1], failed=entry[0] == "error")


@example([Step("suggest"), Step("report", jump=8), Step("complete")], ((1, 2.0, 8, 2), True, False))
@given(PROGRAMS, SETTINGS)
def test_it_decides_as_the_reference(program: list[Step], given_settings: tuple[Any, bool, bool]) -> None:
    """Every report and every suggestion is answered as by working everything out anew."""
    scheduler, reference = make({"x": uniform(0, 1)}, *given_settings)
    compare(Simulation(scheduler).run(program), reference)


@given(st.lists(STEPS, max_size=150), st.integers(1, 30), st.integers(1, 6), SETTINGS)
def test_it_never_locks_up(
    program: list[Step], size: int, n_workers: int, given_settings: tuple[Any, bool, bool]
) -> None:
    """Whatever happens to trials, it has no suggestion only while one runs or when everything is over.

    With few workers or many, a finite space, failures, early ends and values that are no numbers: in the end all
    configurations have been tried, all brackets are over (or all trials of the last one are, which had room for more),
    and every trial that got there was trained to the maximum.
    """
    scheduler, reference = make({"x": choice(list(range(size)))}, *given_settings)
    simulation = Simulation(scheduler, n_workers)
    simulation.run(program)
    for turn in range(40 * size):
        while len(simulation.running) < n_workers and simulation.suggest() is not None:
            pass
        if not simulation.running:
            break
        simulation.run([Step("report", turn, 1, float(turn % 5)), Step("end", turn)])
        for run in [run for run in simulation.running if run.epoch >= scheduler.max_t]:
            simulation.run([Step("complete", simulation.running.index(run))])
    assert not simulation.running
    assert simulation.num_trials == size
    assert scheduler.suggest() is None
    assert all(halving.takes_new for halving in scheduler._halvings)
    assert not scheduler._places
    compare(simulation.log, reference, size)
    expendable = set(scheduler.expendable_checkpoints())
    assert expendable == set(simulation.paused)
