"""Continuing one experiment of a study whose experiments share a limit of money, without the study's plan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import StudyBudget

if TYPE_CHECKING:
    from cloudtune.experiments.s3_finding import S3Experiment
    from cloudtune.remote.relaunching import NextJob


class Resuming:
    """Has what continues an experiment heed its study's limit, if there is one.

    Args:
        experiment: Which.
    """

    def __init__(self, experiment: S3Experiment) -> None:
        self._name = experiment.name
        place = StudyPlace.of_experiment(experiment.bucket, experiment.root)
        self._budget = StudyBudget(place) if place.bucket.exists(place.budget) else None

    @contextmanager
    def admit(self, job: NextJob) -> Iterator[None]:
        """For :func:`~cloudtune.remote.relaunching.launch_again`: the job is created within.

        Raises:
            BudgetUsedUp: There is not enough money for it.
            BudgetRefused: A price is not known, or its tuner was launched when there was no limit.
        """
        if self._budget is None:
            yield
            return
        with self._budget.admitted_again(self._name, job):
            yield

    def check_here(self) -> None:
        """To be called before a tuner of this program goes on with it.

        Raises:
            BudgetRefused: Its tuner was launched when there was no limit.
        """
        if self._budget is not None:
            self._budget.check_limited(self._name)
