"""Gives every trial GPUs of its own, as long as there are enough."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Sequence

_log = logging.getLogger(__name__)

ENV_VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """The machine's GPUs by the names ``CUDA_VISIBLE_DEVICES`` takes: those it names, else what nvidia-smi lists."""
    if ENV_VISIBLE in os.environ:
        return [name.strip() for name in os.environ[ENV_VISIBLE].split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        _log.warning("%s --list-gpus failed (exit code %d): trials get no GPU of their own", program, listed.returncode)
        return []
    found = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return [str(index) for index in range(found)]


class GPURotation:
    """Which trial uses which GPUs.

    A trial gets the GPUs that the fewest running trials use; among those the ones that were given away least often so
    far; among those the first ones. So trials share GPUs only when there are more of them than GPUs.

    Args:
        gpus: Names of the GPUs.
        per_trial: How many a trial gets.
        chosen: Whether the user has named the GPUs. If not, and there is only one, a trial need not be told.

    Raises:
        ValueError: A trial wants more GPUs than there are, or the user has named none.
    """

    def __init__(self, gpus: Sequence[str], per_trial: int = 1, *, chosen: bool = False) -> None:
        if per_trial < 1:
            raise ValueError(f"num_gpus_per_trial must be at least 1, got {per_trial}; use rotate_gpus=False for none")
        if chosen and not gpus:
            raise ValueError(
                f"gpus_to_use names no GPU; leave it out to share out all of them, or hide them with {ENV_VISIBLE}=''"
            )
        if gpus and per_trial > len(gpus):
            raise ValueError(
                f"num_gpus_per_trial={per_trial}, but there {_only(len(gpus))} ({', '.join(gpus)}); "
                "ask for fewer per trial, or name more in gpus_to_use"
            )
        self._gpus = list(gpus)
        self._per_trial = per_trial
        self._needed = chosen or len(self._gpus) > 1
        self._users = [0] * len(gpus)
        self._given = [0] * len(gpus)
        self._of_trial: dict[int, list[int]] = {}

    def assign(self, trial_id: int) -> str | None:
        """``CUDA_VISIBLE_DEVICES`` for a trial that starts; None if it shall see what the tuner sees."""
        if not self._needed:
            return None
        self.release(trial_id)
        order = sorted(range(len(self._gpus)), key=lambda gpu: (self._users[gpu], self._given[gpu], gpu))
        chosen = sorted(order[: self._per_trial])
        for gpu in chosen:
            self._users[gpu] += 1
            self._given[gpu] += 1
        self._of_trial[trial_id] = chosen
        return ",".join(self._gpus[gpu] for gpu in chosen)

    def release(self, trial_id: int) -> None:
        """The trial's attempt has ended."""
        for gpu in self._of_trial.pop(trial_id, ()):
            self._users[gpu] -= 1


def _only(number: int) -> str:
    return "is only 1 GPU" if number == 1 else f"are only {number} GPUs"
