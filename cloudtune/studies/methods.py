"""The methods that studies compare, by the names that people type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudtune.optimizer.scheduler import TrialScheduler
    from cloudtune.studies.benchmark import BenchmarkDefinition
    from cloudtune.trial import Config


@dataclass(frozen=True)
class MethodArguments:
    """What a method is told of the cell that it is made for.

    Args:
        benchmark: What is tuned: config space, metric, mode, resource, rungs.
        random_seed: Of all that the method draws itself.
        points_to_evaluate: Configurations to try first; the same for all methods of one seed.
        extra: Arguments of one's own, for the method's constructor.
    """

    benchmark: BenchmarkDefinition
    random_seed: int
    points_to_evaluate: Sequence[Config]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def common(self) -> dict[str, Any]:
        """What every constructor takes, the arguments of one's own included."""
        benchmark = self.benchmark
        return {
            "config_space": dict(benchmark.config_space),
            "metric": benchmark.metric,
            "mode": benchmark.mode,
            "resource_attr": benchmark.resource_attr,
            "max_resource_attr": benchmark.max_resource_attr,
            "random_seed": self.random_seed,
            "points_to_evaluate": list(self.points_to_evaluate),
            **self.extra,
        }

    def multi_fidelity(self) -> dict[str, Any]:
        """Those, and the rungs of methods that stop or pause trials."""
        benchmark = self.benchmark
        return {
            "grace_period": benchmark.grace_period,
            "reduction_factor": benchmark.reduction_factor,
            **self.common(),
        }


#: Makes the scheduler of a cell.
Method = Callable[[MethodArguments], "TrialScheduler"]


def _random_search(arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import RandomSearch

    return RandomSearch(**arguments.common())


def _grid_search(arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import GridSearch

    return GridSearch(**arguments.common())


def _median_stopping(arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import MedianStopping

    return MedianStopping(**arguments.common())


def _asha(kind: str, arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import ASHA

    return ASHA(**{"type": kind, **arguments.multi_fidelity()})


def _pasha(arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import PASHA

    return PASHA(**arguments.multi_fidelity())


def _synchronous_hyperband(arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import SyncHyperband

    return SyncHyperband(**arguments.multi_fidelity())


def _bayesian_optimization(arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import BayesianOptimization

    return BayesianOptimization(**arguments.common())


def _mobster(kind: str, arguments: MethodArguments) -> TrialScheduler:
    from cloudtune.optimizer.baselines import MOBSTER

    return MOBSTER(**{"type": kind, **arguments.multi_fidelity()})


#: Those that come with cloudtune. Nothing is imported before one is made.
METHODS: Mapping[str, Method] = {
    "RS": _random_search,
    "GS": _grid_search,
    "MSR": _median_stopping,
    "ASHA": partial(_asha, "promotion"),
    "ASHA-STOP": partial(_asha, "stopping"),
    "PASHA": _pasha,
    "HYPERBAND": _synchronous_hyperband,
    "BO": _bayesian_optimization,
    "MOBSTER": partial(_mobster, "promotion"),
}
