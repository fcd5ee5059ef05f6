"""The contract of schedulers, for the methods that stand on other libraries: BORE, Optuna's samplers, Ray Tune."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.config_space import choice, finrange, loguniform, ordinal, randint, reverseloguniform, uniform
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers import (
    FIFOScheduler,
    HyperbandScheduler,
    ParetoHyperbandScheduler,
    RayTuneScheduler,
    SynchronousHyperbandScheduler,
)
from cloudtune.trial import Trial
from tests.contracts.scheduler_contract import FEW_STEPS, METRIC, RESOURCE, SchedulerContract

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


class LibraryContract(SchedulerContract):
    programs = FEW_STEPS
    max_examples = 4


class TestBore(LibraryContract):
    max_examples = 2

    def make(self, random_seed: int | None) -> TrialScheduler:
        options = {"num_init_random": 3, "num_candidates": 20}
        return FIFOScheduler(SPACE, "bore", metric=METRIC, random_seed=random_seed, search_options=options)


class TestBoreUnderPromotionInAFiniteSpace(LibraryContract):
    max_examples = 2

    def make(self, random_seed: int | None) -> TrialScheduler:
        return HyperbandScheduler(
            FINITE,
            "bore",
            metric=METRIC,
            mode="max",
            resource_attr=RESOURCE,
            max_resource_attr="max_epochs",
            type="promotion",
            random_seed=random_seed,
            search_options={"num_init_random": 2, "num_candidates": 10, "classifier": "gradient_boosting"},
        )


def optuna(sampler: Any, random_seed: int | None, space: dict[str, Any] = SPACE, **options: Any) -> TrialScheduler:
    return FIFOScheduler(
        space,
        "optuna",
        metric=METRIC,
        random_seed=random_seed,
        search_options={"sampler": sampler, "sampler_options": options},
    )


class TestTPE(LibraryContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return optuna("tpe", random_seed, n_startup_trials=3)


class TestTPEUnderHyperbandInAFiniteSpace(LibraryContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return HyperbandScheduler(
            FINITE,
            "optuna",
            metric=METRIC,
            mode="max",
            resource_attr=RESOURCE,
            max_resource_attr="max_epochs",
            type="promotion",
            brackets=2,
            random_seed=random_seed,
            search_options={"sampler": "tpe", "sampler_options": {"n_startup_trials": 2, "multivariate": True}},
        )


class TestBOHB(LibraryContract):
    """A TPE sampler under synchronous Hyperband, which is what BOHB combines."""

    def make(self, random_seed: int | None) -> TrialScheduler:
        return SynchronousHyperbandScheduler(
            SPACE,
            "optuna",
            metric=METRIC,
            resource_attr=RESOURCE,
            max_t=4,
            reduction_factor=2,
            random_seed=random_seed,
            search_options={"sampler": "tpe", "sampler_options": {"n_startup_trials": 3}},
        )


class TestCmaEs(LibraryContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return optuna("cmaes", random_seed, {**SPACE, "kind": 3}, popsize=4)


class TestNSGAII(LibraryContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return optuna("nsgaii", random_seed, population_size=3)


def nsga(sampler: str) -> dict[str, Any]:
    return {"sampler": sampler, "sampler_options": {"population_size": 3}}


class TestNSGAIIUnderPromotion(LibraryContract):
    """Trials that were parents may be promoted, fail or diverge later."""

    max_examples = 12

    def make(self, random_seed: int | None) -> TrialScheduler:
        return HyperbandScheduler(
            SPACE,
            "optuna",
            metric=METRIC,
            resource_attr=RESOURCE,
            max_t=9,
            type="promotion",
            random_seed=random_seed,
            search_options=nsga("nsgaii"),
        )


class TestNSGAIIIUnderSynchronousHyperband(LibraryContract):
    max_examples = 12

    def make(self, random_seed: int | None) -> TrialScheduler:
        return SynchronousHyperbandScheduler(
            SPACE,
            "optuna",
            metric=METRIC,
            mode="max",
            resource_attr=RESOURCE,
            max_t=4,
            reduction_factor=2,
            random_seed=random_seed,
            search_options=nsga("nsgaiii"),
        )


class TestNSGAIIUnderStoppingWithSeveralMetrics(LibraryContract):
    metrics = (METRIC, "latency")

    def make(self, random_seed: int | None) -> TrialScheduler:
        return ParetoHyperbandScheduler(
            SPACE,
            "optuna",
            metric=self.metrics,
            resource_attr=RESOURCE,
            max_t=9,
            random_seed=random_seed,
            search_options=nsga("nsgaii"),
        )


@pytest.mark.parametrize("sampler", ["nsgaii", "nsgaiii"])
@pytest.mark.parametrize("kind", ["stopping", "promotion", "synchronous"])
def test_parents_keep_values_while_trials_climb_rungs(sampler: str, kind: str) -> None:
    """A trial of an earlier generation is told with values after the highest level has risen beyond it."""
    common: dict[str, Any] = {"metric": METRIC, "resource_attr": RESOURCE, "max_t": 9, "random_seed": 1}
    common["search_options"] = nsga(sampler)
    if kind == "synchronous":
        scheduler: TrialScheduler = SynchronousHyperbandScheduler({"x": uniform(0, 1)}, "optuna", **common)
    else:
        scheduler = HyperbandScheduler({"x": uniform(0, 1)}, "optuna", type=kind, **common)
    trials: list[Trial] = []
    epochs: list[int] = []
    for _ in range(45):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        if suggestion.trial_id is None:
            trials.append(Trial(len(trials), suggestion.config or {}))
            epochs.append(0)
            scheduler.on_trial_add(trials[-1])
        trial = trials[-1 if suggestion.trial_id is None else suggestion.trial_id]
        decision = "CONTINUE"
        while decision == "CONTINUE":
            epochs[trial.trial_id] += 1
            epoch = epochs[trial.trial_id]
            loss = (trial.config["x"] - 0.3) ** 2 + 1 / epoch
            decision = scheduler.on_trial_result(trial, {RESOURCE: epoch, METRIC: loss})
        scheduler.on_trial_remove(trial)
    assert len(trials) > 20


class TestQMC(LibraryContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return optuna("qmc", random_seed, scramble=True)


def raytune(name: str, random_seed: int | None, space: dict[str, Any], **options: Any) -> TrialScheduler:
    return RayTuneScheduler(
        space,
        name,
        metric=METRIC,
        resource_attr=RESOURCE,
        random_seed=random_seed,
        scheduler_options=options,
    )


class RayTuneContract(SchedulerContract):
    max_examples = 4


class TestRayTunesASHA(RayTuneContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return raytune("asha", random_seed, SPACE, max_t=9, brackets=3, reduction_factor=2)


class TestRayTunesHyperBand(RayTuneContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return raytune("hyperband", random_seed, SPACE, max_t=4, reduction_factor=2)


class TestRayTunesHyperBandInAFiniteSpace(RayTuneContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return raytune("hyperband", random_seed, FINITE, max_t=9, reduction_factor=3)


class TestRayTunesMedianRule(RayTuneContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return raytune("median", random_seed, SPACE, grace_period=1, min_samples_required=2, min_time_slice=1)


class TestRayTunesMedianRuleThatPauses(RayTuneContract):
    def make(self, random_seed: int | None) -> TrialScheduler:
        return raytune("median", random_seed, FINITE, grace_period=1, min_samples_required=2, hard_stop=False)
