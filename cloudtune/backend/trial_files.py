"""Where the files of a local trial lie. Imported by the tuner and by the supervisor, so it imports next to nothing."""

from __future__ import annotations

from cloudtune.constants import ENV_ATTEMPT, ENV_TRIAL

STDOUT = "std.out"
STDERR = "std.err"
CONFIG = "config.json"
CHECKPOINTS = "checkpoints"

#: Beside the trials, in the folder of the experiment.
TRIALS = "trials"
SUPERVISOR_LOCK = "supervisor.lock"
SUPERVISOR_LOG = "supervisor.log"
WAKE_FIFO = "wake.fifo"

#: In the environment of a supervisor and its trials: which supervisor. The experiment may have another by now.
ENV_SUPERVISOR = "CLOUDTUNE_SUPERVISOR"

#: In the supervisor's environment, with room for a number: a fork that runs a trial writes its own there.
PLACEHOLDERS = {ENV_TRIAL: "#" * 10, ENV_ATTEMPT: "#" * 10}


def trial_folder(trials: str, trial: int) -> str:
    """Folder of one trial, all attempts together."""
    return f"{trials}/{trial}"


def report_file(trials: str, trial: int, attempt: int) -> str:
    """Where the Reporter of one attempt appends its lines."""
    return f"{trials}/{trial}/reports-{attempt}.jsonl"


def end_file(trials: str, trial: int, attempt: int) -> str:
    """Where the supervisor records how an attempt ended, before anybody is told."""
    return f"{trials}/{trial}/end-{attempt}.json"
