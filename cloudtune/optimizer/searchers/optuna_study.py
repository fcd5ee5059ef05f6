"""The trials of an experiment as a study of Optuna, from which a sampler proposes the next one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cloudtune.optimizer.searchers.observed_costs import Costs
from cloudtune.optimizer.searchers.optuna_domains import Parameter
from cloudtune.optimizer.searchers.optuna_samplers import quiet


class Told(NamedTuple):
    """What a sampler is told of a trial.

    ``state`` is Optuna's: ``"RUNNING"``; ``"COMPLETE"``, with costs; ``"PRUNED"``, with the cost at a resource; or
    ``"FAIL"``.
    """

    state: str
    costs: Costs = ()
    resource: float = 0


class Asked(NamedTuple):
    """What a sampler has proposed, and what it wants to find again later: notes on the trial, and on the study."""

    params: dict[str, Any]
    trial_notes: dict[str, Any]
    study_notes: dict[str, Any]


class OptunaStudy:
    """Opens studies that hold the same trials in the same order, whoever opens them, and asks samplers about them.

    A sampler that keeps notes does so in the study (CMA-ES its distribution, NSGA-II the generation of a trial), so
    that a study made of the same trials and notes gives the same proposals. What Optuna makes of a trial is kept from
    one study to the next, for as long as the same is told of it.

    Args:
        parameters: By name.
        num_metrics: All of which are minimised.
    """

    def __init__(self, parameters: Mapping[str, Parameter], num_metrics: int) -> None:
        self._distributions = {name: parameter.distribution for name, parameter in parameters.items()}
        self._num_metrics = num_metrics
        # By number of the trial: what was told of it, and what Optuna made of that.
        self._made: dict[int, tuple[Told, Any]] = {}

    def open(
        self,
        params: Sequence[dict[str, Any]],
        notes: Sequence[dict[str, Any]],
        told: Sequence[Told],
        study_notes: Mapping[str, Any],
    ) -> OpenStudy:
        """A study of trials, each with parameters, notes and what is told of it. The first two never change."""
        with quiet():
            trials = [self._trial(number, params, notes, one) for number, one in enumerate(told)]
        return OpenStudy(trials, self._num_metrics, study_notes, self._distributions)

    def _trial(self, number: int, params: Sequence[Any], notes: Sequence[Any], told: Told) -> Any:
        made = self._made.get(number)
        if made is None or made[0] != told:
            made = self._made[number] = told, self._frozen(number, params[number], notes[number], told)
        return made[1]

    def _frozen(self, number: int, params: dict[str, Any], notes: dict[str, Any], told: Told) -> Any:
        import optuna

        from cloudtune.optimizer.searchers.optuna_storage import numbered

        pruned = told.state == "PRUNED"
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState[told.state],
            values=list(told.costs) if told.state == "COMPLETE" else None,
            params=params,
            distributions=self._distributions,
            system_attrs=notes,
            intermediate_values={_step(told.resource): told.costs[0]} if pruned else None,
        )
        return numbered(trial, number)


class OpenStudy:
    """A study that may be asked.

    Args:
        trials: Optuna's frozen trials, which are left as they are.
        num_metrics: All of which are minimised.
        study_notes: System attributes of the study.
        distributions: By parameter.
    """

    def __init__(
        self, trials: Sequence[Any], num_metrics: int, study_notes: Mapping[str, Any], distributions: Mapping[str, Any]
    ) -> None:
        import optuna

        from cloudtune.optimizer.searchers.optuna_storage import BorrowedTrials

        directions = [optuna.study.StudyDirection.MINIMIZE] * num_metrics
        self._storage = BorrowedTrials(trials, directions, study_notes)
        self._distributions = dict(distributions)

    def ask(self, sampler: Any) -> Asked:
        """The sampler's proposal, which is a running trial from now on."""
        import optuna

        from cloudtune.optimizer.searchers.optuna_storage import STUDY_NAME

        before = self._storage.get_study_system_attrs(0)
        with quiet():
            study = optuna.load_study(study_name=STUDY_NAME, storage=self._storage, sampler=sampler)
            trial = study.ask(fixed_distributions=self._distributions)
        after = self._storage.get_study_system_attrs(0)
        changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
        return Asked(dict(trial.params), dict(self._storage.get_trial(trial.number).system_attrs), changed)


def _step(resource: float) -> int:
    """A resource as Optuna's number of a step: the whole number below it, or 0 if it is not finite."""
    return int(resource) if math.isfinite(resource) else 0


def worst_instead(costs: Costs, worst: Costs) -> Told:
    """Told of costs of which some are infinite: the worst finite ones so far in their place, if there are any."""
    filled = tuple(cost if math.isfinite(cost) else bad for cost, bad in zip(costs, worst, strict=True))
    return Told("COMPLETE", filled) if all(map(math.isfinite, filled)) else Told("FAIL")
