"""What a sampler of Optuna reads and writes while it makes one proposal. Imports Optuna: to be imported when needed."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage

#: Of the only study that there is.
STUDY_NAME = "cloudtune"
_STUDY_ID = 0


class BorrowedTrials(BaseStorage):  # type: ignore[misc] # Optuna is not looked into, see pyproject.toml
    """One study, which begins with trials that others hold as well.

    Nothing is copied in advance: whatever a sampler writes on a trial it writes on a copy, which takes the trial's
    place here alone. So a study of many trials costs next to nothing, and can be thrown away.

    Args:
        trials: Frozen ones; number and identity of each are its index.
        directions: Optuna's, of all metrics.
        notes: System attributes of the study.
    """

    def __init__(self, trials: Sequence[Any], directions: Sequence[Any], notes: Mapping[str, Any]) -> None:
        self._trials = list(trials)
        self._directions = list(directions)
        self._notes = dict(notes)
        self._user_notes: dict[str, Any] = {}

    # ------------------------------------------------------------------ the study

    def create_new_study(self, directions: Sequence[Any], study_name: str | None = None) -> int:
        """Refused: there is one study, and samplers make none."""
        raise RuntimeError("a sampler cannot make studies here; keep notes in the study that it is given")

    def delete_study(self, study_id: int) -> None:
        """Refused, likewise."""
        raise RuntimeError("a sampler cannot delete the study that it is given; leave it")

    def get_all_studies(self) -> list[Any]:
        """None but the one that the sampler is given."""
        return []

    def get_study_id_from_name(self, study_name: str) -> int:
        """That of the only one."""
        return _STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        """That of the only one."""
        return STUDY_NAME

    def get_study_directions(self, study_id: int) -> list[Any]:
        """Of all metrics."""
        return self._directions

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """A sampler's note on the study."""
        self._notes[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """All notes, as a dictionary of one's own."""
        return dict(self._notes)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Kept as long as this is."""
        self._user_notes[key] = value

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """What was set."""
        return dict(self._user_notes)

    # ------------------------------------------------------------------ trials

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        """A running trial, or one like the template."""
        from optuna.trial import TrialState, create_trial

        trial = copy.copy(create_trial(state=TrialState.RUNNING) if template_trial is None else template_trial)
        number = len(self._trials)
        self._trials.append(numbered(trial, number))
        return number

    def get_trial(self, trial_id: int) -> Any:
        """A trial by its number."""
        return self._trials[trial_id]

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The same number."""
        return trial_number

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Container[Any] | None = None) -> list[Any]:
        """All trials, or those of some states."""
        found = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def set_trial_param(self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any) -> None:
        """A parameter of a trial, as Optuna has it inside."""
        trial = self._trials[trial_id]
        self._replace(
            trial_id,
            params={**trial.params, param_name: distribution.to_external_repr(param_value_internal)},
            distributions={**trial.distributions, param_name: distribution},
        )

    def set_trial_state_values(self, trial_id: int, state: Any, values: Sequence[float] | None = None) -> bool:
        """What has become of a trial."""
        self._replace(trial_id, state=state, **({} if values is None else {"values": list(values)}))
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """A value on the way."""
        self._replace(
            trial_id, intermediate_values={**self._trials[trial_id].intermediate_values, step: intermediate_value}
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """A note of the user's."""
        self._replace(trial_id, user_attrs={**self._trials[trial_id].user_attrs, key: value})

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """A sampler's note on a trial."""
        self._replace(trial_id, system_attrs={**self._trials[trial_id].system_attrs, key: value})

    def _replace(self, trial_id: int, **changed: Any) -> None:
        trial = copy.copy(self._trials[trial_id])
        for name, value in changed.items():
            setattr(trial, name, value)
        self._trials[trial_id] = trial


def numbered(trial: Any, number: int) -> Any:
    """The trial, which from now on has this number and identity."""
    trial.number = number
    trial._trial_id = number
    return trial
