"""Random and grid search: what they propose, in which order, and when they are done."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import (
    ConfigSpaceError,
    choice,
    config_key,
    default_config,
    finrange,
    logfinrange,
    lograndint,
    loguniform,
    ordinal,
    randint,
    uniform,
)
from cloudtune.optimizer.searchers import SEARCHERS, GridSearcher, RandomSearcher, Searcher, make_searcher
from cloudtune.optimizer.searchers.lattice import Lattice, all_values

SPACE: dict[str, Any] = {"lr": loguniform(1e-3, 1), "n": randint(1, 100), "kind": choice(["a", "b"]), "epochs": 9}
FINITE: dict[str, Any] = {"n": randint(1, 4), "kind": choice(["a", "b", "c"]), "layers": [8, 8]}


def proposals(searcher: Searcher, most: int = 1000) -> list[dict[str, Any]]:
    """Everything a searcher proposes, up to ``most``."""
    configs: list[dict[str, Any]] = []
    while len(configs) < most and (config := searcher.next_config()) is not None:
        configs.append(config)
    return configs


@pytest.mark.parametrize("name", list(SEARCHERS))
def test_points_to_evaluate_come_first_and_complete(name: str) -> None:
    """Points come in order, with defaults for what they lack and all constants, and each once."""
    points: list[dict[str, Any]] = [{"n": 7}, {"lr": 0.5, "kind": "b"}, {"n": 7, "kind": "a"}]
    searcher = SEARCHERS[name](SPACE, points, random_seed=1)
    default = default_config(SPACE)
    assert proposals(searcher, 2) == [{**default, "n": 7}, {**default, "lr": 0.5, "kind": "b"}]
    third = searcher.next_config()
    assert third is not None
    assert third["n"] != 7 or third["lr"] != default["lr"]


@pytest.mark.parametrize("name", list(SEARCHERS))
def test_the_default_configuration_comes_first_unless_there_are_to_be_no_points(name: str) -> None:
    """Without points the middle of the space is tried first; an empty list means to begin with the search at once."""
    assert SEARCHERS[name](SPACE, random_seed=1).next_config() == default_config(SPACE)
    assert SEARCHERS[name](SPACE, [], random_seed=1).next_config() != default_config(SPACE)


@pytest.mark.parametrize("name", list(SEARCHERS))
def test_a_wrong_point_is_refused_by_name(name: str) -> None:
    """A parameter the space does not have, and a value outside its domain, are named at once."""
    with pytest.raises(ConfigSpaceError, match="'learning_rate' is not in the config space"):
        SEARCHERS[name](SPACE, [{"learning_rate": 0.1}])
    with pytest.raises(ConfigSpaceError, match="'n'"):
        SEARCHERS[name](SPACE, [{"n": 101}])


@pytest.mark.parametrize("name", list(SEARCHERS))
def test_a_finite_space_is_tried_completely_and_once(name: str) -> None:
    """Every configuration of a small space comes exactly once, then there is nothing more, also when asked again."""
    searcher = SEARCHERS[name](FINITE, random_seed=5)
    configs = proposals(searcher)
    assert len(configs) == 12
    assert len({config_key(FINITE, config) for config in configs}) == 12
    assert searcher.next_config() is None
    assert searcher.num_suggestions == 12


@pytest.mark.parametrize("name", list(SEARCHERS))
def test_a_space_of_constants_has_one_configuration(name: str) -> None:
    """Without domains there is one configuration to try."""
    assert proposals(SEARCHERS[name]({"epochs": 3}, random_seed=1)) == [{"epochs": 3}]


def test_random_search_finds_what_is_hardly_ever_drawn() -> None:
    """The last values of a skewed space are counted through instead of being drawn for ever."""
    space = {"n": lograndint(1, 3000)}
    values = [config["n"] for config in proposals(RandomSearcher(space, random_seed=1), most=3001)]
    assert sorted(values) == list(range(1, 3001))


def test_random_search_may_repeat_itself_if_allowed() -> None:
    """With ``allow_duplicates`` a finite space never ends."""
    searcher = RandomSearcher(FINITE, random_seed=1, allow_duplicates=True)
    assert len(proposals(searcher, 40)) == 40


def test_random_search_draws_from_the_distributions() -> None:
    """Log-uniform values spread evenly over the powers of ten, and categories evenly over the trials."""
    configs = proposals(RandomSearcher(SPACE, [], random_seed=1), 3000)
    powers = [math.floor(math.log10(config["lr"])) for config in configs]
    assert all(800 < powers.count(power) < 1200 for power in (-3, -2, -1))
    assert 1350 < sum(config["kind"] == "a" for config in configs) < 1650


@given(st.integers(0, 40), st.integers(0, 2**32))
def test_a_proposal_depends_on_seed_and_number_alone(number: int, seed: int) -> None:
    """In an infinite space the configuration of a number is the same whatever was tried before it."""
    straight = RandomSearcher(SPACE, random_seed=seed)
    last = proposals(straight, number + 1)[-1]
    restored = RandomSearcher(SPACE, random_seed=seed)
    for n in range(1, number + 1):
        restored.restore({**default_config(SPACE), "n": n})
    assert restored.next_config() == last


@pytest.mark.parametrize("name", list(SEARCHERS))
@given(done=st.integers(0, 12), seed=st.integers(0, 1000))
def test_restored_proposals_count_like_computed_ones(name: str, done: int, seed: int) -> None:
    """A searcher that was told the first proposals goes on with the next, in a space it uses up."""
    straight = SEARCHERS[name](FINITE, random_seed=seed)
    configs = proposals(straight)
    restored = SEARCHERS[name](FINITE, random_seed=seed)
    for config in configs[:done]:
        restored.restore(config)
    assert proposals(pickle.loads(pickle.dumps(restored))) == configs[done:]


def test_proposals_share_no_mutable_constants() -> None:
    """A trial that changes a list in its configuration changes no other's."""
    for name in SEARCHERS:
        searcher = SEARCHERS[name](FINITE, random_seed=1)
        first, second, third = proposals(searcher, 3)
        second["layers"].append(1)
        assert first["layers"] == third["layers"] == [8, 8]
        assert FINITE["layers"] == [8, 8]


def test_the_grid_is_the_product_of_its_values() -> None:
    """Continuous parameters get equally probable quantiles, integers at most as many, finite ones all their values."""
    space: dict[str, Any] = {
        "u": uniform(0, 1),
        "i": randint(1, 1000),
        "small": randint(1, 3),
        "f": finrange(0, 6, 7),
        "o": ordinal([1, 2, 4]),
        "epochs": 9,
    }
    grid = GridSearcher(space, [], num_samples=2, shuffle=False)
    assert grid.grid_size == 2 * 2 * 2 * 7 * 3
    configs = proposals(grid)
    assert list(dict.fromkeys(config["u"] for config in configs)) == pytest.approx([0.25, 0.75])
    assert list(dict.fromkeys(config["i"] for config in configs)) == [251, 751]
    assert list(dict.fromkeys(config["f"] for config in configs)) == [0, 1, 2, 3, 4, 5, 6]
    assert [config["o"] for config in configs[:4]] == [1, 2, 4, 1]
    assert all(config["epochs"] == 9 for config in configs)


def test_the_grid_has_five_samples_unless_told_otherwise() -> None:
    """``num_samples`` is five for every parameter that it does not name."""
    space: dict[str, Any] = {"u": uniform(0, 1), "v": uniform(0, 1)}
    assert GridSearcher(space).grid_size == 25
    assert GridSearcher(space, num_samples={"v": 3}).grid_size == 15


def test_a_shuffled_grid_has_the_same_points_in_another_order() -> None:
    """Shuffling depends on the seed, and loses and doubles nothing."""
    space: dict[str, Any] = {"u": uniform(0, 1), "v": uniform(0, 1)}
    orders = [
        proposals(GridSearcher(space, [], seed, shuffle=shuffle))
        for seed, shuffle in [(1, False), (1, True), (2, True)]
    ]
    keys = [[config_key(space, config) for config in order] for order in orders]
    assert keys[0] != keys[1] != keys[2]
    assert set(keys[0]) == set(keys[1]) == set(keys[2])


def test_a_new_seed_shuffles_the_grid_anew() -> None:
    """The order belongs to the seed in force at the first proposal."""
    searcher = GridSearcher(FINITE, [], 1)
    searcher.suggest()
    searcher.set_random_seed(2)
    assert proposals(searcher) == proposals(GridSearcher(FINITE, [], 2))


def test_impossible_grids_are_refused() -> None:
    """A count below one, an unknown name and a grid beyond memory are refused with the remedy."""
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        GridSearcher(SPACE, num_samples=0)
    with pytest.raises(ValueError, match=r"num_samples\['lr'\] must be an integer, got 2.5; 5 values per .* are usual"):
        GridSearcher(SPACE, num_samples={"lr": 2.5})  # type: ignore[dict-item]
    for count in ("a", 2.5, True):
        with pytest.raises(ValueError, match=f"num_samples must be an integer, got {count!r}"):
            GridSearcher(SPACE, num_samples=count)  # type: ignore[arg-type]
    with pytest.raises(ConfigSpaceError, match="'epochs' is not a domain of the config space; it has lr, n, kind"):
        GridSearcher(SPACE, num_samples={"epochs": 3})
    large = {f"x{i}": uniform(0, 1) for i in range(10)}
    with pytest.raises(ValueError, match="too large to be shuffled; use shuffle=False"):
        GridSearcher(large)
    assert len(proposals(GridSearcher(large, shuffle=False), 7)) == 7


@pytest.mark.parametrize(
    "domain",
    [
        randint(-2, 3),
        lograndint(1, 5),
        choice(["a", 2, None]),
        ordinal([1, 5]),
        finrange(0, 1, 5),
        logfinrange(1, 8, 4),
    ],
)
def test_all_values_lists_a_finite_domain(domain: Any) -> None:
    """The list has as many values as the domain, all different and all of it."""
    values = list(all_values(domain))
    assert len(values) == len(set(values)) == domain.size()
    assert all(domain.contains(value) for value in values)


def test_an_infinite_domain_cannot_be_listed() -> None:
    """Listing a continuous domain is refused, naming it."""
    with pytest.raises(TypeError, match=r"uniform\(0\.0, 1\.0\) cannot be listed"):
        all_values(uniform(0, 1))


def test_a_lattice_numbers_every_combination_once() -> None:
    """Numbers below the size give all combinations, the last parameter changing fastest."""
    lattice = Lattice(FINITE, {"n": [1, 2], "kind": ["a", "b", "c"]})
    pairs = [(config["n"], config["kind"]) for config in map(lattice.config, range(lattice.size))]
    assert pairs == [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c")]


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    """An unknown searcher is answered with the allowed ones; what is no searcher, with what is one."""
    with pytest.raises(ValueError, match="searcher 'gridd' is not known; use one of 'random', 'grid'"):
        make_searcher("gridd", SPACE)
    with pytest.raises(TypeError, match="searcher must be a name"):
        make_searcher(dict, SPACE)  # type: ignore[arg-type]


def test_an_object_comes_as_it_is() -> None:
    """A searcher object keeps its own points and options; giving them twice, or another space, is refused."""
    searcher = RandomSearcher(SPACE, random_seed=1)
    assert make_searcher(searcher, SPACE) is searcher
    with pytest.raises(ValueError, match="points_to_evaluate cannot be given together with a searcher object"):
        make_searcher(searcher, SPACE, points_to_evaluate=[])
    with pytest.raises(ValueError, match="search_options cannot be given together"):
        make_searcher(searcher, SPACE, search_options={"allow_duplicates": True})
    with pytest.raises(ValueError, match="parameter 'n' differs"):
        make_searcher(searcher, {**SPACE, "n": randint(1, 99)})
    with pytest.raises(ValueError, match="parameter 'more' differs"):
        make_searcher(searcher, {**SPACE, "more": None})


def test_a_searcher_that_forgot_its_base_is_told_so() -> None:
    """Without ``super().__init__`` a searcher of one's own cannot work; the message says what is missing."""

    class Forgetful(Searcher):
        def __init__(self) -> None:
            pass

        def suggest(self) -> None:
            return None

    with pytest.raises(TypeError, match=r"Forgetful has no config_space; call super\(\).__init__"):
        make_searcher(Forgetful(), SPACE)


def test_a_partial_proposal_is_completed() -> None:
    """A searcher of one's own may name only what it chose; a parameter the space does not have is refused."""

    class Partial(Searcher):
        proposal: dict[str, Any]

        def suggest(self) -> dict[str, Any]:
            return self.proposal

    searcher = Partial(SPACE, [], random_seed=1)
    searcher.proposal = {"n": 3}
    assert searcher.next_config() == {**default_config(SPACE), "n": 3}
    searcher.proposal = {"m": 3}
    with pytest.raises(ConfigSpaceError, match="'m' is not in the config space"):
        searcher.next_config()


def test_the_seed_of_a_searcher_is_fixed_by_its_first_proposal() -> None:
    """A seed that changed in the middle would make the experiment impossible to continue."""
    searcher = RandomSearcher(SPACE, random_seed=1)
    searcher.next_config()
    with pytest.raises(RuntimeError, match="after its first suggestion"):
        searcher.set_random_seed(2)
