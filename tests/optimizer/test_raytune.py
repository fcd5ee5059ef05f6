"""Ray Tune's schedulers behind our contract: they decide as in Ray Tune, and Ray is never started."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cloudtune.config_space import choice, randint, uniform
from cloudtune.optimizer.scheduler import TrialSuggestion
from cloudtune.optimizer.schedulers.raytune import RayTuneScheduler
from cloudtune.trial import Trial

SPACE: dict[str, Any] = {"x": uniform(0, 1), "epochs": 9}


def made(scheduler: Any = "asha", mode: str = "min", **options: Any) -> RayTuneScheduler:
    return RayTuneScheduler(
        SPACE,
        scheduler,
        metric="loss",
        mode=mode,
        resource_attr="epoch",
        random_seed=1,
        scheduler_options=options or None,
    )


def started(scheduler: RayTuneScheduler, num_trials: int) -> list[Trial]:
    """New trials, which run."""
    trials = []
    for _ in range(num_trials):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        assert suggestion.trial_id is None
        trials.append(Trial(scheduler.num_suggestions - 1, suggestion.config or {}))
        scheduler.on_trial_add(trials[-1])
    return trials


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_asha_stops_those_below_the_best_share(mode: str, sign: int) -> None:
    """At a rung the worse ones stop, at the maximum all."""
    scheduler = made("asha", mode, max_t=9, grace_period=3, reduction_factor=3)
    trials = started(scheduler, 4)
    decisions = [scheduler.on_trial_result(t, {"epoch": 3, "loss": sign * t.trial_id}) for t in trials]
    assert decisions == ["CONTINUE", "STOP", "STOP", "STOP"]
    assert scheduler.on_trial_result(trials[1], {"epoch": 4, "loss": -9}) == "STOP"
    assert scheduler.on_trial_result(trials[0], {"epoch": 9, "loss": 0}) == "STOP"


def test_hyperband_pauses_until_a_rung_is_full_and_resumes_the_best() -> None:
    """Trials of a bracket wait for each other; of those that wait, the better ones are resumed, the others given up."""
    scheduler = made("hyperband", max_t=4, reduction_factor=2)
    trials = started(scheduler, 10)[6:]
    for trial in trials[:3]:
        assert scheduler.on_trial_result(trial, {"epoch": 1, "loss": trial.trial_id}) == "PAUSE"
        scheduler.on_trial_remove(trial)
    assert scheduler.expendable_checkpoints() == []
    assert scheduler.on_trial_result(trials[3], {"epoch": 1, "loss": 99}) == "STOP"
    scheduler.on_trial_remove(trials[3])
    assert scheduler.expendable_checkpoints() == [8]
    resumed = [suggestion.trial_id for suggestion in (scheduler.suggest(), scheduler.suggest()) if suggestion]
    assert resumed == [6, 7]
    third = scheduler.suggest()
    assert third is not None
    assert third.trial_id is None


def course(scheduler: RayTuneScheduler, log: list[TrialSuggestion], restored: int = 0) -> dict[int, int]:
    """One worker until the space is used up, the first suggestions taken from a log; each trial's last epoch."""
    trials: list[Trial] = []
    at: dict[int, int] = {}
    replayed = iter(log[:restored])
    while True:
        if (logged := next(replayed, None)) is not None:
            scheduler.restore(logged)
        suggestion = logged or scheduler.suggest()
        if suggestion is None:
            return at
        if logged is None:
            log.append(suggestion)
        if suggestion.trial_id is None:
            trials.append(Trial(len(trials), suggestion.config or {}))
            scheduler.on_trial_add(trials[-1])
        trial = trials[-1] if suggestion.trial_id is None else trials[suggestion.trial_id]
        decision = "CONTINUE"
        while decision == "CONTINUE":
            at[trial.trial_id] = at.get(trial.trial_id, 0) + 1
            report = {"epoch": at[trial.trial_id], "loss": float(trial.config["n"])}
            decision = scheduler.on_trial_result(trial, report)
        scheduler.on_trial_remove(trial)


@pytest.mark.parametrize("size", [49, 20])
def test_hyperband_stops_trials_with_one_worker(size: int) -> None:
    """Brackets are as large as they are with many workers, or as the space allows; from a log the same happens."""

    def fresh() -> RayTuneScheduler:
        space = {"n": randint(1, size)}
        options = {"max_t": 27}
        return RayTuneScheduler(
            space, "hyperband", metric="loss", resource_attr="epoch", random_seed=1, scheduler_options=options
        )

    log: list[TrialSuggestion] = []
    at = course(fresh(), log)
    assert len(at) == size
    # Four trials to 27; of six 9, 27; of twelve 3, 9, 27; of 27 1, 3, 9, 27.
    assert sum(epoch == 27 for epoch in at.values()) < 0.5 * size
    if size == 49:
        assert sorted(at.values()) == sorted(
            [27] * 4 + [9] * 4 + [27] * 2 + [3] * 8 + [9] * 2 + [27] * 2 + [1] * 18 + [3] * 6 + [9] * 2 + [27]
        )
    for restored in (7, len(log) - 1):
        again = list(log[:restored])
        assert course(fresh(), again, restored) == at
        assert again == log


def test_a_trial_is_not_resumed_before_its_worker_is_free() -> None:
    """Told to pause is not paused: until the end has come, there is a new trial instead."""
    scheduler = made("hyperband", max_t=4, reduction_factor=2)
    trials = started(scheduler, 10)[6:]
    for trial in trials:
        scheduler.on_trial_result(trial, {"epoch": 1, "loss": trial.trial_id})
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.trial_id is None
    scheduler.on_trial_remove(trials[0])
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.trial_id == 6


def test_the_median_rule_stops_what_is_worse_than_the_median() -> None:
    """Compared with running means of the others; a failure and a trial without reports do no harm."""
    scheduler = made("median", grace_period=2, min_samples_required=3)
    trials = started(scheduler, 6)
    scheduler.on_trial_error(trials[4])
    scheduler.on_trial_remove(trials[5])
    for epoch in (1, 2, 3):
        decisions = [scheduler.on_trial_result(t, {"epoch": epoch, "loss": t.trial_id}) for t in trials[:3]]
        assert decisions == ["CONTINUE"] * 3
    assert scheduler.on_trial_result(trials[3], {"epoch": 2, "loss": 5}) == "STOP"


def test_what_is_no_number_to_rank_is_worst() -> None:
    """NaN and the infinities of either sign lose against any number, and later trials are compared as ever."""
    scheduler = made("asha", max_t=9, grace_period=1, reduction_factor=2)
    trials = started(scheduler, 6)
    values = [1.0, math.nan, 0.5, -math.inf, 2.0, 10**400]
    decisions = [scheduler.on_trial_result(t, {"epoch": 1, "loss": v}) for t, v in zip(trials, values, strict=True)]
    assert decisions == ["CONTINUE", "STOP"] * 3


def test_a_report_without_the_metric_is_refused() -> None:
    """What has to be reported is named."""
    scheduler = made("asha")
    trial = started(scheduler, 1)[0]
    with pytest.raises(ValueError, match=r"trial 0 must report 'epoch' \(resource_attr\) and 'loss' \(metric\)"):
        scheduler.on_trial_result(trial, {"epoch": 1})


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
@pytest.mark.parametrize("epoch", [math.nan, math.inf, -math.inf, -1])
def test_a_resource_that_counts_nothing_is_refused(name: str, epoch: float) -> None:
    """In words of ours: Ray Tune's schedulers assert that it has grown, or go on with it."""
    scheduler = made(name)
    trials = started(scheduler, 2)
    scheduler.on_trial_result(trials[1], {"epoch": 1, "loss": 1.0})
    with pytest.raises(ValueError, match=f"trial 0 reported epoch={epoch!r} .* must be finite and not negative"):
        scheduler.on_trial_result(trials[0], {"epoch": epoch, "loss": 1.0})


def test_an_object_of_ray_tune_is_driven_too() -> None:
    """Also one that knows the metric already; one that knows another is refused."""
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    given = ASHAScheduler(time_attr="epoch", metric="loss", mode="min", max_t=9, grace_period=3, reduction_factor=3)
    trials = started(scheduler := made(given), 2)
    assert [scheduler.on_trial_result(t, {"epoch": 3, "loss": t.trial_id}) for t in trials] == ["CONTINUE", "STOP"]
    trial = started(scheduler := made(FIFOScheduler()), 1)[0]
    assert scheduler.on_trial_result(trial, {"epoch": 3, "loss": 1}) == "CONTINUE"
    with pytest.raises(ValueError, match="was made with metric='error', but metric is 'loss'; give both the same"):
        made(ASHAScheduler(time_attr="epoch", metric="error", mode="min"))
    with pytest.raises(ValueError, match="time_attr='training_iteration', but resource_attr is 'epoch'"):
        made(ASHAScheduler())


def test_what_needs_ray_itself_is_refused() -> None:
    """Each with a reason and what to use instead; so is what a scheduler of one's own wants of Ray's controller."""
    from ray.tune import schedulers

    pbt = schedulers.PopulationBasedTraining(time_attr="epoch", hyperparam_mutations={"x": [1, 2]})
    for scheduler, words in [
        (pbt, "use PopulationBasedTraining of cloudtune"),
        (schedulers.HyperBandForBOHB(time_attr="epoch"), "needs TuneBOHB"),
        (schedulers.ResourceChangingScheduler(), "asks Ray's cluster for resources"),
    ]:
        with pytest.raises(ValueError, match=words):
            made(scheduler)

    class Curious(schedulers.FIFOScheduler):  # type: ignore[misc]
        def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
            return str(tune_controller.checkpoint_everything())

    trial = started(scheduler := made(Curious()), 1)[0]
    with pytest.raises(NotImplementedError, match="Curious needs checkpoint_everything of Ray Tune's own controller"):
        scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1})


@pytest.mark.parametrize(
    ("scheduler", "options", "error", "words"),
    [
        ("pbt", {}, ValueError, "scheduler 'pbt' is not known; use one of 'asha', 'hyperband', 'median'"),
        (
            "asha",
            {"grace_preiod": 3},
            TypeError,
            "scheduler_options has 'grace_preiod', .* did you mean 'grace_period'",
        ),
        (
            "asha",
            {"grace_period": 50, "max_t": 27},
            ValueError,
            "scheduler_options are grace_period=50, max_t=27, .*AsyncHyperBandScheduler refuses .* such as 27",
        ),
        ("asha", {"reduction_factor": 1}, ValueError, "scheduler_options are reduction_factor=1, .* such as 3"),
        ("asha", {"max_t": "a"}, ValueError, "scheduler_options are max_t='a', .* such as 27"),
        ("hyperband", {"max_t": 0}, ValueError, "scheduler_options are max_t=0, .*HyperBandScheduler refuses"),
        (3, {}, TypeError, "scheduler must be a name or a scheduler of Ray Tune, got 3"),
        (3, {"max_t": 3}, ValueError, "scheduler_options cannot be given together with a scheduler object"),
    ],
)
def test_wrong_schedulers_are_named(scheduler: Any, options: Any, error: type[Exception], words: str) -> None:
    """What cannot work is refused at once."""
    with pytest.raises(error, match=words):
        made(scheduler, **options)


def test_scheduler_options_are_a_mapping() -> None:
    """Anything else is refused."""
    with pytest.raises(TypeError, match="scheduler_options must be a dictionary of names to values, got 3"):
        RayTuneScheduler(SPACE, "asha", metric="loss", resource_attr="epoch", scheduler_options=3)  # type: ignore[arg-type]


def test_several_metrics_are_refused() -> None:
    """Ray Tune's schedulers compare one."""
    with pytest.raises(ValueError, match="metric must be one name"):
        RayTuneScheduler(SPACE, "asha", metric=["a", "b"], resource_attr="epoch")  # type: ignore[arg-type]


def test_ray_is_not_started_and_the_global_random_state_is_left_alone() -> None:
    """Brackets are drawn with keyed numbers: numpy's global generator goes on as if we had not been there."""
    import ray

    np.random.seed(5)  # noqa: NPY002
    untouched = np.random.random(3).tolist()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    scheduler = made("asha", max_t=9, brackets=3)
    trials = started(scheduler, 8)
    for trial in trials:
        scheduler.on_trial_result(trial, {"epoch": 1, "loss": 1.0})
    assert np.random.random(3).tolist() == untouched  # noqa: NPY002
    assert not ray.is_initialized()


def test_settings_of_ray_tunes_scheduler_stand_in_the_metadata() -> None:
    """Another setting is another experiment."""
    metadata = [made("asha", max_t=max_t).metadata() for max_t in (9, 27)]
    assert metadata[0]["ray_scheduler"] == "AsyncHyperBandScheduler"
    assert metadata[0]["ray_settings"]["max_t"] == 9
    assert metadata[0] != metadata[1]


def test_paused_trials_are_resumed_when_there_is_nothing_new() -> None:
    """Ray Tune's rule that pauses what it would stop lets it run on once the space is used up."""
    scheduler = RayTuneScheduler(
        {"k": choice(["a", "b", "c"])},
        "median",
        metric="loss",
        resource_attr="epoch",
        random_seed=1,
        scheduler_options={"grace_period": 1, "min_samples_required": 2, "hard_stop": False},
    )
    trials = started(scheduler, 3)
    decisions = [scheduler.on_trial_result(t, {"epoch": 1, "loss": t.trial_id}) for t in trials]
    assert decisions == ["CONTINUE", "CONTINUE", "PAUSE"]
    assert scheduler.suggest() is None
    scheduler.on_trial_remove(trials[2])
    suggestion = scheduler.suggest()
    assert suggestion is not None
    assert suggestion.trial_id == 2
    assert scheduler.on_trial_result(trials[2], {"epoch": 2, "loss": 99}) == "CONTINUE"
