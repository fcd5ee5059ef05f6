"""The claims, in words and as questions to the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarking.study.experiment import Experiment
from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.questions import FAILS, HOLDS, OPEN, Answer, Answers, Question, answers, of_all, over_all
from benchmarking.study.records import Records

#: Of the ideal speed-up, what still counts as linear.
LINEAR = 0.9
#: As good is a rank that is surely less than so many times the other.
MARGIN = 1.25


@dataclass(frozen=True)
class Claim:
    """What is claimed.

    Args:
        name: Of the experiments for it, in a plan.
        text: What would hold.
        questions: All that want something must hold.
    """

    name: str
    text: str
    questions: Sequence[Question]


def _claim(name: str, text: str, *questions: Question) -> Claim:
    return Claim(name, text, questions)


CLAIMS: Sequence[Claim] = (
    _claim(
        "workers",
        f"Asynchronous random search speeds up linearly with workers: by more than {LINEAR:.0%} of their number.",
        *(Question("workers", f"{n} workers", "1 worker", "speed-up", "above", LINEAR * n) for n in (2, 4, 8)),
    ),
    _claim(
        "asha",
        "ASHA reaches random search's final quality in less than half of the time that random search needs for it.",
        Question("asha", "ASHA", "random search", "time to their final rank", "below", 0.5),
        Question("asha", "ASHA", "random search", "rank"),
        Question("asha", "ASHA", "random search", "rank trained to the end"),
    ),
    _claim(
        "pasha",
        f"PASHA matches ASHA's final quality, with a rank less than {MARGIN:g} times ASHA's, with less than half of "
        "the epochs.",
        Question("pasha", "PASHA", "ASHA", "rank trained to the end", "below", MARGIN),
        Question("pasha", "PASHA", "ASHA", "epochs", "below", 0.5),
        Question("pasha", "ASHA to epoch 3", "ASHA", "epochs"),
        Question("pasha", "ASHA to epoch 3", "ASHA", "rank trained to the end"),
    ),
    _claim(
        "models",
        "BO beats random search, and MOBSTER beats ASHA.",
        Question("models", "BO", "random search", "rank", "below"),
        Question("models", "MOBSTER", "ASHA", "rank", "below"),
        Question("models", "BO", "random search", "time to their final rank"),
        Question("models", "MOBSTER", "ASHA", "time to their final rank"),
    ),
    _claim(
        "cost",
        "BO with 2 workers beats random search with 8, at a quarter of the cost.",
        Question("cost", "BO, 2 workers", "random search, 8 workers", "rank", "below"),
        Question("cost", "BO, 2 workers", "random search, 8 workers", "worker-seconds", "below", 0.26),
    ),
    _claim(
        "stragglers",
        "With stragglers, asynchronous Hyperband gets further than synchronous in the same time.",
        Question("stragglers", "asynchronous, stragglers", "synchronous, stragglers", "rank", "below"),
        Question("stragglers", "asynchronous, stragglers", "synchronous, stragglers", "epochs"),
        Question("stragglers", "asynchronous, one bracket, stragglers", "synchronous, one bracket, stragglers", "rank"),
        Question(
            "stragglers", "asynchronous, one bracket, stragglers", "synchronous, one bracket, stragglers", "epochs"
        ),
        Question("stragglers", "asynchronous", "synchronous", "rank"),
        Question("stragglers", "asynchronous", "synchronous", "epochs"),
    ),
)
PEERS_TEXT = (
    "Bayesian optimisation is on no problem significantly worse than the best of its peers, and better on two at least."
)


def judged(claim: Claim, plan: Plan, records: Records) -> tuple[Answers, str]:
    """The answers to the questions of a claim, and its verdict: by those over all tables of the plan."""
    found = {question: answers(question, plan, records) for question in claim.questions}
    decisive = [over_all(of, plan.tables[claim.name]) for question, of in found.items() if question.wanted]
    return found, of_all([OPEN if answer is None else answer.verdict for answer in decisive])


def judged_peers(plan: Plan, records: Records) -> tuple[Answers, str]:
    """How our regrets compare with each peer's, and the verdict against the best peer of each problem.

    The best one is that with the least median in the end.
    """
    peers = [peer for peer in plan.peers if peer not in ("cloudtune", "random")]
    after = [count for count in (30, 60) if count <= plan.evaluations]
    found: dict[Question, Sequence[Answer]] = {}
    for peer in peers:
        for count in after:
            question = Question(REGRET, "cloudtune", peer, f"regret after {count}", "below")
            found[question] = [
                answer for answer in answers(question, plan, records) if answer.table in plan.tables[REGRET]
            ]
    verdicts = []
    for problem in plan.tables[REGRET]:
        medians = {peer: median_regret(plan, records, problem, peer, after[-1]) for peer in peers}
        known = {peer: median for peer, median in medians.items() if median is not None}
        if len(known) < len(peers):
            return found, OPEN
        best = min(known, key=lambda peer: known[peer])
        question = Question(REGRET, "cloudtune", best, f"regret after {after[-1]}", "below")
        verdicts += [answer.verdict for answer in found[question] if answer.table == problem]
    if len(verdicts) < len(plan.tables[REGRET]):
        return found, OPEN
    if FAILS in verdicts:
        return found, FAILS
    return found, HOLDS if verdicts.count(HOLDS) >= 2 else OPEN


def median_regret(plan: Plan, records: Records, problem: str, peer: str, after: int) -> float | None:
    """Over the seeds that there are; None without any."""
    setup = next(setup for setup in plan.setups_of(REGRET) if setup.name == peer)
    known = [records.get(Experiment(REGRET, problem, setup, seed).key) for seed in range(plan.seeds)]
    values = [record["regret"][after - 1] for record in known if record is not None]
    return float(np.median(values)) if values else None
