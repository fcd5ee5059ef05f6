"""A study's limit of money when a launch begins: what counts that was launched without one, and what the dead hold."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.prices import cost
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import StudyBudget, open_budget
from cloudtune.studies.cell_standing import FINISHED, WAITING, CellStanding, StudyStanding
from cloudtune.studies.ledger import Ledger, Share, micros
from cloudtune.studies.tuner_costs import billed_seconds, earlier_jobs, hourly_price


def open_study_budget(place: StudyPlace, standing: StudyStanding, max_cost: float | None) -> StudyBudget | None:
    """The budget of a study that is about to be launched, see :func:`~cloudtune.studies.budget.open_budget`.

    Args:
        place: Of the study.
        standing: How it stands now.
        max_cost: US dollars for all its cells together; None: what an earlier launch has set.

    Raises:
        BudgetRefused: The limit is below what is committed, or a cell runs without a limit.
        AwsError: S3 or SageMaker does not answer.
    """
    book = Ledger(place.bucket, place.budget).read()
    if book is not None:
        StudyBudget(place).give_back_left({one.name for one in standing.cells if one.is_driven})
    if max_cost is None:
        return open_budget(place, None)
    known = () if book is None else book.shares
    begun = [one for one in standing.cells if one.state != WAITING and one.name not in known]
    # Those that have come to their end have stopped their trials' jobs before they said so.
    left = [one.name for one in begun if one.state != FINISHED and not one.is_driven]
    jobs = _jobs_of_trials(place, left) if left else []
    spent = in_parallel(place.bucket.aws.threads, [partial(_spent, place, one, jobs) for one in begun])
    return open_budget(place, max_cost, {one.name: share for one, share in zip(begun, spent, strict=True)})


def _spent(place: StudyPlace, one: CellStanding, jobs: Collection[OurJob]) -> Share | None:
    """What an experiment has cost, and what its trials' jobs that run may still cost; None: that is not known."""
    if one.is_driven:
        return None
    tuners, _ = earlier_jobs(TunerPlace(place.bucket, place.experiment(one.name)))
    training = TrainingJobs(place.bucket.aws)
    running = [
        _most(place.bucket.aws.region, training.describe(job.name)) for job in jobs if job.experiment == one.name
    ]
    known = [amount for amount in running if amount is not None]
    if tuners is None or len(known) < len(running):
        return None
    spent = micros(one.cost)
    # Where trials run, whoever goes on with the experiment takes them over, and pays them with this.
    return Share(tuner=tuners, trials=spent + sum(known), spent=spent, ended=not known)


def _most(region: str, state: JobState) -> int | None:
    """What a job is billed at most, in micro-dollars; None: no price is known."""
    machines = state.machines or ((state.instance_type, state.instance_count),)
    prices = [hourly_price(region, kind, count) for kind, count in machines]
    known = [price for price in prices if price is not None]
    dollars = cost(sum(known) if len(known) == len(prices) else None, billed_seconds(state))
    return None if dollars is None else micros(dollars)


def _jobs_of_trials(place: StudyPlace, names: Collection[str]) -> list[OurJob]:
    """Jobs of trials that run, of these experiments, whose tuners are gone."""
    wanted, below = set(names), place.bucket.uri(place.root)
    return [
        job
        for job in find_our_jobs(place.bucket.aws).jobs
        if not (job.is_tuner or job.is_warm_pool)
        and job.tag == place.tag
        and job.experiment in wanted
        and (job.place_may_differ or job.place.startswith(below))
    ]
