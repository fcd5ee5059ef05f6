"""The contract of schedulers for Bayesian optimisation, alone and under schedulers with rungs."""

from __future__ import annotations

from typing import Any

from cloudtune.config_space import choice, finrange, loguniform, ordinal, randint, reverseloguniform
from cloudtune.optimizer.baselines import MOBSTER, BayesianOptimization
from cloudtune.optimizer.scheduler import TrialScheduler
from tests.contracts.scheduler_contract import FEW_STEPS, METRIC, SchedulerContract

SPACE: dict[str, Any] = {
    "lr": loguniform(1e-4, 1),
    "width": randint(1, 9),
    "kind": choice(["a", [1, 2], None]),
    "decay": reverseloguniform(0.5, 0.999),
    "steps": ordinal([1, 2, 8, 64]),
    "share": finrange(0.1, 0.9, 5),
    "max_epochs": 9,
}
FINITE: dict[str, Any] = {"kind": choice(["a", "b", "c"]), "max_epochs": 9, "width": randint(1, 5)}


GIVEN = [
    {"lr": 0.01 * n, "width": 1 + n % 9, "kind": "a", "decay": 0.9, "steps": 8, "share": 0.5} for n in range(1, 31)
]


class BayesianContract(SchedulerContract):
    programs = FEW_STEPS
    max_examples = 2


class TestBayesianOptimization(BayesianContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return BayesianOptimization(SPACE, metric=METRIC, mode="max", random_seed=random_seed, num_init_random=2)


class TestBayesianOptimizationInAFiniteSpace(BayesianContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        points: list[dict[str, Any]] = [{"kind": "c"}, {"kind": "b", "width": 1}]
        return BayesianOptimization(
            FINITE, metric=METRIC, random_seed=random_seed, num_init_random=2, points_to_evaluate=points
        )


class TestBayesianOptimizationAmongGivenConfigurations(BayesianContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return BayesianOptimization(
            SPACE,
            metric=METRIC,
            mode="max",
            random_seed=random_seed,
            num_init_random=2,
            points_to_evaluate=GIVEN[3:5],
            restrict_configurations=GIVEN,
        )


class TestMOBSTERStopping(BayesianContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return MOBSTER(SPACE, metric=METRIC, max_resource_attr="max_epochs", random_seed=random_seed, num_init_random=2)


class TestMOBSTERAmongGivenConfigurations(BayesianContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return MOBSTER(
            SPACE,
            metric=METRIC,
            max_resource_attr="max_epochs",
            random_seed=random_seed,
            num_init_random=2,
            restrict_configurations=GIVEN,
        )


class TestMOBSTERPromotion(BayesianContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return MOBSTER(
            FINITE,
            metric=METRIC,
            mode="max",
            max_resource_attr="max_epochs",
            type="promotion",
            brackets=2,
            random_seed=random_seed,
            num_init_random=2,
        )
