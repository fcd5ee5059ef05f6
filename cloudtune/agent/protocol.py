"""What a tuner and the agents in its training jobs say to each other: names of objects in S3, and what they hold.

Everything of an experiment lies below one prefix, ``cloudtune/<tag>/<name>/<id>/``::

    life.json                            sign of life of the tuner, and its wishes (tuner writes, agents read)
    inbox/<trial>-<attempt>.json         the head of each attempt: state and newest reports (agent writes, tuner reads)
    trials/<trial>/<attempt>/task.json   what the agent is to do (tuner writes; an input channel of the job)
    trials/<trial>/<attempt>/reports/<run>-<first>.jsonl
                                         older reports of the attempt, numbers ``first`` and up, one JSON line each
    trials/<trial>/<attempt>/end.json    the last head of an attempt: it stays when the one in the inbox is deleted
    checkpoints/<trial>/manifests/<generation>.json
    checkpoints/<trial>/files/<generation>/<number>
                                         a checkpoint is complete when its manifest is there
    synced/<trial>/                      the checkpoint directory as SageMaker itself keeps it, for jobs without S3

Only ``inbox/`` is listed again and again: one page tells which of 1,000 running trials have news.

Standard library only, and Python 3.8 syntax.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

#: Version of all forms here. Agent and tuner of an attempt come from the same installation, a continued experiment's
#: tuner may be newer than agents that still run.
FORMAT = 1

# Input channels of a job: the archive with agent, cloudtune and the user's source, and the folder with the task.
CHANNEL_CODE = "cloudtune"
CHANNEL_TASK = "cloudtune-task"
BUNDLE = "bundle.zip"
TASK = "task.json"
#: Folder in the archive that holds the user's source.
SOURCE_FOLDER = "source"

# States of an attempt, as its head tells them.
INSTALLING = "installing"  # restoring the checkpoint, installing requirements
RUNNING = "running"
ENDING = "ending"  # told to end; saves its checkpoint
ENDED = "ended"  # the head has an ``end``; nothing follows in this run

# How a run ended (``end["outcome"]``).
COMPLETED = "completed"  # the script ended by itself with exit code 0
FAILED = "failed"  # by itself with another, or it could not be started
STOPPED = "stopped"  # because of a wish
PAUSED = "paused"  # because of a wish, or because the tuner gave no sign of life; the checkpoint is complete
TERMINATED = "terminated"  # the platform sent SIGTERM: spot interruption, console, StopTrainingJob, max runtime

# Wishes in the life object.
WISH_STOP = "stop"
WISH_PAUSE = "pause"

# Lines on the agent's standard output, for tuners that cannot read reports from S3 (see cloudtune.agent.log_lines).
LOG_REPORT = "[cloudtune-report]: "
LOG_END = "[cloudtune-end]: "
LOG_NOTE = "[cloudtune]: "

# Environment of a training job.
ENV_JOB_ID = "CLOUDTUNE_JOB_ID"  # <experiment id>-<trial>-<attempt>
ENV_JOB_DIGEST = "CLOUDTUNE_JOB_DIGEST"  # of the request: tells our own job from a foreign one of the same name
ENV_PLACE = "CLOUDTUNE_PLACE"  # s3://bucket/prefix of the experiment


class Keys:
    """Keys of the objects of one experiment.

    Args:
        prefix: ``cloudtune/<tag>/<name>/<id>``, with or without a slash at the end.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.rstrip("/") + "/"
        self.life = self.prefix + "life.json"
        self.inbox = self.prefix + "inbox/"
        self.all_checkpoints = self.prefix + "checkpoints/"

    def head(self, trial: int, attempt: int) -> str:
        """The head of an attempt."""
        return "%s%d-%d.json" % (self.inbox, trial, attempt)

    def attempt(self, trial: int, attempt: int) -> str:
        """Prefix of what belongs to one attempt."""
        return "%strials/%d/%d/" % (self.prefix, trial, attempt)

    def task_folder(self, trial: int, attempt: int) -> str:
        """Prefix that is the job's input channel ``cloudtune-task``."""
        return self.attempt(trial, attempt) + "task/"

    def task(self, trial: int, attempt: int) -> str:
        """The task."""
        return self.task_folder(trial, attempt) + TASK

    def chunk(self, trial: int, attempt: int, run: int, first: int) -> str:
        """Reports of a run, from number ``first`` on."""
        return "%sreports/%d-%d.jsonl" % (self.attempt(trial, attempt), run, first)

    def end(self, trial: int, attempt: int) -> str:
        """The last head."""
        return self.attempt(trial, attempt) + "end.json"

    def checkpoints(self, trial: int) -> str:
        """Prefix of all a trial has saved."""
        return "%s%d/" % (self.all_checkpoints, trial)

    def manifests(self, trial: int) -> str:
        """Prefix of a trial's manifests."""
        return self.checkpoints(trial) + "manifests/"

    def manifest(self, trial: int, generation: str) -> str:
        """The manifest of a generation."""
        return "%s%s.json" % (self.manifests(trial), generation)

    def synced(self, trial: int) -> str:
        """Prefix of what SageMaker itself keeps of a trial's checkpoint directory, where the agent cannot."""
        return "%ssynced/%d/" % (self.prefix, trial)

    def files(self, trial: int, generation: str) -> str:
        """Prefix of the files that a generation has uploaded."""
        return "%sfiles/%s/" % (self.checkpoints(trial), generation)


def wish_key(trial: int, attempt: int) -> str:
    """Key of an attempt in ``life["wishes"]``."""
    return "%d-%d" % (trial, attempt)


def attempt_of_head(key: str) -> "Optional[Tuple[int, int]]":
    """Trial and attempt from the key of a head; None if it is no such key."""
    name = key.rpartition("/")[2]
    trial, dash, attempt = name[:-5].partition("-")
    if not name.endswith(".json") or not dash or not (trial.isdigit() and attempt.isdigit()):
        return None
    return int(trial), int(attempt)


def generation_name(attempt: int, run: int, number: int) -> str:
    """Name of a checkpoint's generation: later ones sort behind earlier ones."""
    return "%06d-%06d-%06d" % (attempt, run, number)
