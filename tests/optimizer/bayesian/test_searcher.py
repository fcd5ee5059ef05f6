"""What Bayesian optimisation proposes, whatever trials show."""

from __future__ import annotations

import json
import logging
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cloudtune.config_space import choice, config_key, randint, uniform
from cloudtune.optimizer.baselines import BayesianOptimization
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.searchers.bayesian import fit as fitting
from cloudtune.optimizer.searchers.bayesian import models as modelling
from cloudtune.optimizer.searchers.bayesian.initial_design import sobol
from cloudtune.optimizer.searchers.bayesian.kernel import Kernel
from cloudtune.optimizer.searchers.bayesian.models import Models
from cloudtune.trial import Config, Trial

LINE: dict[str, Any] = {"x": uniform(0, 1)}
PLANE: dict[str, Any] = {"x": uniform(0, 1), "y": uniform(0, 1)}

Report = Callable[[Config], dict[str, Any] | None]


def made(space: dict[str, Any], **options: Any) -> Any:
    options = {"metric": "loss", "random_seed": 0, "points_to_evaluate": [], "num_init_random": 4, **options}
    return BayesianOptimization(space, **options)


def run(scheduler: TrialScheduler, report: Report, count: int) -> list[Config]:
    """Configurations of trials that report once and end; those whose report is None fail."""
    configs = []
    for _ in range(count):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.config is not None
        trial = Trial(scheduler.num_suggestions - 1, suggestion.config)
        scheduler.on_trial_add(trial)
        result = report(trial.config)
        if result is None:
            scheduler.on_trial_error(trial)
        else:
            scheduler.on_trial_result(trial, result)
            scheduler.on_trial_complete(trial, result)
        configs.append(trial.config)
    return configs


def bowl(config: Config) -> dict[str, Any]:
    return {"loss": sum((value - 0.7) ** 2 for value in config.values())}


# ---------------------------------------------------------------------- where it looks


def branin(config: Config) -> dict[str, Any]:
    x, y = 15 * config["x"] - 5, 15 * config["y"]
    bent = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return {"loss": bent * bent + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10}


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_a_minimum_without_a_failed_fit(seed: int) -> None:
    """Branin within 0.01 of its minimum after 22 evaluations; every proposal was the model's."""
    scheduler = made(PLANE, random_seed=seed)
    configs = run(scheduler, branin, 22)
    assert min(branin(config)["loss"] for config in configs) < 0.398 + 0.01
    assert scheduler.outcome() == {"failed_fits": 0, "by_chance": 0}
    assert scheduler.searcher.memo() is not None


MIXED: dict[str, Any] = {"kind": choice(["a", "b", "c"]), "n": randint(1, 40), "x": uniform(0, 1), "fixed": 3}


def mixed(config: Config) -> dict[str, Any]:
    best = {"a": 0.5, "b": 0.0, "c": 0.9}
    return {"loss": best[config["kind"]] + ((config["n"] - 31) / 20) ** 2 + (config["x"] - 0.2) ** 2}


@pytest.mark.parametrize("seed", range(10))
def test_a_mixed_space_is_searched(seed: int) -> None:
    """A category, an integer and a number are found together; where another category looked better first, it is left.

    One configuration in a thousand is as good as this.
    """
    found = min(run(made(MIXED, random_seed=seed), mixed, 17), key=lambda config: mixed(config)["loss"])
    assert (found["kind"], found["fixed"]) == ("b", 3)
    assert mixed(found)["loss"] < 0.05


def test_maximising_is_minimising_the_negative() -> None:
    """Both propose the same."""
    least = run(made(PLANE), bowl, 9)
    assert run(made(PLANE, mode="max"), lambda config: {"loss": -bowl(config)["loss"]}, 9) == least


def test_running_trials_keep_others_away() -> None:
    """Without any news, one proposal after the other is another place: running ones count as fantasies."""
    scheduler = made(PLANE)
    run(scheduler, branin, 5)
    asked = []
    for number in range(5, 9):
        suggestion = scheduler.suggest()
        scheduler.on_trial_add(Trial(number, suggestion.config))
        asked.append(np.array(list(suggestion.config.values())))
    gaps = [float(np.abs(a - b).max()) for i, a in enumerate(asked) for b in asked[:i]]
    assert min(gaps) > 0.02


def test_the_first_are_spread_evenly() -> None:
    """A scrambled Sobol sequence: eight points have one in each eighth of each parameter; the seed scrambles it."""
    for seed in (0, 1):
        configs = run(made(PLANE, random_seed=seed, num_init_random=8), bowl, 8)
        for name in PLANE:
            assert sorted(int(8 * config[name]) for config in configs) == list(range(8))
    one, other = (sobol(2, 8, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(one, other)
    assert np.array_equal(sobol(2, 3, np.random.default_rng(0), begin=5), one[5:])


# ---------------------------------------------------------------------- trouble


def test_failed_trials_and_odd_values_neither_stop_nor_mislead_it() -> None:
    """One half of the line fails or reports nothing usable: the model goes on, and soon looks at the other half."""
    odd = iter([math.nan, math.inf, -math.inf, 10**400, None] * 20)

    def report(config: Config) -> dict[str, Any] | None:
        if config["x"] < 0.5:
            value = next(odd)
            return None if value is None else {"loss": value}
        return {"loss": config["x"]}

    scheduler = made(LINE)
    configs = run(scheduler, report, 16)
    assert sum(config["x"] >= 0.5 for config in configs[6:]) >= 5
    assert scheduler.searcher.num_failed_fits == 0
    assert min(config["x"] for config in configs if config["x"] >= 0.5) < 0.6


def test_a_diverged_trial_does_not_blind_it() -> None:
    """Beside a loss of 1e30 the minimum is found all the same."""
    configs = run(made(LINE), lambda config: {"loss": 1e30} if config["x"] < 0.2 else bowl(config), 14)
    assert min(bowl(config)["loss"] for config in configs) < 1e-3


@pytest.mark.parametrize(
    "report", [lambda config: None, lambda config: {"loss": math.nan}, lambda config: {"loss": 3.0}]
)
def test_nothing_to_learn_from_is_no_trouble(report: Report) -> None:
    """All fail, all are NaN, or all are the same: configurations go on, each a new one."""
    configs = run(made(PLANE), report, 9)
    assert len({config_key(PLANE, config) for config in configs}) == 9


def test_a_space_that_is_used_up_ends() -> None:
    """Each of 12 configurations comes once, and then nothing; with duplicates allowed it goes on."""
    space = {"kind": choice(["a", "b", "c"]), "n": randint(1, 4)}

    def report(config: Config) -> dict[str, Any]:
        return {"loss": config["n"] + (config["kind"] == "b")}

    scheduler = made(space)
    configs = run(scheduler, report, 12)
    assert len({config_key(space, config) for config in configs}) == 12
    assert scheduler.suggest() is None
    assert scheduler.work() is None
    repeating = run(made(space, allow_duplicates=True), report, 20)
    assert repeating[-1] in ({"kind": "a", "n": 1}, {"kind": "c", "n": 1})


def test_a_corner_is_not_proposed_twice() -> None:
    """Where the best place is a corner of a continuous space, it comes once."""
    configs = run(made(LINE), lambda config: {"loss": config["x"]}, 14)
    assert len({config["x"] for config in configs}) == 14
    assert min(config["x"] for config in configs) < 1e-3


def test_a_fit_is_tried_again_with_more_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix that can be factorised with more on its diagonal only gives a fit, and is not counted as failed."""
    honest = fitting.negative_log_posterior

    def strict(kernel: Any, parameters: Any, rows: Any, values: Any, jitter: float = 0.0) -> Any:
        if jitter < 1e-4:
            raise fitting.NotPositiveDefinite
        return honest(kernel, parameters, rows, values, jitter)

    monkeypatch.setattr(fitting, "negative_log_posterior", strict)
    rows = torch.tensor(np.random.default_rng(0).random((8, 2)))
    found = fitting.fit(Kernel([0, 1]), rows, rows[:, 0], None)
    assert (found.jitter, found.failed) == (1e-4, False)


def test_a_fit_that_fails_is_counted_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No silent fall-back: a warning, a count that the log keeps, and proposals by the model as it was before."""

    def failing(*_: Any, **__: Any) -> Any:
        raise fitting.NotPositiveDefinite

    scheduler = made(PLANE)
    run(scheduler, bowl, 6)
    before = scheduler.searcher.memo()["parameters"]
    monkeypatch.setattr(fitting, "negative_log_posterior", failing)
    with caplog.at_level(logging.WARNING):
        run(scheduler, bowl, 2)
    assert caplog.text.count("could not be fitted to") == 2
    memo = scheduler.searcher.memo()
    assert (memo["failed_fits"], memo["parameters"]) == (2, before)
    continued = made(PLANE)
    continued.searcher.restore({"x": 0.5, "y": 0.5}, memo)
    assert continued.outcome() == scheduler.outcome() == {"failed_fits": 2, "by_chance": 0}


def test_a_random_configuration_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all that the model would have tried is known there is a new one, which counts as none of the model's."""
    monkeypatch.setattr("cloudtune.optimizer.searchers.bayesian.proposal.best_first", lambda *_: iter(()))
    scheduler = made(PLANE)
    configs = run(scheduler, bowl, 6)
    assert len({config_key(PLANE, config) for config in configs}) == 6
    memo = scheduler.searcher.memo()
    assert memo["by_chance"] == 2
    continued = made(PLANE)
    continued.searcher.restore({"x": 0.5, "y": 0.5}, memo)
    assert continued.outcome() == scheduler.outcome() == {"failed_fits": 0, "by_chance": 2}


def test_parameters_of_another_kernel_are_not_taken_over() -> None:
    """A log of a version whose kernel had fewer parameters is continued: the fit begins anew."""
    scheduler = made(PLANE)
    run(scheduler, bowl, 5)
    memo = {**scheduler.searcher.memo(), "parameters": {"objective": [0.1, 0.2]}}
    scheduler.searcher.restore({"x": 0.5, "y": 0.5}, memo)
    run(scheduler, bowl, 1)
    assert len(scheduler.searcher.memo()["parameters"]["objective"]) == 3
    assert scheduler.searcher.num_failed_fits == 0


# ---------------------------------------------------------------------- constraints and costs


def test_a_constraint_is_heeded() -> None:
    """Where the loss is least the constraint is broken: the best that fulfils it is found.

    Of the last ten, three see whether the constraint is fulfilled somewhere else, where the loss is less.
    """

    def report(config: Config) -> dict[str, Any]:
        return {"loss": config["x"], "memory": 0.6 - config["x"]}

    configs = run(made(LINE, constraint_attr="memory"), report, 18)
    allowed = [config["x"] for config in configs if config["x"] >= 0.6]
    assert 0.6 <= min(allowed) < 0.602
    assert sum(config["x"] >= 0.55 for config in configs[8:]) >= 7


def test_while_nothing_fulfils_the_constraint_that_is_sought() -> None:
    """As long as no trial has fulfilled it, proposals go where it is most likely to be."""

    def report(config: Config) -> dict[str, Any]:
        return {"loss": config["x"], "memory": 0.98 - config["x"]}

    points = [{"x": x} for x in (0.1, 0.3, 0.5, 0.7)]
    configs = run(made(LINE, constraint_attr="memory", points_to_evaluate=points), report, 8)
    assert max(config["x"] for config in configs[4:]) >= 0.98


def test_cheap_configurations_are_preferred_until_the_budget_is_spent() -> None:
    """Two equal valleys, one of them costing 50 times as much: the cheap one is looked at first and most."""

    def report(config: Config) -> dict[str, Any]:
        x = config["x"]
        return {"loss": min(abs(x - 0.2), abs(x - 0.8)), "seconds": 50.0 if x > 0.5 else 1.0}

    def dear(**options: Any) -> int:
        configs = run(made(LINE, **options), report, 14)
        return sum(config["x"] > 0.5 for config in configs[4:])

    assert dear(cost_attr="seconds") == 0
    assert dear(cost_attr="seconds", cost_budget=1e-3) == dear() >= 3


@pytest.mark.parametrize("option", ["constraint_attr", "cost_attr"])
def test_what_no_trial_reports_is_named(option: str) -> None:
    """Not ignored: the error names the argument and what to do."""
    with pytest.raises(ValueError, match=f"of {option}; report it together with the metric, or leave {option} out"):
        run(made(LINE, **{option: "memory"}), bowl, 9)


# ---------------------------------------------------------------------- how it is computed


def test_work_aside_gives_what_is_computed_at_once() -> None:
    """With the work done before each suggestion, from a snapshot, everything is as without; and the memo is small."""
    at_once = run(made(PLANE), bowl, 8)
    scheduler = made(PLANE)
    for number in range(8):
        work = scheduler.work()
        assert work is not None
        scheduler.take(work())
        assert run(scheduler, bowl, 1) == [at_once[number]]
    assert len(json.dumps(scheduler.searcher.memo())) < 200


def test_events_during_the_work_change_nothing_in_it() -> None:
    """The snapshot is a copy: what a trial reports meanwhile counts for the next proposal only."""
    one, other = made(PLANE), made(PLANE)
    for scheduler in (one, other):
        run(scheduler, bowl, 5)
        scheduler.on_trial_add(Trial(5, {"x": 0.1, "y": 0.1}))
    first, second = one.work(), other.work()
    other.on_trial_result(Trial(5, {"x": 0.1, "y": 0.1}), {"loss": -50.0})
    other.on_trial_complete(Trial(5, {"x": 0.1, "y": 0.1}), {"loss": -50.0})
    one.take(first())
    other.take(second())
    assert one.suggest().config == other.suggest().config
    assert one.suggest().config != other.suggest().config


def test_global_random_states_and_threads_stay_as_they_are() -> None:
    """Neither read nor changed: other seeds outside change nothing here, and nothing here changes anything outside."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the state that must not be touched
    random.seed(1)

    def state() -> Any:
        legacy = np.random.get_state(legacy=True)  # noqa: NPY002 - see above
        return torch.get_rng_state().tolist(), str(legacy), random.getstate(), torch.get_num_threads()

    before = state()
    first = run(made(PLANE), bowl, 7)
    assert state() == before
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002 - see above
    assert run(made(PLANE), bowl, 7) == first


def test_fits_begin_where_the_one_before_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters of each fit are handed to the next, also over a log."""
    begun: list[Any] = []
    honest = Models._posterior

    def watched(self: Any, name: str, *others: Any) -> Any:
        begun.append(self._snapshot.warm.get(name))
        return honest(self, name, *others)

    monkeypatch.setattr(Models, "_posterior", watched)
    scheduler = made(PLANE)
    memos = []
    for _ in range(7):
        run(scheduler, bowl, 1)
        memos.append(scheduler.searcher.memo())
    ended = [memo["parameters"]["objective"] for memo in memos if memo is not None]
    assert begun == [None, *ended[:-1]]
    assert len(ended) == 3


def test_with_many_observations_a_fit_serves_several_proposals(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made again once there are enough more; who goes on from the log fits when the first would have."""
    monkeypatch.setattr(modelling, "_FEW", 5)
    monkeypatch.setattr(modelling, "_MORE", 1.5)
    counts: list[int] = []
    honest = fitting.fit

    def watched(kernel: Kernel, rows: torch.Tensor, *others: Any) -> Any:
        counts.append(len(rows))
        return honest(kernel, rows, *others)

    monkeypatch.setattr(modelling, "fit", watched)
    scheduler = made(PLANE)
    memos = []
    for _ in range(13):
        run(scheduler, bowl, 1)
        memos.append(scheduler.searcher.memo())
    assert counts == [4, 5, 8, 12]
    again = made(PLANE)
    configs = run(made(PLANE), bowl, 13)
    for number, (config, memo) in enumerate(zip(configs[:10], memos[:10], strict=True)):
        again.searcher.restore(config, json.loads(json.dumps(memo)))
        again.searcher.on_trial_add(number, config)
        again.searcher.on_trial_result(number, config, bowl(config))
        again.searcher.on_trial_complete(number, config, bowl(config))
    counts.clear()
    assert again.searcher.next_config() == configs[10]
    assert counts == []


def test_a_model_takes_no_more_observations_than_it_is_meant_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """With many trials, fits see ``max_size_data_for_model`` of them."""
    sizes = []
    honest = fitting.fit

    def watched(kernel: Any, rows: Any, *others: Any) -> Any:
        sizes.append(len(rows))
        return honest(kernel, rows, *others)

    monkeypatch.setattr("cloudtune.optimizer.searchers.bayesian.models.fit", watched)
    run(made(PLANE, max_size_data_for_model=6), bowl, 10)
    assert sizes == [4, 5, 6, 6, 6, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": ["loss", "other"]}, "has one objective, got loss, other"),
        ({"num_init_random": "5"}, "num_init_random must be an integer, got '5'"),
        ({"num_init_random": 2.5}, "num_init_random must be an integer, got 2.5"),
        ({"constraint_attr": "loss"}, "constraint_attr='loss' is the metric itself"),
        ({"num_init_random": 0}, "num_init_random must be at least 1, got 0"),
        ({"max_size_data_for_model": 1}, "max_size_data_for_model must be at least 2, got 1"),
        ({"cost_budget": 5.0}, "cost_budget must be above 0 and comes with cost_attr"),
        ({"cost_budget": "5", "cost_attr": "seconds"}, "cost_budget must be above 0 .* got '5'"),
        ({"cost_budget": math.inf, "cost_attr": "seconds"}, "cost_budget must be .* a finite number"),
        ({"cost_attr": "loss"}, "cost_attr='loss' is the metric itself; name another value"),
        ({"cost_attr": "used", "constraint_attr": "used"}, "constraint_attr and cost_attr are both 'used'"),
        ({"constraint_attr": ""}, "constraint_attr must be the name of what the script reports, got ''"),
        ({"cost_attr": 3}, "cost_attr must be the name of what the script reports, got 3"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    """Each is named."""
    with pytest.raises(ValueError, match=message):
        made(LINE, **options)
