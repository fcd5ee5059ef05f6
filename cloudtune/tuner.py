"""The tuner: brings together a backend, a scheduler and a stopping criterion, and drives an experiment to its end."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cloudtune.backend.trial_backend import ExperimentPlace, TrialBackend
from cloudtune.best_config import best_config
from cloudtune.callbacks.log_output import log_shown
from cloudtune.callbacks.progress import ProgressCallback
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.continuing import adopt_log, check_same_backend, hand_over, replay
from cloudtune.errors import CloudtuneError, ExperimentMismatch, ExperimentNotFound, Fenced
from cloudtune.interruption import SignalWatch, first_word, reserve_standard_descriptors, resumed_as
from cloudtune.new_experiment import begin_log, claim
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.stopping_criterion import Criterion, as_criterion
from cloudtune.store import places
from cloudtune.store.closing import closed
from cloudtune.store.local_store import LocalStore
from cloudtune.store.store import Store
from cloudtune.trial import Config
from cloudtune.tuner_arguments import check_arguments, check_metadata
from cloudtune.tuner_metadata import metadata_at_end, metadata_at_start
from cloudtune.tuner_pickle import pickled, read_pickle
from cloudtune.tuning_loop import TuningLoop
from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)


class Tuner:
    """Tunes hyperparameters: ``Tuner(...).run()``.

    Running a tuner under a name whose experiment exists continues that experiment: nothing that was reported is lost or
    counted twice, trials that ran go on from their checkpoints, and the time already spent counts.

    Args:
        trial_backend: Where trials run.
        scheduler: What to run.
        stop_criterion: When to end: a :class:`StoppingCriterion`, several combined with ``|`` and ``&``, or a function
            ``TuningStatus -> bool``.
        n_workers: Trials at the same time.
        tuner_name: Name of the experiment: letters, digits and single dashes. Default: from the script or function.
        metadata: Written into the experiment's ``metadata.json``; JSON values.
        callbacks: Told of everything that happens. A :class:`ProgressCallback` is added unless one is among them.
        max_failures: More failed trials than this end the experiment with an error.
        asynchronous_scheduling: False: trials are started in batches of ``n_workers``, when no trial runs.
        wait_trial_completion_when_stopping: When the criterion is met, let running trials finish.
        print_update_interval: Seconds between two status tables in the log.
        results_update_interval: Seconds between two updates of ``results.csv.zip`` at the least.
        save_tuner: Write ``tuner.dill`` at the start: ``cloudtune resume NAME`` continues with it, without the script.
        start_jobs_without_delay: True: a worker counts as free once its trial was told to stop; False: when it has
            ended. Default: as the backend prefers.
        suffix_tuner_name: Append a time stamp to the name, so that every run is a new experiment.
        trial_backend_path: Folder for the trials' logs and checkpoints, if not that of the experiment.
        store: Where the event log lives, if not in the experiment's local folder.

    Raises:
        ValueError: ``n_workers`` is below 1, the name is not valid, or a value is out of range; the message says which.
    """

    def __init__(
        self,
        trial_backend: TrialBackend,
        scheduler: TrialScheduler,
        stop_criterion: Criterion | Callable[[TuningStatus], bool],
        n_workers: int,
        tuner_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        callbacks: Sequence[TunerCallback] | None = None,
        max_failures: int = 1,
        asynchronous_scheduling: bool = True,
        wait_trial_completion_when_stopping: bool = False,
        print_update_interval: float = 30.0,
        results_update_interval: float = 10.0,
        save_tuner: bool = True,
        start_jobs_without_delay: bool | None = None,
        suffix_tuner_name: bool = True,
        trial_backend_path: str | Path | None = None,
        store: Store | None = None,
    ) -> None:
        check_arguments(
            scheduler,
            n_workers,
            max_failures,
            callbacks or (),
            {"print_update_interval": print_update_interval, "results_update_interval": results_update_interval},
        )
        self.trial_backend = trial_backend
        self.scheduler = scheduler
        self.stop_criterion = as_criterion(stop_criterion)
        self.n_workers = n_workers
        self.max_failures = max_failures
        self.asynchronous_scheduling = asynchronous_scheduling
        self.wait_trial_completion_when_stopping = wait_trial_completion_when_stopping
        self.results_update_interval = results_update_interval
        self.save_tuner = save_tuner
        self.start_jobs_without_delay = (
            trial_backend.start_jobs_without_delay if start_jobs_without_delay is None else start_jobs_without_delay
        )
        self.metadata = dict(metadata or {})
        check_metadata(self.metadata, scheduler)
        self.callbacks: list[TunerCallback] = list(callbacks or ())
        if not any(isinstance(callback, ProgressCallback) for callback in self.callbacks):
            self.callbacks.append(ProgressCallback(print_update_interval))
        created = trial_backend.wall_time()
        base = places.validate_name(trial_backend.default_name if tuner_name is None else tuner_name)
        self.base_name = base
        #: True until a name with a time stamp is known to be nobody else's.
        self.is_unclaimed = suffix_tuner_name
        self.name = places.suffixed_name(base, created) if suffix_tuner_name else base
        self.creation_time = created
        self.tuner_path = places.experiment_path(self.name)
        self.trial_backend_path = None if trial_backend_path is None else Path(trial_backend_path).absolute()
        self._store = store
        self.tag = ""
        #: Instead of the backend's ``leave_running_when_interrupted``: asked when the run is interrupted.
        self.decide_leaving: Callable[[], bool] | None = None
        #: Seconds after a signal by which :meth:`run` has returned, whatever its trials do. None: once they have ended.
        self.time_to_end: float | None = None
        #: Watches for signals from before :meth:`run` on, where the program that calls it does so.
        self.signals: SignalWatch | None = None
        self.status = self._fresh_status()
        #: Number of log entries that status and scheduler of this object have taken in.
        self._position = 0
        #: True if they have taken in something that never reached the log.
        self._diverged = False
        self._loop: TuningLoop | None = None
        self._scheduler_seconds = 0.0
        self._experiment_id = ""
        self._start_time = created

    def keep_in(self, store: Store, tag: str = "") -> None:
        """Has the experiment lie in a store, under the name it has now.

        Args:
            store: For its event log and what is derived from it.
            tag: What experiments of one study have in common.
        """
        self._store = store
        self.is_unclaimed = False
        self.tag = tag

    @property
    def results_place(self) -> str:
        """Where its results are: a folder, or ``s3://bucket/prefix``."""
        return str(getattr(self._store, "uri", self.tuner_path))

    def read_log(self) -> None:
        """Brings status and scheduler to where the experiment's log stands now, without driving the experiment."""
        self._replay(self._store or LocalStore(self.tuner_path))

    def _fresh_status(self) -> TuningStatus:
        of = self.scheduler
        return TuningStatus(
            of.metric_names(), of.metric_mode(), resource_attr=of.resource_attr, max_resource_attr=of.max_resource_attr
        )

    # ------------------------------------------------------------------ running

    @log_shown()
    def run(self, takeover: bool = False) -> None:
        """Runs the experiment to its end, or continues it if it exists.

        Args:
            takeover: Take the experiment over from another tuner that seems to drive it; that one stops.

        Raises:
            ExperimentLocked: Another tuner drives the experiment.
            ExperimentMismatch: It began with another method, config space, metric or seed, or in another simulation.
            TooManyFailures: More than ``max_failures`` trials failed.
            StorageFull: The disk is full; run again when there is room.
            Fenced: Another tuner took the experiment over.
            TuningInterrupted: SIGINT or SIGTERM arrived; everything is stored. (It is a ``SystemExit``.)
        """
        if self._diverged:
            raise ExperimentMismatch(
                f"the last run of '{self.name}' ended before its log could be written; "
                "make the tuner and its scheduler anew, as the script does, to continue"
            )
        reserve_standard_descriptors()
        with SignalWatch(self._on_signal, self.name, self.trial_backend.trials_outlive_tuner, self.signals) as watch:
            store = self._open_store(takeover)
            watch.name, watch.resumed_as = self.name, resumed_as(self.name, self.results_place)
            store.end_by(lambda: watch.time_left(self.time_to_end))
            with closed(store, lambda: self.status.trials_at, self.trial_backend_path or self.tuner_path):
                loop = self._drive(store, watch)
        watch.raise_if_received()
        loop.raise_if_failed()

    def _open_store(self, takeover: bool) -> Store:
        """Takes the lease; a new experiment gets a name that nobody has."""
        if self._store is not None:
            self._store.open(takeover=takeover)
            return self._store
        if self.is_unclaimed:
            claimed = claim(self.base_name, self.creation_time, self.tuner_path, self.results_update_interval)
            self.name, self.tuner_path, self.creation_time = claimed.name, claimed.path, claimed.created
            self.is_unclaimed = False
            return claimed.store
        store = LocalStore(self.tuner_path, self.results_update_interval)
        store.open(takeover=takeover)
        return store

    def _drive(self, store: Store, watch: SignalWatch) -> TuningLoop:
        """Everything that happens while the lease is held."""
        snapshot = pickled(self, self.name) if self.save_tuner and self._position == 0 else None
        self._catch_up(store)
        if snapshot is not None:
            store.snapshot(snapshot)
        stop_running = True
        try:
            loop = self._begin(store, watch)
            if watch.received is not None:
                loop.interrupted_by = "interrupted while starting"
            if not self.status.num_evaluations:
                # Else the store does so beside the loop: to write those of a long log takes a second.
                store.update_results()
            for callback in self.callbacks:
                callback.on_tuning_start(self)
            logger.info("results of trials will be saved on %s", self.results_place)
            loop.run()
            stop_running = not loop.left_running
        except Fenced:
            stop_running = False
            raise
        except CloudtuneError:
            if watch.received is not None and self._loop is not None:
                stop_running = self._loop.give_up()
            raise
        finally:
            self._finish(store, stop_running)
        return loop

    def _begin(self, store: Store, watch: SignalWatch) -> TuningLoop:
        """Opens the backend and hands it what an earlier tuner left."""
        place = ExperimentPlace(
            name=self.name,
            experiment_id=self._experiment_id,
            path=self.trial_backend_path or self.tuner_path,
            n_workers=self.n_workers,
            tag=self.tag,
            config_space=self.scheduler.config_space,
            max_resource_attr=self.scheduler.max_resource_attr,
            # Trials that run already, of which no place is noted, are where the backend by itself looks for them.
            s3_path=None if self.status.records and not self.status.trials_at else store.s3_path,
            s3_region=store.s3_region,
            kms_key=store.kms_key,
            trials_at=self.status.trials_at,
            confirm=store.confirm,
        )
        for callback in self.callbacks:
            callback.on_log_read()
        hand_over(self.trial_backend, place, store, self.status)
        self.trial_backend.watch_cost(self.stop_criterion.cost_limits(), self.status.cost)
        self._loop = TuningLoop(
            backend=self.trial_backend,
            scheduler=self.scheduler,
            criterion=self.stop_criterion,
            store=store,
            status=self.status,
            callbacks=self.callbacks,
            n_workers=self.n_workers,
            max_failures=self.max_failures,
            asynchronous=self.asynchronous_scheduling,
            start_without_delay=self.start_jobs_without_delay,
            drain_at_end=self.wait_trial_completion_when_stopping,
            leave_running=self.leaves_running,
            time_left=lambda: watch.time_left(self.time_to_end),
        )
        return self._loop

    def leaves_running(self) -> bool:
        """Asked when :meth:`run` is interrupted: whether running trials go on, for the next tuner to take over."""
        if self.decide_leaving is not None:
            return self.decide_leaving()
        return self.trial_backend.leave_running_when_interrupted

    def interrupt(self, why: str) -> None:
        """Ends :meth:`run` in order and soon, as a signal does, from any thread; it then returns.

        Args:
            why: For people, in the log.
        """
        if self._loop is not None:
            self._loop.interrupted_by = why
            self.trial_backend.wake()

    def _finish(self, store: Store, stop_running: bool) -> None:
        """Stops what runs first; only then may anything else go wrong."""
        loop, self._loop = self._loop, None
        self._scheduler_seconds = 0.0 if loop is None else loop.scheduler_seconds
        try:
            if loop is not None:
                loop.abandon_suggestions()
            self.trial_backend.close(stop_running=stop_running)
        finally:
            try:
                # What the status has taken in and the log has not is lost with this object if the log cannot take it.
                self._diverged = True
                if loop is not None:
                    loop.save()
                self._diverged = False
            finally:
                self._position = store.length()
                # One that raises keeps no other from cleaning up.
                with ExitStack() as ends:
                    for callback in reversed(self.callbacks):
                        ends.callback(callback.on_tuning_end)
                    ends.callback(self._write_results, store)

    def _write_results(self, store: Store) -> None:
        """Writes what is derived from the log; that it cannot does not hide the error that ended the experiment."""
        try:
            store.update_results()
            store.write_metadata(self._all_metadata(end=self.trial_backend.wall_time()))
        except Fenced:
            self._diverged = True  # the end that was come to never reached the log
            raise
        except (CloudtuneError, OSError) as error:
            # The store tries again when it is closed, and tells the user.
            logger.debug("what is derived from the log was not written: %s", error)

    def _on_signal(self, name: str) -> bool:
        if self._loop is None:
            return False
        self._loop.interrupted_by = f"interrupted by {name}"
        told = [callback.on_interrupt(first_word(name)) for callback in self.callbacks]
        self.trial_backend.wake()
        return any(told)

    # ------------------------------------------------------------------ beginning and continuing

    def _catch_up(self, store: Store) -> None:
        """Brings status and scheduler to where the log stands; begins the log if it is new."""
        self._start_time = self.trial_backend.wall_time()
        begun = self._replay(store)
        if not begun:
            fixed = self.trial_backend.fixed_settings()
            self._experiment_id = begin_log(store, self.name, self.creation_time, self.scheduler, self.metadata, fixed)
        store.write_metadata(self._all_metadata())
        if not begun:
            return
        logger.info(
            "continuing experiment '%s': %d trials, %d reports, %.1f seconds so far",
            self.name,
            self.status.num_trials_started,
            self.status.num_evaluations,
            self.status.wallclock_time,
        )

    def _replay(self, store: Store) -> bool:
        """Takes in what the log holds beyond what this object knows; False if the experiment has not begun.

        Raises:
            ExperimentMismatch: The log was begun by another method or simulation, or the scheduler is not new.
        """
        if self._position == 0:
            header = adopt_log(self.scheduler, store, self.name)
            if header is None:
                return False
            check_same_backend(self.trial_backend, header, self.name)
            self._experiment_id, self.creation_time = header["experiment_id"], header["unix"]
        self._position += replay(store.read(self._position), self.status, self.scheduler)
        return True

    def _all_metadata(self, end: float | None = None) -> dict[str, Any]:
        metadata = metadata_at_start(
            self.name,
            self.creation_time,
            self._start_time,
            self.n_workers,
            self.trial_backend,
            self.scheduler,
            self.stop_criterion,
            self.metadata,
        )
        if end is None:
            return metadata
        outcome = self.scheduler.outcome()
        return {**metadata, **metadata_at_end(self.status, end, self._scheduler_seconds, outcome)}

    # ------------------------------------------------------------------ results and snapshots

    def best_config(self, metric: str | int = 0) -> tuple[int, Config]:
        """Trial id and configuration of the best value reported so far.

        Args:
            metric: Which of the scheduler's metrics: its name, or its position.

        Raises:
            ValueError: No trial has reported a finite value of the metric yet, or there is no such metric.
        """
        return best_config(self.status, self.scheduler.metric_names(), metric, self.name)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_loop"] = state["decide_leaving"] = state["signals"] = None
        return state

    @staticmethod
    def load(path: str | Path) -> Tuner:
        """The tuner of an experiment as it is now: from ``tuner.dill``, brought up to date by the log.

        This unpickles: only load what you trust.

        Args:
            path: Folder of the experiment.

        Raises:
            ExperimentNotFound: There is no ``tuner.dill`` in the folder, or it cannot be read.
        """
        store = LocalStore(Path(path))
        state = store.load_snapshot()
        if state is None:
            raise ExperimentNotFound(
                f"there is no tuner.dill in {path}; run the script that began the experiment again, "
                "with the same tuner_name"
            )
        tuner = unpickled(state, f"{path}/tuner.dill")
        tuner.tuner_path = Path(path)
        tuner._replay(store)
        return tuner

    @staticmethod
    def takeover(
        experiment: str, s3_path: str | None = None, region: str | None = None, profile: str | None = None
    ) -> Tuner:
        """A tuner that continues here what a :class:`RemoteLauncher` has launched, as it was launched. ::

            Tuner.takeover("height-tuning").run()

        The experiment's log stays in S3. Running the tuner is refused while the remote one lives: end that with
        ``cloudtune stop NAME`` first, or ``run(takeover=True)``. Launching again under the same name continues
        remotely.

        This unpickles, and puts the launcher's local modules onto Python's search path: only take over what you trust.

        Args:
            experiment: Its name, or ``tag/name``.
            s3_path: Where experiments lie, ``s3://bucket[/prefix]``. Default: ``$CLOUDTUNE_S3_PATH``, else the
                account's own bucket.
            region: Of AWS. Default: that of the environment.
            profile: Of the AWS credentials file.

        Raises:
            ExperimentNotFound: There is no such experiment, or it was not launched remotely.
            CannotLoad: It was launched with other versions than those installed here.
        """
        # By name at the call: what ships tuners knows this class, and stands above it.
        remote: Any = importlib.import_module("cloudtune.remote.taking_over")
        tuner: Tuner = remote.take_over(experiment, s3_path, region, profile)
        return tuner


def unpickled(state: bytes, where: str) -> Tuner:
    """The tuner that was pickled. Unpickles: only for what is trusted.

    Args:
        state: The pickle.
        where: It lies, for messages.

    Raises:
        ExperimentNotFound: It holds no tuner, or cannot be read here.
    """
    return read_pickle(state, where, Tuner)
