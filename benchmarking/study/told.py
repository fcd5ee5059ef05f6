"""What the records show, as tables in Markdown: for the page, and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarking.study.bootstrap import Interval
from benchmarking.study.claims import CLAIMS, PEERS_TEXT, Claim, judged, judged_peers, median_regret
from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.questions import ALL_TABLES, Answer, Question
from benchmarking.study.records import Records


def told(plan: Plan, records: Records) -> str:
    """All claims of a plan, one after another."""
    parts = [f"{summary(plan, records)}"]
    parts += [f"## {claim.name}\n\n{of_claim(claim, plan, records)}" for claim in CLAIMS if claim.name in plan.tables]
    if REGRET in plan.tables:
        parts.append(f"## {REGRET}\n\n{of_peers(plan, records)}")
    return "\n\n".join(parts)


def summary(plan: Plan, records: Records) -> str:
    """A line for each claim."""
    rows = [
        (claim.text, _seeds(claim.name, plan, records), judged(claim, plan, records)[1])
        for claim in CLAIMS
        if claim.name in plan.tables
    ]
    if REGRET in plan.tables:
        rows.append((PEERS_TEXT, _seeds(REGRET, plan, records), judged_peers(plan, records)[1]))
    return _table(
        ("claim", "seeds", "verdict"),
        [(text, str(seeds), f"**{verdict}**" if seeds else "not run yet") for text, seeds, verdict in rows],
    )


def _seeds(claim: str, plan: Plan, records: Records) -> int:
    """How many seeds are complete."""
    missing = {one.seed for one in plan.only([claim]).experiments() if one.key not in records}
    return plan.seeds - len(missing)


def of_claim(claim: Claim, plan: Plan, records: Records) -> str:
    """What was asked for a claim, and what came out, over all tables and for each."""
    found, verdict = judged(claim, plan, records)
    rows = [_row(question, answer) for question, of in found.items() for answer in of]
    if not rows:
        return _NOT_RUN
    return f"Verdict: **{verdict}**.\n\n{_table(_HEAD, rows)}"


_NOT_RUN = "Not run yet."
_HEAD = ("compared", "what", "table", "seeds", "mean [95 % interval]", "wanted", "verdict")


def _row(question: Question, answer: Answer) -> Sequence[str]:
    wanted = {"": "", "within": "in its interval"}.get(question.wanted, f"{question.wanted} {question.bound:g}")
    table = f"**{answer.table}**" if answer.table == ALL_TABLES else answer.table
    compared = f"{question.ours} / {question.theirs}"
    return (compared, question.measure, table, str(answer.seeds), _number(answer.shown), wanted, answer.verdict)


def _number(shown: Interval) -> str:
    if math.isnan(shown.lower):
        return f"{shown.centre:.3g}"
    return f"{shown.centre:.3g} [{shown.lower:.3g}, {shown.upper:.3g}]"


def of_peers(plan: Plan, records: Records) -> str:
    """Median regrets of all, and how ours compares with each peer's."""
    found, verdict = judged_peers(plan, records)
    if not any(found.values()):
        return _NOT_RUN
    by_pair = {(q.theirs, q.measure, answer.table): answer for q, of in found.items() for answer in of}
    rows = []
    for problem in plan.tables[REGRET]:
        for after in (count for count in (30, 60) if count <= plan.evaluations):
            for peer in plan.peers:
                median = median_regret(plan, records, problem, peer, after)
                answer = by_pair.get((peer, f"regret after {after}", problem))
                rows.append(
                    (
                        problem,
                        str(after),
                        peer,
                        "" if median is None else f"{median:.3g}",
                        "" if answer is None else _number(answer.shown),
                        "" if answer is None else _WORDS[answer.verdict],
                    )
                )
    head = ("problem", "evaluations", "optimizer", "median regret", "ours / theirs, mean [95 % interval]", "ours is")
    return f"Verdict: **{verdict}**.\n\n{_table(head, rows)}"


#: Of a regret that is wanted to be lower than theirs.
_WORDS = {"holds": "better", "does not hold": "worse", "not shown": "equal"}


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
