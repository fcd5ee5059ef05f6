"""Ready-made methods: schedulers and searchers put together, with the arguments one wants to set."""

from __future__ import annotations

from cloudtune.optimizer.baselines.early_stopping import ASHA, MOASHA, PASHA, MedianStopping, SyncHyperband
from cloudtune.optimizer.baselines.model_based import MOBSTER
from cloudtune.optimizer.baselines.whole_trials import BORE, BayesianOptimization, GridSearch, RandomSearch
from cloudtune.optimizer.schedulers.pbt import PopulationBasedTraining

__all__ = [
    "ASHA",
    "BORE",
    "MOASHA",
    "MOBSTER",
    "PASHA",
    "BayesianOptimization",
    "GridSearch",
    "MedianStopping",
    "PopulationBasedTraining",
    "RandomSearch",
    "SyncHyperband",
]
