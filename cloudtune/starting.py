"""Fills free workers: with trials that were interrupted, and with what the scheduler suggests."""

from __future__ import annotations

from functools import partial

from cloudtune.active_time import ActiveTime
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.callbacks.audience import Audience
from cloudtune.journal import Journal
from cloudtune.optimizer.scheduler import TrialScheduler, TrialSuggestion
from cloudtune.stopping_criterion import Criterion, Verdict
from cloudtune.store import entries
from cloudtune.store.store import Entry
from cloudtune.suggesting import Suggestions
from cloudtune.trial import Trial, TrialStatus
from cloudtune.trial_record import TrialRecord
from cloudtune.tuning_status import TuningStatus

_GO = Verdict.GO
_IN_PROGRESS = TrialStatus.in_progress


class Starter:
    """Starts trials in one run of the tuner.

    Args:
        backend: Where they run.
        scheduler: Says what to run.
        criterion: Says whether there is money for it.
        status: Has the records of the trials.
        journal: Where suggestions go.
        clock: Of the experiment.
        audience: Told of each start.
        n_workers: Trials at the same time.
        asynchronous: False: a batch of ``n_workers`` trials is started only when no trial runs.
        without_delay: A worker is free once its trial was told to end (True), or when it has ended (False).
    """

    def __init__(
        self,
        backend: TrialBackend,
        scheduler: TrialScheduler,
        criterion: Criterion,
        status: TuningStatus,
        journal: Journal,
        clock: ActiveTime,
        audience: Audience,
        n_workers: int,
        asynchronous: bool,
        without_delay: bool,
    ) -> None:
        self._backend = backend
        self._scheduler = scheduler
        self._criterion = criterion
        self._status = status
        self._journal = journal
        self._clock = clock
        self._audience = audience
        self._n_workers = n_workers
        self._asynchronous = asynchronous
        self._without_delay = without_delay
        self._counts_money = criterion.counts_committed()
        #: Attempts that the log has and the backend does not know of yet.
        self._starting = 0
        self.suggestions = Suggestions(scheduler, backend.wake, aside=not backend.is_virtual)
        #: The scheduler had nothing to suggest while nothing ran.
        self.is_exhausted = False

    def free_workers(self) -> int:
        """How many trials may be started now."""
        status, n_workers = self._status, self._n_workers
        if not self._asynchronous:
            return n_workers if not status.running and self._backend.busy_workers() == 0 else 0
        if self._without_delay:
            return n_workers - status.num_by_status[_IN_PROGRESS]
        running = len(status.running)
        if running >= n_workers:
            return 0  # no need to ask
        return n_workers - max(running, self._backend.busy_workers() + self._starting)

    def fill_workers(self, free: int, new_trials: bool) -> None:
        """Starts what there is to start.

        Args:
            free: How many workers are to be filled.
            new_trials: The scheduler is asked too; else only interrupted trials go on.
        """
        if self._status.interrupted:
            free = self._continue_interrupted(free)
        while new_trials and free > 0 and not self.is_exhausted and self._criterion.affords(self._status):
            if not self.suggestions.is_ready(self._journal.length()):
                return
            free -= 1
            suggestion = self.suggestions.next()
            if suggestion is None:
                # Asked again after the next end or report that frees or promotes something.
                self.is_exhausted = not self._status.running
                return
            self._take(suggestion)
            if self._criterion.verdict(self._status) is not _GO:
                return

    def _continue_interrupted(self, free: int) -> int:
        """Starts trials that were interrupted, and returns how many workers are free then."""
        for record in list(self._status.interrupted.values()):
            if free <= 0 or not self._criterion.affords(self._status):
                break
            free -= 1
            trial = record.trial
            entry = {"event": entries.RETRY, "trial": trial.trial_id, "attempt": trial.attempt + 1}
            self._journal.note({**entry, "time": self._clock.now})
            if record.checkpoint_from is not None and record.num_reports == 0:
                # The tuner may have died before the copy was made.
                self._journal.then(partial(self._backend.copy_checkpoint, record.checkpoint_from, trial.trial_id))
            self._start(record, resumed=True)
        return free

    def _take(self, suggestion: TrialSuggestion) -> None:
        trial_id, attempt, config = suggestion.trial_id, 0, suggestion.config
        if trial_id is None:
            trial_id = self._status.num_trials_started
        else:
            paused = self._status.records.get(trial_id)
            if paused is None or paused.status is not TrialStatus.paused:
                raise ValueError(
                    f"{type(self._scheduler).__name__} wants to resume trial {trial_id}, which is not paused; "
                    "a scheduler may resume only trials it has paused"
                )
            attempt = paused.trial.attempt + 1
            if config is None:
                config = paused.trial.config
        if config is None:
            raise ValueError(f"{type(self._scheduler).__name__} suggested a new trial without a configuration")
        entry: Entry = {
            "event": entries.SUGGEST,
            "number": self._status.num_suggestions,
            "trial": trial_id,
            "attempt": attempt,
            "config": config,
            "checkpoint_from": suggestion.checkpoint_trial_id,
            "computed_at": self.suggestions.computed_at,
            "time": self._clock.now,
        }
        if suggestion.memo is not None:
            entry["memo"] = dict(suggestion.memo)
        self._journal.note(entry)
        record = self._status.records[trial_id]
        if attempt == 0:
            self._scheduler.on_trial_add(record.trial)
        self._start(record, resumed=attempt > 0)

    def _start(self, record: TrialRecord, resumed: bool) -> None:
        # A copy: the record's own goes on to its next attempt.
        trial = Trial(record.trial.trial_id, record.trial.config, record.trial.attempt)
        self._starting += 1
        self._journal.then(lambda: self._launch(trial, record.checkpoint_from, resumed))
        if self._counts_money:
            self.count_money()
        for listener in self._audience.resume_trial if resumed else self._audience.start_trial:
            listener(trial)

    def _launch(self, trial: Trial, checkpoint_from: int | None, resumed: bool) -> None:
        self._starting -= 1
        if resumed:
            self._backend.resume_trial(trial)
        else:
            self._backend.start_trial(trial, checkpoint_from)

    def count_money(self) -> None:
        """Tells the status what running trials, and one more, may cost at most.

        Raises:
            ValueError: No price is known.
        """
        limit = self._backend.trial_cost_limit()
        if limit is None:
            raise ValueError(
                "StoppingCriterion(count_committed=True) needs to know what trials cost, and no price is known for "
                "their instance type; add it to the prices file (see `cloudtune doctor`), or leave count_committed out"
            )
        status = self._status
        status.next_attempt_cost = limit
        status.committed_cost = status.billed_cost + self._backend.committed_cost() + self._starting * limit
