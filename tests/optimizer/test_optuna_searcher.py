"""Optuna's samplers as searchers: what they are told of trials, and that they go on as they would have."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import (
    ConfigSpaceError,
    choice,
    config_key,
    finrange,
    logfinrange,
    logordinal,
    lograndint,
    loguniform,
    ordinal,
    randint,
    reverseloguniform,
    search_space,
    uniform,
)
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers import FIFOScheduler, HyperbandScheduler
from cloudtune.optimizer.searchers.optuna_domains import parameters
from cloudtune.optimizer.searchers.optuna_samplers import SamplerSource, quiet
from cloudtune.optimizer.searchers.optuna_searcher import OptunaSearcher
from cloudtune.optimizer.searchers.optuna_study import OptunaStudy, Told
from cloudtune.trial import Trial

DOMAINS: dict[str, Any] = {
    "uniform": uniform(-1, 2),
    "loguniform": loguniform(1e-4, 1),
    "reverseloguniform": reverseloguniform(0.3, 0.9999),
    "randint": randint(-3, 8),
    "one": randint(3, 3),
    "lograndint": lograndint(1, 1000),
    "choice": choice(["a", None, [1, 2], {"k": True}, 0.5]),
    "two": choice([True, False]),
    "ordinal": ordinal(["small", "large", "huge"]),
    "nearest": ordinal([1, 2, 40]),
    "logordinal": logordinal([1, 16, 1024]),
    "finrange": finrange(0.1, 0.9, 9),
    "logfinrange": logfinrange(1, 1000, 4, cast_int=True),
}
SPACE: dict[str, Any] = {**DOMAINS, "epochs": 9, "layers": [8, 8]}


def searched(sampler: Any, metric: Any = "loss", mode: Any = "min", seed: int = 1, **options: Any) -> TrialScheduler:
    """Every configuration of two parameters trained to its end, proposed by a sampler."""
    return FIFOScheduler(
        {"x": uniform(0, 1), "n": randint(1, 30)},
        "optuna",
        metric=metric,
        mode=mode,
        points_to_evaluate=[],
        random_seed=seed,
        search_options={"sampler": sampler, "sampler_options": options or None},
    )


def values(scheduler: TrialScheduler, num_trials: int, first: int = 0) -> list[float]:
    """Losses of one trial after another, least at x = 0.2 and n = 20."""
    losses = []
    for number in range(first, first + num_trials):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        trial = Trial(number, suggestion.config or {})
        scheduler.on_trial_add(trial)
        loss = abs(trial.config["x"] - 0.2) + abs(trial.config["n"] - 20) / 30
        losses.append(loss)
        scheduler.on_trial_result(trial, {"loss": loss, "gain": -loss, "n": trial.config["n"]})
        scheduler.on_trial_complete(trial, {"loss": loss, "gain": -loss, "n": trial.config["n"]})
    return losses


@given(st.data())
def test_every_domain_has_a_distribution_of_the_same_values(data: st.DataObject) -> None:
    """What the domain holds, the distribution holds too; and there and back gives the same value."""
    known = parameters(DOMAINS)
    for name, domain in DOMAINS.items():
        value = domain.from_uniform(data.draw(st.floats(0, 1, exclude_max=True)))
        encoded = known[name].encode(value)
        distribution = known[name].distribution
        assert distribution._contains(distribution.to_internal_repr(encoded))
        back = known[name].decode(encoded)
        assert back == value or (isinstance(value, float) and math.isclose(back, value, rel_tol=1e-12))
        assert domain.contains(back)
        assert type(back) is type(value)


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "random", "qmc"])
def test_configurations_are_of_the_space(sampler: str) -> None:
    """All values belong to their domains, all constants are there, and none comes twice, also where trials fail."""
    scheduler = FIFOScheduler(SPACE, "optuna", metric="loss", random_seed=1, search_options={"sampler": sampler})
    seen = set()
    for number in range(18):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        config = suggestion.config or {}
        assert list(config) == list(SPACE)
        assert config["epochs"] == 9
        assert config["layers"] == [8, 8]
        assert all(domain.contains(config[name]) for name, domain in search_space(SPACE).items())
        seen.add(config_key(SPACE, config))
        trial = Trial(number, config)
        scheduler.on_trial_add(trial)
        if number % 3 == 0:
            scheduler.on_trial_error(trial)
        else:
            scheduler.on_trial_result(trial, {"loss": [0.5, math.nan][number % 2]})
            scheduler.on_trial_complete(trial, {"loss": 0.5})
    assert len(seen) == 18


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
@pytest.mark.parametrize(("metric", "mode"), [("loss", "min"), ("gain", "max")])
def test_samplers_learn_in_the_right_direction(sampler: str, metric: str, mode: str) -> None:
    """The last trials are much better than the first ones, whether the metric is to be small or large."""
    losses = values(searched(sampler, metric, mode), 50)
    assert np.mean(losses[-12:]) < 0.6 * np.mean(losses[:12])


def test_several_metrics_are_several_objectives() -> None:
    """Each metric has its own direction: of small losses and large n there are many among the last trials."""
    scheduler = searched("tpe", ["loss", "n"], ["min", "max"], n_startup_trials=8)
    values(scheduler, 40)
    searcher = scheduler.searcher  # type: ignore[attr-defined]
    assert all(told.state == "COMPLETE" and len(told.costs) == 2 for told in searcher._told())
    assert searcher._told()[5].costs[1] == -searcher._params[5]["n"]
    last = [params["n"] for params in searcher._params[-12:]]
    assert np.mean(last) > 19


def test_a_sampler_for_one_metric_refuses_several() -> None:
    """CMA-ES has one objective, and that is said when the scheduler is made."""
    with pytest.raises(ValueError, match="CmaEsSampler optimises one metric, got loss, n"):
        searched("cmaes", ["loss", "n"])


def test_what_samplers_are_told_of_trials() -> None:
    """Running ones run; stopped ones have their last value; failures and NaN have the worst value of the others."""
    scheduler = searched("random")
    trials = []
    for number in range(6):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        trials.append(Trial(number, suggestion.config or {}))
        scheduler.on_trial_add(trials[-1])
    told = scheduler.searcher._told  # type: ignore[attr-defined]
    scheduler.on_trial_error(trials[0])
    assert told()[:2] == [Told("FAIL"), Told("RUNNING")]
    for number, value in [(1, 5.0), (2, 3.0), (3, math.nan), (5, 1.0)]:
        scheduler.on_trial_result(trials[number], {"loss": 9.0})
        scheduler.on_trial_result(trials[number], {"loss": value})
    scheduler.on_trial_complete(trials[1], {"loss": 5.0})
    scheduler.on_trial_remove(trials[2])
    scheduler.on_trial_complete(trials[3], {"loss": math.nan})
    worst = Told("COMPLETE", (5.0,))
    assert told() == [worst, worst, Told("COMPLETE", (3.0,)), worst, Told("RUNNING"), Told("RUNNING")]


def test_under_a_scheduler_with_rungs_the_highest_level_counts() -> None:
    """Values are those of the level that enough trials have reached; those that ended below are pruned."""
    scheduler = HyperbandScheduler(
        {"x": uniform(0, 1)},
        OptunaSearcher,
        metric="loss",
        mode="max",
        resource_attr="epoch",
        max_t=9,
        search_options={"sampler": "random"},
    )
    for number in range(4):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        trial = Trial(number, suggestion.config or {})
        scheduler.on_trial_add(trial)
        for epoch in range(1, 4 if number else 2):
            scheduler.on_trial_result(trial, {"epoch": epoch, "loss": number + epoch / 10})
        if number < 3:
            scheduler.on_trial_remove(trial)
    assert scheduler.searcher._told() == [  # type: ignore[attr-defined]
        Told("PRUNED", (-0.1,), 1),
        Told("COMPLETE", (-1.3,)),
        Told("COMPLETE", (-2.3,)),
        Told("COMPLETE", (-3.3,)),
    ]


@pytest.mark.parametrize("sampler", ["cmaes", "nsgaii", "qmc", "gp"])
def test_a_continued_search_goes_on_as_it_would_have(sampler: str) -> None:
    """What a sampler has learnt of its own trials is the same after its suggestions were taken from the log."""
    options: dict[str, dict[str, Any]] = {
        "cmaes": {"popsize": 4},
        "nsgaii": {"population_size": 4},
        "qmc": {"scramble": True},
        "gp": {"n_startup_trials": 6},
    }
    first, second = (searched(sampler, seed=3, **options[sampler]) for _ in range(2))
    for number in range(8):
        suggestion = first.suggest()
        assert suggestion is not None
        second.restore(suggestion)
        trial = Trial(number, suggestion.config or {})
        result = {"loss": abs(trial.config["x"] - 0.2) + trial.config["n"]}
        for scheduler in (first, second):
            scheduler.on_trial_add(trial)
            scheduler.on_trial_result(trial, result)
            scheduler.on_trial_complete(trial, result)
    assert values(first, 4, 8) == values(second, 4, 8)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsgaii", "qmc"])
def test_what_is_computed_aside_is_what_would_have_been_suggested(sampler: str) -> None:
    """Asking the sampler in another thread's stead gives the same configurations and the same notes."""
    options = {"gp": {"n_startup_trials": 4}, "nsgaii": {"population_size": 4}}.get(sampler, {})
    aside, at_once = (searched(sampler, **options) for _ in range(2))
    for number in range(7):
        work = aside.work()
        assert work is not None
        aside.take(work())
        one, other = aside.suggest(), at_once.suggest()
        assert one is not None
        assert one == other
        for scheduler in (aside, at_once):
            trial = Trial(number, one.config or {})
            scheduler.on_trial_add(trial)
            scheduler.on_trial_result(trial, {"loss": trial.config["x"]})
            scheduler.on_trial_complete(trial, {"loss": trial.config["x"]})


@pytest.mark.parametrize("resource", [math.nan, math.inf, -math.inf, 2.5])
def test_a_pruned_trial_may_have_stopped_at_any_resource(resource: float) -> None:
    """One whose resource is not finite, or no whole number, is shown to a sampler all the same."""
    study = OptunaStudy({}, 1).open([{}], [{}], [Told("PRUNED", (0.5,), resource)], {})
    (trial,) = study._storage.get_all_trials(0)
    assert trial.intermediate_values == {2 if resource == 2.5 else 0: 0.5}


def test_what_happens_meanwhile_counts_for_the_suggestion_after() -> None:
    """A trial that ends while the sampler is asked changes nothing in what is proposed, nor what follows from it."""
    aside, before, restored = (searched("tpe", n_startup_trials=3) for _ in range(3))
    schedulers = (aside, before, restored)
    for number in range(6):
        suggestion = aside.suggest()
        assert suggestion is not None
        for scheduler in (before, restored):
            scheduler.restore(suggestion)
        for scheduler in schedulers:
            scheduler.on_trial_add(Trial(number, suggestion.config or {}))

    def ends(number: int, scheduler: TrialScheduler) -> None:
        result = {"loss": float(number)}
        trial = Trial(number, {})
        scheduler.on_trial_result(trial, result)
        scheduler.on_trial_complete(trial, result)

    for number in range(5):
        for scheduler in schedulers:
            ends(number, scheduler)
    work = aside.work()
    assert work is not None
    ends(5, aside)
    aside.take(work())
    proposed = aside.suggest()
    assert proposed == before.suggest()
    ends(5, restored)
    assert proposed is not None
    restored.restore(proposed)
    assert values(aside, 3, 7) == values(restored, 3, 7)


def test_where_there_is_nothing_to_ask_nothing_is_computed_aside() -> None:
    """For a point to evaluate, in a space that is used up, and for CMA-ES, which is asked again when it continues."""
    options: dict[str, Any] = {"metric": "loss", "random_seed": 1, "search_options": {"sampler": "random"}}
    scheduler = FIFOScheduler({"n": randint(1, 2)}, "optuna", points_to_evaluate=[{"n": 1}], **options)
    assert scheduler.work() is None
    scheduler.suggest()
    assert scheduler.work() is not None
    scheduler.suggest()
    assert scheduler.work() is None
    assert scheduler.suggest() is None
    assert searched("cmaes").work() is None


def test_optuna_makes_a_trial_anew_only_when_something_else_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suggestion costs two trials, one that runs and one that has ended, however many there have been."""
    made: list[int] = []
    frozen = OptunaStudy._frozen

    def counted(self: OptunaStudy, number: int, *rest: Any) -> Any:
        made.append(number)
        return frozen(self, number, *rest)

    monkeypatch.setattr(OptunaStudy, "_frozen", counted)
    values(searched("random"), 30)
    assert made == list(range(29))


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsgaii", "qmc", "gp"])
def test_a_study_of_borrowed_trials_is_one_of_optunas_own(sampler: str) -> None:
    """Samplers propose and note the same as in Optuna's storage, and leave the trials they are lent as they were."""
    import optuna

    source = SamplerSource(sampler, {"population_size": 4} if sampler == "nsgaii" else None)
    known = parameters({"x": uniform(0, 1), "n": randint(1, 30), "kind": choice(["a", "b"])})
    distributions = {name: parameter.distribution for name, parameter in known.items()}
    study = OptunaStudy(known, 1)
    params: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    told: list[Told] = []
    study_notes: dict[str, Any] = {}
    with quiet():
        own = optuna.create_study(storage=optuna.storages.InMemoryStorage())
    for number in range(14):
        opened = study.open(params, notes, told, study_notes)
        lent = [written_on(trial) for _, trial in study._made.values()]
        asked = opened.ask(source.make(number, 7))
        assert [written_on(trial) for _, trial in study._made.values()] == lent
        with quiet():
            own.sampler = source.make(number, 7)
            trial = own.ask(fixed_distributions=distributions)
        assert dict(trial.params) == asked.params
        assert own._storage.get_trial(trial._trial_id).system_attrs == asked.trial_notes
        params.append(asked.params)
        notes.append(asked.trial_notes)
        study_notes.update(asked.study_notes)
        told.append(Told("COMPLETE", (asked.params["x"] + number % 3,)))
        # Not told by the study itself, which would tell the sampler: that is what our trials do not do.
        own._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.COMPLETE, told[-1].costs)


def written_on(trial: Any) -> tuple[Any, ...]:
    """Everything that a sampler may write on a trial."""
    return (trial.number, trial.state, dict(trial.params), dict(trial.system_attrs), dict(trial.intermediate_values))


def test_a_sequence_goes_on_from_suggestion_to_suggestion() -> None:
    """The points of a Sobol sequence come one after another: eight of them fall into eight parts of the range."""
    scheduler = FIFOScheduler(
        {"x": uniform(0, 1)},
        "optuna",
        metric="loss",
        points_to_evaluate=[],
        random_seed=1,
        search_options={"sampler": "qmc"},
    )
    parts = []
    for number in range(9):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        trial = Trial(number, suggestion.config or {})
        scheduler.on_trial_add(trial)
        scheduler.on_trial_result(trial, {"loss": 1.0})
        scheduler.on_trial_complete(trial, {"loss": 1.0})
        parts.append(int(trial.config["x"] * 8))
    # Optuna draws the first one at random, since it does not know the space yet.
    assert sorted(parts[1:]) == list(range(8))


def test_generations_follow_each_other() -> None:
    """NSGA-II notes the generation of each trial: with a population of four, the eleventh is of the third."""
    scheduler = searched("nsgaii", population_size=4)
    values(scheduler, 11)
    memo = scheduler.searcher.memo()  # type: ignore[attr-defined]
    assert [value for value in memo["trial"].values() if isinstance(value, int)] == [2]


def test_a_sampler_object_is_used_as_a_copy_with_our_seed() -> None:
    """An object gives what its name gives, whatever seed it has; and it is not used itself."""
    import optuna

    sampler = optuna.samplers.TPESampler(seed=77, n_startup_trials=4)
    before = sampler._rng.rng.get_state()[1].tolist()
    by_object = values(searched(sampler), 9)
    assert by_object == values(searched("tpe", n_startup_trials=4), 9)
    assert by_object != values(searched(sampler, seed=2), 9)
    assert sampler._rng.rng.get_state()[1].tolist() == before


def test_optuna_is_quiet_and_nothing_stays_changed(caplog: pytest.LogCaptureFixture) -> None:
    """Neither warnings nor log lines; filters and the level of Optuna's logger are as before."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.INFO)
    filters = list(warnings.filters)
    with caplog.at_level(logging.DEBUG):
        values(searched("qmc", scramble=True), 4)
    assert not [record for record in caplog.records if record.name.startswith("optuna")]
    assert warnings.filters == filters
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


@pytest.mark.parametrize(
    ("sampler", "options", "error", "words"),
    [
        ("anneal", None, ValueError, "sampler 'anneal' is not known; use one of 'tpe'"),
        ("tpe", {"seed": 1}, ValueError, "sampler_options must not have a seed"),
        ("tpe", {"n_startup_trails": 1}, TypeError, "'n_startup_trails', .* TPESampler .* mean 'n_startup_trials'?"),
        (
            "tpe",
            {"hurry": 1},
            TypeError,
            "'hurry', which Optuna's TPESampler does not know; its options are .*multivar",
        ),
        ("random", {"sead": 1}, TypeError, "'sead', which Optuna's RandomSampler does not know; it has no options"),
        (3, None, TypeError, "sampler must be a name or an Optuna sampler object"),
    ],
)
def test_wrong_samplers_are_named(sampler: Any, options: Any, error: type[Exception], words: str) -> None:
    """What cannot work is refused when the searcher is made."""
    with pytest.raises(error, match=words):
        OptunaSearcher(SPACE, sampler=sampler, sampler_options=options)


def test_samplers_that_cannot_be_continued_are_refused() -> None:
    """A grid in the sampler, and options beside an object, are refused with what to do instead."""
    import optuna

    with pytest.raises(ValueError, match="use cloudtune's GridSearcher"):
        OptunaSearcher(SPACE, sampler=optuna.samplers.GridSampler({"x": [1]}))
    with pytest.raises(ValueError, match="give them to RandomSampler"):
        OptunaSearcher(SPACE, sampler=optuna.samplers.RandomSampler(), sampler_options={"n": 1})
    with pytest.raises(ConfigSpaceError):
        OptunaSearcher({"x y": 1})
