"""What every scheduler must do, whatever it decides: subclass :class:`SchedulerContract` and say how to make one.

:class:`Simulation` drives a scheduler as the tuner does, by a program: a list of steps that hypothesis makes. It keeps
a log, and :func:`replay` tells that log to a fresh scheduler as the tuner does when an experiment is continued.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.config_space import config_key
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.trial import Trial

CONTINUE, PAUSE, STOP = SchedulerDecision.CONTINUE, SchedulerDecision.PAUSE, SchedulerDecision.STOP

RESOURCE = "epoch"
METRIC = "loss"

#: Where a configuration tells a script how far to train.
TOLD = "max_epochs"


class Step(NamedTuple):
    """One thing that happens: ``action``, to the running trial number ``which`` (modulo their count).

    A report counts ``jump`` more than the one before: it may repeat it, or fall behind it. ``finish`` are the reports
    up to the level that the script was told, ``jump`` apart and from 0, and then its end. A report holds ``value`` for
    the scheduler's first metric, and ``more`` for the others; ``value`` where that lacks.
    """

    action: str
    which: int = 0
    jump: float = 1
    value: float = 0.0
    more: tuple[float, ...] = ()

    def result(self, metrics: list[str]) -> dict[str, float]:
        """What is reported for each metric."""
        return {name: ([self.value, *self.more][i : i + 1] or [self.value])[0] for i, name in enumerate(metrics)}


VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan, math.inf, -math.inf, -0.0]),
    st.floats(-10, 10, width=16),
    st.integers(-3, 3),
)


def _steps(jumps: list[float], *others: str) -> st.SearchStrategy[Step]:
    actions = ["suggest"] * 5 + ["report"] * 10 + ["end"] * 3 + ["complete", "fail", "stop", *others]
    return st.builds(
        Step,
        action=st.sampled_from(actions),
        which=st.integers(0, 7),
        jump=st.sampled_from(jumps),
        value=VALUES,
        more=st.tuples(VALUES, VALUES),
    )


def _programs(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Short ones, which are easy to read when they fail, and long ones, which fill several rungs."""
    return st.one_of(st.lists(steps, max_size=20), st.lists(steps, min_size=60, max_size=180))


#: Resources grow, and no script ends by itself below the level that it was told: references are written for these.
STEPS = _steps([1, 1, 1, 1, 2, 5])
PROGRAMS = _programs(STEPS)

#: Whatever scripts may do.
ANY_STEPS = _steps([1, 1, 1, 1, 2, 5, 0, -1, -3, 0.5], "finish", "finish")
ANY_PROGRAMS = _programs(ANY_STEPS)

#: For schedulers that take long.
FEW_STEPS = st.lists(ANY_STEPS, min_size=10, max_size=50)


@dataclass
class _Running:
    trial: Trial
    epoch: float = 0
    decision: str = CONTINUE
    last: dict[str, Any] = field(default_factory=dict)


class Simulation:
    """Plays tuner, backend and scripts for one scheduler. ``log`` holds all calls and answers, as comparable values."""

    def __init__(self, scheduler: TrialScheduler, n_workers: int = 8) -> None:
        self.scheduler = scheduler
        self.n_workers = n_workers
        self.log: list[tuple[Any, ...]] = []
        self.running: list[_Running] = []
        self.paused: dict[int, _Running] = {}
        self.num_trials = 0

    def run(self, program: list[Step]) -> list[tuple[Any, ...]]:
        """Carries out the steps that make sense at their time; returns the log so far."""
        for step in program:
            if step.action == "suggest":
                if len(self.running) < self.n_workers:
                    self.suggest()
            elif self.running:
                index = step.which % len(self.running)
                getattr(self, f"_{step.action}")(index, step)
        return self.log

    def suggest(self) -> TrialSuggestion | None:
        """Asks for a suggestion and starts or resumes its trial."""
        suggestion = self.scheduler.suggest()
        if suggestion is None:
            self.log.append(("nothing",))
            return None
        if suggestion.trial_id is None:
            assert suggestion.config is not None
            assert list(suggestion.config) == list(self.scheduler.config_space)
            run = _Running(Trial(self.num_trials, suggestion.config))
            self.num_trials += 1
        else:
            # Only what was paused, and has ended since, may be resumed.
            run = self.paused.pop(suggestion.trial_id)
            if suggestion.config is not None:
                run.trial.config = suggestion.config
            run.decision = CONTINUE
        told = (suggestion.checkpoint_trial_id, json.dumps(suggestion.memo))
        self.log.append(("suggest", suggestion.trial_id, copy.deepcopy(run.trial.config), run.trial.trial_id, *told))
        if suggestion.trial_id is None:
            self.scheduler.on_trial_add(run.trial)
        self.running.append(run)
        return suggestion

    def _report(self, index: int, step: Step) -> None:
        run = self.running[index]
        if run.decision != CONTINUE:
            # The tuner keeps late reports to itself; the end comes next.
            self._end(index, step)
            return
        run.epoch = max(0, run.epoch + step.jump)
        values = step.result(self.scheduler.metric_names())
        run.last = {RESOURCE: run.epoch, **values, "st_worker_iter": run.epoch}
        run.decision = self.scheduler.on_trial_result(run.trial, dict(run.last))
        assert run.decision in (CONTINUE, PAUSE, STOP)
        self.log.append(("report", run.trial.trial_id, run.epoch, repr(values), run.decision, run.last))

    def _end(self, index: int, step: Step) -> None:
        run = self.running[index]
        if run.decision == CONTINUE:
            return
        self.running.pop(index)
        if run.decision == PAUSE:
            self.paused[run.trial.trial_id] = run
        self.log.append(("remove", run.trial.trial_id))
        self.scheduler.on_trial_remove(run.trial)

    def _finish(self, index: int, step: Step) -> None:
        """The script counts from 0, and has no report of the level that it was told."""
        run = self.running[index]
        told = run.trial.config.get(TOLD, 9)
        jump = max(1, int(step.jump))
        while run.decision == CONTINUE and run.epoch + jump < told:
            self._report(index, step._replace(jump=jump))
        self._complete(index, step)

    def _complete(self, index: int, step: Step) -> None:
        run = self.running[index]
        if run.decision == PAUSE:
            self._end(index, step)
        elif not run.last:
            self._fail(index, step)
        elif run.decision == CONTINUE and self.scheduler.on_script_end(run.trial, dict(run.last)) == PAUSE:
            run.decision = PAUSE
            self.log.append(("script end", run.trial.trial_id, repr(run.last), run.last))
            self._end(index, step)
        else:
            self.running.pop(index)
            self.log.append(("complete", run.trial.trial_id, repr(run.last), run.last))
            self.scheduler.on_trial_complete(run.trial, dict(run.last))

    def _fail(self, index: int, step: Step) -> None:
        run = self.running.pop(index)
        self.log.append(("error", run.trial.trial_id))
        self.scheduler.on_trial_error(run.trial)

    def _stop(self, index: int, step: Step) -> None:
        run = self.running[index]
        if run.decision == CONTINUE:
            self.running.pop(index)
            self.log.append(("remove", run.trial.trial_id))
            self.scheduler.on_trial_remove(run.trial)

    def settle(self) -> None:
        """Ends, in order, every trial that was told to end."""
        for run in list(self.running):
            if run.decision != CONTINUE:
                self._end(self.running.index(run), Step("end"))

    def new_configs(self) -> list[dict[str, Any]]:
        """Configurations of the trials, in the order in which they began."""
        return [entry[2] for entry in self.log if entry[0] == "suggest" and entry[1] is None]

    def continue_with(self, scheduler: TrialScheduler) -> Simulation:
        """A simulation in the same state, with another scheduler."""
        other = copy.copy(self)
        other.scheduler = scheduler
        other.log = []
        other.running = copy.deepcopy(self.running)
        other.paused = copy.deepcopy(self.paused)
        return other


def replay(log: list[tuple[Any, ...]], scheduler: TrialScheduler) -> None:
    """Tells a log to a fresh scheduler: its suggestions are restored, never computed."""
    trials: dict[int, Trial] = {}
    for kind, *values in log:
        if kind == "suggest":
            resumed, config, trial_id, source, memo = values
            scheduler.restore(TrialSuggestion(copy.deepcopy(config), resumed, source, json.loads(memo)))
            if resumed is None:
                trials[trial_id] = Trial(trial_id, copy.deepcopy(config))
                scheduler.on_trial_add(trials[trial_id])
            else:
                trials[trial_id].config = copy.deepcopy(config)
        elif kind == "report":
            scheduler.on_trial_result(trials[values[0]], dict(values[-1]))
        elif kind == "script end":
            scheduler.on_script_end(trials[values[0]], dict(values[-1]))
        elif kind == "complete":
            scheduler.on_trial_complete(trials[values[0]], dict(values[-1]))
        elif kind == "error":
            scheduler.on_trial_error(trials[values[0]])
        elif kind == "remove":
            scheduler.on_trial_remove(trials[values[0]])


def comparable(log: list[tuple[Any, ...]]) -> list[Any]:
    """A log whose entries compare equal where NaN stands in the same place."""
    return [entry[:-1] if isinstance(entry[-1], dict) and entry[0] != "suggest" else entry for entry in log]


def full_program(n: int) -> list[Step]:
    """A plain course of events in which trials start, report twice, and end as they are told."""
    steps = []
    for i in range(n):
        steps += [
            Step("suggest"),
            Step("report", i, 1, float(i * 7 % 5), (float(i * 5 % 7),)),
            Step("report", i, 1, float(i * 3 % 4), (float(i * 5 % 3),)),
            Step("end", i),
        ]
    return steps


def for_programs(test: Callable[..., None]) -> Callable[[Any], None]:
    """Runs a test of the contract for as many programs as its class says; each argument is one."""
    count = len(inspect.signature(test).parameters) - 1

    def run(self: SchedulerContract) -> None:
        @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=self.max_examples)
        @given(st.tuples(*[self.programs] * count))
        def check(programs: tuple[list[Step], ...]) -> None:
            test(self, *programs)

        check()

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class SchedulerContract:
    """Subclass it, implement :meth:`make`, and every test here runs for that scheduler."""

    #: Whether no configuration is ever proposed twice.
    no_duplicates = True

    #: Whether another seed gives other configurations.
    random = True

    #: The metrics of the scheduler that :meth:`make` makes.
    metrics: tuple[str, ...] = (METRIC,)

    #: Which programs, and how many: fewer and shorter ones for what takes milliseconds to suggest.
    programs = ANY_PROGRAMS
    max_examples = 15

    def make(self, random_seed: int | None) -> TrialScheduler:
        """A fresh scheduler of :attr:`metrics` that knows ``epoch``, or does not care."""
        raise NotImplementedError

    @for_programs
    def test_it_is_deterministic_for_a_seed(self, program: list[Step]) -> None:
        """Two schedulers with one seed answer the same to the same calls."""
        one, two = Simulation(self.make(3)), Simulation(self.make(3))
        assert comparable(one.run(program)) == comparable(two.run(program))

    @for_programs
    def test_restoring_equals_suggesting(self, before: list[Step], after: list[Step]) -> None:
        """A scheduler that was told a log goes on as the one that made it, whatever happened in the log."""
        first = Simulation(self.make(3))
        first.run(before)
        fresh = self.make(None)
        fresh.set_random_seed(3)
        replay(first.log, fresh)
        assert fresh.num_suggestions == first.scheduler.num_suggestions
        second = first.continue_with(fresh)
        begin = len(first.log)
        ending = [*after, *full_program(4)]
        assert comparable(second.run(ending)) == comparable(first.run(ending)[begin:])

    @for_programs
    def test_it_survives_pickling(self, before: list[Step], after: list[Step]) -> None:
        """A pickled scheduler goes on as the one it was made from."""
        first = Simulation(self.make(3))
        first.run(before)
        second = first.continue_with(pickle.loads(pickle.dumps(first.scheduler)))
        begin = len(first.log)
        ending = [*after, *full_program(4)]
        assert comparable(second.run(ending)) == comparable(first.run(ending)[begin:])

    @for_programs
    def test_no_configuration_comes_twice(self, program: list[Step]) -> None:
        """No two trials get the same configuration, where that is promised."""
        simulation = Simulation(self.make(3))
        simulation.run(program)
        simulation.run(full_program(12))
        if self.no_duplicates:
            space = simulation.scheduler.config_space
            keys = [config_key(space, config) for config in simulation.new_configs()]
            assert len(set(keys)) == len(keys)

    @for_programs
    def test_the_number_of_suggestions_counts_those_made(self, program: list[Step]) -> None:
        """``num_suggestions`` is the number of suggestions that were not None: the log numbers them so."""
        simulation = Simulation(self.make(3))
        simulation.run(program)
        assert simulation.scheduler.num_suggestions == sum(entry[0] == "suggest" for entry in simulation.log)

    def test_another_seed_gives_other_configurations(self) -> None:
        """The seed matters; and a seed set later is as good as one given at first."""
        configs = []
        for seed in (3, 4):
            simulation = Simulation(self.make(seed))
            simulation.run(full_program(6))
            configs.append(simulation.new_configs())
        assert (configs[0] != configs[1]) == self.random
        late = self.make(None)
        late.set_random_seed(4)
        simulation = Simulation(late)
        simulation.run(full_program(6))
        assert simulation.new_configs() == configs[1]

    def test_the_seed_cannot_change_after_the_first_suggestion(self) -> None:
        """Changing the seed in the middle is refused."""
        scheduler = self.make(3)
        assert scheduler.suggest() is not None
        with pytest.raises(RuntimeError, match="first suggestion"):
            scheduler.set_random_seed(5)

    def test_metadata_is_json(self) -> None:
        """The metadata can be written, and holds what results need in order to be read."""
        scheduler = self.make(3)
        metadata = scheduler.metadata()
        assert json.loads(json.dumps(metadata, allow_nan=False)) == metadata
        assert metadata["metric_names"] == scheduler.metric_names() == list(self.metrics)
        assert metadata["metric_mode"] == scheduler.metric_mode()
        assert metadata["random_seed"] == 3
        assert metadata["scheduler_name"] == type(scheduler).__name__

    def test_values_that_are_no_numbers_to_rank_do_not_break_it(self) -> None:
        """NaN and the infinities are answered like any value, in any mixture."""
        simulation = Simulation(self.make(3))
        values = [math.nan, math.inf, -math.inf, 1.0, 10**400, -(10**400), True]
        for i, value in enumerate(values * 4):
            more = (values[i % 5], values[i % 3])
            simulation.run([Step("suggest"), *[Step("report", i, 1, value, more), Step("end", i)] * 3])
        assert simulation.num_trials > 0
