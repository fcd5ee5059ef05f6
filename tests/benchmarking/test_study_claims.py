"""The study's claims: intervals that are right, and verdicts that can go against us."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarking.study.bootstrap import Interval, interval
from benchmarking.study.claims import CLAIMS, MARGIN, Claim, judged
from benchmarking.study.measures import MEASURES, final_rank, rank_at, time_to
from benchmarking.study.page import replaced, rewrite
from benchmarking.study.plan import FULL, REGRET, Plan
from benchmarking.study.questions import FAILS, HOLDS, OPEN, Question, answers, of_all, verdict
from benchmarking.study.regrets import judged_peers
from benchmarking.study.tables import DIGITS
from benchmarking.study.told import told

SEEDS = 20
TABLES = ("one", "two")
PLAN = Plan(SEEDS, dict.fromkeys([claim.name for claim in CLAIMS], TABLES) | {REGRET: ("branin", "hartmann6")})


def record(rank: float = 10, seconds: float = 100, epochs: float = 100, at: float = 50) -> dict[str, Any]:
    return {
        "steps": [[1.0, 500], [at, rank]],
        "seconds": seconds,
        "epochs": epochs,
        "worker_seconds": epochs,
        "end_rank": rank,
    }


def records(plan: Plan, claim: str, **of_setup: dict[str, Any]) -> dict[str, Any]:
    """For each setup (``_`` for what is no letter) a record that differs a little from seed to seed."""
    found = {}
    noise = np.random.default_rng(0)
    for one in plan.only([claim]).experiments():
        known = of_setup.get("".join(letter if letter.isalnum() else "_" for letter in one.setup.name), {})
        found[one.key] = {**record(**known)}
        found[one.key]["epochs"] *= noise.uniform(0.98, 1.02)
        shift = int(noise.integers(-2, 3))
        found[one.key]["steps"][-1][1] += shift
        found[one.key]["end_rank"] += shift
    return found


def claim_named(name: str) -> Claim:
    return next(claim for claim in CLAIMS if claim.name == name)


def test_bootstrap_is_right_on_a_known_case() -> None:
    """For many normal values it agrees with the interval of theory, and covers the true mean as often as it says."""
    drawn = np.random.default_rng(7)
    values = drawn.normal(3.0, 2.0, size=400)
    found = interval(values)
    error = 1.96 * values.std(ddof=1) / 20
    assert found.centre == pytest.approx(values.mean())
    assert found.lower == pytest.approx(values.mean() - error, abs=0.03)
    assert found.upper == pytest.approx(values.mean() + error, abs=0.03)
    covered = 0
    for _ in range(200):
        one = interval(drawn.normal(0.0, 1.0, size=40))
        covered += one.lower <= 0 <= one.upper
    assert 0.89 <= covered / 200 <= 0.985


def test_bootstrap_is_paired() -> None:
    """Seeds that are hard for both do not widen the interval of the difference; the same values give none at all."""
    drawn = np.random.default_rng(1)
    hard = drawn.normal(0, 100, size=20)
    ours, theirs = hard + 1 + drawn.normal(0, 0.1, 20), hard
    found = interval(ours - theirs)
    assert 0.9 < found.lower < found.upper < 1.1
    assert interval([2.0] * 5) == Interval(2.0, 2.0, 2.0)
    assert interval(ours - theirs) == found, "seeded"


def test_bootstrap_of_one_seed_has_no_interval() -> None:
    """Nothing is shown by a single seed; of none there is no mean."""
    assert math.isnan(interval([1.0]).lower)
    assert verdict(interval([0.1]), "below", 1.0) == OPEN
    with pytest.raises(ValueError, match="one value for each seed"):
        interval([])


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ((0.8, 0.7, 0.9), "below", HOLDS),
        ((0.95, 0.8, 1.1), "below", OPEN),
        ((1.0, 1.0, 1.0), "below", OPEN),
        ((1.2, 1.1, 1.3), "below", FAILS),
        ((1.2, 1.1, 1.3), "above", HOLDS),
        ((1.05, 0.9, 1.2), "above", OPEN),
        ((0.8, 0.7, 0.9), "above", FAILS),
        ((1.2, 1.1, 1.3), "", ""),
    ],
)
def test_an_interval_that_covers_no_difference_shows_nothing(
    found: tuple[float, float, float], wanted: Any, expected: str
) -> None:
    """A verdict goes by the interval's ends, never by the mean alone."""
    assert verdict(Interval(*found), wanted, 1.0) == expected


@pytest.mark.parametrize(("spread", "expected"), [(1.05, HOLDS), (2.0, OPEN), (8.0, OPEN)])
def test_noise_does_not_make_pasha_match(spread: float, expected: str) -> None:
    """Equal on average, seeds spread by a factor to both sides: the more they do, the less is shown."""
    pasha = claim_named("pasha")
    known = records(PLAN, "pasha", PASHA={"epochs": 40}, ASHA={"epochs": 100})
    for key, one in known.items():
        _, _, name, seed = key.split("/")
        one["end_rank"] = 100 * spread ** (1 if (name == "ASHA") == int(seed) % 2 else -1)
    question = next(question for question in pasha.questions if question.measure == "rank trained to the end")
    assert answers(question, PLAN, known)[0].verdict == expected
    assert f"below {MARGIN:g}" in told(PLAN.only(["pasha"]), known), "the margin stands in the table"


def test_a_claim_holds_only_if_all_of_it_does() -> None:
    """What is only told does not count."""
    assert of_all([HOLDS, "", HOLDS]) == HOLDS
    assert of_all([HOLDS, OPEN]) == OPEN
    assert of_all([OPEN, FAILS]) == FAILS
    assert of_all([""]) == of_all([]) == OPEN


GOOD, BAD, SAME = {"rank": 10, "at": 5.0}, {"rank": 40, "at": 90.0}, {"rank": 20, "at": 90.0}
LINEAR: dict[str, dict[str, float]] = {
    "1_worker": {"seconds": 800},
    "2_workers": {"seconds": 402},
    "4_workers": {"seconds": 205},
}
OUTCOMES: list[tuple[str, str, dict[str, dict[str, float]]]] = [
    ("workers", HOLDS, {**LINEAR, "8_workers": {"seconds": 104}}),
    ("workers", FAILS, {**LINEAR, "8_workers": {"seconds": 160}}),
    ("asha", HOLDS, {"ASHA": GOOD, "random_search": BAD}),
    ("asha", FAILS, {"ASHA": BAD, "random_search": GOOD}),
    ("pasha", HOLDS, {"PASHA": {"epochs": 40, "rank": 20}, "ASHA": {"rank": 20}}),
    ("pasha", FAILS, {"PASHA": {"epochs": 90, "rank": 20}, "ASHA": {"rank": 20}}),
    ("pasha", FAILS, {"PASHA": {"epochs": 40, "rank": 90}, "ASHA": {"rank": 20}}),
    ("models", HOLDS, {"BO": GOOD, "random_search": BAD, "MOBSTER": GOOD, "ASHA": BAD}),
    ("models", FAILS, {"BO": BAD, "random_search": GOOD, "MOBSTER": GOOD, "ASHA": BAD}),
    ("models", OPEN, {"BO": GOOD, "random_search": BAD, "MOBSTER": SAME, "ASHA": SAME}),
    ("cost", HOLDS, {"BO__2_workers": {**GOOD, "epochs": 25}, "random_search__8_workers": BAD}),
    ("cost", FAILS, {"BO__2_workers": {**GOOD, "epochs": 50}, "random_search__8_workers": BAD}),
    ("cost", FAILS, {"BO__2_workers": {**BAD, "epochs": 25}, "random_search__8_workers": GOOD}),
    (
        "stragglers",
        HOLDS,
        {"asynchronous__stragglers": GOOD, "synchronous__stragglers": BAD, "synchronous": GOOD, "asynchronous": BAD},
    ),
    (
        "stragglers",
        FAILS,
        {"asynchronous__stragglers": BAD, "synchronous__stragglers": GOOD, "synchronous": GOOD, "asynchronous": BAD},
    ),
]


@pytest.mark.parametrize(("name", "expected", "of_setup"), OUTCOMES)
def test_each_claim_can_hold_and_can_fail(name: str, expected: str, of_setup: dict[str, dict[str, float]]) -> None:
    """From records that say so."""
    assert judged(claim_named(name), PLAN, records(PLAN, name, **of_setup))[1] == expected


def test_without_records_nothing_is_shown() -> None:
    """Every claim is open, the one about peers as well."""
    assert {judged(claim, PLAN, {})[1] for claim in CLAIMS} == {OPEN}
    assert judged_peers(PLAN, {})[1] == OPEN


def test_only_complete_seeds_count_over_all_tables() -> None:
    """A seed that lacks one table counts for the other alone."""
    plan = PLAN.only(["asha"])
    known = records(PLAN, "asha", ASHA=GOOD, random_search=BAD)
    del known["asha/two/ASHA/4"]
    found = answers(Question("asha", "ASHA", "random search", "rank"), plan, known)
    assert [(answer.table, answer.seeds) for answer in found] == [("all tables", 19), ("one", 20), ("two", 19)]


def test_a_claim_is_judged_over_all_tables_or_not_at_all() -> None:
    """With no seed that has all tables nothing is shown, whatever the first table alone would show."""
    plan = PLAN.only(["asha"])
    known = {
        key: one
        for key, one in records(PLAN, "asha", ASHA=GOOD, random_search=BAD).items()
        if (int(key.split("/")[3]) < 10) == (key.split("/")[1] == "one")
    }
    found, verdict_ = judged(claim_named("asha"), plan, known)
    assert verdict_ == OPEN
    assert {answer.table for of in found.values() for answer in of} == {"one", "two"}
    assert {answer.verdict for of in found.values() for answer in of} == {HOLDS, ""}


def test_tables_that_are_not_there_are_left_out_and_named() -> None:
    """Where a table cannot be had, and there is no record of it, claims are judged by the others."""
    plan = Plan(SEEDS, {"asha": ("nowhere", DIGITS), "workers": ("nowhere",)})
    known = records(Plan(SEEDS, {"asha": (DIGITS,)}), "asha", ASHA=GOOD, random_search=BAD)
    there = plan.without_missing(known)
    assert there.tables == {"asha": [DIGITS], "workers": []}
    text = told(there, known)
    assert "| 1 of 2 | 20 | **holds** |" in text
    assert "| 0 of 1 | 0 | not run yet |" in text
    assert "Verdict: **holds**. Left out are tables that are not there: nowhere." in text
    known |= records(Plan(SEEDS, {"asha": ("nowhere",)}), "asha", ASHA=BAD, random_search=GOOD)
    assert plan.without_missing(known).tables["asha"] == ["nowhere", DIGITS], (
        "records of it count, wherever they are from"
    )


def test_random_search_is_not_faster_than_itself() -> None:
    """Compared with itself it has its final rank after the same time, however early that is."""
    plan = PLAN.only(["asha"])
    known = records(PLAN, "asha", ASHA={"at": 20}, random_search={"at": 20})
    known = {key: known[key.replace("/ASHA/", "/random search/")] for key in known}
    question = claim_named("asha").questions[0]
    assert {answer.shown.centre for answer in answers(question, plan, known)} == {1.0}
    assert judged(claim_named("asha"), plan, known)[1] == FAILS


def test_times_and_places_of_a_record() -> None:
    """The best place so far is that of the last step; what was never reached counts as twice the whole time."""
    one = record(rank=10, at=50)
    assert final_rank(one) == 10
    assert [rank_at(one, seconds) for seconds in (0.5, 1, 49, 50, 1000)] == [None, 500, 500, 10, 10]
    assert time_to(one, 10) == time_to(one, 11) == 50
    assert time_to(one, 9) is None
    measure = MEASURES["time to their final rank"]
    assert math.exp(measure(record(rank=10, at=25), record(rank=10, at=50))) == pytest.approx(0.5)
    assert math.exp(measure(record(rank=11, seconds=100), record(rank=10, at=50))) == pytest.approx(4.0)


def test_the_page_keeps_what_is_written_by_hand(tmp_path: Path) -> None:
    """Marked parts are replaced, with figures; all else stays, and writing again changes nothing."""
    plan = PLAN.only(["asha"])
    page = tmp_path / "study.md"
    part = "<!-- study: {} -->\nformer\n<!-- study ends -->\n"
    page.write_text("By hand.\n\n" + part.format("summary") + "\nAlso.\n\n" + part.format("asha") + "\nThe end.\n")
    known = records(PLAN, "asha", ASHA=GOOD, random_search=BAD)
    rewrite(page, plan, known)
    text = page.read_text()
    assert text.startswith("By hand.\n")
    assert text.endswith("\nThe end.\n")
    assert "former" not in text
    assert "| 2 | 20 | **holds** |" in text
    assert (tmp_path / "images" / "study-asha.png").stat().st_size > 1000
    rewrite(page, plan, known)
    assert page.read_text() == text
    with pytest.raises(ValueError, match="mark each part once"):
        replaced(text, {"summary": "", "other": ""})


def test_the_page_in_the_docs_marks_all_parts() -> None:
    """Each claim has its place on the page, so that the command can write it."""
    page = (Path(__file__).parents[2] / "docs" / "study.md").read_text()
    names = ["summary", *(claim.name for claim in CLAIMS), REGRET]
    assert "<!-- study: asha -->" in replaced(page, dict.fromkeys(names, "x"))
    assert set(names) - {"summary"} == set(FULL.tables)


def test_a_terminal_is_told_the_same() -> None:
    """With some of the records, or none at all."""
    assert "| 2 | 0 | not run yet |" in told(PLAN, {})
    text = told(PLAN.only(["asha"]), records(PLAN, "asha", ASHA=GOOD, random_search=BAD))
    assert (
        "ASHA / random search | time to their final rank | **all tables** | 20 | 0.0556 [0.0556, 0.0556] | below 0.5 | "
        "holds" in text
    )
