"""Where the files of a local trial lie. Imported by the tuner and by the supervisor, so it imports nothing itself."""

from __future__ import annotations

STDOUT = "std.out"
STDERR = "std.err"
CONFIG = "config.json"
CHECKPOINTS = "checkpoints"

#: Beside the trials, in the folder of the experiment.
TRIALS = "trials"
SUPERVISOR_LOCK = "supervisor.lock"
SUPERVISOR_LOG = "supervisor.log"
WAKE_FIFO = "wake.fifo"


def trial_folder(trials: str, trial: int) -> str:
    """Folder of one trial, all attempts together."""
    return f"{trials}/{trial}"


def report_file(trials: str, trial: int, attempt: int) -> str:
    """Where the Reporter of one attempt appends its lines."""
    return f"{trials}/{trial}/reports-{attempt}.jsonl"


def end_file(trials: str, trial: int, attempt: int) -> str:
    """Where the supervisor records how an attempt ended, before anybody is told."""
    return f"{trials}/{trial}/end-{attempt}.json"
