"""The contract of schedulers, for each of ours."""

from __future__ import annotations

from typing import Any

from cloudtune.config_space import choice, loguniform, randint
from cloudtune.optimizer.baselines import (
    ASHA,
    MOASHA,
    PASHA,
    GridSearch,
    MedianStopping,
    PopulationBasedTraining,
    RandomSearch,
    SyncHyperband,
)
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers import FIFOScheduler, HyperbandScheduler, MedianStoppingRule
from cloudtune.optimizer.schedulers.synchronous import SynchronousHyperbandScheduler
from examples.local_searcher import LocalSearcher
from examples.standalone_scheduler import TopShareScheduler
from tests.contracts.scheduler_contract import METRIC, RESOURCE, SchedulerContract

SPACE: dict[str, Any] = {"lr": loguniform(1e-4, 1), "width": randint(1, 9), "max_epochs": 9}
GIVEN = [{"lr": 0.01 * number, "width": 1 + number % 3} for number in range(1, 41)]
FINITE: dict[str, Any] = {"kind": choice(["a", "b", "c"]), "max_epochs": 9, "width": randint(1, 5)}


class TestRandomSearch(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return RandomSearch(SPACE, metric=METRIC, mode="max", random_seed=random_seed)


class TestRandomSearchInAFiniteSpace(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        points: list[dict[str, Any]] = [{"kind": "c"}, {"kind": "b", "width": 1}]
        return RandomSearch(FINITE, metric=METRIC, random_seed=random_seed, points_to_evaluate=points)


class TestRandomSearchAmongGivenConfigurations(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        points = GIVEN[7:9]
        return RandomSearch(
            SPACE, metric=METRIC, random_seed=random_seed, points_to_evaluate=points, restrict_configurations=GIVEN
        )


class TestGridSearch(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return GridSearch(FINITE, metric=METRIC, random_seed=random_seed)


class TestGridSearchInOrder(SchedulerContract):
    random = False

    def make(self, random_seed: int | None) -> TrialScheduler:
        return GridSearch(SPACE, metric=METRIC, random_seed=random_seed, shuffle=False)


class TestASHAStopping(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return ASHA(SPACE, metric=METRIC, max_resource_attr="max_epochs", random_seed=random_seed)


class TestASHAPromotion(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return ASHA(
            SPACE, metric=METRIC, mode="max", max_resource_attr="max_epochs", type="promotion", random_seed=random_seed
        )


class TestASHAPromotionInAFiniteSpace(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return ASHA(FINITE, metric=METRIC, max_t=8, reduction_factor=2, type="promotion", random_seed=random_seed)


class TestHyperbandStopping(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return ASHA(SPACE, metric=METRIC, max_t=9, brackets=3, random_seed=random_seed)


class TestHyperbandPromotion(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return HyperbandScheduler(
            SPACE,
            "random",
            metric=METRIC,
            resource_attr=RESOURCE,
            max_resource_attr="max_epochs",
            brackets=3,
            type="promotion",
            random_seed=random_seed,
        )


class TestASHAPromotionAmongGivenConfigurations(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return ASHA(
            SPACE,
            metric=METRIC,
            max_resource_attr="max_epochs",
            type="promotion",
            random_seed=random_seed,
            restrict_configurations=GIVEN,
        )


class TestPASHA(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return PASHA(
            SPACE,
            metric=METRIC,
            max_resource_attr="max_epochs",
            reduction_factor=2,
            max_num_checkpoints=3,
            random_seed=random_seed,
        )


class TestPASHAInAFiniteSpace(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return PASHA(FINITE, metric=METRIC, mode="max", max_t=8, reduction_factor=2, random_seed=random_seed)


class TestSyncHyperband(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return SyncHyperband(SPACE, metric=METRIC, mode="max", max_resource_attr="max_epochs", random_seed=random_seed)


class TestSyncHyperbandInAFiniteSpace(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return SyncHyperband(FINITE, metric=METRIC, max_t=8, reduction_factor=2, random_seed=random_seed)


class TestSynchronousSuccessiveHalving(SchedulerContract):
    no_duplicates = False

    def make(self, random_seed: int | None) -> TrialScheduler:
        return SynchronousHyperbandScheduler(
            SPACE,
            LocalSearcher,
            metric=METRIC,
            resource_attr=RESOURCE,
            max_t=5,
            grace_period=2,
            reduction_factor=2,
            brackets=1,
            random_seed=random_seed,
            search_options={"metric": METRIC},
        )


class TestMOASHAStopping(SchedulerContract):
    metrics = (METRIC, "latency", "size")

    def make(self, random_seed: int | None) -> TrialScheduler:
        return MOASHA(SPACE, metric=self.metrics, mode=["max", "min", "min"], max_t=9, random_seed=random_seed)


class TestMOASHAPromotion(SchedulerContract):
    metrics = (METRIC, "latency")

    def make(self, random_seed: int | None) -> TrialScheduler:
        return MOASHA(
            FINITE,
            metric=self.metrics,
            max_resource_attr="max_epochs",
            brackets=2,
            type="promotion",
            random_seed=random_seed,
        )


class TestRandomSearchWithSeveralMetrics(SchedulerContract):
    metrics = (METRIC, "latency")

    def make(self, random_seed: int | None) -> TrialScheduler:
        return RandomSearch(SPACE, metric=self.metrics, mode=["max", "min"], random_seed=random_seed)


class TestPopulationBasedTraining(SchedulerContract):
    no_duplicates = False

    def make(self, random_seed: int | None) -> TrialScheduler:
        return PopulationBasedTraining(
            SPACE, metric=METRIC, max_resource_attr="max_epochs", perturbation_interval=2, random_seed=random_seed
        )


class TestPopulationBasedTrainingInAFiniteSpace(SchedulerContract):
    no_duplicates = False

    def make(self, random_seed: int | None) -> TrialScheduler:
        return PopulationBasedTraining(
            {**FINITE, "width": 3},
            metric=METRIC,
            mode="max",
            perturbation_interval=1,
            population_size=5,
            quantile_fraction=0.4,
            random_seed=random_seed,
        )


class TestMedianStopping(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return MedianStopping(SPACE, metric=METRIC, grace_population=2, random_seed=random_seed)


class TestMedianRuleAroundPromotion(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        inner = ASHA(SPACE, metric=METRIC, max_resource_attr="max_epochs", type="promotion", random_seed=random_seed)
        return MedianStoppingRule(inner, RESOURCE, running_average=False, grace_time=0, grace_population=2)


class TestASearcherOfOnesOwn(SchedulerContract):
    no_duplicates = False

    def make(self, random_seed: int | None) -> TrialScheduler:
        return FIFOScheduler(SPACE, LocalSearcher(SPACE, METRIC), metric=METRIC, random_seed=random_seed)


class TestASearcherOfOnesOwnUnderHyperband(SchedulerContract):
    no_duplicates = False

    def make(self, random_seed: int | None) -> TrialScheduler:
        return HyperbandScheduler(
            SPACE,
            LocalSearcher,
            metric=METRIC,
            resource_attr=RESOURCE,
            max_resource_attr="max_epochs",
            type="promotion",
            random_seed=random_seed,
            search_options={"metric": METRIC},
        )


class TestASchedulerOfOnesOwn(SchedulerContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return TopShareScheduler(SPACE, METRIC, random_seed=random_seed)
