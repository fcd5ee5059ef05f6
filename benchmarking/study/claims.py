"""The claims, in words and as questions to the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarking.study.plan import Plan
from benchmarking.study.questions import OPEN, Answers, Question, answers, of_all, over_all
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


def judged(claim: Claim, plan: Plan, records: Records) -> tuple[Answers, str]:
    """The answers to the questions of a claim, and its verdict: by those over all tables of the plan."""
    found = {question: answers(question, plan, records) for question in claim.questions}
    decisive = [over_all(of, plan.tables[claim.name]) for question, of in found.items() if question.wanted]
    return found, of_all([OPEN if answer is None else answer.verdict for answer in decisive])
