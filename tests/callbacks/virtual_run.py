"""A tuner on the virtual machine, as programs and tests of the progress display start it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudtune import StoppingCriterion, Tuner
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA
from tests.virtual import Machine, MemoryStore, Program, VirtualBackend


def loss(config: Mapping[str, Any], level: int) -> float:
    return float(config["x"]) + 1 / level


def make_tuner(machine: Machine | None = None, trials: int = 4, **options: Any) -> Tuner:
    """ASHA with two workers; a level takes a virtual second."""
    machine = machine or Machine(Program(loss))
    space = {"x": uniform(0, 1), "max_epochs": 9}
    scheduler = ASHA(space, metric="loss", resource_attr="epoch", max_resource_attr="max_epochs", random_seed=1)
    options.setdefault("stop_criterion", StoppingCriterion(max_num_trials_started=trials))
    options.setdefault("n_workers", 2)
    return Tuner(
        trial_backend=VirtualBackend(machine),
        scheduler=options.pop("scheduler", scheduler),
        store=options.pop("store", None) or MemoryStore(machine),
        save_tuner=False,
        tuner_name="virtual",
        suffix_tuner_name=False,
        **options,
    )
