"""The contract of a backend: where trials run, and how their reports and ends reach the tuner."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudtune.trial import Trial, TrialEvent


@dataclass(frozen=True)
class ExperimentPlace:
    """What a backend is told about the experiment it works for.

    Args:
        name: Name of the experiment.
        experiment_id: Six random characters drawn once per experiment, kept in its log.
        path: Local folder for the trials' files (logs, checkpoints).
        n_workers: How many trials run at the same time at most.
        tag: What experiments of one study have in common; by default the experiment's own name.
        config_space: What configurations of trials are drawn from.
        max_resource_attr: Key of a configuration that tells a script how far to train, as the scheduler has it.
        s3_path: ``s3://bucket[/prefix]`` where the experiment's log lies, if it lies in S3. Trials that need a place in
            S3, and were given none, have theirs beside it.
        s3_region: Of that bucket.
        kms_key: What encrypts the log there, if it was chosen.
        trials_at: What :meth:`TrialBackend.trials_at` has told an earlier tuner of the experiment.
        confirm: Returns if this tuner still has the experiment's log, and raises Fenced if another has it. It asks
            whoever knows, and may be called from any thread.
    """

    name: str
    experiment_id: str
    path: Path
    n_workers: int
    tag: str = ""
    config_space: Mapping[str, Any] = field(default_factory=dict)
    max_resource_attr: str | None = None
    s3_path: str | None = None
    s3_region: str | None = None
    kms_key: str | None = None
    trials_at: Mapping[str, str] = field(default_factory=dict)
    confirm: Callable[[], None] = field(default=lambda: None, compare=False)

    @property
    def marker(self) -> str:
        """Value of ``CLOUDTUNE_EXPERIMENT`` in every process that belongs to the experiment."""
        return f"{self.name}-{self.experiment_id}"


@dataclass(frozen=True)
class LeftRunning:
    """A trial that, by the log, an earlier tuner left running.

    Args:
        trial: The trial, with the number of its newest attempt.
        delivered: For each run of that attempt, how many reports are in the log already.
    """

    trial: Trial
    delivered: Mapping[int, int] = field(default_factory=dict)


class TrialBackend(ABC):
    """Runs trials. Calls return at once; what became of them is told by :meth:`poll`.

    The tuner calls :meth:`open` once per run, then :meth:`attach` once, then the rest, and :meth:`close` at the end,
    all from one thread; only :meth:`wake` may be called from anywhere, a signal handler included.
    A backend is picklable when it is not open.
    """

    #: Whether a worker counts as free from the moment its trial was told to stop or pause (True), or only when the
    #: trial has ended (False). The tuner's ``start_jobs_without_delay`` overrides it.
    start_jobs_without_delay: bool = False

    #: Whether the tuner deletes a trial's checkpoint once the trial will not run again.
    delete_checkpoints: bool = False

    #: Whether trials go on when a signal ends the tuner, to be taken over by the next one. Only where they can.
    leave_running_when_interrupted: bool = False

    #: Whether trials can go on when the tuner's process, or its machine, is gone.
    trials_outlive_tuner: bool = False

    #: Whether :meth:`time` is not the time of day. What is computed takes no time then, and nothing is computed aside.
    is_virtual: bool = False

    #: Whether real time that the scheduler takes moves :meth:`time`, where that is not the time of day.
    counts_scheduler_time: bool = False

    #: Default for the name of an experiment with this backend.
    default_name: str = "cloudtune"

    @property
    def sign_interval(self) -> float | None:
        """Seconds between two signs of life that the trials expect of the tuner; None: they expect none."""
        return None

    def end_when_silent(self, seconds: float) -> None:  # noqa: B027 - where trials end with the tuner anyway
        """Has trials pause when the tuner has given no sign of life for so long, or sooner. Before :meth:`open`."""

    def longest_trial(self) -> float | None:
        """Seconds after which a trial that was started has certainly ended; None if nothing limits its time."""
        return None

    @abstractmethod
    def open(self, place: ExperimentPlace) -> None:
        """Gets ready to run trials of the experiment at ``place``."""

    def use_credentials(self, region: str | None, profile: str | None) -> None:  # noqa: B027 - most need none
        """Told before :meth:`open` how the user reaches AWS from this machine, which may not be that of its making.

        Args:
            region: Of AWS; counts where nothing else says which.
            profile: Of the AWS credentials file; None: as the backend was made.
        """

    def trials_at(self) -> Mapping[str, str]:
        """Where its trials are, as far as the next tuner's backend could take another place for it. While it is open.

        It stands in the log before any trial is started, and is given to every later :meth:`open`, which refuses
        another place.
        """
        return {}

    def fixed_settings(self) -> Mapping[str, Any]:
        """What makes another experiment if it changes, by name (JSON values). Asked before :meth:`open`.

        It stands in the log and in ``metadata.json``, and an experiment is continued only by a backend of the same;
        what the log does not have is not compared.
        """
        return {}

    def recall(  # noqa: B027 - most backends find what trials have left
        self, reported: Mapping[int, Mapping[str, Any]], seconds: float
    ) -> None:
        """Told before :meth:`attach`, where an experiment is continued, how far its log has come.

        Args:
            reported: Trial id -> the last value of every key that the trial has reported. If its checkpoint was
                deleted, as that of a paused trial that the scheduler has given up: its last report since, or nothing.
            seconds: Active tuning time so far.
        """

    def watch_cost(self, limits: Sequence[float], spent: float) -> None:  # noqa: B027 - reports tell most costs
        """Told before trials are started at which costs the tuner wants to hear of them at once.

        A backend that knows when one is reached sends bills then, which are not final, of all attempts that run.

        Args:
            limits: Dollars, over all trials.
            spent: Dollars so far, by the log.
        """

    @abstractmethod
    def attach(self, trials: Sequence[LeftRunning]) -> None:
        """Takes over what an earlier tuner left.

        Afterwards :meth:`poll` delivers, for each of the trials, every report that is not in the log yet, and, if its
        attempt is no longer running, an end: the true one where it is known, else ``interrupted``.
        No process of an earlier tuner that this one does not know runs on.
        """

    def settle(self, unsettled: Iterable[tuple[int, int]]) -> None:  # noqa: B027 - most backends send no bills
        """Takes over attempts (trial id, attempt) that have ended, but whose final bill is not in the log yet."""

    @abstractmethod
    def start_trial(self, trial: Trial, checkpoint_trial_id: int | None = None) -> None:
        """Starts attempt 0 of a new trial, with a copy of another trial's checkpoint if one is named."""

    @abstractmethod
    def resume_trial(self, trial: Trial) -> None:
        """Starts attempt ``trial.attempt`` (> 0) of a trial whose earlier attempt has ended; its checkpoint is kept."""

    @abstractmethod
    def stop_trial(self, trial_id: int) -> None:
        """Asks a running trial to end: its end event has outcome ``stopped``, or another if it ended by itself first.

        Does nothing if its current attempt has ended already.
        """

    @abstractmethod
    def pause_trial(self, trial_id: int) -> None:
        """Asks a running trial to end so that it can be resumed: its end event has outcome ``paused``, or another."""

    @abstractmethod
    def poll(self, timeout: float | None) -> list[TrialEvent]:
        """Blocks until there is an event, :meth:`wake` was called, or ``timeout`` seconds (None: for ever) passed.

        Every report is delivered exactly once; those of one trial in order, and before the end of their attempt.
        It also returns, if need be without an event, when a worker has become free.
        """

    @abstractmethod
    def wake(self) -> None:
        """Makes a :meth:`poll` that blocks, or the next one, return soon. Safe in threads and signal handlers."""

    @abstractmethod
    def busy_workers(self) -> int:
        """Number of attempts that were started and still occupy a worker: at least until their end was delivered.

        Where a machine is given back only some time after the trial has ended, it counts until then.
        """

    def wind_down(self) -> bool:
        """Called again and again, after each poll, when no trial runs any more and none will be started.

        Gives back what is kept for trials to come. Returns True when nothing is left that costs money, and everything
        that is known of costs was delivered.
        """
        return self.busy_workers() == 0

    def hasten(self, seconds: float) -> None:  # noqa: B027 - where trials end with the tuner anyway
        """Told once, when all running trials were told to end: the tuner's process is ended in so many seconds.

        What has not ended by then must end without the tuner, as far as that is possible.
        """

    def committed_cost(self) -> float:
        """Dollars that attempts without a bill may cost at most, if each runs as long as it may."""
        return 0.0

    def trial_cost_limit(self) -> float | None:
        """Dollars that one more attempt may cost at most; None: no price is known."""
        return 0.0

    @abstractmethod
    def copy_checkpoint(self, source_trial_id: int, target_trial_id: int) -> None:
        """Copies what the one trial saved into the checkpoint directory of the other."""

    @abstractmethod
    def delete_checkpoint(self, trial_id: int) -> None:
        """Deletes what a trial saved, if anything. It will not be resumed."""

    def delete_left_checkpoints(self, trial_ids: Collection[int]) -> None:
        """Deletes what these trials saved, unless that was done: an earlier tuner may not have come to it."""
        for trial_id in trial_ids:
            self.delete_checkpoint(trial_id)

    @abstractmethod
    def stdout(self, trial_id: int) -> str:
        """Everything the trial wrote to its standard output, over all attempts."""

    @abstractmethod
    def stderr(self, trial_id: int) -> str:
        """Everything the trial wrote to its standard error, over all attempts."""

    @abstractmethod
    def close(self, stop_running: bool) -> None:
        """Ends the work for this run of the tuner; stops what still runs if asked. The backend may be opened again.

        What cannot outlive the tuner (local processes) ends in any case.
        """

    def source_paths(self) -> Sequence[Path]:
        """Files and folders of this machine that must be there wherever the tuner runs; absolute, in a fixed order."""
        return ()

    def local_scripts(self) -> Sequence[Path]:
        """Scripts in them that run beside the tuner, whose machine then needs whatever they import."""
        return ()

    def relocate(self, moved: Mapping[Path, Path]) -> None:  # noqa: B027 - most backends name no files
        """Replaces paths of the machine that the backend was made on. Called on a copy of it, which is not open.

        Args:
            moved: Each of :meth:`source_paths` -> where it is now. See :func:`moved_path` for what lies below them.
        """

    def scheduler_took(self, seconds: float) -> None:  # noqa: B027 - that moves most clocks by itself
        """Told once per turn how much real time the scheduler has taken, if :attr:`counts_scheduler_time`."""

    def time(self) -> float:
        """The one clock: Unix seconds that never run backwards while the process lives."""
        return _WALL_ORIGIN + time.monotonic()

    def wall_time(self) -> float:
        """Unix seconds of this machine, for whoever looks on: :meth:`time`, unless that is a virtual clock."""
        return self.time()


def moved_path(path: Path, moved: Mapping[Path, Path]) -> Path:
    """Where a path is now: the nearest of the folders above it, or it itself, decides; others have not moved.

    Args:
        path: Absolute.
        moved: Former places -> present ones.
    """
    for former in (path, *path.parents):
        if former in moved:
            return moved[former] / path.relative_to(former)
    return path


_WALL_ORIGIN = time.time() - time.monotonic()
