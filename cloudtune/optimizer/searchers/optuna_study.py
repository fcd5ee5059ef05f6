"""The trials of an experiment as a study of Optuna, made anew for every suggestion."""

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
    """Makes studies that hold the same trials in the same order, whoever makes them, and asks samplers about them.

    A sampler that keeps notes does so in the study (CMA-ES its distribution, NSGA-II the generation of a trial), so
    that a study made of the same trials and notes gives the same proposals.

    Args:
        parameters: By name.
        num_metrics: All of which are minimised.
    """

    def __init__(self, parameters: Mapping[str, Parameter], num_metrics: int) -> None:
        self._distributions = {name: parameter.distribution for name, parameter in parameters.items()}
        self._directions = ["minimize"] * num_metrics
        # Per trial: what was told of it, and what Optuna made of that.
        self._made: dict[int, tuple[Told, Any]] = {}

    def open(
        self,
        params: Sequence[dict[str, Any]],
        notes: Sequence[dict[str, Any]],
        told: Sequence[Told],
        study_notes: Mapping[str, Any],
    ) -> OpenStudy:
        """A study of trials, each with parameters, notes and what is told of it."""
        import optuna

        with quiet():
            storage = optuna.storages.InMemoryStorage()
            study = optuna.create_study(storage=storage, directions=self._directions)
            study_id = storage.get_study_id_from_name(study.study_name)
            for key, value in study_notes.items():
                storage.set_study_system_attr(study_id, key, value)
            for number, one in enumerate(told):
                made = self._made.get(number)
                if made is None or made[0] != one:
                    made = self._made[number] = one, self._frozen(params[number], notes[number], one)
                storage.create_new_trial(study_id, template_trial=made[1])
        return OpenStudy(study, storage, study_id, self._distributions)

    def _frozen(self, params: dict[str, Any], notes: dict[str, Any], told: Told) -> Any:
        import optuna

        pruned = told.state == "PRUNED"
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState[told.state],
            values=list(told.costs) if told.state == "COMPLETE" else None,
            params=params,
            distributions=self._distributions,
            system_attrs=notes,
            intermediate_values={int(told.resource): told.costs[0]} if pruned else None,
        )


class OpenStudy:
    """A study that may be asked."""

    def __init__(self, study: Any, storage: Any, study_id: int, distributions: Mapping[str, Any]) -> None:
        self._study = study
        self._storage = storage
        self._study_id = study_id
        self._distributions = dict(distributions)

    def ask(self, sampler: Any) -> Asked:
        """The sampler's proposal, which is a running trial from now on."""
        before = self._storage.get_study_system_attrs(self._study_id)
        with quiet():
            self._study.sampler = sampler
            trial = self._study.ask(fixed_distributions=self._distributions)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, trial.number)
        after = self._storage.get_study_system_attrs(self._study_id)
        changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
        return Asked(dict(trial.params), dict(self._storage.get_trial_system_attrs(trial_id)), changed)


def worst_instead(costs: Costs, worst: Costs) -> Told:
    """Told of costs of which some are infinite: the worst finite ones so far in their place, if there are any."""
    filled = tuple(cost if math.isfinite(cost) else bad for cost, bad in zip(costs, worst, strict=True))
    return Told("COMPLETE", filled) if all(map(math.isfinite, filled)) else Told("FAIL")
