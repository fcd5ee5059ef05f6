"""The process that runs the trials is killed with SIGKILL again and again, and the tuner goes on."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.callbacks import TunerCallback
from cloudtune.experiments import load_experiment
from cloudtune.store.local_store import LocalStore
from cloudtune.trial import Trial
from tests.chaos.leftovers import descriptors, threads
from tests.chaos.program import make_backend, make_scheduler
from tests.chaos.test_killed_tuner import check_nothing_left, check_whole
from tests.own_children import own_children

KILLS = 4


class KillsSupervisors(TunerCallback):
    """Kills the tuner's only child after some reports, drawn anew each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._reports_left = 3
        self.killed: set[int] = set()

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        """See :class:`TunerCallback`."""
        self._reports_left -= 1
        if self._reports_left > 0 or len(self.killed) == KILLS:
            return
        self._reports_left = self._random.randint(1, 12)
        for child in own_children():
            if child.pid not in self.killed:
                self.killed.add(child.pid)
                os.kill(child.pid, signal.SIGKILL)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["local", "python"])
@pytest.mark.parametrize("method", ["random", "promotion"])
def test_supervisor_is_killed_a_few_times(kind: str, method: str) -> None:
    """No report is lost or doubled, no process stays, and this process has the descriptors and threads it had."""
    own = descriptors(), threads()
    killer = KillsSupervisors(seed=3)
    tuner = Tuner(
        trial_backend=make_backend(kind),
        scheduler=make_scheduler(method),
        stop_criterion=StoppingCriterion(max_num_trials_started=20),
        n_workers=3,
        tuner_name="chaos",
        suffix_tuner_name=False,
        max_failures=0,
        callbacks=[killer],
    )
    tuner.run()
    assert len(killer.killed) == KILLS
    assert (descriptors(), threads()) == own
    folder = tuner.tuner_path.parent
    check_nothing_left(folder)
    check_whole(list(LocalStore(tuner.tuner_path).read()), folder, 20)
    assert load_experiment(tuner.name).results["trial_id"].nunique() == 20
