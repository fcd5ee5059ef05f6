"""The JSON forms of the objects that tuner and agents exchange, as types. Python 3.8 syntax.

Times of day are for people only: no clock of a job is ever compared with the tuner's.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, TypedDict


class _Task(TypedDict):
    format: int
    bucket: str
    owner: str  # account that owns the bucket, for ExpectedBucketOwner
    prefix: str  # of the experiment, see protocol.Keys
    region: str
    kms_key: Optional[str]  # for what the agent writes; None: the bucket's default
    trial: int
    attempt: int
    config: Dict[str, Any]  # typed, as the scheduler suggested it
    arguments: List[str]  # the script's command line, without --st_checkpoint_dir
    pass_args_as_json: bool  # then --st_config_json_filename, a file with the config, stands in place of arguments
    entry_point: str  # relative to the source folder; .py by Python, .sh by sh, else executed
    environment: Dict[str, str]  # CLOUDTUNE_EXPERIMENT, CLOUDTUNE_TRIAL, CLOUDTUNE_ATTEMPT, a price, ...
    use_s3: bool  # False: reports go to the log, checkpoints by SageMaker's own CheckpointConfig
    checkpoint_dir: str  # absolute, or "" for <base>/checkpoints
    put_interval: float  # seconds between two puts of the head, at the least
    watch_interval: float  # seconds between two looks at the life object
    heartbeat: float  # the head is put again after so many seconds without news
    life_timeout: float  # dead-man switch; 0: none
    stop_grace: float  # seconds between SIGTERM and SIGKILL for the script
    checkpoint_interval: float  # seconds between two generations while the script runs, at the least


class Task(_Task, total=False):
    """``task.json``: what the agent of one attempt is to do."""

    termination_grace: float  # seconds between SIGTERM and SIGKILL for the script where the platform ends the job
    python: str  # what Python the script needs (3.11), told before anything is installed for it
    python_note: str  # one sentence for the case that it is another one
    launched_by: Dict[str, Any]  # of a tuner's job: the process that has launched it, with a nonce


class EndForm(TypedDict):
    """``head["end"]``."""

    outcome: str  # protocol.COMPLETED, ...
    exit_code: Optional[int]
    signal: Optional[int]  # number of the signal that ended the script
    reason: str  # one sentence for people; "" where the outcome says it all
    output: str  # last lines of the script's output, at most 2 kB


class Head(TypedDict):
    """``inbox/<trial>-<attempt>.json`` and ``end.json``. The newest reports, and where the older ones are."""

    format: int
    trial: int
    attempt: int
    run: int  # of the newest run; a spot restart is a new one
    state: str  # protocol.INSTALLING, ...
    beat: int  # grows with every put of a run
    chunks: List[Tuple[int, int, int]]  # (run, number of the first report, how many), in order, over all runs
    first: int  # number of the first report in ``reports``
    reports: List[Dict[str, Any]]  # of run ``run``
    checkpoint: Optional[str]  # newest complete generation
    ended_runs: Dict[str, EndForm]  # how earlier runs ended, where that is known, by their number
    end: Optional[EndForm]
    host: str
    job: str
    unix: float  # the job's time of day


class Life(TypedDict):
    """``life.json``. Whoever writes it is the tuner; a change of the object is its sign of life."""

    format: int
    nonce: str  # of the tuner that writes
    beat: int
    stop_all: Optional[str]  # a wish for every attempt of the experiment, or None
    wishes: Dict[str, str]  # protocol.wish_key -> protocol.WISH_STOP or WISH_PAUSE
    unix: float


class ManifestFile(TypedDict):
    """One file of a checkpoint."""

    path: str  # relative to the checkpoint directory, "/" between folders
    key: str  # of the object that holds it; unchanged files stay where an earlier generation has put them
    size: int
    etag: str
    mode: int  # permission bits


class Manifest(TypedDict):
    """``manifests/<generation>.json``, put after all files are there and were verified by a listing."""

    format: int
    generation: str
    files: List[ManifestFile]
    folders: List[str]  # empty ones
    reports: int  # how many reports of the run were shipped before the files were read
    unix: float
