"""The simulator: trials are learning curves of a blackbox, and the clock is a virtual one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cloudtune.backend.simulator_backend import option_checks as checks
from cloudtune.backend.simulator_backend.attempt import SimulatedAttempt
from cloudtune.backend.simulator_backend.course import Course
from cloudtune.backend.simulator_backend.delays import SimulatedDelays
from cloudtune.backend.trial_backend import ExperimentPlace, LeftRunning, TrialBackend
from cloudtune.blackbox.blackbox import Blackbox, Curve
from cloudtune.blackbox.curve_checks import checked_curve
from cloudtune.config_domains import ConfigSpaceError, Domain, plain
from cloudtune.errors import BackendBroken
from cloudtune.trial import Config, End, Outcome, Trial, TrialEvent

#: Unix seconds at which virtual time begins: the same everywhere, so that all sums of floats are.
VIRTUAL_START = float(2**30)


class SimulatorBackend(TrialBackend):
    """Runs trials on a virtual clock: what they report, and when, comes from a blackbox.

    An experiment gives the same results to the last bit on every machine, for the same blackbox, seeds and settings.
    Its log, results and metadata are those of any experiment. Times in them are virtual, but for when it was created,
    started and ended.

    A trial trains to ``config[max_resource_attr]``, or to the end of its curve. A paused trial that is resumed goes on
    from the last report it has made, and so does a new trial that begins with another's checkpoint; time since that
    report is lost. Continuing an experiment, trials go on from the last report in its log.

    Args:
        blackbox: A blackbox, or the name of one that :func:`~cloudtune.blackbox.registry.load_blackbox` knows.
        seed: Which repetition of each configuration the curves are taken from, modulo those there are.
        max_resource_attr: Key of a configuration that tells how far to train. Default: the scheduler's.
        delays: What takes time around training.
        checkpoints: Whether trials save checkpoints. If not, a resumed trial begins at its first resource again.
        count_scheduler_time: Whether the real time that the scheduler takes moves the virtual clock. Results then
            differ from run to run. It is measured in any case, and stands in the metadata.
        dollars_per_hour: Price of a worker. From the start of an attempt until its worker is free it is billed; a limit
            of the cost (``max_cost``) ends the experiment when all workers together have cost as much.
        delete_checkpoints: Whether the tuner shall delete a trial's checkpoint when it will not go on any more.

    Raises:
        TypeError: ``blackbox`` is no blackbox, or ``delays`` are none.
        ValueError: Another argument is wrong; the message names it. No blackbox has that name.
    """

    is_virtual = True
    default_name = "simulation"

    def __init__(
        self,
        blackbox: Blackbox | str,
        *,
        seed: int = 0,
        max_resource_attr: str | None = None,
        delays: SimulatedDelays | None = None,
        checkpoints: bool = True,
        count_scheduler_time: bool = False,
        dollars_per_hour: float | None = None,
        delete_checkpoints: bool = False,
    ) -> None:
        seed, dollars_per_hour = plain(seed), plain(dollars_per_hour)
        checks.check_seed(seed)
        checks.check_max_resource_attr(max_resource_attr)
        checks.check_delays(delays)
        checks.check_switches(
            checkpoints=checkpoints, count_scheduler_time=count_scheduler_time, delete_checkpoints=delete_checkpoints
        )
        checks.check_price(dollars_per_hour)
        self.blackbox_name = blackbox if isinstance(blackbox, str) else None
        self.blackbox = _named(blackbox) if isinstance(blackbox, str) else blackbox
        checks.check_blackbox(self.blackbox)
        self.seed = seed
        self.max_resource_attr = max_resource_attr
        self.delays = delays or SimulatedDelays()
        self.checkpoints = checkpoints
        self.counts_scheduler_time = count_scheduler_time
        self.dollars_per_hour = dollars_per_hour
        self.delete_checkpoints = delete_checkpoints
        self._price = None if dollars_per_hour is None else dollars_per_hour / 3600
        self._woken = False
        self._closed_at = 0.0
        self._work: Course | None = None

    def __getstate__(self) -> dict[str, Any]:
        if self._work is not None:
            raise RuntimeError("a backend cannot be pickled while it is open; close it first")
        state = self.__dict__.copy()
        if self.blackbox_name is not None:
            del state["blackbox"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.blackbox_name is not None:
            self.blackbox = _named(self.blackbox_name)

    def open(self, place: ExperimentPlace) -> None:
        """See :meth:`TrialBackend.open`.

        Raises:
            ConfigSpaceError: The experiment's config space lacks a parameter of the blackbox, or ``max_resource_attr``,
                or trains further than the blackbox goes, or not as far as its first report.
        """
        if self._work is not None:
            raise RuntimeError("the backend works for an experiment already; close it first")
        attr = place.max_resource_attr if self.max_resource_attr is None else self.max_resource_attr
        self._check_space(place.config_space, attr)
        self._work = Course(attr, self._price, self.delays.end)
        self._woken = False

    def _check_space(self, space: Mapping[str, Any], max_resource_attr: str | None) -> None:
        for name in self.blackbox.config_space:
            if name not in space:
                raise ConfigSpaceError(
                    f"config space: parameter {name!r} of the blackbox is missing; add its domain, or a constant "
                    f"(the blackbox has {', '.join(self.blackbox.config_space)})"
                )
        if max_resource_attr is None:
            return
        longest = self.blackbox.max_resource
        if max_resource_attr not in space:
            raise ConfigSpaceError(
                f"config space: max_resource_attr {max_resource_attr!r} is missing; add it as a constant, for instance "
                f"{max_resource_attr!r}: {longest}"
            )
        asked = space[max_resource_attr]
        if not isinstance(asked, Domain):
            _resource(asked, max_resource_attr)
            if asked > longest:
                raise ConfigSpaceError(
                    f"config space: {max_resource_attr!r} (max_resource_attr) is {asked}, but the curves of the "
                    f"blackbox end at {self.blackbox.resource_attr} = {longest}; lower it"
                )
            if asked < self.blackbox.min_resource:
                raise ConfigSpaceError(
                    f"config space: {max_resource_attr!r} (max_resource_attr) is {asked}, but the curves of the "
                    f"blackbox begin at {self.blackbox.resource_attr} = {self.blackbox.min_resource}; raise it"
                )

    def fixed_settings(self) -> dict[str, Any]:
        """See :meth:`TrialBackend.fixed_settings`: all but the price, by which nothing happens otherwise."""
        return {
            "blackbox": self.blackbox.identity(),
            "seed": self.seed,
            "max_resource_attr": self.max_resource_attr,
            "delays": asdict(self.delays),
            "checkpoints": self.checkpoints,
            "delete_checkpoints": self.delete_checkpoints,
            "count_scheduler_time": self.counts_scheduler_time,
        }

    def recall(self, reported: Mapping[int, Mapping[str, Any]], seconds: float) -> None:
        """See :meth:`TrialBackend.recall`: this is where checkpoints and the clock of an earlier run come from."""
        work = self._opened()
        work.now = seconds
        for trial_id, metrics in reported.items():
            level = metrics.get(self.blackbox.resource_attr)
            if isinstance(level, (int, float)):
                work.levels[trial_id] = int(level)

    def watch_cost(self, limits: Sequence[float], spent: float) -> None:
        """See :meth:`TrialBackend.watch_cost`."""
        self._opened().meter.watch(limits, spent)

    def attach(self, trials: Sequence[LeftRunning]) -> None:
        """See :meth:`TrialBackend.attach`. Simulated trials never outlive their tuner."""
        work = self._opened()
        for left in trials:
            work.left.append(End(left.trial.trial_id, left.trial.attempt, Outcome.interrupted, "ended with its tuner"))

    def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
        """See :meth:`TrialBackend.start_trial`.

        Raises:
            NotInTable: The blackbox does not know the configuration.
            WrongCurve: The blackbox gives a curve that no training makes.
            ConfigSpaceError: The configuration's ``max_resource_attr`` is no number, below the first resource of its
                curve, or further than the blackbox goes.
        """
        if checkpoint_trial_id is not None:
            self.copy_checkpoint(checkpoint_trial_id, trial.trial_id)
        self._launch(trial)

    def resume_trial(self, trial: Trial) -> None:
        """See :meth:`TrialBackend.resume_trial`. Raises as :meth:`start_trial`."""
        self._launch(trial)

    def _launch(self, trial: Trial) -> None:
        work = self._opened()
        trial_id, attr = trial.trial_id, work.max_resource_attr
        curve = self._curve(work, trial_id, trial.config)
        limit = None if attr is None else _resource(trial.config.get(attr), attr)
        if limit is not None and curve.resources and limit < curve.resources[0]:
            raise ConfigSpaceError(
                f"the configuration {trial.config} trains to {attr!r} (max_resource_attr) = {limit}, but its curve "
                f"begins at {self.blackbox.resource_attr} = {curve.resources[0]}; raise the lower end of {attr!r} in "
                f"the config space, or, if the scheduler has set it, its grace_period (or first of its rung_levels)"
            )
        if limit is not None and limit > self.blackbox.max_resource:
            raise ConfigSpaceError(
                f"the configuration {trial.config} trains to {attr!r} (max_resource_attr) = {limit}, but the curves of "
                f"the blackbox end at {self.blackbox.resource_attr} = {self.blackbox.max_resource}; lower the upper "
                f"end of {attr!r}"
            )
        attempt = SimulatedAttempt(
            trial_id,
            trial.attempt,
            curve,
            self.blackbox.resource_attr,
            work.levels.get(trial_id, 0) if self.checkpoints else 0,
            limit,
            work.now,
            work.now + self.delays.start,
        )
        work.attempts[trial_id] = attempt
        work.foresee(self._next_time(work, attempt), attempt)
        work.meter.changed(work.now)

    def _curve(self, work: Course, trial_id: int, config: Config) -> Curve:
        """The curve of a trial, looked up and checked once as long as the trial keeps its configuration."""
        known = work.curves.get(trial_id)
        if known is not None:
            before, curve = known
            if all(before.get(name) == config.get(name) for name in self.blackbox.config_space):
                return curve
        curve = checked_curve(self.blackbox, config, self.blackbox.curve(config, self.seed))
        work.curves[trial_id] = (config, curve)
        return curve

    def _next_time(self, work: Course, attempt: SimulatedAttempt) -> float:
        """When an attempt does its next thing."""
        if attempt.next < attempt.stop:
            return attempt.made_at(attempt.next) + self.delays.report
        if attempt.outcome is None:
            return max(work.now, attempt.last_made() + self.delays.end)
        return max(work.now, attempt.end_at)

    def stop_trial(self, trial_id: int) -> None:
        """See :meth:`TrialBackend.stop_trial`."""
        self._ask_to_end(trial_id, Outcome.stopped)

    def pause_trial(self, trial_id: int) -> None:
        """See :meth:`TrialBackend.pause_trial`."""
        self._ask_to_end(trial_id, Outcome.paused)

    def _ask_to_end(self, trial_id: int, outcome: Outcome) -> None:
        work = self._opened()
        attempt = work.attempts.get(trial_id)
        if attempt is None or attempt.outcome is not None:
            return
        made = attempt.made_by(work.now)
        if made == attempt.stop:
            return  # It ends by itself now: only its last reports, or its end, are under way.
        attempt.outcome, attempt.stop = outcome, made
        attempt.end_at = work.now + self.delays.stop
        if made == attempt.next:
            work.change(self._next_time(work, attempt), attempt)
        work.meter.changed(work.now)

    def poll(self, timeout: float | None) -> list[TrialEvent]:
        """See :meth:`TrialBackend.poll`: moves the clock to what happens next. What happens at one time comes at once.

        Raises:
            BackendBroken: Nothing will ever happen, and there is no timeout.
        """
        work = self._work or self._opened()
        if self._woken or work.left:
            self._woken = False
            left, work.left = work.left, []
            return list(left)
        time = work.next_time()
        due = work.meter.due(time)
        if due < time and (timeout is None or due <= work.now + timeout):
            work.now = max(work.now, due)
            return list(work.meter.read(work.now))
        if timeout is not None and time > work.now + timeout:
            work.now += timeout
            return []
        if time == math.inf:
            raise BackendBroken(
                "no simulated trial runs, so that nothing will ever happen; the scheduler must suggest something, or "
                "the stopping criterion end the experiment"
            )
        if time > work.now:
            work.now = time
        events: list[TrialEvent] = []
        while time <= work.now:
            attempt = work.next_attempt()
            if attempt.next < attempt.stop:
                events.append(attempt.report(VIRTUAL_START, self._price))
                work.go_on(self._next_time(work, attempt), attempt)
            else:
                work.pop()
                self._end(work, attempt, events)
            time = work.next_time()
        return events

    def _end(self, work: Course, attempt: SimulatedAttempt, events: list[TrialEvent]) -> None:
        trial_id, number = attempt.trial_id, attempt.number
        del work.attempts[trial_id]
        attempt.leave_checkpoint(work.levels)
        outcome, reason, code = attempt.outcome or Outcome.completed, "", None
        if attempt.outcome is None:
            code = 0
            if attempt.failure:
                outcome, reason, code = Outcome.failed, attempt.failure, 1
        if outcome is not Outcome.paused:
            work.curves.pop(trial_id, None)
        events.append(End(trial_id, number, outcome, reason, code, bill_follows=self._price is not None))
        bill = work.meter.settle(attempt)
        if bill is not None:
            events.append(bill)
        work.meter.changed(work.now)

    def wake(self) -> None:
        """See :meth:`TrialBackend.wake`."""
        self._woken = True

    def busy_workers(self) -> int:
        """See :meth:`TrialBackend.busy_workers`."""
        return 0 if self._work is None else len(self._work.attempts) + len(self._work.left)

    def trial_cost_limit(self) -> float | None:
        """See :meth:`TrialBackend.trial_cost_limit`. How long a trial may run is not known."""
        return None

    def copy_checkpoint(self, source_trial_id: int, target_trial_id: int) -> None:
        """See :meth:`TrialBackend.copy_checkpoint`."""
        work = self._opened()
        running = work.attempts.get(source_trial_id)
        level = work.levels.get(source_trial_id, 0)
        if running is not None:
            level = max(level, running.level_before(running.made_by(work.now)))
        work.levels[target_trial_id] = level

    def delete_checkpoint(self, trial_id: int) -> None:
        """See :meth:`TrialBackend.delete_checkpoint`."""
        self._opened().levels.pop(trial_id, None)

    def scheduler_took(self, seconds: float) -> None:
        """See :meth:`TrialBackend.scheduler_took`."""
        if self.counts_scheduler_time:
            self._opened().now += seconds

    def stdout(self, trial_id: int) -> str:
        """Nothing: a simulated trial has no output."""
        return ""

    def stderr(self, trial_id: int) -> str:
        """Nothing."""
        return ""

    def close(self, stop_running: bool) -> None:
        """See :meth:`TrialBackend.close`."""
        if self._work is not None:
            self._closed_at = self._work.now
        self._work = None

    def time(self) -> float:
        """The virtual clock, in seconds since 1970; it begins in 2004 while the backend is not open."""
        return VIRTUAL_START + (self._closed_at if self._work is None else self._work.now)

    def wall_time(self) -> float:
        """See :meth:`TrialBackend.wall_time`."""
        return TrialBackend.time(self)

    def _opened(self) -> Course:
        if self._work is None:
            raise RuntimeError("the backend is not open; call open(place) first (Tuner.run() does)")
        return self._work


def _named(name: str) -> Blackbox:
    from cloudtune.blackbox.registry import load_blackbox

    return load_blackbox(name)


def _resource(value: Any, max_resource_attr: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 1:
        raise ConfigSpaceError(
            f"config space: {max_resource_attr!r} (max_resource_attr) must be a number of 1 or more, got {value!r}"
        )
    return value
