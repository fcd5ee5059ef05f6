"""A study's limit of money when a launch begins: what counts that was launched without one, and what the dead hold."""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import partial

from cloudtune.aws.our_jobs import OurJob, find_our_jobs
from cloudtune.aws.parallel import in_parallel
from cloudtune.aws.prices import cost
from cloudtune.aws.training_jobs import JobState, TrainingJobs
from cloudtune.remote.launching import is_under_way
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import StudyBudget, open_budget
from cloudtune.studies.cell_records import listed
from cloudtune.studies.cell_standing import FINISHED, WAITING, CellStanding, StudyStanding
from cloudtune.studies.ledger import Book, Ledger, Share, micros
from cloudtune.studies.tuner_costs import billed_seconds, earlier_jobs, hourly_price

logger = logging.getLogger(__name__)


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
        if book is not None:
            _warn_of_unlimited(standing, book)
        return open_budget(place, None)
    known = () if book is None else book.shares
    unknown = [one for one in standing.cells if one.name not in known]
    begun = [one for one in unknown if one.state != WAITING]
    # Those that have come to their end have stopped their trials' jobs before they said so.
    left = [one.name for one in begun if one.state != FINISHED and not one.is_driven]
    jobs = _jobs_of_trials(place, left) if left else []
    spent = in_parallel(place.bucket.aws.threads, [partial(_spent, place, one, jobs) for one in begun])
    shares = {one.name: share for one, share in zip(begun, spent, strict=True)}
    # A launcher at work that knows no limit: what it is about to launch would run without one.
    return open_budget(place, max_cost, {**shares, **dict.fromkeys(_under_way(place, unknown))})


def _under_way(place: StudyPlace, cells: Collection[CellStanding]) -> list[str]:
    """Names of those of which nobody drives any yet, but somebody is about to create a tuner's job."""
    names = [one.name for one in cells if not one.is_driven and one.state != FINISHED]
    tuners = [TunerPlace(place.bucket, place.experiment(name)) for name in names]
    are = in_parallel(place.bucket.aws.threads, [partial(is_under_way, tuner) for tuner in tuners])
    return [name for name, is_one in zip(names, are, strict=True) if is_one]


def _warn_of_unlimited(standing: StudyStanding, book: Book) -> None:
    names = [one.name for one in standing.cells if one.is_driven and one.name not in book.shares]
    if names:
        logger.warning(
            "%s of '%s' without its limit of money: `cloudtune stop %s/NAME` ends one, and launched again it heeds the "
            "limit: %s",
            "an experiment runs" if len(names) == 1 else f"{len(names)} experiments run",
            standing.tag,
            standing.tag,
            listed(names),
        )


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
