"""Schedulers: what to run next, and for how long."""

from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.optimizer.schedulers.hyperband import HyperbandScheduler
from cloudtune.optimizer.schedulers.median_rule import MedianStoppingRule
from cloudtune.optimizer.schedulers.moasha import ParetoHyperbandScheduler
from cloudtune.optimizer.schedulers.pbt import PopulationBasedTraining
from cloudtune.optimizer.schedulers.raytune import RayTuneScheduler
from cloudtune.optimizer.schedulers.synchronous import SynchronousHyperbandScheduler

__all__ = [
    "FIFOScheduler",
    "HyperbandScheduler",
    "MedianStoppingRule",
    "ParetoHyperbandScheduler",
    "PopulationBasedTraining",
    "RayTuneScheduler",
    "SynchronousHyperbandScheduler",
]
