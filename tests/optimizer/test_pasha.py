"""PASHA: when its maximum grows, what that saves, and what a decision looks at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cloudtune.config_space import choice, uniform
from cloudtune.optimizer.baselines import ASHA, MOASHA, PASHA
from cloudtune.optimizer.schedulers import HyperbandScheduler, soft_ranking
from cloudtune.optimizer.schedulers.pasha import PashaBracket, PashaRung
from cloudtune.trial import Trial

SPACE: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 27}


def pasha(**arguments: Any) -> PASHA:
    """PASHA with levels 1, 3, 9, 27."""
    given = {"metric": "loss", "max_resource_attr": "max_epochs", "random_seed": 1, **arguments}
    return PASHA(given.pop("config_space", SPACE), **given)


def bracket(scheduler: HyperbandScheduler) -> PashaBracket:
    """The only bracket."""
    (one,) = scheduler._brackets
    assert isinstance(one, PashaBracket)
    return one


def epochs_used(
    scheduler: HyperbandScheduler,
    curve: Callable[[int, int], float],
    num_suggestions: int,
    reported: Sequence[int] = range(1, 1000),
) -> dict[int, int]:
    """Trains one trial after another; returns how far each trial came.

    Args:
        scheduler: Suggests.
        curve: The loss of a trial at an epoch.
        num_suggestions: So many, if there are so many.
        reported: Epochs of which scripts report.
    """
    trials: dict[int, Trial] = {}
    at: dict[int, int] = {}
    for _ in range(num_suggestions):
        suggestion = scheduler.suggest()
        if suggestion is None:
            break
        if suggestion.trial_id is None:
            assert suggestion.config is not None
            trial = trials[len(trials)] = Trial(len(trials), suggestion.config)
            scheduler.on_trial_add(trial)
        else:
            trial = trials[suggestion.trial_id]
            trial.config = suggestion.config or trial.config
        decision, trial_id = "CONTINUE", trial.trial_id
        while decision == "CONTINUE" and at.get(trial_id, 0) < trial.config["max_epochs"]:
            at[trial_id] = at.get(trial_id, 0) + 1
            if at[trial_id] not in reported:
                continue
            result = {"epoch": at[trial_id], "loss": curve(trial_id, at[trial_id])}
            decision = scheduler.on_trial_result(trial, result)
        if decision == "CONTINUE":
            scheduler.on_trial_complete(trial, result)
        else:
            scheduler.on_trial_remove(trial)
    return at


def test_where_rankings_settle_the_maximum_stays() -> None:
    """Curves that never cross: no trial goes beyond the second level, however many there are."""
    scheduler = pasha()
    used = epochs_used(scheduler, lambda trial, epoch: trial * 7 % 50 + 1 / epoch, 400)
    assert max(used.values()) == 3
    assert sum(epoch == 3 for epoch in used.values()) > 50
    assert bracket(scheduler).top == 1


def test_where_rankings_turn_round_the_maximum_grows_to_the_end() -> None:
    """Curves that rank otherwise at every level: it comes to be ASHA."""
    scheduler = pasha()
    used = epochs_used(scheduler, lambda trial, epoch: (trial * 7 % 50) * (-1) ** int(math.log(epoch, 3)), 400)
    assert max(used.values()) == 27
    assert bracket(scheduler).top == 3


LONG: dict[str, Any] = {"x": uniform(0, 1), "max_epochs": 243}


def in_pairs(trial: int, epoch: int) -> float:
    """Losses of 25 sizes; an even trial and the odd one after it are alike, and swap places every other epoch."""
    return trial * 9 // 2 % 25 + 1 / epoch + (0.25 if (trial % 2 == 0) == (epoch % 4 < 2) else -0.25)


def test_noise_is_forgiven_where_it_shows() -> None:
    """Trials that swap places time and again: where all epochs are reported that is seen, and the maximum stays."""
    every_epoch, few_epochs = (pasha(config_space=LONG, grace_period=3) for _ in range(2))
    assert max(epochs_used(every_epoch, in_pairs, 300).values()) == 9
    assert bracket(every_epoch).epsilon == pytest.approx(0.5)
    epochs_used(few_epochs, in_pairs, 300, reported=(3, 9, 27, 81, 243))
    assert bracket(few_epochs).top > 1


def test_it_uses_less_than_half_of_asha_where_the_ranking_shows_early() -> None:
    """A configuration costs less than half the epochs that it costs in ASHA, and the best is as good but for noise."""
    levels: dict[str, Any] = {"config_space": LONG, "grace_period": 5, "reduction_factor": 2}
    asha = ASHA(type="promotion", metric="loss", max_resource_attr="max_epochs", random_seed=1, **levels)
    used = [epochs_used(scheduler, in_pairs, 300) for scheduler in (asha, pasha(**levels))]
    costs = [sum(one.values()) / len(one) for one in used]
    assert costs[1] < 0.5 * costs[0]
    best = [min(in_pairs(trial, 243) for trial, epoch in one.items() if epoch == max(one.values())) for one in used]
    assert best[1] <= best[0] + 0.5


@pytest.mark.parametrize("value", [1.0, math.nan, math.inf])
def test_a_constant_objective_settles(value: float) -> None:
    """Where all are equal, or none is finite, there is nothing to train further for."""
    assert max(epochs_used(pasha(), lambda _trial, _epoch: value, 100).values()) == 3


@pytest.mark.defect("E7")
def test_a_report_is_compared_with_few_others_and_once() -> None:
    """Only arrivals at the top rung look at other trials, each at no more than the window, however many there are."""
    scheduler = pasha()
    counted: list[int] = []
    before = 0

    def curve(trial: int, epoch: int) -> float:
        nonlocal before
        rung = bracket(scheduler).rungs[1]
        assert isinstance(rung, PashaRung)
        assert rung.noise is not None
        counted.append(rung.noise.num_pairs - before)
        before = rung.noise.num_pairs
        return trial * 7 % 50 + 1 / epoch

    used = epochs_used(scheduler, curve, 3000)
    arrivals = sum(epoch == 3 for epoch in used.values())
    assert arrivals > 500
    assert max(counted) == soft_ranking.WINDOW
    assert sum(count > 0 for count in counted) <= arrivals
    assert sum(counted) <= arrivals * soft_ranking.WINDOW


def test_a_repeated_or_earlier_report_changes_nothing() -> None:
    """What a script reports again, or of a resource that it has left behind, is no further point of its curve."""
    one = PashaBracket([3, 9, 27])
    track = one.begin({})
    assert [one.reach(track, epoch, value) for epoch, value in ((2, 0.5), (1, 0.7), (2, 0.1))] == ["CONTINUE"] * 3
    assert track.curve == {2: 0.5, 1: 0.7}
    assert one.reach(track, 3, 0.4) == "PAUSE"
    assert one.rungs[0].promotable() is None


def test_where_all_trials_fail_new_ones_begin() -> None:
    """A trial that fails, before or after its report, is never resumed; the next suggestion is a new one."""
    scheduler = pasha()
    for trial_id in range(30):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.trial_id is None
        trial = Trial(trial_id, suggestion.config or {})
        scheduler.on_trial_add(trial)
        if trial_id % 2:
            scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0})
        scheduler.on_trial_error(trial)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction_factor": 1}, "reduction_factor must be above 1, got 1"),
        ({"grace_period": 28}, "grace_period=28 is above the maximum resource 27"),
        ({"max_resource_attr": "epochs"}, "max_resource_attr 'epochs' is not in the config space"),
        ({"max_resource_attr": None}, "pass max_resource_attr, .*, or else max_t=27"),
        ({"rung_levels": [9, 3]}, "rung_levels must be positive integers in increasing order"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """They are refused as by ASHA."""
    with pytest.raises(ValueError, match=message):
        pasha(**arguments)


def test_an_exhausted_space_ends() -> None:
    """When all configurations have been tried, and none may be promoted, there is no suggestion."""
    scheduler = pasha(config_space={"x": choice(list(range(6))), "max_epochs": 27})
    used = epochs_used(scheduler, lambda trial, epoch: trial + 1 / epoch, 100)
    assert sorted(used.values()) == [1, 1, 1, 1, 3, 3]
    assert scheduler.suggest() is None


@pytest.mark.parametrize(("levels", "expected"), [([], 27), ([9], 27), ([3, 9], 9)])
def test_few_levels_leave_little_to_grow(levels: list[int], expected: int) -> None:
    """The maximum is the second level at first: with one or two levels it is there already."""
    used = epochs_used(pasha(rung_levels=levels), lambda trial, epoch: trial + 1 / epoch, 60)
    assert max(used.values()) == expected


def test_brackets_have_tops_of_their_own() -> None:
    """With several brackets each grows by its own rankings."""
    scheduler = HyperbandScheduler(
        SPACE,
        metric="loss",
        resource_attr="epoch",
        max_resource_attr="max_epochs",
        type="pasha",
        brackets=2,
        random_seed=1,
    )
    used = epochs_used(scheduler, lambda trial, epoch: trial * 7 % 50 + 1 / epoch, 300)
    assert set(used.values()) == {1, 3, 9}


def test_metadata_says_what_it_is() -> None:
    """An experiment of PASHA is not continued as one of ASHA."""
    assert pasha().metadata()["type"] == "pasha"
    assert pasha().metadata()["max_num_checkpoints"] is None


def test_several_metrics_are_refused() -> None:
    """MOASHA has no rung that could tell whether a ranking by several metrics has settled."""
    with pytest.raises(ValueError, match="type must be one of 'stopping', 'promotion', got 'pasha'"):
        MOASHA(SPACE, metric=["loss", "time"], max_t=27, type="pasha")
