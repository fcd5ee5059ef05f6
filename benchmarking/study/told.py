"""What the records show, as tables in Markdown: for the page, and for a terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from benchmarking.study.bootstrap import Interval
from benchmarking.study.claims import CLAIMS, Claim, judged
from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.questions import ALL_TABLES, FAILS, HOLDS, OPEN, Answer, Question
from benchmarking.study.records import Records
from benchmarking.study.regrets import (
    PEERS_TEXT,
    TOO_FEW,
    Where,
    beside_random,
    evaluations_compared,
    judged_peers,
    median_regret,
    same_seeds,
)


def told(plan: Plan, records: Records, other_code: Collection[str] = ()) -> str:
    """All claims of a plan, one after another. Arguments are those of :func:`summary`."""
    parts = [summary(plan, records, other_code)]
    parts += [f"## {claim.name}\n\n{of_claim(claim, plan, records)}" for claim in CLAIMS if claim.name in plan.tables]
    if REGRET in plan.tables:
        parts.append(f"## {REGRET}\n\n{of_peers(plan, records)}")
    return "\n\n".join(parts)


def summary(plan: Plan, records: Records, other_code: Collection[str] = ()) -> str:
    """A line for each claim, and which records are of other code.

    Args:
        plan: Without the tables that cannot be had.
        records: Those that count.
        other_code: Keys of records that other code has made than there is now.
    """
    rows = [
        _line(claim.name, claim.text, judged(claim, plan, records)[1], plan, records)
        for claim in CLAIMS
        if claim.name in plan.tables
    ]
    if REGRET in plan.tables:
        text = " ".join([PEERS_TEXT, *_not_better(plan, records)])
        rows.append(_line(REGRET, text, judged_peers(plan, records)[1], plan, records))
    table = _table(("claim", "tables", "seeds", "verdict"), rows)
    former = [key for key in other_code if key in records]
    return f"{table}\n\n{of_other_code(former, len(records), counted=True)}" if former else table


def _line(name: str, text: str, verdict: str, plan: Plan, records: Records) -> Sequence[str]:
    there, left_out = len(plan.tables[name]), len(plan.left_out.get(name, ()))
    tables = f"{there} of {there + left_out}" if left_out else str(there)
    seeds = _seeds(name, plan, records)
    return text, tables, str(seeds), f"**{verdict}**" if seeds else "not run yet"


def _seeds(claim: str, plan: Plan, records: Records) -> int:
    """How many seeds are complete."""
    missing = {one.seed for one in plan.only([claim]).experiments() if one.key not in records}
    return plan.seeds - len(missing) if plan.tables[claim] else 0


def of_other_code(keys: Collection[str], of: int, counted: bool) -> str:
    """Says plainly which records were not made by the code as it is now, and what that means."""
    by_claim = Counter(key.partition("/")[0] for key in keys)
    each = ", ".join(f"{claim} {count}" for claim, count in sorted(by_claim.items()))
    return (
        f"{len(keys)} of {of} records were made by other code than there is now, of methods, simulator, tables or "
        f"libraries ({each}); " + ("`run --fresh-code` makes them again." if counted else "they do not count.")
    )


def of_claim(claim: Claim, plan: Plan, records: Records) -> str:
    """What was asked for a claim, and what came out, over all tables and for each."""
    found, verdict = judged(claim, plan, records)
    rows = [_row(question, answer) for question, of in found.items() for answer in of]
    missing = ", ".join(plan.left_out.get(claim.name, ()))
    left_out = f" Left out are tables that are not there: {missing}." if missing else ""
    if not rows:
        return _NOT_RUN + left_out
    return f"Verdict: **{verdict}**.{left_out}\n\n{_table(_HEAD, rows)}"


_NOT_RUN = "Not run yet."
_HEAD = ("compared", "what", "table", "seeds", "mean [95 % interval]", "wanted", "verdict")


def _row(question: Question, answer: Answer) -> Sequence[str]:
    wanted = f"{question.wanted} {question.bound:g}" if question.wanted else ""
    table = f"**{answer.table}**" if answer.table == ALL_TABLES else answer.table
    compared = f"{question.ours} / {question.theirs}"
    return (compared, question.measure, table, str(answer.seeds), _number(answer.shown), wanted, answer.verdict)


def _number(shown: Interval) -> str:
    if math.isnan(shown.lower):
        return f"{shown.centre:.3g}"
    return f"{shown.centre:.3g} [{shown.lower:.3g}, {shown.upper:.3g}]"


def of_peers(plan: Plan, records: Records) -> str:
    """Median regrets of all, and how ours compares with each other one's, over the seeds that all have."""
    found, verdict = judged_peers(plan, records)
    if not any(found.values()):
        return _NOT_RUN
    by_pair = {(q.theirs, q.measure, answer.table): answer for q, of in found.items() for answer in of}
    rows = []
    for problem in plan.tables[REGRET]:
        seeds = len(same_seeds(plan, records, problem))
        for after in evaluations_compared(plan):
            for optimizer in plan.peers:
                median = median_regret(plan, records, problem, optimizer, after)
                answer = by_pair.get((optimizer, f"regret after {after}", problem))
                rows.append(
                    (
                        problem,
                        str(after),
                        optimizer,
                        str(seeds),
                        "" if median is None else f"{median:.3g}",
                        "" if answer is None else _number(answer.shown),
                        "" if answer is None else _WORDS[answer.verdict],
                    )
                )
    parts = [f"Verdict: **{verdict}**.", *_not_better(plan, records), *_too_few(plan, records)]
    return f"{' '.join(parts)}\n\n{_table(_HEAD_OF_PEERS, rows)}"


_HEAD_OF_PEERS = (
    "problem",
    "evaluations",
    "optimizer",
    "seeds",
    "median regret",
    "ours / theirs, mean [95 % interval]",
    "ours is",
)
#: Of a regret that is wanted to be lower than theirs.
_WORDS = {HOLDS: "better", FAILS: "worse", OPEN: "no difference shown", TOO_FEW: TOO_FEW}


def _not_better(plan: Plan, records: Records) -> Sequence[str]:
    """A sentence on where ours does not beat random search; none where it does."""
    where = beside_random(plan, records)[0]
    return [f"Not better than random search: {_places(where, plan)}."] if where else []


def _too_few(plan: Plan, records: Records) -> Sequence[str]:
    """A sentence on where nobody can say yet whether ours beats random search; none where everybody can."""
    where = beside_random(plan, records)[1]
    return [f"Too few seeds to call it better than random search: {_places(where, plan)}."] if where else []


def _places(where: Where, plan: Plan) -> str:
    named = [
        f"{problem} ({', '.join(map(str, where[problem]))})" for problem in plan.tables[REGRET] if problem in where
    ]
    return ", ".join(named)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
