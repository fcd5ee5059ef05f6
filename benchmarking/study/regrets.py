"""The claim about peers: how the regrets of ours compare with those of other libraries, and with random search's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarking.study.experiment import Experiment
from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.questions import FAILS, HOLDS, OPEN, Answer, Answers, Question, answers
from benchmarking.study.records import Records

OURS, RANDOM = "cloudtune", "random"
PEERS_TEXT = (
    "Bayesian optimisation is on no problem significantly worse than the best of its peers, and better on two at least."
)
TOO_FEW = "too few seeds"
#: With five, all seeds are on one side by chance in one of 16 cases, and then so is the whole interval, of 95 %.
LEAST_SEEDS = 6


def evaluations_compared(plan: Plan) -> Sequence[int]:
    """After how many evaluations regrets are compared; the last decides."""
    return [count for count in (30, 60) if count <= plan.evaluations]


def same_seeds(plan: Plan, records: Records, problem: str) -> Sequence[int]:
    """Those that all optimizers have on a problem: regrets of other seeds are not compared."""
    setups = plan.setups_of(REGRET)
    return [
        seed
        for seed in range(plan.seeds)
        if all(Experiment(REGRET, problem, setup, seed).key in records for setup in setups)
    ]


def median_regret(plan: Plan, records: Records, problem: str, optimizer: str, after: int) -> float | None:
    """Over the seeds that all optimizers have; None without any."""
    setup = next(setup for setup in plan.setups_of(REGRET) if setup.name == optimizer)
    seeds = same_seeds(plan, records, problem)
    values = [records[Experiment(REGRET, problem, setup, seed).key]["regret"][after - 1] for seed in seeds]
    return float(np.median(values)) if values else None


def judged_peers(plan: Plan, records: Records) -> tuple[Answers, str]:
    """How our regrets compare with each other optimizer's, and the verdict against the best peer of each problem.

    The best one is that with the least median in the end. Random search is compared, but is no peer.
    """
    others = [name for name in plan.peers if name != OURS]
    compared = evaluations_compared(plan)
    found = {(other, after): _answers(plan, records, other, after) for other in others for after in compared}
    verdicts = []
    for problem in plan.tables[REGRET]:
        medians = {
            peer: median
            for peer in others
            if peer != RANDOM and (median := median_regret(plan, records, problem, peer, compared[-1])) is not None
        }
        if medians:
            best = min(medians, key=lambda peer: medians[peer])
            verdicts += [answer.verdict for answer in found[best, compared[-1]] if answer.table == problem]
    by_question = {_question(other, after): of for (other, after), of in found.items()}
    if len(verdicts) < len(plan.tables[REGRET]):
        return by_question, OPEN
    if FAILS in verdicts:
        return by_question, FAILS
    return by_question, HOLDS if verdicts.count(HOLDS) >= 2 else OPEN


#: For each problem, after how many evaluations.
Where = Mapping[str, Sequence[int]]


def beside_random(plan: Plan, records: Records) -> tuple[Where, Where]:
    """Where ours is not better than random search, by the interval or the median; and where too few seeds can say."""
    not_better: dict[str, list[int]] = {}
    too_few: dict[str, list[int]] = {}
    for after in evaluations_compared(plan):
        for answer in _answers(plan, records, RANDOM, after):
            ours, theirs = (median_regret(plan, records, answer.table, name, after) for name in (OURS, RANDOM))
            if answer.shown.upper >= 1 or (ours is not None and theirs is not None and ours >= theirs):
                not_better.setdefault(answer.table, []).append(after)
            elif answer.verdict == TOO_FEW:
                too_few.setdefault(answer.table, []).append(after)
    return not_better, too_few


def _question(other: str, after: int) -> Question:
    return Question(REGRET, OURS, other, f"regret after {after}", "below")


def _answers(plan: Plan, records: Records, other: str, after: int) -> Sequence[Answer]:
    """For each problem with seeds that all optimizers have, over these."""
    seeds = {problem: same_seeds(plan, records, problem) for problem in plan.tables[REGRET]}
    experiments = plan.only([REGRET]).experiments()
    compared = {one.key: records[one.key] for one in experiments if one.seed in seeds[one.table]}
    return [
        answer if answer.seeds >= LEAST_SEEDS else replace(answer, verdict=TOO_FEW)
        for answer in answers(_question(other, after), plan, compared)
        if answer.table in seeds
    ]
