"""Checkpoints of all trials, wherever they are kept: by agents, as generations, or by SageMaker itself, file by file.

A trial may have saved in both ways, for an experiment's jobs may lose S3, or be told to do without it. Then its newest
generation counts: an attempt that begins without S3 gets the generation as files, and no generation is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.errors import AccessDenied, NotFound, ServiceFailure
from cloudtune.aws.synced_checkpoints import SyncedCheckpoints
from cloudtune.backend.sagemaker_backend.attempt import Phase
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.errands import Errands

logger = logging.getLogger(__name__)

#: Between two looks whether a job is over whose last files are awaited, in seconds.
_SYNC_LOOK = 0.2
#: How often a copy begins anew because its source changes meanwhile.
_ROUNDS = 5


class SavedCheckpoints:
    """Copies and deletes beside the tuner, and knows which trials' checkpoints lie where. The tuner's thread calls it.

    Args:
        desk: Of the backend.
        errands: Run what takes long.
        generations: What agents have saved.
        synced: What SageMaker itself keeps.
        agents_save: Whether agents are meant to save, in jobs that can write to S3.
    """

    def __init__(
        self,
        desk: Desk,
        errands: Errands,
        generations: TrialCheckpoints,
        synced: SyncedCheckpoints,
        agents_save: bool,
    ) -> None:
        self._desk = desk
        self._errands = errands
        self._generations = generations
        self._synced = synced
        self._agents_save = agents_save
        #: Trials that save, or may have saved, in the way that is not meant: once all that was asked for is done.
        self._elsewhere: set[int] = set()

    def find_earlier(self) -> bool:
        """Looks what trials of an earlier tuner have saved in the way that is not meant now; whether any has."""
        if not self._agents_save:
            self._elsewhere |= self._generations.trials()
            return bool(self._elsewhere)
        try:
            self._elsewhere |= self._synced.trials()
        except (AccessDenied, NotFound) as error:  # the user's own place for them may be another bucket
            logger.warning("whether trials have checkpoints that SageMaker itself keeps is not known: %s", error)
        return bool(self._elsewhere)

    def are_synced(self, trial: int) -> bool:
        """Whether SageMaker itself keeps the trial's checkpoints, so that its next attempt has to do without S3."""
        return not self._agents_save or trial in self._elsewhere

    def begins_without_s3(self, trial: int) -> None:
        """An attempt is to be queued whose job does without S3: it gets what agents have saved, as files."""
        if not self._agents_save:
            if trial not in self._elsewhere:
                return
            self._elsewhere.discard(trial)
        else:
            self._elsewhere.add(trial)
        self._errands.run(
            f"handing the checkpoint of trial {trial} to SageMaker",
            lambda: self._hand_over(trial),
            trials=(trial,),
            needed_by=trial,
        )

    def runs(self, trial: int, with_s3: bool) -> None:
        """A job that an earlier tuner has created is taken over."""
        if with_s3 != self._agents_save:
            self._elsewhere.add(trial)

    def copy(self, source: int, target: int, coming: int, with_s3: bool) -> None:
        """Copies a checkpoint within S3; the target's next attempt waits for it.

        Args:
            source: Trial that has it.
            target: Trial that gets it.
            coming: Number of the target's next attempt.
            with_s3: Whether jobs can write to S3.
        """
        work: Callable[[], object]
        as_files = not with_s3 or self.are_synced(source)
        if as_files:
            both = self._may_have_both(source), self._may_have_both(target)
            work = partial(self._copy_as_files, source, target, *both)
        else:
            work = partial(self._copy_generation, source, target, coming, self._may_have_both(target))
        if self._agents_save and as_files:
            self._elsewhere.add(target)
        else:
            self._elsewhere.discard(target)
        self._errands.run(
            f"copying the checkpoint of trial {source} to trial {target}",
            work,
            trials=(source, target),
            needed_by=target,
        )

    def delete(self, trial: int) -> None:
        """Deletes all that a trial has saved."""
        both = self._may_have_both(trial)
        self._errands.run(
            f"deleting the checkpoint of trial {trial}", lambda: self._delete(trial, both), trials=(trial,)
        )

    def delete_left(self, trials: Collection[int]) -> None:
        """Deletes what is left of trials, most of whose checkpoints are gone already."""
        if trials:
            elsewhere = set(self._elsewhere)
            self._errands.run(
                "deleting checkpoints that an earlier tuner has left",
                lambda: self._delete_left(set(trials), elsewhere),
                trials=tuple(trials),
            )

    # ------------------------------------------------------------------ in the threads of errands

    def _may_have_both(self, trial: int) -> bool:
        return trial in self._elsewhere

    def _hand_over(self, trial: int) -> None:
        failed = self._errands.error_of(trial)
        if failed is not None:
            raise failed  # the copy that it was to begin with
        if self._make_files(trial, trial):
            self._generations.delete(trial)

    def _copy_as_files(self, source: int, target: int, source_has_both: bool, target_has_both: bool) -> None:
        if not ((self._agents_save or source_has_both) and self._make_files(source, target)):
            self._await_last_sync(source, target)
            self._synced.copy(source, target)
        if self._agents_save or target_has_both:
            self._generations.delete(target)  # what is there counts for more than files

    def _copy_generation(self, source: int, target: int, coming: int, synced_too: bool) -> None:
        self._generations.copy(source, target, coming)
        if synced_too:
            self._await_last_sync(target)
            self._synced.delete(target)

    def _make_files(self, source: int, target: int) -> bool:
        """Has the target begin from the source's newest generation, as files; False if there is none."""
        for _ in range(_ROUNDS):
            newest = self._generations.newest(source)
            if newest is None:
                return False
            self._await_last_sync(target)
            try:
                self._synced.replace(target, {file["path"]: (file["key"], file["size"]) for file in newest["files"]})
            except NotFound:  # the source has saved twice meanwhile
                continue
            return True
        raise ServiceFailure(
            f"The checkpoint of trial {source} changes faster than it can be copied to trial {target}; "
            "let its script save less often."
        )

    def _delete(self, trial: int, both: bool) -> None:
        if self._agents_save or both:
            self._generations.delete(trial)
        if not self._agents_save or both:
            self._await_last_sync(trial)
            self._synced.delete(trial)

    def _delete_left(self, trials: set[int], elsewhere: set[int]) -> None:
        usual = self._generations.trials() if self._agents_save else self._synced.trials()
        for trial in sorted((usual | elsewhere) & trials):
            if self._desk.closing.is_set():
                return  # the next tuner will come to it
            self._delete(trial, trial in elsewhere)

    def _await_last_sync(self, *trials: int) -> None:
        """Returns when SageMaker has uploaded the last files of trials that have ended: with the end of their jobs."""
        while not self._desk.closing.is_set():
            with self._desk.lock:
                newest = [self._desk.current[trial] for trial in trials if trial in self._desk.current]
                if not any(a.end_delivered and a.phase is not Phase.OVER for a in newest):
                    return
            self._desk.closing.wait(_SYNC_LOOK)
