"""What keeps a tuner that runs in this program from coming between other tuners of its study, and from their money."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudtune.aws.buckets import find_bucket
from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.constants import ENV_S3_PATH
from cloudtune.errors import CloudtuneError, ExperimentLocked, ExperimentMismatch
from cloudtune.remote.job_ended import JobEnded
from cloudtune.remote.launches import newest_launch
from cloudtune.remote.launching import check_none_under_way
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.s3_lease import check_free, read_lease
from cloudtune.store.s3_log import newest_entry
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.claimed_here import claim_here, unclaim
from cloudtune.studies.status import study_standing
from cloudtune.studies.study_money import open_study_budget

if TYPE_CHECKING:
    from cloudtune.studies.cell import Cell
    from cloudtune.studies.cell_tuner import Account
    from cloudtune.tuner import Tuner


def share_budget_here(tuner: Tuner, cell: Cell, account: Account, max_cost: float | None) -> None:
    """Has a tuner that is about to run in this program heed its study's budget, if there is one, or is to be one.

    Args:
        tuner: Whose trials are training jobs.
        cell: That it drives.
        account: Where the study lies.
        max_cost: See :func:`~cloudtune.studies.budget.open_budget`.

    Raises:
        ExperimentLocked: Another tuner drives the cell, or is about to, or it was begun on another machine.
        ExperimentMismatch: The cell was launched: its log, and what it has cost, are known in S3 only.
        BudgetUsedUp: There is not enough for a trial.
        BudgetRefused: The limit is below what is committed, or a price is not known.
        CloudtuneError: S3 cannot be read or written.
    """
    aws = aws_for(account.region, account.profile)
    found = find_bucket(aws, account.s3_path or os.environ.get(ENV_S3_PATH))
    place = StudyPlace(Bucket(aws, found.name, found.owner), found.prefix, cell.tag)
    # First, so that whoever launches sees it, or is seen.
    is_new = claim_here(place, cell.name)
    try:
        _check_not_launched(TunerPlace(place.bucket, place.experiment(cell.name)))
        _share_budget(tuner, cell, place, max_cost)
    except CloudtuneError:
        if is_new:
            unclaim(place, cell.name)
        raise


def _share_budget(tuner: Tuner, cell: Cell, place: StudyPlace, max_cost: float | None) -> None:
    if max_cost is None and not place.bucket.exists(place.budget):
        return
    budget = open_study_budget(place, study_standing(place), max_cost)
    if budget is not None:
        budget.admit_here(cell.name, tuner)


def _check_not_launched(place: TunerPlace) -> None:
    check_not_driven(place)
    if newest_launch(place) is not None or newest_entry(place.bucket, place.root) is not None:
        raise ExperimentMismatch(
            f"experiment '{place.experiment}' was launched, and lies in {place.bucket.uri(place.root)}: continue it "
            "with `cloudtune launch` and the same flags, or choose another --experiment_tag"
        )


def check_not_driven(place: TunerPlace) -> None:
    """Returns if no tuner elsewhere drives an experiment, and nobody is about to launch one.

    Args:
        place: Of the experiment in S3.

    Raises:
        ExperimentLocked: One does.
        AwsError: AWS does not answer.
    """
    attempts = place.attempts()
    newest = newest_launch(place, attempts=attempts)
    if newest is not None and not newest[1].is_terminal:
        raise _driven(place, f"training job {newest[1].name}")
    check_none_under_way(place, attempts, None if newest is None else newest[0])
    lease = read_lease(place.bucket, place.root)
    if lease is None:
        return
    try:
        check_free(lease, place.root, JobEnded(place.bucket.aws))
    except ExperimentLocked as error:
        raise _driven(place, lease.describe()) from error


def _driven(place: TunerPlace, who: str) -> ExperimentLocked:
    return ExperimentLocked(
        f"experiment '{place.experiment}' is driven by {who}, and has one tuner at a time: wait for its end, stop it "
        "with `cloudtune stop`, or choose another --experiment_tag"
    )
