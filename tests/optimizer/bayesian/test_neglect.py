"""Every category is tried now and then, whatever the model expects of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import choice, randint, uniform
from cloudtune.optimizer.searchers.bayesian.encoder import Encoder
from cloudtune.optimizer.searchers.bayesian.neglect import neglected
from cloudtune.trial import Config
from tests.optimizer.bayesian.test_searcher import made, run

SPACE: dict[str, Any] = {"x": uniform(0, 1), "kind": choice(["a", "b", "c"]), "flag": choice([True, False])}


def rows_of(kinds: str, flags: str) -> list[Any]:
    """Rows with these categories, each with another number."""
    encoder = Encoder(SPACE)
    each = enumerate(zip(kinds, flags, strict=True))
    return [encoder.row({"x": i / 100, "kind": kind, "flag": flag == "t"}) for i, (kind, flag) in each]


def test_the_most_neglected_category_comes_first() -> None:
    """Measured by its share of what is due to each: of three kinds tried ten times, 2.2 times, and of two 2.9 times."""
    encoder = Encoder(SPACE)
    assert neglected(encoder, rows_of("aaaaaaaacb", "tttttffftt"), 9) == (1, 1)
    assert neglected(encoder, rows_of("aaaaaaaabc", "ttttttttff"), 9) == (1, 1)
    assert neglected(encoder, rows_of("aaaaaabbcc", "tttttttttt"), 9) == (2, 1)
    assert neglected(encoder, rows_of("aaaabbbccc", "tttttttfff"), 9) is None
    assert neglected(encoder, rows_of("aaaaabbbcc", "tttttttfff"), 9) == (1, 2)


def test_two_of_three_suggestions_are_free() -> None:
    """However many categories were never tried."""
    found = [neglected(Encoder(SPACE), rows_of("a" * 30, "t" * 30), number) for number in range(30, 36)]
    assert [one is not None for one in found] == [True, False, False] * 2


def test_a_trial_counts_once() -> None:
    """Also where it has shown something at several levels."""
    rows = rows_of("aaabbbccc", "ttttfffff")
    assert neglected(Encoder(SPACE), rows, 9) is None
    assert neglected(Encoder(SPACE), rows_of("aaaaaaaab", "tttffffff") + 9 * rows_of("c", "t"), 9) is not None


def test_numbers_are_not_neglected() -> None:
    """Where there are no categories every suggestion is the model's."""
    encoder = Encoder({"x": uniform(0, 1), "n": randint(1, 3)})
    assert neglected(encoder, [encoder.row({"x": 0.5, "n": 1})] * 30, 9) is None


@given(st.lists(st.sampled_from(["at", "af", "bt", "bf", "ct"]), min_size=1, max_size=40), st.integers(1, 40))
def test_candidates_get_the_category(pairs: list[str], count: int) -> None:
    """All of them, nothing else of them changes, and none is there twice."""
    encoder = Encoder(SPACE)
    rows = np.array(rows_of("".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs)))[:count]
    there = encoder.with_category(np.concatenate([rows, rows]), 1, 2)
    configs = [encoder.config(row) for row in there]
    before = [encoder.config(row) for row in rows]
    assert configs == [{**config, "kind": "c"} for config in before]


def test_a_category_that_begins_badly_is_tried_again() -> None:
    """The best one is bad almost everywhere: it is tried as often as is due to it, and its hole is found.

    A model that has seen only bad values of it would not look again.
    """
    space = {"kind": choice(["plain", "deep"]), "x": uniform(0, 1)}

    def report(config: Config) -> dict[str, Any]:
        if config["kind"] == "plain":
            return {"loss": 1.0 + (config["x"] - 0.5) ** 2}
        return {"loss": 8.0 - 8.0 * max(0.0, 1.0 - 4 * abs(config["x"] - 0.3))}

    points = [{"kind": "deep", "x": x} for x in (0.65, 0.95)] + [{"kind": "plain", "x": x} for x in (0.1, 0.6)]
    configs = run(made(space, points_to_evaluate=points), report, 22)
    assert sum(config["kind"] == "deep" for config in configs[4:]) >= 2
    # Outside of the hole it is 8.
    assert min(report(config)["loss"] for config in configs if config["kind"] == "deep") < 4.0


def test_what_of_a_category_is_tried_goes_by_its_own_trials() -> None:
    """Beside values that are all near 1, those of the other category are all alike, and where it is best is unknown.

    By a model of all trials, 25 trials are too few.
    """
    space = {"kind": choice(["plain", "deep"]), "x": uniform(0, 1)}

    def report(config: Config) -> dict[str, Any]:
        if config["kind"] == "plain":
            return {"loss": 1.0 + (config["x"] - 0.5) ** 2}
        return {"loss": 0.2 + 60.0 * (config["x"] - 0.3) ** 2}

    points = [{"kind": "deep", "x": x} for x in (0.75, 0.95)] + [{"kind": "plain", "x": x} for x in (0.1, 0.6)]
    configs = run(made(space, points_to_evaluate=points), report, 22)
    assert min(report(config)["loss"] for config in configs) < 0.5


def test_a_category_that_nothing_is_known_of_goes_by_the_model_of_all() -> None:
    """Where all its trials have failed, for instance."""
    space = {"kind": choice(["fine", "broken"]), "x": uniform(0, 1)}

    def report(config: Config) -> dict[str, Any] | None:
        return {"loss": (config["x"] - 0.5) ** 2} if config["kind"] == "fine" else None

    scheduler = made(space)
    configs = run(scheduler, report, 20)
    assert 3 <= sum(config["kind"] == "broken" for config in configs) <= 9
    assert min((config["x"] - 0.5) ** 2 for config in configs if config["kind"] == "fine") < 1e-3
    assert scheduler.searcher.outcome() == {"failed_fits": 0, "by_chance": 0}


@pytest.mark.parametrize("kind", ["a", "b"])
def test_a_category_that_is_used_up_is_not_waited_for(kind: str) -> None:
    """Where all configurations of a neglected category are known, the suggestion is free."""
    space = {"kind": choice(["a", "b"]), "n": randint(1, 12), "m": randint(1, 1)}
    points = [{"kind": kind, "n": n} for n in range(1, 13)]
    configs = run(made(space, points_to_evaluate=points), lambda config: {"loss": config["n"]}, 24)
    assert len({(config["kind"], config["n"]) for config in configs}) == 24
