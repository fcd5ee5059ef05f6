"""One run of the tuner: events in, decisions out, everything in the log before it has an effect.

Each turn of the loop: take events from the backend, ask the scheduler, fill the free workers, write one batch into the
log, make it durable, and only then stop, pause, resume and start trials. A tuner that dies between any two of these
steps is continued from the log without losing or doubling anything.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from time import perf_counter

from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.end_judge import EndJudge, is_last, tell_scheduler
from cloudtune.errors import TooManyFailures
from cloudtune.optimizer.scheduler import SchedulerDecision, TrialScheduler, TrialSuggestion
from cloudtune.report_judge import ReportJudge
from cloudtune.stopping_criterion import Criterion, Verdict
from cloudtune.store import entries
from cloudtune.store.store import Entry, Store
from cloudtune.suggesting import Suggestions
from cloudtune.trial import Bill, End, Report, Trial, TrialEvent, TrialStatus
from cloudtune.tuning_status import WISH_END, WISH_FAIL, WISH_PAUSE, TrialRecord, TuningStatus

logger = logging.getLogger(__name__)

#: When nothing happens for this long (seconds), the active time is noted in the log: a crash loses no more of it.
CLOCK_INTERVAL = 15.0

#: Waits are at least so long (seconds): a shorter one would be lost in the precision of a clock that shows the date.
_SHORTEST_WAIT = 1e-5

#: Seconds of this machine's clock between two writes into the log while trials are simulated: nothing outside could
#: know of what a crash takes away, and computing it again takes no longer.
_VIRTUAL_COMMIT_INTERVAL = 0.05

_GO = Verdict.GO
_IN_PROGRESS = TrialStatus.in_progress.value
_CONTINUE, _STOP, _PAUSE = SchedulerDecision.CONTINUE, SchedulerDecision.STOP, SchedulerDecision.PAUSE


class TuningLoop:
    """Drives one experiment from an opened store and an attached backend to its end.

    Args:
        backend: Open, and attached to what an earlier tuner left.
        scheduler: In the state that the log describes.
        criterion: When to end.
        store: Open; holds the log that ``status`` was built from.
        status: Records and counters; updated in place.
        callbacks: Told of everything, in order.
        n_workers: Trials at the same time.
        max_failures: More failed trials than this end the experiment.
        asynchronous: False: a batch of ``n_workers`` trials is started only when no trial runs.
        start_without_delay: A worker is free once its trial was told to end (True), or when it has ended (False).
        drain_at_end: When the criterion is met, running trials may finish.
        leave_running: Asked when the loop is interrupted: whether trials go on without it.
        time_left: Seconds until the process is ended by force; infinite if nobody waits for its end.
    """

    def __init__(
        self,
        backend: TrialBackend,
        scheduler: TrialScheduler,
        criterion: Criterion,
        store: Store,
        status: TuningStatus,
        callbacks: Sequence[TunerCallback],
        n_workers: int,
        max_failures: int,
        asynchronous: bool,
        start_without_delay: bool,
        drain_at_end: bool,
        leave_running: Callable[[], bool],
        time_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.backend = backend
        self.scheduler = scheduler
        self.criterion = criterion
        self.store = store
        self.status = status
        self.callbacks = callbacks
        self.n_workers = n_workers
        self.max_failures = max_failures
        self.asynchronous = asynchronous
        self.start_without_delay = start_without_delay
        self.drain_at_end = drain_at_end
        self.leave_running = leave_running
        self.time_left = time_left
        #: Set from a signal handler: why the loop is to end soon.
        self.interrupted_by: str | None = None
        #: True once the loop has ended and left trials running, for the next tuner or to end by themselves.
        self.left_running = False
        self._counts_committed = criterion.counts_committed()
        self._reports = ReportJudge(scheduler)
        # Trials that run already are an earlier tuner's.
        self._ends = EndJudge(self._reports.required, status.running)
        self._entries: list[Entry] = []
        self._effects: list[Callable[[], None]] = []
        self._starting = 0
        self._suggestions = Suggestions(scheduler, backend.wake, aside=not backend.is_virtual)
        self._time_origin = backend.time() - status.wallclock_time
        self._now = status.wallclock_time
        status.waited_time = 0.0
        self._virtual = backend.is_virtual
        self._next_clock = self._now + CLOCK_INTERVAL
        self._exhausted = False
        self._cut_short = ""
        self._ends_seconds = 0.0
        self._told_seconds = 0.0
        self._next_commit = 0.0

    # ------------------------------------------------------------------ the loop

    def run(self) -> str:
        """Runs until the end and stops what still runs; returns why it ended.

        Raises:
            Fenced: Another tuner took over; no trial was touched since.
            StorageFull: The log cannot grow; the trials were left to the backend to stop.
        """
        self._read_clock()
        self._carry_on()
        while True:
            if self._counts_committed:
                self._count_money()
            why = self._why_to_end()
            if why is not None:
                break
            if self.backend.counts_scheduler_time:
                self._tell_scheduler_time()
            self._commit()
            events = self.backend.poll(self._timeout())
            self._read_clock()
            self._handle(events)
            if self.backend.delete_checkpoints:
                self._drop_checkpoints()
            if not self._virtual:
                self._tick()
        if self.interrupted_by is not None and self.leave_running():
            self.left_running = bool(self.status.running)
        else:
            self._stop_running()
        self._log({"event": entries.FINISH, "why": why, "state": self._state(), "time": self._now})
        self._next_commit = 0.0
        self._commit()
        return why

    def _carry_on(self) -> None:
        """Does what an earlier tuner has logged and perhaps not done any more: all of it may be done twice."""
        for trial_id, record in self.status.running.items():
            if record.wish == WISH_PAUSE:
                self.backend.pause_trial(trial_id)
            elif record.wish is not None:
                self.backend.stop_trial(trial_id)
        if self.backend.delete_checkpoints:
            records = self.status.records.items()
            self.backend.delete_left_checkpoints([trial_id for trial_id, one in records if one.status.is_finished])

    def _count_money(self) -> None:
        """Tells the status what running trials, and one more, may cost at most."""
        limit = self.backend.trial_cost_limit()
        if limit is None:
            raise ValueError(
                "StoppingCriterion(count_committed=True) needs to know what trials cost, and no price is known for "
                "their instance type; add it to the prices file (see `cloudtune doctor`), or leave count_committed out"
            )
        self.status.next_attempt_cost = limit
        self.status.committed_cost = self.status.billed_cost + self.backend.committed_cost() + self._starting * limit

    def _why_to_end(self) -> str | None:
        """Fills the free workers, unless it is time to end: then the reason."""
        if self.interrupted_by is not None:
            return self.interrupted_by
        if self.status.num_trials_failed > self.max_failures:
            return "too many failed trials"
        verdict = self.criterion.verdict(self.status)
        affordable = verdict is _GO or self.criterion.affords(self.status)
        if verdict is _GO or (verdict is Verdict.DRAIN and self.status.interrupted and affordable):
            self._fill_workers(new_trials=verdict is _GO)
            if self._exhausted and not self.status.running and not self.status.interrupted:
                return "nothing left to suggest"
            return None
        if self.status.running and (verdict is Verdict.DRAIN or self.drain_at_end):
            return None
        if verdict is Verdict.DRAIN and not affordable and self.status.unsettled:
            return None  # a bill may be lower than what was put aside for it
        self._cut_short = self.criterion.cut_short()
        return self._cut_short or "stopping criterion reached"

    def _state(self) -> str:
        """How the experiment ended, in one of the words that :data:`entries.FINISH` allows."""
        if self.interrupted_by is not None or self._cut_short:
            return entries.INTERRUPTED
        return entries.FAILED if self.status.num_trials_failed > self.max_failures else entries.FINISHED

    def _read_clock(self) -> None:
        if self._counts_committed and self.criterion.waits() and not self.status.running:
            self._stand_still()
        # To the microsecond, at a third of the price of round().
        now = int((self.backend.time() - self._time_origin) * 1e6 + 0.5) / 1e6
        if now > self._now:
            self._now = now
        self.status.wallclock_time = self._now

    def _stand_still(self) -> None:
        """What has passed since the last look at the clock was no tuning."""
        waited = self.backend.time() - self._time_origin - self._now
        if waited > 0:
            self._time_origin += waited
            self.status.waited_time += waited

    @property
    def scheduler_seconds(self) -> float:
        """Real time that the scheduler has taken in this run, for suggestions and for what it was told."""
        return self._suggestions.seconds + self._reports.seconds + self._ends_seconds

    def _tell_scheduler_time(self) -> None:
        total = self.scheduler_seconds
        self.backend.scheduler_took(total - self._told_seconds)
        self._told_seconds = total

    def _timeout(self) -> float:
        """Seconds until something is due although no event came; infinite where a virtual clock waits for events."""
        due = math.inf
        if not self._virtual:
            due = self._next_clock
            for wish in self._wake_wishes:
                due = min(due, wish)
        for time in self.criterion.wake_times():
            if time > self._now:
                due = min(due, time)
        return max(_SHORTEST_WAIT, due - self._now)

    @property
    def _wake_wishes(self) -> list[float]:
        """When the store and the callbacks want to be called, as active time."""
        wishes = [self.store.maintain(self._now + self._time_origin)]
        wishes.extend(callback.next_time() for callback in self.callbacks)
        return [wish - self._time_origin for wish in wishes if wish is not None]

    def _tick(self) -> None:
        """Periodic work of the callbacks, and the note of active time: not on a virtual clock, see _commit_virtual."""
        self._call_callbacks(self._now + self._time_origin)
        if self._now >= self._next_clock:
            self._log({"event": entries.CLOCK, "time": self._now})

    def _call_callbacks(self, unix: float) -> None:
        for callback in self.callbacks:
            due = callback.next_time()
            if due is not None and due <= unix:
                callback.on_time(unix, self.status)

    # ------------------------------------------------------------------ the log

    def _log(self, entry: Entry) -> None:
        self.status.apply(entry)
        self._entries.append(entry)
        self._next_clock = self._now + CLOCK_INTERVAL

    def _commit(self) -> None:
        """Makes what was decided durable, then does it."""
        if self._virtual:
            if perf_counter() >= self._next_commit:
                self._commit_virtual()
        else:
            self._append()
            if self._effects:
                self.store.flush()
        if self._effects:
            effects, self._effects = self._effects, []
            for effect in effects:
                effect()
        self._starting = 0

    def _commit_virtual(self) -> None:
        """Simulated trials are no effect outside: what is written, and who looks on, goes by this machine's clock."""
        self._next_commit = perf_counter() + _VIRTUAL_COMMIT_INTERVAL
        self._append()
        unix = self.backend.wall_time()
        self.store.maintain(unix)
        self._call_callbacks(unix)

    # ------------------------------------------------------------------ events

    def _handle(self, events: Sequence[TrialEvent]) -> None:
        for event in events:
            if isinstance(event, Report):
                self._on_report(event)
            elif isinstance(event, End):
                self._on_end(event)
            else:
                self._on_bill(event)

    def _on_bill(self, bill: Bill) -> None:
        self._log(
            {
                "event": entries.BILL,
                "trial": bill.trial_id,
                "attempt": bill.attempt,
                "dollars": bill.dollars,
                "seconds": bill.seconds,
                "retained": bill.retained_seconds,
                "instance_type": bill.instance_type,
                "final": bill.final,
                "time": self._now,
            }
        )

    def _on_report(self, report: Report) -> None:
        record = self.status.records[report.trial_id]
        self._ends.has_reported(report.trial_id)
        if record.late is not None and report.attempt == record.trial.attempt:
            self._catch_up(record, self.status.level_of(report.metrics))
        self._take_report(record, report, entries.REPORT)

    def _catch_up(self, record: TrialRecord, beyond: float | None) -> None:
        """Counts the late reports that the trial will not repeat: it has gone on from beyond them.

        Args:
            record: Of the trial.
            beyond: The resource level that it has reached; None: unknown, so that all of them may come again.
        """
        attr = self.status.resource_attr
        while attr is not None and beyond is not None and record.wish != WISH_PAUSE:
            late = record.next_late(attr, beyond)
            if late is None:
                return
            trial_id, attempt, run, number = late["trial"], late["attempt"], late["run"], late["number"]
            self._take_report(record, Report(trial_id, attempt, run, number, late["metrics"]), entries.COUNTED)

    def _take_report(self, record: TrialRecord, report: Report, event: str) -> None:
        metrics = report.metrics
        entry: Entry = {
            "event": event,
            "trial": report.trial_id,
            "attempt": report.attempt,
            "run": report.run,
            "number": report.number,
            "time": self._now,
            "decision": _CONTINUE,
            "status": _IN_PROGRESS,
            "metrics": metrics,
        }
        is_new = event == entries.REPORT
        if is_new and (record.wish == WISH_PAUSE or report.attempt != record.trial.attempt):
            entry["late"] = True
        elif record.wish is not None and record.wish != WISH_END:
            entry["extra"] = True
            entry["decision"] = _STOP
        else:
            decision = self._reports.judge(record, report, entry)
            if decision != _CONTINUE:
                self._obey(report.trial_id, decision)
        self._log(entry)
        for callback in self.callbacks:
            callback.on_trial_result(record.trial, entry["status"], metrics, entry["decision"])
        if record.wish == WISH_FAIL and "unusable" in entry:
            logger.warning("trial %d failed: %s", report.trial_id, record.reason)
            self._effects.append(lambda: self.backend.stop_trial(report.trial_id))

    def _obey(self, trial_id: int, decision: str) -> None:
        """Has done what the scheduler has decided."""
        if decision == _STOP:
            self._effects.append(lambda: self.backend.stop_trial(trial_id))
        elif decision == _PAUSE:
            self._effects.append(lambda: self.backend.pause_trial(trial_id))

    def _on_end(self, end: End) -> None:
        record = self.status.records[end.trial_id]
        if record.late is not None and is_last(end, record):
            self._catch_up(record, math.inf)
        told_before = record.wish == WISH_FAIL
        status, reason = self._ends.status_after(record, end)
        entry: Entry = {
            "event": entries.END,
            "trial": end.trial_id,
            "attempt": end.attempt,
            "outcome": end.outcome.value,
            "reason": reason,
            "exit_code": end.exit_code,
            "time": self._now,
            "status": status.value,
        }
        if end.bill_follows:
            entry["bill_follows"] = True
        self._log(entry)
        self._exhausted = False
        begin = perf_counter()
        tell_scheduler(self.scheduler, record)
        self._ends_seconds += perf_counter() - begin
        if status.is_finished and self.backend.delete_checkpoints:
            self._delete_checkpoint(end.trial_id)
        if status is TrialStatus.failed and not told_before:
            logger.warning("trial %d failed: %s", end.trial_id, reason)
        for callback in self.callbacks:
            callback.on_trial_end(record.trial, status, record.last_metrics, reason)

    def _drop_checkpoints(self) -> None:
        """Deletes what paused trials have saved that will hardly go on, where checkpoints are deleted at all."""
        for trial_id in self.scheduler.expendable_checkpoints():
            if self.status.records[trial_id].status is TrialStatus.paused:
                self._delete_checkpoint(trial_id)

    def _delete_checkpoint(self, trial_id: int) -> None:
        self._effects.append(lambda: self.backend.delete_checkpoint(trial_id))

    # ------------------------------------------------------------------ starting

    def _free_workers(self) -> int:
        running = self.status.running
        if not self.asynchronous:
            return self.n_workers if not running and self.backend.busy_workers() == 0 else 0
        if self.start_without_delay:
            return self.n_workers - self.status.num_by_status[TrialStatus.in_progress]
        if len(running) >= self.n_workers:
            return 0  # no need to ask
        return self.n_workers - max(len(running), self.backend.busy_workers() + self._starting)

    def _fill_workers(self, new_trials: bool) -> None:
        free = self._free_workers()
        if free <= 0:
            return
        for record in list(self.status.interrupted.values()):
            if free <= 0:
                return
            if not self.criterion.affords(self.status):
                break
            free -= 1
            attempt = record.trial.attempt + 1
            self._log({"event": entries.RETRY, "trial": record.trial.trial_id, "attempt": attempt, "time": self._now})
            if record.checkpoint_from is not None and record.num_reports == 0:
                # The tuner may have died before the copy was made.
                self._copy_checkpoint(record.checkpoint_from, record.trial.trial_id)
            self._start(record, resumed=True)
        while new_trials and free > 0 and not self._exhausted and self.criterion.affords(self.status):
            if not self._suggestions.is_ready(self.store.length() + len(self._entries)):
                return
            free -= 1
            suggestion = self._suggestions.next()
            if suggestion is None:
                # Asked again after the next end or report that frees or promotes something.
                self._exhausted = not self.status.running
                return
            self._suggest(suggestion)
            if self.criterion.verdict(self.status) is not _GO:
                return

    def _copy_checkpoint(self, source: int, target: int) -> None:
        self._effects.append(lambda: self.backend.copy_checkpoint(source, target))

    def _suggest(self, suggestion: TrialSuggestion) -> None:
        if suggestion.trial_id is None:
            trial_id, attempt, config = self.status.num_trials_started, 0, suggestion.config
        else:
            trial_id = suggestion.trial_id
            paused = self.status.records.get(trial_id)
            if paused is None or paused.status is not TrialStatus.paused:
                raise ValueError(
                    f"{type(self.scheduler).__name__} wants to resume trial {trial_id}, which is not paused; "
                    "a scheduler may resume only trials it has paused"
                )
            attempt = paused.trial.attempt + 1
            config = paused.trial.config if suggestion.config is None else suggestion.config
        if config is None:
            raise ValueError(f"{type(self.scheduler).__name__} suggested a new trial without a configuration")
        entry: Entry = {
            "event": entries.SUGGEST,
            "number": self.status.num_suggestions,
            "trial": trial_id,
            "attempt": attempt,
            "config": config,
            "checkpoint_from": suggestion.checkpoint_trial_id,
            "computed_at": self._suggestions.computed_at,
            "time": self._now,
        }
        if suggestion.memo is not None:
            entry["memo"] = dict(suggestion.memo)
        self._log(entry)
        record = self.status.records[trial_id]
        if attempt == 0:
            self.scheduler.on_trial_add(record.trial)
        self._start(record, resumed=attempt > 0)

    def _start(self, record: TrialRecord, resumed: bool) -> None:
        trial = Trial(record.trial.trial_id, record.trial.config, record.trial.attempt)
        if resumed:
            self._effects.append(lambda: self.backend.resume_trial(trial))
        else:
            self._effects.append(lambda: self.backend.start_trial(trial, record.checkpoint_from))
        self._starting += 1
        if self._counts_committed:
            self._count_money()
        for callback in self.callbacks:
            if resumed:
                callback.on_resume_trial(trial)
            else:
                callback.on_start_trial(trial)

    # ------------------------------------------------------------------ ending

    def _stop_running(self) -> None:
        """Stops what runs and takes in its last reports; a trial ended like this goes on when the experiment does.

        Returns when all workers are free, nothing is kept that costs money, and all costs are known; or when the time
        is over. What runs then ends without this tuner, and the next one hears of it.
        """
        self._commit()
        for trial_id, record in list(self.status.running.items()):
            if record.wish is None:
                self.status.set_wish(record, WISH_END)
                self.backend.pause_trial(trial_id)  # its checkpoint is wanted
            elif record.wish != WISH_PAUSE:
                self.backend.stop_trial(trial_id)
        in_a_hurry = False
        while self.status.running or not self.backend.wind_down():
            time_left = self.time_left()
            if time_left <= 0:
                self.left_running = self.backend.trials_outlive_tuner
                break
            if not in_a_hurry and time_left < math.inf:
                in_a_hurry = True
                self.backend.hasten(time_left)
            self._commit()
            events = self.backend.poll(min(self._timeout(), time_left))
            self._read_clock()
            self._handle(events)
            if not self._virtual:
                self._tick()
        self._next_commit = 0.0
        self._commit()

    def _append(self) -> None:
        # Kept until the store has them: what status and scheduler have taken in must not be missing from the log.
        if self._entries:
            self.store.append(self._entries)
            self._entries = []

    def abandon_suggestions(self) -> None:
        """The backend is about to be closed: it is not woken any more by a suggestion that was computed."""
        self._suggestions.abandon()

    def save(self) -> None:
        """Appends what was received but not logged yet, without acting on it: for an end by an error."""
        self._suggestions.close()
        self._effects.clear()
        self.status.forget_wish(WISH_END)
        self._append()

    def give_up(self) -> bool:
        """After an error of an interrupted run: whether its trials are to end. They are told so in the time left."""
        if self.leave_running():
            return False
        time_left = self.time_left()
        if time_left < math.inf:
            self.backend.hasten(max(0.0, time_left))
        return True

    def raise_if_failed(self) -> None:
        """Raises TooManyFailures if that is why the experiment ended."""
        failures = self.status.failures()
        if len(failures) > self.max_failures:
            first = failures[0]
            how_many = "1 trial" if len(failures) == 1 else f"{len(failures)} trials"
            raise TooManyFailures(
                f"{how_many} failed, more than max_failures={self.max_failures} allows. "
                f"The first was trial {first.trial.trial_id}: {first.first_reason}. "
                "Remove the cause, then continue with a higher max_failures, or begin a new experiment"
            )
