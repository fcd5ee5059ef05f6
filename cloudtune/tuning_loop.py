"""One run of the tuner: events in, decisions out, everything in the log before it has an effect.

Each turn of the loop: take events from the backend, ask the scheduler, fill the free workers, write one batch into the
log, make it durable, and only then stop, pause, resume and start trials. A tuner that dies between any two of these
steps is continued from the log without losing or doubling anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cloudtune.active_time import ActiveTime
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.audience import Audience
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.end_intake import EndIntake
from cloudtune.end_judge import EndJudge
from cloudtune.errors import TooManyFailures
from cloudtune.journal import Journal
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.report_intake import ReportIntake
from cloudtune.report_judge import ReportJudge
from cloudtune.starting import Starter
from cloudtune.stopping_criterion import Criterion, Verdict
from cloudtune.store import entries
from cloudtune.store.store import Store
from cloudtune.trial import End, Report, TrialStatus
from cloudtune.trial_record import WISH_END
from cloudtune.tuning_status import TuningStatus
from cloudtune.winding_down import tell_again, wind_down

#: When nothing happens for this long (seconds), the active time is noted in the log: a crash loses no more of it.
CLOCK_INTERVAL = 15.0

#: Waits are at least so long (seconds): a shorter one would be lost in the precision of a clock that shows the date.
_SHORTEST_WAIT = 1e-5

_GO, _DRAIN = Verdict.GO, Verdict.DRAIN
_FAILED = TrialStatus.failed


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
        self._backend = backend
        self._is_virtual = backend.is_virtual
        self._criterion = criterion
        self._counts_committed = criterion.counts_committed()
        self._store = store
        self._status = status
        self._max_failures = max_failures
        self._drain_at_end = drain_at_end
        self._leave_running = leave_running
        self._time_left = time_left
        #: Set from a signal handler: why the loop is to end soon.
        self.interrupted_by: str | None = None
        #: True once the loop has ended and left trials running, for the next tuner or to end by themselves.
        self.left_running = False
        self._cut_short = ""
        self._told_seconds = 0.0
        self._clock = clock = ActiveTime(backend, status)
        self._audience = audience = Audience(callbacks)
        self._journal = journal = Journal(store, status, backend, clock, audience)
        self._judge = judge = ReportJudge(scheduler)
        # Trials that run already are an earlier tuner's.
        end_judge = EndJudge(judge.required, status.running, scheduler.max_resource_attr)
        self._reports = ReportIntake(judge, end_judge, status, journal, clock, backend, audience)
        self._ends = EndIntake(end_judge, self._reports, scheduler, status, journal, clock, backend, audience)
        self._starter = Starter(
            backend,
            scheduler,
            criterion,
            status,
            journal,
            clock,
            audience,
            n_workers=n_workers,
            asynchronous=asynchronous,
            without_delay=start_without_delay,
        )

    def run(self) -> str:
        """Runs until the end and stops what still runs; returns why it ended.

        Raises:
            Fenced: Another tuner took over; no trial was touched since.
            StorageFull: The log cannot grow; the trials were left to the backend to stop.
        """
        self._audience.gather()
        self._read_clock()
        tell_again(self._backend, self._status)
        while (why := self._why_to_end()) is None:
            if self._backend.counts_scheduler_time:
                self._tell_scheduler_time()
            self._turn()
        if self.interrupted_by is not None and self._leave_running():
            self.left_running = bool(self._status.running)
        else:
            self._journal.commit()
            self.left_running = wind_down(self._backend, self._status, self._turn, self._time_left)
            self._journal.commit_all()
        self._journal.note({"event": entries.FINISH, "why": why, "state": self._state(), "time": self._clock.now})
        self._journal.commit_all()
        return why

    def _turn(self, longest: float = math.inf) -> None:
        """Does what was decided, and takes in what happens next, for which it waits for so many seconds at most."""
        self._journal.commit()
        events = self._backend.poll(self._timeout(longest))
        self._read_clock()
        for event in events:
            if isinstance(event, Report):
                self._reports.take(event)
            elif isinstance(event, End):
                self._starter.is_exhausted = False
                self._ends.take(event)
            else:
                self._ends.take_bill(event)
        if self._backend.delete_checkpoints:
            self._ends.drop_checkpoints()
        if not self._is_virtual:
            self._tick()

    # ------------------------------------------------------------------ when it ends

    def _why_to_end(self) -> str | None:
        """Fills the free workers, unless it is time to end: then the reason."""
        status, starter = self._status, self._starter
        if self._counts_committed:
            starter.count_money()
        if self.interrupted_by is not None:
            return self.interrupted_by
        if status.num_by_status[_FAILED] > self._max_failures:
            return "too many failed trials"
        verdict = self._criterion.verdict(status)
        affordable = verdict is _GO or self._criterion.affords(status)
        if verdict is _GO or (verdict is _DRAIN and status.interrupted and affordable):
            free = starter.free_workers()
            if free > 0:
                starter.fill_workers(free, new_trials=verdict is _GO)
            if starter.is_exhausted and not status.running and not status.interrupted:
                return "nothing left to suggest"
            return None
        if status.running and (verdict is _DRAIN or self._drain_at_end):
            return None
        if verdict is _DRAIN and not affordable and status.unsettled:
            return None  # a bill may be lower than what was put aside for it
        self._cut_short = self._criterion.cut_short()
        return self._cut_short or "stopping criterion reached"

    def _state(self) -> str:
        """How the experiment ended, in one of the words that :data:`entries.FINISH` allows."""
        if self.interrupted_by is not None or self._cut_short:
            return entries.INTERRUPTED
        return entries.FAILED if self._status.num_trials_failed > self._max_failures else entries.FINISHED

    def raise_if_failed(self) -> None:
        """Raises TooManyFailures if that is why the experiment ended."""
        failures = self._status.failures()
        if len(failures) > self._max_failures:
            first = failures[0]
            how_many = "1 trial" if len(failures) == 1 else f"{len(failures)} trials"
            raise TooManyFailures(
                f"{how_many} failed, more than max_failures={self._max_failures} allows. "
                f"The first was trial {first.trial.trial_id}: {first.first_reason}. "
                "Remove the cause, then continue with a higher max_failures, or begin a new experiment"
            )

    # ------------------------------------------------------------------ time

    def _read_clock(self) -> None:
        if self._counts_committed and self._criterion.waits() and not self._status.running:
            self._clock.stand_still()
        self._clock.read()

    def _timeout(self, longest: float) -> float:
        """Seconds until something is due although no event came; infinite where a virtual clock waits for events."""
        clock = self._clock
        due = clock.now + longest
        if not self._is_virtual:
            due = min(due, self._journal.last + CLOCK_INTERVAL)
            wishes = self._audience.next_times()
            if (wish := self._store.maintain(clock.unix())) is not None:
                wishes.append(wish)
            if wishes:
                due = min(due, clock.active(min(wishes)))
        for time in self._criterion.wake_times():
            if clock.now < time < due:
                due = time
        wait = due - clock.now
        return wait if wait > _SHORTEST_WAIT else _SHORTEST_WAIT

    def _tick(self) -> None:
        """Periodic work of the callbacks, and the note of active time: the journal does so on a virtual clock."""
        self._audience.look(self._clock.unix(), self._status)
        if self._clock.now >= self._journal.last + CLOCK_INTERVAL:
            self._journal.note({"event": entries.CLOCK, "time": self._clock.now})

    @property
    def scheduler_seconds(self) -> float:
        """Real time that the scheduler has taken in this run, for suggestions and for what it was told."""
        return self._starter.suggestions.seconds + self._judge.seconds + self._ends.seconds

    def _tell_scheduler_time(self) -> None:
        total = self.scheduler_seconds
        self._backend.scheduler_took(total - self._told_seconds)
        self._told_seconds = total

    # ------------------------------------------------------------------ an end by an error

    def abandon_suggestions(self) -> None:
        """The backend is about to be closed: it is not woken any more by a suggestion that was computed."""
        self._starter.suggestions.abandon()

    def save(self) -> None:
        """Appends what was received but not logged yet, without acting on it: for an end by an error."""
        self._starter.suggestions.close()
        self._journal.forget_effects()
        self._status.forget_wish(WISH_END)
        self._journal.write()

    def give_up(self) -> bool:
        """After an error of an interrupted run: whether its trials are to end. They are told so in the time left."""
        if self._leave_running():
            return False
        time_left = self._time_left()
        if time_left < math.inf:
            self._backend.hasten(max(0.0, time_left))
        return True
