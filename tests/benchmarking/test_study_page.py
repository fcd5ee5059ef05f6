"""The page on the study says what the committed records show."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarking.study.claims import CLAIMS, Claim
from benchmarking.study.plan import FULL, REGRET
from benchmarking.study.records import Records, valid
from benchmarking.study.told import of_claim, of_peers, summary

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def known() -> Records:
    """What of the committed records counts."""
    return valid(ROOT / "benchmarking" / "study" / "results" / "full.jsonl", FULL.experiments()).counted(FULL)


def table(text: str) -> list[str]:
    """Its rows."""
    return [line for line in text.splitlines() if line.startswith("|")]


def part(name: str) -> str:
    """One of its marked parts."""
    return PAGE.split(f"<!-- study: {name} -->")[1].split("<!-- study ends -->")[0].strip()


def on_the_page(name: str) -> list[str]:
    """Rows of a part."""
    return table(part(name))


def test_the_summary_is_that_of_the_records(known: Records) -> None:
    """If it is not: ``python -m benchmarking.study page``."""
    assert on_the_page("summary") == table(summary(FULL.without_missing(known), known))


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.name for claim in CLAIMS])
def test_what_is_said_of_a_claim_is_what_the_records_show(claim: Claim, known: Records) -> None:
    """If it is not: ``python -m benchmarking.study page``."""
    assert on_the_page(claim.name) == table(of_claim(claim, FULL.without_missing(known), known))


def test_what_is_said_of_peers_is_what_the_records_show(known: Records) -> None:
    """The rows, and where random search is not beaten. If not: ``python -m benchmarking.study page``."""
    assert part(REGRET) == of_peers(FULL.without_missing(known), known)
