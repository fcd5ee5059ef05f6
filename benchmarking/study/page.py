"""The page on the study: written by hand, but for marked parts, which hold what the records show."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from benchmarking.study.claims import CLAIMS
from benchmarking.study.figures import draw
from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.records import Records
from benchmarking.study.told import of_claim, of_peers, summary

_PART = re.compile(r"(<!-- study: (?P<name>[a-z]+) -->\n).*?(<!-- study ends -->)", re.DOTALL)


def rewrite(page: Path, plan: Plan, records: Records, other_code: Collection[str] = ()) -> None:
    """Writes what the records show into the parts of the page, and draws its figures beside it.

    Arguments are those of :func:`benchmarking.study.told.summary`.

    Raises:
        ValueError: The page has no part for something that is to be told, or one that nothing is known about.
    """
    text = replaced(page.read_text(encoding="utf-8"), parts(plan, records, page.parent, other_code))
    page.write_text(text, encoding="utf-8")


def parts(plan: Plan, records: Records, folder: Path, other_code: Collection[str] = ()) -> dict[str, str]:
    """The text of each part; figures of claims that have records are drawn."""
    found = {"summary": summary(plan, records, other_code)}
    for claim in (claim for claim in CLAIMS if claim.name in plan.tables):
        image = f"images/study-{claim.name}.png"
        text = of_claim(claim, plan, records)
        if draw(claim.name, plan, records, folder / image):
            text = f"![{claim.text}]({image})\n\n{text}"
        found[claim.name] = text
    if REGRET in plan.tables:
        found[REGRET] = of_peers(plan, records)
    return found


def replaced(text: str, by_name: Mapping[str, str]) -> str:
    """The text of a page with its marked parts replaced. Raises as :func:`rewrite`."""
    marked = [match["name"] for match in _PART.finditer(text)]
    if sorted(marked) != sorted(by_name):
        raise ValueError(
            f"the page marks {', '.join(marked) or 'nothing'}, but there is {', '.join(by_name)}; "
            "mark each part once with <!-- study: NAME --> and <!-- study ends -->"
        )
    return _PART.sub(lambda match: f"{match[1]}\n{by_name[match['name']]}\n\n{match[3]}", text)
