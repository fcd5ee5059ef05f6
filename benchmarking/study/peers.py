"""Courses of :mod:`benchmarking.regret` as experiments of the study."""

from __future__ import annotations

import numpy as np

from benchmarking.regret.optimizers import OPTIMIZERS
from benchmarking.regret.problems import PROBLEMS
from benchmarking.study.experiment import Experiment
from benchmarking.study.playing import Record


def regret_course(experiment: Experiment) -> Record:
    """Runs an optimizer on a function; ``regret`` is the least so far after each evaluation, to six digits."""
    problem = PROBLEMS[experiment.table]
    evaluations = int(experiment.setup.limits["evaluations"])
    values = OPTIMIZERS[experiment.setup.method](problem.space, experiment.seed, problem.regret, evaluations)
    return {"regret": [float(f"{value:.6g}") for value in np.minimum.accumulate(values)]}
