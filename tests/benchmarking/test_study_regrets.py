"""The study's claim about peers: over the same seeds, of enough of them, and with random search beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.questions import FAILS, HOLDS, OPEN
from benchmarking.study.records import Records
from benchmarking.study.regrets import LEAST_SEEDS, TOO_FEW, beside_random, judged_peers, median_regret, same_seeds
from benchmarking.study.told import of_peers, summary

PROBLEMS = ("branin", "hartmann6")
PLAN = Plan(20, {REGRET: PROBLEMS})
PEERS = {"optuna-gp", "optuna-tpe", "botorch"}


def records(plan: Plan = PLAN, **mean: float | Mapping[str, float]) -> Records:
    """Regrets that differ a little from seed to seed, of ``mean``, of a problem or of all; 3 where none is given."""
    noise = np.random.default_rng(3)
    found = {}
    for one in plan.experiments():
        of_optimizer = mean.get(one.setup.name.replace("-", "_"), 3.0)
        value = of_optimizer if isinstance(of_optimizer, float) else of_optimizer[one.table]
        found[one.key] = {"regret": [float(value * noise.uniform(0.9, 1.1))] * 60}
    return found


def rows(plan: Plan, known: Records, optimizer: str) -> list[list[str]]:
    """Of an optimizer in the table: all cells."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in of_peers(plan, known).splitlines()]
    return [line for line in lines if len(line) > 2 and line[2] == optimizer]


def only_seeds(known: Records, optimizer: str, seeds: Sequence[int]) -> Records:
    """Without an optimizer's other seeds."""
    return {key: one for key, one in known.items() if key.split("/")[2] != optimizer or int(key.split("/")[3]) in seeds}


@pytest.mark.parametrize(
    ("ours", "expected"), [((0.1, 0.1), HOLDS), ((0.1, 1.0), OPEN), ((0.1, 9.0), FAILS), ((1.0, 1.0), OPEN)]
)
def test_peers(ours: tuple[float, float], expected: str) -> None:
    """Better than the best peer on two problems and worse on none is what is claimed."""
    known = records(cloudtune=dict(zip(PROBLEMS, ours, strict=True)), optuna_gp=1.0)
    answered, verdict = judged_peers(PLAN, known)
    assert verdict == expected
    assert {question.theirs for question in answered} == {*PEERS, "random"}


def test_medians_ratios_and_the_best_peer_are_over_the_same_seeds() -> None:
    """Seeds that one of them lacks count for nobody, though they would make another peer the best."""
    known = only_seeds(records(cloudtune=1.0, botorch=2.0), "cloudtune", range(8))
    for key in known:
        _, _, optimizer, seed = key.split("/")
        if optimizer == "optuna-gp" and int(seed) >= 8:
            known[key] = {"regret": [1e-6] * 60}
    del known["regret/branin/botorch/7"]
    assert same_seeds(PLAN, known, "branin") == list(range(7))
    assert median_regret(PLAN, known, "branin", "optuna-gp", 60) == pytest.approx(3.0, rel=0.1)
    answered = [answer for of in judged_peers(PLAN, known)[0].values() for answer in of]
    assert {(answer.table, answer.seeds) for answer in answered} == {("branin", 7), ("hartmann6", 8)}
    assert {(line[0], line[3]) for name in PLAN.peers for line in rows(PLAN, known, name)} == {
        ("branin", "7"),
        ("hartmann6", "8"),
    }


def test_the_best_peer_is_that_of_the_same_seeds() -> None:
    """A peer that is the best only with seeds that ours has not is not the one that decides."""
    known = only_seeds(records(cloudtune=1.0, optuna_gp=2.0, botorch=0.5), "cloudtune", range(8))
    for key in known:
        _, _, optimizer, seed = key.split("/")
        if optimizer == "optuna-gp" and int(seed) >= 8:
            known[key] = {"regret": [1e-6] * 60}
    assert judged_peers(PLAN, known)[1] == FAILS, "by botorch; optuna-gp, which ours beats, is better where ours is not"


@pytest.mark.parametrize("ours", [0.1, 9.0])
def test_a_few_seeds_show_nothing(ours: float) -> None:
    """With one less than are needed nothing is called better or worse, however far apart; with so many it is."""
    enough = replace(PLAN, seeds=LEAST_SEEDS)
    known = records(enough, cloudtune=ours)
    words = {line[6] for other in (*PEERS, "random") for line in rows(enough, known, other)}
    assert words == ({"better"} if ours < 1 else {"worse"})
    assert judged_peers(enough, known)[1] == (HOLDS if ours < 1 else FAILS)
    few = only_seeds(known, "botorch", range(LEAST_SEEDS - 1))
    assert {line[6] for other in (*PEERS, "random") for line in rows(enough, few, other)} == {TOO_FEW}
    assert judged_peers(enough, few)[1] == OPEN
    named = "Too few seeds to call it" if ours < 1 else "Not"
    assert f" {named} better than random search: branin (30, 60), hartmann6 (30, 60).\n" in of_peers(enough, few)


def test_seeds_that_are_called_enough_are_rarely_on_one_side_by_chance() -> None:
    """Of methods that are equal all seeds are on one side with at most 5 % of chance, as intervals are of 95 %."""
    assert 2 * 0.5**LEAST_SEEDS <= 0.05 < 2 * 0.5 ** (LEAST_SEEDS - 1)


def test_random_search_is_compared_but_is_no_peer() -> None:
    """Where it is better the verdict stays that about the peers, and the problem is named, in the summary too."""
    known = records(cloudtune=1.0, random={"branin": 9.0, "hartmann6": 0.1})
    assert judged_peers(PLAN, known)[1] == HOLDS
    assert [line[6] for line in rows(PLAN, known, "random")] == ["better", "better", "worse", "worse"]
    assert all("[" in line[5] for line in rows(PLAN, known, "random"))
    named = "Not better than random search: hartmann6 (30, 60)."
    assert f"Verdict: **holds**. {named}\n" in of_peers(PLAN, known)
    assert f"better on two at least. {named} | 2 | 20 | **holds** |" in summary(PLAN, known)


def test_where_random_search_is_beaten_nothing_is_named() -> None:
    """On all problems, by enough seeds."""
    known = records(cloudtune=1.0)
    assert beside_random(PLAN, known) == ({}, {})
    assert "Verdict: **holds**.\n" in of_peers(PLAN, known)


def test_equal_to_random_search_is_not_better() -> None:
    """By the interval, though the median is lower; and only after as many evaluations as it is so."""
    known = records(cloudtune=1.0)
    for key, one in known.items():
        _, problem, optimizer, seed = key.split("/")
        if problem == "branin" and optimizer == "cloudtune" and int(seed) % 3 == 0:
            one["regret"] = [1e4] * 59 + [1e-2]
    medians = {name: median_regret(PLAN, known, "branin", name, 30) for name in ("cloudtune", "random")}
    assert medians == {"cloudtune": pytest.approx(1.0, rel=0.1), "random": pytest.approx(3.0, rel=0.1)}
    assert beside_random(PLAN, known) == ({"branin": [30]}, {})


def test_a_lower_median_of_random_search_is_named() -> None:
    """Though the mean ratio, which a few seeds make that are next to 0, is surely on our side."""
    known = records(cloudtune=6.0)
    for key, one in known.items():
        if key.split("/")[2] == "cloudtune" and int(key.split("/")[3]) % 5 < 2:
            one["regret"] = [1e-9] * 60
    assert {line[6] for line in rows(PLAN, known, "random")} == {"better"}
    assert beside_random(PLAN, known)[0] == {"branin": [30, 60], "hartmann6": [30, 60]}
