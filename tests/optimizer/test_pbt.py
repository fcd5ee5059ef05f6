"""Population-based training: who gives way, to what, and that the population has the size it was given."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloudtune.config_space import choice, loguniform
from cloudtune.optimizer.baselines import PopulationBasedTraining
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialSuggestion
from cloudtune.trial import Trial
from tests.contracts.scheduler_contract import PROGRAMS, Simulation, Step
from tests.optimizer.recording_searcher import RecordingSearcher

CONTINUE, PAUSE, STOP = SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE, SchedulerDecision.STOP

SPACE: dict[str, Any] = {"lr": loguniform(1e-4, 1), "max_epochs": 20}


class Play:
    """A scheduler, and its trials by number."""

    def __init__(self, **arguments: Any) -> None:
        options = {"metric": "loss", "max_t": 20, "perturbation_interval": 2, "random_seed": 1, **arguments}
        self.scheduler = PopulationBasedTraining(options.pop("config_space", SPACE), **options)
        self.trials: list[Trial] = []

    def start(self) -> TrialSuggestion | None:
        """The next suggestion; a new trial begins, if it is one."""
        suggestion = self.scheduler.suggest()
        if suggestion is not None and suggestion.trial_id is None:
            assert suggestion.config is not None
            self.trials.append(Trial(len(self.trials), suggestion.config))
            self.scheduler.on_trial_add(self.trials[-1])
        return suggestion

    def fill(self) -> list[TrialSuggestion]:
        """All suggestions that there are now."""
        return [suggestion for suggestion in iter(self.start, None) if suggestion is not None]

    def report(self, trial_id: int, epoch: float, loss: float) -> str:
        """A report; what the trial was told to do is done at once."""
        trial = self.trials[trial_id]
        decision = self.scheduler.on_trial_result(trial, {"epoch": epoch, "loss": loss})
        if decision != CONTINUE:
            self.scheduler.on_trial_remove(trial)
        return decision


@pytest.mark.defect("C23")
@settings(max_examples=20)
@given(PROGRAMS, st.integers(2, 6))
def test_the_population_has_the_size_it_was_given(program: list[Step], size: int) -> None:
    """However many workers are free and whatever happens, no more trials run or wait; what is lost is replaced.

    Only the place of a member that gave way stays empty as long as there is nobody to copy.
    """
    scheduler = PopulationBasedTraining(
        SPACE, metric="loss", population_size=size, perturbation_interval=1, random_seed=1
    )
    simulation = Simulation(scheduler)
    for step in program:
        simulation.run([step])
        assert len(simulation.running) + len(simulation.paused) <= size
    simulation.settle()
    while simulation.suggest() is not None:
        pass
    told: dict[int, str] = {}  # what the trial was told last since it began or went on
    done = gave_way = 0
    for kind, *values in simulation.log:
        if kind == "suggest":
            told[values[2]] = CONTINUE
        elif kind == "report":
            told[values[0]] = values[3]
        done += kind == "complete" and told[values[0]] == CONTINUE
        gave_way += kind in ("complete", "remove") and told[values[0]] == STOP
    empty = size - done - len(simulation.running)
    worth_copying = any(math.isfinite(run.last.get("loss", math.nan)) for run in simulation.running)
    assert 0 <= empty <= (0 if worth_copying else gave_way)


MAXIMUM = 12

#: What a script reports at an epoch: by trial, epoch and a random number.
CURVES: dict[str, Callable[[int, int, float], float]] = {
    "worse from an epoch on": lambda trial, epoch, u: abs(epoch - 3) + u / 9,
    "better and better": lambda trial, epoch, u: u / 9 - epoch,
    "later trials are worse": lambda trial, epoch, u: float(trial),
    "later trials are better": lambda trial, epoch, u: -float(trial),
    "noise": lambda trial, epoch, u: u,
    "noise with NaN": lambda trial, epoch, u: u if u < 0.6 else math.nan,
    "good until it diverges": lambda trial, epoch, u: u if epoch < 8 else math.inf,
    "two values": lambda trial, epoch, u: float(u < 0.5),
}


@settings(max_examples=60)
@given(
    curve=st.sampled_from(sorted(CURVES)),
    size=st.integers(2, 6),
    workers=st.integers(1, 7),
    interval=st.integers(1, 7),
    fraction=st.sampled_from([0.1, 0.25, 0.5]),
    seed=st.integers(0, 99),
)
@example(curve="worse from an epoch on", size=4, workers=1, interval=3, fraction=0.25, seed=0)
@example(curve="worse from an epoch on", size=4, workers=2, interval=3, fraction=0.25, seed=0)
def test_it_ends_however_few_workers_there_are(
    curve: str, size: int, workers: int, interval: int, fraction: float, seed: int
) -> None:
    """All that is trained, copies that give way included, is at most thrice what the population needs for itself."""
    scheduler = PopulationBasedTraining(
        SPACE,
        metric="loss",
        max_t=MAXIMUM,
        population_size=size,
        perturbation_interval=interval,
        quantile_fraction=fraction,
        random_seed=seed,
    )
    random = np.random.default_rng(seed)
    trials: list[Trial] = []
    epochs: list[int] = []
    running: deque[int] = deque()
    trained = 0
    while True:
        while len(running) < workers and (suggestion := scheduler.suggest()) is not None:
            if suggestion.trial_id is None:
                source = suggestion.checkpoint_trial_id
                epochs.append(0 if source is None else epochs[source])
                trials.append(Trial(len(trials), suggestion.config or {}))
                scheduler.on_trial_add(trials[-1])
            running.append(len(trials) - 1 if suggestion.trial_id is None else suggestion.trial_id)
        if not running:
            break
        trial = trials[running.popleft()]
        epochs[trial.trial_id] += 1
        trained += 1
        assert trained <= 3 * size * MAXIMUM
        epoch = epochs[trial.trial_id]
        report = {"epoch": epoch, "loss": CURVES[curve](trial.trial_id, epoch, float(random.random()))}
        if scheduler.on_trial_result(trial, report) == CONTINUE:
            running.append(trial.trial_id)
        else:
            scheduler.on_trial_remove(trial)
    assert max(epochs) == MAXIMUM


def test_a_copy_waits_for_its_source_to_take_a_turn() -> None:
    """One worker: the source goes on first, since it has waited longer; then the copy, although it is no further."""
    play = Play(population_size=2)
    turns = []
    for trial_id, epoch, loss in ((0, 2, 1.0), (1, 2, 2.0), (0, 4, 3.0), (2, 6, 4.0)):
        suggestion = play.start()
        assert suggestion is not None
        turns.append((suggestion.trial_id, suggestion.checkpoint_trial_id, play.report(trial_id, epoch, loss)))
    assert turns == [(None, None, PAUSE), (None, None, STOP), (0, None, PAUSE), (None, 0, STOP)]
    assert play.start() == TrialSuggestion.resume_suggestion(0)


def test_nobody_pauses_for_a_copy_that_finds_a_free_worker() -> None:
    """With a worker for each member, one that is compared before a copy has begun runs on."""
    play = Play(population_size=3)
    play.fill()
    assert [play.report(i, 2, loss) for i, loss in enumerate([1.0, 1.0, 3.0])] == [CONTINUE, CONTINUE, STOP]
    assert play.report(0, 4, 1.0) == CONTINUE


def test_the_place_of_a_member_that_gave_way_stays_empty_while_nobody_is_worth_copying() -> None:
    """The better one diverges before the copy is made, and the copy is made when it has recovered."""
    play = Play(population_size=2)
    play.fill()
    assert [play.report(0, 2, 1.0), play.report(1, 2, 2.0), play.report(0, 4, math.nan)] == [CONTINUE, STOP, CONTINUE]
    assert play.start() is None
    assert play.report(0, 6, 1.0) == CONTINUE
    assert [suggestion.checkpoint_trial_id for suggestion in play.fill()] == [0]


@pytest.mark.defect("C23")
@pytest.mark.parametrize("size", [2, 4, 7])
def test_as_many_members_begin_as_were_asked_for(size: int) -> None:
    """All at once if there are workers; then none, until one is lost."""
    play = Play(population_size=size)
    assert [suggestion.checkpoint_trial_id for suggestion in play.fill()] == [None] * size
    play.scheduler.on_trial_error(play.trials[0])
    assert len(play.fill()) == 1
    assert play.start() is None


def test_the_worst_gives_way_to_a_copy_of_the_best() -> None:
    """Compared when all were: the worst quarter is stopped, and a trial begins from the best one's checkpoint."""
    play = Play(resample_probability=0)
    play.fill()
    assert [play.report(i, 1, loss) for i, loss in enumerate([9, 9, 9, 9])] == [CONTINUE] * 4
    assert [play.report(i, 2, loss) for i, loss in enumerate([2, 1, 1.5])] == [CONTINUE] * 3
    assert play.report(3, 2, 5) == STOP
    (suggestion,) = play.fill()
    assert suggestion.checkpoint_trial_id == 1
    assert suggestion.config is not None
    factor = suggestion.config["lr"] / play.trials[1].config["lr"]
    assert factor == pytest.approx(1.2) or factor == pytest.approx(0.8) or suggestion.config["lr"] in (1e-4, 1)
    # Trial 0 was not at the bottom then; it is when it is compared again.
    assert play.report(0, 3, 9) == CONTINUE
    assert play.report(0, 4, 9) == STOP


def test_maximising() -> None:
    """With mode max the smallest value is the worst."""
    play = Play(mode="max", population_size=2)
    play.fill()
    assert [play.report(0, 2, 1.0), play.report(1, 2, 0.5)] == [CONTINUE, STOP]


def test_a_copy_goes_on_counting_where_it_begins() -> None:
    """It is compared an interval after the resource of the checkpoint; one that began anew, after its own."""
    for first in (7, 1):
        play = Play(population_size=2)
        play.fill()
        assert [play.report(0, 6, 1.0), play.report(1, 2, 5.0)] == [CONTINUE, STOP]
        (suggestion,) = play.fill()
        assert suggestion.checkpoint_trial_id == 0
        assert play.report(2, first, 9.0) == CONTINUE
        assert play.report(2, first + (1 if first == 7 else 2), 9.0) == STOP


def test_the_top_is_drawn_from() -> None:
    """With half of the population at the top, all of these are copied sooner or later, and no other."""
    seen = set()
    for seed in range(12):
        play = Play(quantile_fraction=0.5, random_seed=seed)
        play.fill()
        assert [play.report(i, 2, loss) for i, loss in enumerate([3.0, 1.0, 2.0])][:2] == [CONTINUE] * 2
        assert play.report(3, 2, 4.0) == STOP
        seen.add(play.fill()[0].checkpoint_trial_id)
    assert seen == {1, 2}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_rank_worst(value: float) -> None:
    """Such a member gives way to one with a finite value, and is never copied; among others like it, it goes on."""
    play = Play(population_size=2)
    play.fill()
    assert [play.report(0, 2, value), play.report(1, 2, value)] == [CONTINUE] * 2
    assert [play.report(0, 4, 8.0), play.report(1, 4, value)] == [CONTINUE, STOP]
    assert play.fill()[0].checkpoint_trial_id == 0
    only_bad = Play(population_size=2)
    only_bad.fill()
    only_bad.report(0, 2, value)
    only_bad.scheduler.on_trial_error(only_bad.trials[1])
    assert only_bad.fill()[0].checkpoint_trial_id is None


def test_equal_members_go_on() -> None:
    """A constant metric stops nobody."""
    play = Play()
    play.fill()
    assert {play.report(i, epoch, 1.0) for epoch in (2, 4, 6) for i in range(4)} == {CONTINUE}


def test_a_failed_member_is_replaced() -> None:
    """By a copy of the best, if there is one that was compared; before that by a new configuration."""
    play = Play(population_size=3)
    play.fill()
    play.scheduler.on_trial_error(play.trials[0])
    assert play.fill()[0].checkpoint_trial_id is None
    play.report(2, 2, 1.0)
    play.scheduler.on_trial_error(play.trials[1])
    assert play.fill()[0].checkpoint_trial_id == 2
    # Stopped from outside counts like failed.
    play.scheduler.on_trial_remove(play.trials[3])
    assert play.fill()[0].checkpoint_trial_id == 2


def test_members_take_turns_where_workers_are_few() -> None:
    """One worker, three members: each runs an interval, then the one that has used least is next."""
    play = Play(population_size=3, quantile_fraction=0.4)
    turns = []
    for epoch, turn in ((2, 0), (2, 1), (2, 2)):
        assert play.start() is not None
        turns.append(play.report(turn, epoch, 1.0))
    # The third need not pause: nobody is behind. At 4 the others are.
    assert turns == [PAUSE, PAUSE, CONTINUE]
    assert play.report(2, 4, 1.0) == PAUSE
    suggestion = play.start()
    assert suggestion is not None
    assert suggestion.trial_id == 0
    assert play.report(0, 4, 1.0) == PAUSE
    suggestion = play.start()
    assert suggestion is not None
    assert suggestion.trial_id == 1


def test_nobody_gives_way_before_half_of_the_population_was_compared() -> None:
    """Not even to a much better one: those that have not begun may be worse still."""
    play = Play()
    for turn, loss in enumerate([1.0, 9.0, 5.0]):
        play.start()
        assert play.report(turn, 2, loss) == PAUSE
    play.start()
    assert play.report(3, 2, 10.0) == STOP


def test_a_member_at_the_maximum_is_done() -> None:
    """It is stopped there, unless its script knows the maximum; nobody takes its place, and the experiment ends."""
    play = Play(population_size=2, max_t=4)
    play.fill()
    assert [play.report(0, 4, 1.0), play.report(1, 5, 9.0)] == [STOP, STOP]
    assert play.start() is None
    play = Play(population_size=2, max_t=None, max_resource_attr="max_epochs")
    play.fill()
    assert [play.report(0, 20, 1.0), play.report(1, 20, 9.0)] == [CONTINUE, CONTINUE]
    for trial in play.trials:
        play.scheduler.on_trial_complete(trial, {"epoch": 20, "loss": 1.0})
    assert play.start() is None


def test_a_script_that_ends_before_it_is_stopped() -> None:
    """Its place is taken all the same."""
    play = Play(population_size=2)
    play.fill()
    play.report(0, 2, 1.0)
    trial = play.trials[1]
    assert play.scheduler.on_trial_result(trial, {"epoch": 2, "loss": 2.0}) == STOP
    assert play.start() is None  # the population is as large as it may be until it has ended
    play.scheduler.on_trial_complete(trial, {"epoch": 3, "loss": 2.0})
    assert [suggestion.checkpoint_trial_id for suggestion in play.fill()] == [0]


def test_a_space_with_fewer_configurations_than_members() -> None:
    """The population is smaller then; after one needless pause its members go on, and are replaced as ever."""
    play = Play(config_space={"kind": choice(["a", "b"])}, population_size=4)
    assert len(play.fill()) == 2
    assert play.report(0, 2, 1.0) == PAUSE
    (again,) = play.fill()
    assert (again.trial_id, again.memo) == (0, {"exhausted": True})
    assert play.report(1, 2, 2.0) == STOP
    assert [suggestion.checkpoint_trial_id for suggestion in play.fill()] == [0]


@pytest.mark.defect("C11")
def test_the_searcher_is_told_everything() -> None:
    """A searcher of one's own hears of every suggestion, start, report, completion, failure and removal."""
    searcher = RecordingSearcher(SPACE, [])
    scheduler = PopulationBasedTraining(SPACE, searcher, metric="loss")
    assert searcher.tell_all_and_return_calls(scheduler) == searcher.expected_calls()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"population_size": 1}, "population_size must be an integer of at least 2, got 1"),
        ({"population_size": 2.5}, "population_size must be an integer"),
        ({"perturbation_interval": 0}, "perturbation_interval must be a positive number, got 0"),
        ({"perturbation_interval": "5"}, "perturbation_interval must be a positive number, got '5'"),
        ({"perturbation_interval": 5, "max_t": 5}, "perturbation_interval=5 must be below the maximum resource 5"),
        ({"max_resource_attr": "max_epochs", "perturbation_interval": 21}, "must be below the maximum resource 20"),
        ({"metric": "epoch"}, "metric 'epoch' is resource_attr too"),
        ({"quantile_fraction": "a"}, "quantile_fraction must be above 0 and at most 0.5, got 'a'"),
        ({"quantile_fraction": 0.6}, "quantile_fraction must be above 0 and at most 0.5, got 0.6"),
        ({"resample_probability": -1}, "resample_probability must be from 0 to 1, got -1"),
        ({"perturbation_factors": 1.2}, "perturbation_factors must be positive numbers other than 1, got 1.2"),
        ({"perturbation_factors": ()}, "perturbation_factors must be positive numbers"),
        ({"perturbation_factors": (1.0,)}, "perturbation_factors must be positive numbers other than 1"),
        ({"metric": ["a", "b"]}, "metric must be one name"),
        ({"resource_attr": ""}, "resource_attr must name what the script reports"),
        ({"max_resource_attr": "epochs"}, "max_resource_attr 'epochs' is not in the config space"),
        ({"max_t": 0}, "max_t must be a positive integer"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    """Each wrong argument is refused at construction, naming it and the remedy."""
    with pytest.raises(ValueError, match=message):
        PopulationBasedTraining(SPACE, **{"metric": "loss", **arguments})


def test_wrong_reports_and_suggestions_are_named() -> None:
    """A report without the metric, and a log of another scheduler."""
    play = Play()
    play.start()
    with pytest.raises(ValueError, match=r"must report 'epoch' \(resource_attr\) and 'loss' \(metric\)"):
        play.scheduler.on_trial_result(play.trials[0], {"epoch": 1})
    with pytest.raises(ValueError, match="trial 0 cannot be resumed"):
        play.scheduler.restore(TrialSuggestion.resume_suggestion(0))
    assert play.scheduler.on_trial_result(Trial(9, {}), {"epoch": 1, "loss": 1.0}) == STOP
