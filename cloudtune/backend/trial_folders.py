"""The folders of local trials: configuration, output, checkpoints, and the records of ended attempts."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cloudtune.backend import trial_files, trial_output
from cloudtune.backend.arguments import config_json
from cloudtune.backend.trial_end import EndRecord
from cloudtune.errors import StorageFull
from cloudtune.trial import Trial


class TrialFolders:
    """All trials of one experiment.

    Args:
        experiment: Folder of the experiment; the trials lie in ``trials/<trial id>`` below it.
    """

    def __init__(self, experiment: Path) -> None:
        self.root = os.path.abspath(experiment / trial_files.TRIALS)
        os.makedirs(self.root, exist_ok=True)

    def create(self, trial: Trial, checkpoints: bool) -> None:
        """Makes the folder of a new trial, in place of one that is not in the log (after a power cut).

        Args:
            trial: The trial.
            checkpoints: Whether it needs a directory for checkpoints.
        """
        folder = trial_files.trial_folder(self.root, trial.trial_id)
        with _room_for(folder):
            try:
                os.mkdir(folder)
            except FileExistsError:
                shutil.rmtree(folder)
                os.mkdir(folder)
            if checkpoints:
                os.mkdir(self.checkpoints(trial.trial_id))
            self._write_config(trial)

    def renew(self, trial: Trial) -> None:
        """Makes the folder of a trial ready for its next attempt; checkpoints and output stay."""
        folder = trial_files.trial_folder(self.root, trial.trial_id)
        with _room_for(folder):
            os.makedirs(self.checkpoints(trial.trial_id), exist_ok=True)
            self._write_config(trial)
            for of_attempt in (trial_files.report_file, trial_files.end_file):
                with contextlib.suppress(FileNotFoundError):  # there is one only if the log has lost it (power cut)
                    os.unlink(of_attempt(self.root, trial.trial_id, trial.attempt))

    def _write_config(self, trial: Trial) -> None:
        with open(self.config(trial.trial_id), "w", encoding="utf-8") as file:
            file.write(config_json(trial.config))

    def config(self, trial_id: int) -> str:
        """Path of the trial's configuration as JSON."""
        return f"{trial_files.trial_folder(self.root, trial_id)}/{trial_files.CONFIG}"

    def checkpoints(self, trial_id: int) -> str:
        """Path of the trial's checkpoint directory."""
        return f"{trial_files.trial_folder(self.root, trial_id)}/{trial_files.CHECKPOINTS}"

    def output(self, trial_id: int, name: str) -> str:
        """What the trial wrote to ``std.out`` or ``std.err``, over all attempts."""
        return trial_output.whole(f"{trial_files.trial_folder(self.root, trial_id)}/{name}")

    def read_end(self, trial_id: int, attempt: int) -> EndRecord | None:
        """The record of how an attempt ended; None if there is none, or a torn one (a power cut)."""
        try:
            with open(trial_files.end_file(self.root, trial_id, attempt), encoding="utf-8") as file:
                return EndRecord.from_json(json.load(file))
        except (FileNotFoundError, ValueError):
            return None

    def copy_checkpoints(self, source: int, target: int) -> None:
        """Replaces the target's checkpoints by a copy of the source's, at once: no half copy is ever seen."""
        place = self.checkpoints(target)
        copy = f"{place}.copy"
        with _room_for(copy):
            shutil.rmtree(copy, ignore_errors=True)
            os.makedirs(copy)
            if os.path.isdir(self.checkpoints(source)):
                shutil.copytree(
                    self.checkpoints(source), copy, symlinks=True, dirs_exist_ok=True, copy_function=_copy_if_there
                )
            if os.path.isdir(place):
                shutil.rmtree(place)
            os.rename(copy, place)

    def delete_checkpoints(self, trial_id: int) -> None:
        """Deletes what the trial saved, if it saved anything."""
        place = self.checkpoints(trial_id)
        if os.path.isdir(place):
            shutil.rmtree(place)


def _copy_if_there(source: str, target: str) -> str:
    """Copies a file, unless it has vanished: a running trial replaces its temporary files all the time."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)
    return target


@contextlib.contextmanager
def _room_for(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(
                f"{path} could not be written: {error.strerror}; free some space and run the same command again"
            ) from error
        raise
