"""What the training jobs of a cell's tuner have cost, and may still cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cloudtune.aws.prices import cost, price_per_hour
from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.remote.launches import launches
from cloudtune.remote.time_limit import LONGEST_JOB, jobs_of, longest_time
from cloudtune.studies.ledger import micros

if TYPE_CHECKING:
    from cloudtune.aws.training_jobs import JobState
    from cloudtune.remote.remote_launcher import RemoteLauncher
    from cloudtune.remote.tuner_job import TunerPlace

#: Seconds that a job runs on at most once its tuner has ended: for closing the log, and for what the agent uploads.
_END = 300


def earlier_jobs(
    place: TunerPlace, patience: float | None = None, ending: str | None = None
) -> tuple[int | None, bool]:
    """What the jobs of a tuner that exist cost at most, in micro-dollars, and whether one of them has not ended.

    None: no price is known for the machine of one of them.

    Args:
        place: Of the experiment.
        patience: For how many seconds calls are repeated.
        ending: The job whose tuner has just ended: it runs for minutes at most.

    Raises:
        AwsError: AWS does not answer.
    """
    total, runs = 0, False
    for _, state in launches(place, patience):
        runs = runs or not state.is_terminal
        price = hourly_price(place.bucket.aws.region, state.instance_type, state.instance_count)
        dollars = cost(price, billed_seconds(state, state.name == ending))
        if dollars is None:
            return None, runs
        total += micros(dollars)
    return total, runs


def next_jobs(launcher: RemoteLauncher, region: str) -> int | None:
    """What the job that is about to be launched costs at most, and those that carry on for it; None: no price is known.

    Args:
        launcher: Of the job.
        region: Where it will run.
    """
    job = launcher.job
    price = hourly_price(region, job.instance_type, job.instance_count)
    dollars = cost(price, most_seconds(longest_time(launcher.tuner), job.max_run))
    return None if dollars is None else micros(dollars)


def most_seconds(needed: float | None, max_run: int) -> float:
    """Seconds that a tuner's job, and those that carry on for it, are billed for at most.

    Args:
        needed: Active tuning time of the experiment; None: as long as one job may run.
        max_run: Of each job.
    """
    jobs = 1 if needed is None else jobs_of(needed, max_run)
    return float(jobs * (max_run + STOP_GRACE))


def hourly_price(region: str, instance_type: str, count: int) -> float | None:
    """Dollars per hour of so many machines; None: no price is known."""
    price = price_per_hour(instance_type, region)
    return None if price is None else price * count


def billed_seconds(state: JobState, is_ending: bool = False) -> float:
    """Seconds that a job is, or at most will be, billed for.

    Args:
        state: Of the job.
        is_ending: Its program has just come to its end.
    """
    age = max(0.0, (state.ended.timestamp() if state.ended is not None else time.time()) - state.created.timestamp())
    if state.is_terminal:
        return age if state.billable_seconds is None else float(state.billable_seconds)
    most = (state.max_run or LONGEST_JOB) + STOP_GRACE
    return min(age + _END, most) if is_ending else float(most)
