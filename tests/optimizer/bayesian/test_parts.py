"""The parts of Bayesian optimisation that need no torch: encoding, targets, subsets, what trials have shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import choice, finrange, logordinal, lograndint, loguniform, ordinal, randint, uniform
from cloudtune.optimizer.goal import Goal
from cloudtune.optimizer.searchers.bayesian.encoder import Encoder
from cloudtune.optimizer.searchers.bayesian.observations import Observation, Observations, Shown
from cloudtune.optimizer.searchers.bayesian.quasi_newton import minimise
from cloudtune.optimizer.searchers.bayesian.subset import chosen
from cloudtune.optimizer.searchers.bayesian.targets import (
    compressed,
    imputed,
    objective_targets,
    signed_logarithms,
    without_level,
)

SPACE: dict[str, Any] = {
    "lr": loguniform(1e-4, 1),
    "kind": choice(["a", "b", "c"]),
    "constant": [1, 2],
    "width": lograndint(1, 60),
    "long": randint(0, 10_000),
    "steps": ordinal([1, 2, 8, 64]),
    "size": logordinal([1, 10, 100]),
    "share": finrange(0.1, 0.9, 5),
    "flag": choice([True, False]),
}


# ---------------------------------------------------------------------- encoding


def test_rows_of_listed_values_are_those_of_configurations() -> None:
    """Whatever is spread, moved or snapped takes values that there are: only ranges are rounded in the end."""
    encoder = Encoder(SPACE)
    rng = np.random.default_rng(0)
    spread = encoder.from_unit(rng.random((50, encoder.num_domains)))
    moved = encoder.neighbours(spread, rng, 0.3)
    snapped = encoder.snapped(rng.normal(0.5, 1.0, spread.shape))
    others = encoder.alternatives(spread[0], encoder.listed[0])
    rounded = [number for number in encoder.continuous if encoder.owners[number] == 3]
    for row in np.concatenate([spread, moved, snapped, others]):
        back = encoder.row(encoder.config(row))
        back[rounded] = row[rounded]
        assert back == pytest.approx(row, abs=1e-9)
    assert (moved != spread).any(1).mean() > 0.5


def test_what_varies_continuously() -> None:
    """Real numbers and integers of long ranges do; what has few values takes one value after another."""
    encoder = Encoder(SPACE)
    names = [name for name in SPACE if name != "constant"]
    assert [names[encoder.owners[column]] for column in encoder.continuous] == ["lr", "long"]
    assert [names[number] for number in encoder.listed] == ["kind", "width", "steps", "size", "share", "flag"]
    assert [names[number] for number in encoder.categories] == ["kind", "flag"]
    row = encoder.row(encoder.config(encoder.from_unit(np.full((1, 8), 0.4))[0]))
    for number in encoder.listed:
        others = encoder.alternatives(row, number)
        assert len({tuple(other) for other in others} - {tuple(row)}) == len(others) >= 1
        assert (others == row)[:, [owner != number for owner in encoder.owners]].all()


# ---------------------------------------------------------------------- targets


def test_what_is_not_finite_counts_like_the_worst_of_its_level() -> None:
    """Neither left out nor beyond what others have shown; where a level has shown nothing, as the worst of all."""
    values = np.array([1.0, math.inf, 3.0, math.nan, 9.0, -math.inf])
    levels = np.array([0, 0, 0, 2, 1, 1])
    assert imputed(values, levels).tolist() == [1.0, 3.0, 3.0, 9.0, 9.0, 9.0]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
def test_targets_are_usable_whatever_was_reported(values: list[float]) -> None:
    """With one finite value at least, targets are finite, of mean 0 and deviation 1 or all 0."""
    raw = np.array([*values, 1.5])
    levels = np.arange(len(raw)) % 3
    targets = objective_targets(raw, levels)
    assert np.isfinite(targets).all()
    assert abs(targets.mean()) < 1e-6
    assert targets.std() == pytest.approx(1.0, abs=1e-6) or np.abs(targets).max() < 1e-6


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=4, max_size=40))
def test_compressing_keeps_the_order_and_what_is_good(values: list[float]) -> None:
    """Equal values stay equal, worse ones worse, and the better half is as it was."""
    raw = np.array(values)
    pressed = compressed(raw)
    order = np.argsort(raw, kind="stable")
    assert (np.diff(pressed[order]) >= 0).all()
    assert ((np.diff(pressed[order]) > 0) == (np.diff(raw[order]) > 0)).all()
    better = raw <= np.median(raw)
    assert pressed[better].tolist() == raw[better].tolist()


def test_a_diverged_trial_does_not_hide_the_others() -> None:
    """Beside a loss of 1e30 the differences of the others remain: their deviation is that of usual values."""
    usual = np.linspace(1.0, 2.0, 20)
    targets = objective_targets(np.array([*usual, 1e30]), np.zeros(21, dtype=np.int64))
    assert targets[:20].std() > 0.05
    assert objective_targets(usual, np.zeros(20, dtype=np.int64)).std() == pytest.approx(1.0)


def test_what_training_gains_is_told_from_what_trials_are() -> None:
    """Of curves that differ by constants, and of which only the best go on, the constants remain."""
    own = np.array([0.0, 5.0, 1.0, 7.0])
    trials, levels = np.array([0, 0, 0, 1, 2, 2, 3]), np.array([0, 1, 2, 0, 0, 1, 0])
    values = own[trials] + np.array([10.0, 4.0, 1.0])[levels]
    assert without_level(values, levels, trials).tolist() == (own[trials] + 10.0).tolist()


def test_constraints_keep_their_signs() -> None:
    """What fulfils a constraint fulfils it on the scale of the model, and larger values are larger."""
    values = np.array([-1e9, -2.0, 0.0, 1e-3, 5.0, 1e12])
    scaled = signed_logarithms(values)
    assert np.sign(scaled).tolist() == np.sign(values).tolist()
    assert (np.diff(scaled) > 0).all()
    assert signed_logarithms(np.zeros(3)).tolist() == [0.0, 0.0, 0.0]


# ---------------------------------------------------------------------- subsets


def test_a_subset_has_the_best_and_the_widely_spread() -> None:
    """Of a crowd of bad configurations and a few remote ones, the best and the remote ones are kept."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0.5, 0.01, (60, 2)), [[0, 0], [0, 1], [1, 0], [1, 1]]])
    values = np.concatenate([np.arange(60.0), [100.0, 101.0, 102.0, 103.0]])
    kept = chosen(rows, values, np.zeros(64, dtype=np.int64), 10)
    assert len(kept) == 10
    assert {0, 1, 2, 3, 4, 60, 61, 62, 63} <= set(kept.tolist())
    assert chosen(rows, values, np.zeros(64, dtype=np.int64), 64).tolist() == list(range(64))


def test_higher_levels_come_first() -> None:
    """What was trained longest is kept, and the lowest level gets the room that is left."""
    rows = np.random.default_rng(0).random((30, 2))
    levels = np.array([0] * 18 + [1] * 9 + [2] * 3)
    kept = chosen(rows, np.arange(30.0), levels, 14)
    assert np.bincount(levels[kept]).tolist() == [2, 9, 3]
    assert np.bincount(levels[chosen(rows, np.arange(30.0), levels, 12)]).tolist() == [0, 9, 3]


# ---------------------------------------------------------------------- what trials have shown

ROW = np.zeros(1)


def at(trial: int, level: int, objective: float) -> Observation:
    return Observation(trial, ROW, level, Shown(objective))


def test_without_levels_the_last_report_counts_once_the_trial_has_ended() -> None:
    """Until then the trial is pending. One that ends without a report stays so; one that fails has shown infinity."""
    kept = Observations(Goal(("acc",), ("max",)))
    for trial in range(4):
        kept.begin(trial, ROW)
    kept.report(0, {"acc": 0.1})
    kept.report(0, {"acc": 0.3})
    assert (kept.all(), len(kept.pending())) == ([], 4)
    kept.end(0)
    kept.end(1)
    kept.fail(2)
    assert kept.all() == [at(0, 0, -0.3), at(2, 0, math.inf)]
    assert (len(kept.pending()), kept.num_finite()) == (2, 1)


def test_with_levels_a_trial_shows_each_that_it_reaches() -> None:
    """A report that jumps counts for all it has passed; a trial is pending at its next level while it runs."""
    kept = Observations(Goal(("loss",), ("min",), "epoch", 9, (1, 3, 9)))
    kept.begin(0, ROW)
    assert kept.pending() == [(ROW, 0)]
    kept.report(0, {"loss": 5.0, "epoch": 1})
    kept.report(0, {"loss": 4.0, "epoch": 2})
    assert kept.pending() == [(ROW, 1)]
    kept.report(0, {"loss": 3.0, "epoch": 4})
    kept.end(0)
    assert (kept.all(), kept.pending()) == ([at(0, 0, 5.0), at(0, 1, 3.0)], [])
    kept.begin(0, ROW)
    assert kept.pending() == [(ROW, 2)]
    kept.fail(0)
    assert kept.all() == [at(0, 0, 5.0), at(0, 1, 3.0), at(0, 2, math.inf)]
    kept.begin(1, ROW)
    kept.report(1, {"loss": math.nan, "epoch": 9})
    assert [one.level for one in kept.all()[3:]] == [0, 1, 2]
    assert kept.pending() == []


def test_a_trial_that_ends_before_the_first_level_shows_its_last_report_there() -> None:
    """As long as it does not go on. One that ends between levels has shown enough."""
    kept = Observations(Goal(("loss",), ("min",), "epoch", 9, (3, 9)))
    kept.begin(0, ROW)
    kept.report(0, {"loss": 5.0, "epoch": 1})
    kept.report(0, {"loss": 4.0, "epoch": 2})
    kept.end(0)
    assert (kept.all(), kept.pending()) == ([at(0, 0, 4.0)], [])
    kept.begin(0, ROW)
    assert (kept.all(), kept.pending()) == ([], [(ROW, 0)])
    kept.report(0, {"loss": 3.0, "epoch": 3})
    kept.report(0, {"loss": 2.0, "epoch": 4})
    kept.end(0)
    assert (kept.all(), kept.pending()) == ([at(0, 0, 3.0)], [])
    kept.begin(1, ROW)
    kept.end(1)
    assert kept.pending() == [(ROW, 0)]


def test_constraints_and_costs_are_kept_where_they_are_usable() -> None:
    """A constraint that is not a number is not fulfilled; a cost that is not positive is not known."""
    kept = Observations(Goal(("loss",), ("min",)), "memory", "seconds")
    for trial, (memory, seconds) in enumerate([(-1.0, 3.0), (math.nan, 0.0), (2, math.inf)]):
        kept.begin(trial, ROW)
        kept.report(trial, {"loss": 1.0, "memory": memory, "seconds": seconds})
        kept.end(trial)
    shown = [one.shown for one in kept.all()]
    assert [one.constraint for one in shown] == [-1.0, math.inf, 2.0]
    assert [one.cost for one in shown] == [3.0, None, None]
    assert kept.spent() == 3.0


@pytest.mark.parametrize("goal", [Goal(("loss",), ("min",)), Goal(("loss",), ("min",), "epoch", 9, (3, 9))])
def test_what_trials_have_cost_is_spent_whatever_became_of_them(goal: Goal) -> None:
    """Money is gone in trials that fail or pause, between levels too; one that begins anew has not given it back."""
    kept = Observations(goal, cost_attr="seconds")
    for trial in range(4):
        kept.begin(trial, ROW)
        for epoch in (1, 2):
            kept.report(trial, {"loss": math.nan if trial == 3 else 1.0, "epoch": epoch, "seconds": 10.0 * epoch})
    assert kept.spent() == 80.0
    kept.fail(0)
    kept.end(1)
    kept.begin(1, ROW)
    kept.report(1, {"loss": 1.0, "epoch": 1, "seconds": 11.0})
    kept.report(2, {"loss": 1.0, "epoch": 3})
    kept.fail(2)
    assert kept.spent() == 80.0


# ---------------------------------------------------------------------- minimisation


def test_all_starts_come_to_their_minima() -> None:
    """A curved valley, from several starts at once, also where the minimum lies at a bound."""

    def rosenbrock(points: Any, which: Any) -> tuple[Any, Any]:
        x, y = points.T
        x, y = 4 * x - 2, 4 * y - 2
        value = (1 - x) ** 2 + 20 * (y - x * x) ** 2
        slope = np.stack([-2 * (1 - x) - 80 * x * (y - x * x), 40 * (y - x * x)], 1)
        return value, 4 * slope

    starts = np.random.default_rng(0).random((5, 2))
    points, values = minimise(rosenbrock, starts, np.zeros(2), np.ones(2), 0.05, 100, 1e-12)
    assert values == pytest.approx(np.zeros(5), abs=1e-8)
    assert points == pytest.approx(np.full((5, 2), 0.75), abs=1e-4)
    inside = np.minimum(starts, [1.0, 0.6])
    bounded, _ = minimise(rosenbrock, inside, np.zeros(2), np.array([1.0, 0.6]), 0.05, 100, 1e-12)
    assert bounded[:, 1] == pytest.approx(np.full(5, 0.6))


def test_steps_to_where_there_is_no_value_are_shortened() -> None:
    """A function that is infinite beyond a wall is minimised on this side of it."""

    def walled(points: Any, which: Any) -> tuple[Any, Any]:
        value = np.where(points[:, 0] > 0.3, np.inf, (points[:, 0] - 0.29) ** 2)
        return value, 2 * (points - 0.29)

    points, values = minimise(walled, np.array([[0.0], [0.9]]), np.zeros(1), np.ones(1), 0.5, 50, 1e-14)
    assert points[0, 0] == pytest.approx(0.29, abs=1e-3)
    assert (points[1, 0], values[1]) == (0.9, math.inf)


def test_uniform_is_continuous_and_small_integers_are_not() -> None:
    """The bound between them is the number of values."""
    assert Encoder({"x": uniform(0, 1), "n": randint(1, 65)}).continuous == [0, 1]
    assert Encoder({"x": uniform(0, 1), "n": randint(1, 64)}).continuous == [0]
