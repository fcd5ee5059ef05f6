"""Searching among given configurations: none but these, each once, and all of them, by any searcher that can do it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune.config_space import ConfigSpaceError, choice, config_key, loguniform, randint, uniform
from cloudtune.continuing import adopt
from cloudtune.errors import ExperimentMismatch
from cloudtune.optimizer import baselines
from cloudtune.optimizer.baselines import ASHA, PopulationBasedTraining, RandomSearch
from cloudtune.optimizer.schedulers import FIFOScheduler
from cloudtune.optimizer.searchers import SEARCHERS, RandomSearcher, Searcher, bore
from cloudtune.optimizer.searchers.bayesian import given as among
from cloudtune.optimizer.searchers.bayesian.encoder import Encoder
from cloudtune.optimizer.searchers.bayesian.neglect import neglected
from cloudtune.optimizer.searchers.bayesian.snapshot import Given
from cloudtune.optimizer.searchers.given_configs import GivenConfigs, LeftConfigs
from cloudtune.trial import Config, Trial

SPACE: dict[str, Any] = {
    "x": uniform(0, 1),
    "n": randint(1, 100),
    "kind": choice(["a", "b", [1, 2]]),
    "layers": [8, 8],
}
DOMAINS = ("x", "n", "kind")
#: Searchers that can be restricted, with options that let a model decide soon.
ABLE: dict[str, dict[str, Any]] = {
    "random": {},
    "bore": {"num_init_random": 3, "classifier": "gradient_boosting"},
    "bayesopt": {"num_init_random": 3},
}
MODELS = ["bore", "bayesopt"]

CONFIGS = st.fixed_dictionaries(
    {"x": st.sampled_from([0.0, 0.25, 0.5, 1.0]), "n": st.integers(1, 4), "kind": st.sampled_from(["a", "b", [1, 2]])}
)
LISTS = st.lists(CONFIGS, min_size=1, max_size=20)


def key(config: Config) -> Any:
    return config_key(SPACE, config)


def made(name: str, configs: Sequence[Config], seed: int = 1, **options: Any) -> Any:
    """A scheduler that trains to the end."""
    options = {**ABLE[name], "restrict_configurations": configs, **options}
    return FIFOScheduler(SPACE, name, metric="loss", random_seed=seed, search_options=options)


def run(scheduler: Any, loss: Callable[[Config], float], most: int = 100, until: float = -1.0) -> list[Config]:
    """Configurations of trials that report once and end, until there are no more, or so many, or one is so good."""
    configs: list[Config] = []
    while (
        not (configs and loss(configs[-1]) <= until)
        and len(configs) < most
        and (suggestion := scheduler.suggest()) is not None
    ):
        trial = Trial(scheduler.num_suggestions - 1, suggestion.config)
        scheduler.on_trial_add(trial)
        result = {"loss": loss(trial.config)}
        scheduler.on_trial_result(trial, result)
        scheduler.on_trial_complete(trial, result)
        configs.append(trial.config)
    return configs


def bowl(config: Config) -> float:
    return float((config["x"] - 0.7) ** 2 + (config["n"] / 100 - 0.4) ** 2 + (config["kind"] == "b"))


def table(count: int, seed: int = 0) -> list[Config]:
    """Configurations as a sparse table has them."""
    drawn = np.random.default_rng(seed)
    kinds = ["a", "b", [1, 2]]
    return [
        {"x": float(drawn.random()), "n": int(drawn.integers(1, 101)), "kind": kinds[int(drawn.integers(3))]}
        for _ in range(count)
    ]


# ---------------------------------------------------------------------- what is proposed


@given(configs=LISTS, seed=st.integers(0, 1000), done=st.integers(0, 20), point=st.integers(0, 19), data=st.data())
def test_each_of_the_given_comes_once_and_nothing_else(
    configs: list[Config], seed: int, done: int, point: int, data: st.DataObject
) -> None:
    """Points first; deterministic; and one that was restored, or pickled, goes on as the one that computed."""
    points = configs[point : point + 2]
    others = list({key(one): one for one in [*points, *configs]}.values())

    def make() -> RandomSearcher:
        return RandomSearcher(SPACE, points, seed, restrict_configurations=configs)

    searcher, again, restored = make(), make(), make()
    proposed = list(iter(searcher.next_config, None))
    assert [key(one) for one in proposed[: len({key(one) for one in points})]] == list({key(p): 0 for p in points})
    assert sorted(map(str, map(key, proposed))) == sorted(map(str, map(key, others)))
    assert all(one["layers"] == [8, 8] for one in proposed)
    assert searcher.next_config() is None
    assert list(iter(again.next_config, None)) == proposed
    for config in proposed[:done]:
        restored.restore(config)
    assert list(iter(pickle.loads(pickle.dumps(restored)).next_config, None)) == proposed[done:]


@settings(max_examples=3)
@given(
    configs=st.lists(CONFIGS, min_size=6, max_size=9, unique_by=key), seed=st.integers(0, 99), half=st.integers(1, 6)
)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_chooses_among_those_that_are_left(name: str, configs: list[Config], seed: int, half: int) -> None:
    """All come, each once; and what is restored from a log goes on alike."""

    def whole(scheduler: Any) -> list[Config]:
        return run(scheduler, bowl)

    proposed = whole(made(name, configs, seed))
    assert sorted(map(str, map(key, proposed))) == sorted(map(str, map(key, configs)))
    first, second = made(name, configs, seed), made(name, configs, seed)
    for number in range(half):
        suggestion = first.suggest()
        second.restore(suggestion)
        for scheduler in (first, second):
            trial = Trial(number, dict(suggestion.config))
            scheduler.on_trial_add(trial)
            scheduler.on_trial_result(trial, {"loss": bowl(trial.config)})
            scheduler.on_trial_complete(trial, {"loss": bowl(trial.config)})
    assert whole(first) == whole(second) == proposed[half:]


@pytest.mark.parametrize("name", list(ABLE))
def test_with_duplicates_it_never_ends_and_never_leaves_the_list(name: str) -> None:
    """``allow_duplicates`` draws with replacement."""
    configs = table(4)
    proposed = run(made(name, configs, allow_duplicates=True), bowl, 12)
    assert len(proposed) == 12
    assert {str(key(one)) for one in proposed} <= {str(key(one)) for one in configs}


def test_all_are_equally_likely() -> None:
    """The first two draws of 1,200 seeds: 100 for each pair of four."""
    configs = table(4)
    pairs = []
    for seed in range(1200):
        searcher = RandomSearcher(SPACE, random_seed=seed, restrict_configurations=configs)
        pairs.append(tuple(searcher._given.number(searcher.next_config() or {}) for _ in range(2)))  # type: ignore[union-attr]
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    assert len(counts) == 12
    assert all(70 < count < 130 for count in counts.values())


@pytest.mark.parametrize("name", MODELS)
def test_models_begin_as_random_search_does(name: str) -> None:
    """With the same seed and the same list: what a model adds is seen from there on."""
    configs = table(50)
    first = [run(made(one, configs, 5), bowl, 3) for one in ("random", name)]
    assert first[0] == first[1]


@pytest.mark.parametrize("name", list(ABLE))
def test_proposals_share_nothing_with_the_list(name: str) -> None:
    """Who changes a trial's configuration changes no other's, nor what the searcher compares with."""
    configs = [{"x": 0.5, "n": n, "kind": [1, 2]} for n in (1, 2)]
    searcher: Searcher = SEARCHERS[name](SPACE, random_seed=1, restrict_configurations=configs)  # type: ignore[call-arg]
    first = searcher.next_config()
    assert first is not None
    first["kind"].append(3)
    first["layers"].append(3)
    second = searcher.next_config()
    assert second is not None
    assert (second["kind"], second["layers"], configs[0]["kind"]) == ([1, 2], [8, 8], [1, 2])
    assert searcher.next_config() is None


def test_drawing_does_not_scan_the_list() -> None:
    """Of 20,000 configurations 100 are taken: nothing is compared or copied that grows with the list."""
    left = LeftConfigs(GivenConfigs({"n": randint(1, 20_000)}, [{"n": n} for n in range(1, 20_001)]))
    order = left._order
    seen = set()
    for number in range(100):
        config = left.drawn(number / 100)
        left.take(config)
        left.take(config)
        seen.add(config["n"])
    assert left._order is order
    assert len(seen) == 100
    assert set(left.numbers().tolist()) == set(range(20_000)) - {n - 1 for n in seen}


# ---------------------------------------------------------------------- how good it is


@pytest.fixture(scope="module")
def rows() -> list[Config]:
    return table(60, seed=3)


@pytest.mark.parametrize(("name", "share"), [("bore", 0.75), ("bayesopt", 0.5)])
def test_a_model_finds_the_best_row_sooner_than_random_search(name: str, share: float, rows: list[Config]) -> None:
    """Of 60 rows, over ten seeds: in fewer than this share of the trials; and each trial is another row."""
    best = min(map(bowl, rows))

    def needed(searcher: str, seed: int) -> int:
        tried = run(made(searcher, rows, seed), bowl, until=best)
        assert len({str(key(one)) for one in tried}) == len(tried)
        return len(tried)

    ours, theirs = ([needed(searcher, seed) for seed in range(10)] for searcher in (name, "random"))
    assert np.mean(ours) < share * np.mean(theirs)


def test_of_very_many_a_sample_is_asked_about_and_what_is_near_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once and all of them left; the acquisition sees no more, and the list is still not left."""
    monkeypatch.setattr(among, "_MAX_ASKED", 20)
    monkeypatch.setattr(among, "_NUM_NEAR", 4)
    configs = GivenConfigs(SPACE, table(200))
    left = np.arange(0, 200, 2)
    chosen = Given(configs, left, configs.config(0))
    incumbents = configs.rows[[3, 4]]
    numbers = among.asked(chosen, incumbents, np.random.default_rng(0))
    assert len(set(numbers.tolist())) == len(numbers) <= 28
    assert set(numbers.tolist()) <= set(left.tolist())
    for row in incumbents:
        near = left[np.argsort(((configs.rows[left] - row) ** 2).sum(1))[:4]]
        assert set(near.tolist()) <= set(numbers.tolist())
    proposed = run(made("bayesopt", table(200)), bowl, 12)
    assert {str(key(one)) for one in proposed} <= {str(key(one)) for one in table(200)}
    # Of the 200, sixteen are as good.
    assert min(map(bowl, proposed)) < 0.03


def test_of_very_many_the_classifier_scores_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are left."""
    monkeypatch.setattr(bore, "_MAX_SCORED", 5)
    proposed = run(made("bore", table(20)), bowl)
    assert len({str(key(one)) for one in proposed}) == len(proposed) == 20


def test_a_category_that_is_not_given_is_not_neglected() -> None:
    """It would come first for ever; and one of which nothing is left gives way to the next."""
    space = {"kind": choice(["a", "b", "c"]), "x": uniform(0, 1)}
    encoder = Encoder(space)
    tried = [encoder.row({"kind": "a", "x": n / 10}) for n in range(9)]
    only = {kinds: np.stack([encoder.row({"kind": kind, "x": 0.95}) for kind in kinds]) for kinds in ("abc", "ac", "a")}
    assert neglected(encoder, tried, 3, only["abc"]) == (0, 1)
    assert neglected(encoder, tried, 3, only["ac"]) == (0, 2)
    assert neglected(encoder, tried, 3, only["a"]) is None


def test_the_neglected_category_is_taken_from_the_list(rows: list[Config]) -> None:
    """Where one kind is bad it is tried all the same, once in a while, by configurations of the list."""
    few = [one for one in rows if one["kind"] == "a"][:12] + [one for one in rows if one["kind"] == "b"][:3]
    proposed = run(made("bayesopt", few), bowl)
    assert len(proposed) == 15
    order = [one["kind"] for one in proposed]
    assert "b" in order[:9]


# ---------------------------------------------------------------------- what is refused, and what is kept


WRONG: list[tuple[Any, str]] = [
    ([], r"restrict_configurations is empty; give one configuration at least, or None"),
    ({"x": 0.5}, "restrict_configurations is of type dict; use a list of configurations"),
    ("abc", "restrict_configurations is of type str; use a list"),
    (iter([]), "restrict_configurations is of type list_iterator; use a list"),
    ([{"x": 0.5, "n": 1, "kind": "a"}, 7], "configuration 1 is 7; use a dictionary with a value for each"),
    ([{"x": 0.5, "n": 1, "kind": "a"}, {"x": 0.5, "kind": "a"}], "configuration 1: parameter 'n' is missing"),
    ([{"x": 0.5, "n": 101, "kind": "a"}], r"configuration 0: parameter 'n': 101 is not in randint\(1, 100\)"),
    ([{"x": 0.5, "n": 1, "kind": "c"}], "configuration 0: parameter 'kind': 'c' is not in"),
    ([{"x": float("nan"), "n": 1, "kind": "a"}], "configuration 0: parameter 'x': nan is not in"),
    ([{"x": 0.5, "n": 1, "kind": "a", "lr": 1}], "parameter 'lr' is not in the config space; it has x, n, kind"),
    ([{"x": 0.5, "n": 1, "kind": "a", "layers": [8]}], r"parameter 'layers' is the constant \[8, 8\]"),
]


@pytest.mark.parametrize("name", list(ABLE))
@pytest.mark.parametrize(("configs", "words"), WRONG)
def test_a_wrong_list_is_refused_by_name(name: str, configs: Any, words: str) -> None:
    """At once, with the first configuration that is wrong and the remedy."""
    with pytest.raises(ConfigSpaceError, match=words):
        SEARCHERS[name](SPACE, restrict_configurations=configs)  # type: ignore[call-arg]


def test_a_point_that_is_not_given_is_refused() -> None:
    """Also one that the defaults complete; without points there is no default configuration either."""
    configs = table(5)
    assert RandomSearcher(SPACE, configs[:2], restrict_configurations=configs).next_config() is not None
    with pytest.raises(ConfigSpaceError, match=r"points_to_evaluate: \{'x': 0.5, 'n': 3, .* is not among the 5 of"):
        RandomSearcher(SPACE, [configs[0], {"n": 3}], restrict_configurations=configs)
    assert RandomSearcher(SPACE, restrict_configurations=configs).points_to_evaluate == []


def test_equal_configurations_count_once_and_constants_are_added() -> None:
    """3.0 is the integer 3, numpy's numbers are plain ones, and constants may be there."""
    configs = [
        {"x": 0.5, "n": 3, "kind": "a"},
        {"n": np.int64(3), "kind": "a", "x": np.float64(0.5), "layers": (8, 8)},
        {"x": 0.5, "n": 3.0, "kind": "a"},
    ]
    proposed = list(iter(RandomSearcher(SPACE, restrict_configurations=configs).next_config, None))
    assert proposed == [{"x": 0.5, "n": 3, "kind": "a", "layers": [8, 8]}]
    assert [type(value) for value in proposed[0].values()] == [float, int, str, list]
    assert list(proposed[0]) == list(SPACE)


@pytest.mark.parametrize("name", ["grid", "optuna"])
def test_searchers_that_cannot_do_it_say_what_they_can(name: str) -> None:
    """As for every option that they do not know."""
    with pytest.raises(TypeError, match=r"search_options has 'restrict_configurations', which .* does not know"):
        FIFOScheduler(SPACE, name, metric="loss", search_options={"restrict_configurations": table(3)})


def test_an_experiment_goes_on_with_the_same_list_only() -> None:
    """The settings hold its number and digest, not its configurations; without a list they are as they ever were."""
    configs = table(1000)
    plain = RandomSearch(SPACE, metric="loss", random_seed=1, points_to_evaluate=[]).metadata()
    assert plain["searcher_settings"] == {"allow_duplicates": False}

    def restricted(chosen: list[Config]) -> RandomSearch:
        return RandomSearch(SPACE, metric="loss", random_seed=1, restrict_configurations=chosen)

    logged = restricted(configs).metadata()
    kept = logged["searcher_settings"]["restrict_configurations"]
    assert (kept["number"], len(kept["digest"]), len(str(logged)) < 2000) == (1000, 16, True)
    adopt(restricted([{**one, "layers": [8, 8]} for one in [*configs, *configs]]), logged, "demo")
    others = [configs[1:], configs[::-1], [*configs[:-1], {**configs[-1], "n": configs[-1]["n"] % 100 + 1}]]
    for other in others:
        with pytest.raises(ExperimentMismatch, match=r"began with searcher_settings\['restrict_configurations'\]"):
            adopt(restricted(other), logged, "demo")
    with pytest.raises(ExperimentMismatch, match="restrict_configurations"):
        adopt(RandomSearch(SPACE, metric="loss", random_seed=1, points_to_evaluate=[]), logged, "demo")


def test_methods_that_can_do_it_take_it() -> None:
    """All ready-made ones but the grid and the population, whose configurations are not drawn from a list."""
    for name in baselines.__all__:
        method: Any = getattr(baselines, name)
        arguments = {"metric": ["loss", "error"] if name == "MOASHA" else "loss", "random_seed": 1}
        if name not in ("RandomSearch", "GridSearch", "BORE", "BayesianOptimization", "MedianStopping"):
            arguments["max_t"] = 9
        configs = table(3)
        if name in ("GridSearch", "PopulationBasedTraining"):
            with pytest.raises(TypeError, match="restrict_configurations"):
                method(SPACE, **arguments, restrict_configurations=configs)
        else:
            scheduler = method(SPACE, **arguments, restrict_configurations=configs)
            assert str(key(scheduler.suggest().config)) in {str(key(one)) for one in configs}


@pytest.mark.parametrize("name", ABLE)
def test_a_population_refuses_a_list_that_its_copies_would_leave(name: str) -> None:
    """Also that of a searcher object, which may then be the searcher of another scheduler; without a list it begins."""
    restriction = {**ABLE[name], "restrict_configurations": table(3)}
    searcher: Searcher = SEARCHERS[name](SPACE, random_seed=1, **restriction)
    message = r"cannot keep to restrict_configurations, since it perturbs .*; leave the list out, .* add_surrogate\("
    for refused, options in ((name, restriction), (SEARCHERS[name], restriction), (searcher, None)):
        with pytest.raises(ValueError, match=message):
            PopulationBasedTraining(SPACE, refused, metric="loss", search_options=options)
    assert FIFOScheduler(SPACE, searcher, metric="loss").suggest() is not None
    free = PopulationBasedTraining(SPACE, name, metric="loss", search_options=ABLE[name])
    assert free.suggest() is not None


def test_the_list_of_constants_travels_small() -> None:
    """A scheduler with a thousand configurations is pickled in a fraction of a megabyte, encoded or not."""
    scheduler = ASHA(
        {"lr": loguniform(1e-4, 1), "n": randint(1, 9), "epochs": 9},
        metric="loss",
        max_resource_attr="epochs",
        random_seed=1,
        restrict_configurations=[{"lr": 1e-4 * (1 + n), "n": 1 + n % 9} for n in range(1000)],
    )
    small = len(pickle.dumps(scheduler))
    assert small < 200_000
    assert isinstance(scheduler.searcher, RandomSearcher)
    assert scheduler.searcher._given is not None
    assert scheduler.searcher._given.rows.shape == (1000, 2)
    again = pickle.loads(pickle.dumps(scheduler))
    assert len(pickle.dumps(scheduler)) < small + 1000
    assert [again.suggest() for _ in range(20)] == [scheduler.suggest() for _ in range(20)]
