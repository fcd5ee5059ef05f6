"""What schedulers of Ray Tune see of their surroundings, without Ray running: trials, and a controller to stop them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Ray Tune's names of what a trial is doing.
PENDING, RUNNING, PAUSED, TERMINATED, ERROR = "PENDING", "RUNNING", "PAUSED", "TERMINATED", "ERROR"


class RayTrial:
    """A trial as Ray Tune's schedulers see it.

    Args:
        trial_id: Ours.
        config: As the training script receives it.
    """

    #: Checkpoints are saved by the backend, at once as far as a scheduler of Ray Tune can see.
    is_saving = False

    def __init__(self, trial_id: int, config: Mapping[str, Any]) -> None:
        self.become(trial_id, config)
        self.status = PENDING
        self.last_result: dict[str, Any] = {}
        #: Of a paused trial: its worker is free, so that it could run again.
        self.has_paused = False
        #: Of a running trial: it was told to stop.
        self.is_stopping = False

    def become(self, trial_id: int, config: Mapping[str, Any]) -> None:
        """What was announced without a number and a configuration gets both."""
        self.number = trial_id
        self.trial_id = f"{trial_id:05d}"
        self.config = dict(config)
        self.evaluated_params = self.config

    def __repr__(self) -> str:
        return f"trial {self.number}"

    def is_finished(self) -> bool:
        """Whether the trial will not run again."""
        return self.status in (TERMINATED, ERROR)


class RayController:
    """Stands in for Ray Tune's controller: knows all trials, and ends those that a scheduler wants no more.

    Args:
        scheduler: Ray Tune's, which is told of what it ends.
    """

    search_alg = None

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self.trials: dict[int, RayTrial] = {}
        #: Trials that were paused and have been given up since we were asked last.
        self.given_up: list[int] = []

    def get_trials(self) -> list[RayTrial]:
        """All trials, in order."""
        return list(self.trials.values())

    def get_live_trials(self) -> list[RayTrial]:
        """Those that may run, or run again."""
        return [trial for trial in self.trials.values() if not trial.is_finished()]

    def stop_trial(self, trial: RayTrial) -> None:
        """A scheduler gives up a trial that does not run."""
        if trial.is_finished():
            return
        self._scheduler.on_trial_remove(self, trial)
        trial.status = TERMINATED
        self.given_up.append(trial.number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"Ray Tune's {type(self._scheduler).__name__} needs {name} of Ray Tune's own controller, which is not "
            "there; use another scheduler"
        )
