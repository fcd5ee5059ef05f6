"""The command that is killed and given again: ``command.py FOLDER ARGUMENTS [WHERE WHEN NUMBER [SIGNAL]]``.

``ARGUMENTS`` is the text of a dict for :func:`make_tuner`; with ``store`` in it the event log lies in S3, below that
prefix of the bucket, and its lease ends within seconds. With ``WHERE`` (``Class.method`` of :data:`STEPS`), ``WHEN``
(``before`` or ``after``) and ``NUMBER`` it sends itself a signal, by default SIGKILL, at that call of the method,
counted from 1.
"""

from __future__ import annotations

import ast
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.backend.sagemaker_backend.trial_requests import TrialRequests
from cloudtune.errors import ExperimentLocked
from cloudtune.store.local_store import LocalStore
from cloudtune.store.s3_store import S3Store
from cloudtune.store.s3_writer import LogWriter
from tests.backend.sagemaker.failures.experiment import make_tuner
from tests.backend.sagemaker.harness import BUCKET
from tests.store.paused_process import shorten_the_lease

#: Classes whose methods it may die at.
STEPS: tuple[type, ...] = (
    Bucket,
    Desk,
    LifeWriter,
    LocalStore,
    LogWriter,
    S3Store,
    SageMakerBackend,
    TrainingJobs,
    TrialCheckpoints,
    TrialRequests,
)


def die_at(where: str, when: str, number: int, sent: int = signal.SIGKILL) -> None:
    """Wraps the method; ``sent`` is the signal."""
    owner_name, _, name = where.partition(".")
    owner = next(one for one in STEPS if one.__name__ == owner_name)
    method = getattr(owner, name)
    calls = 0

    def around(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls
        if when == "before" and mine == number:
            os.kill(os.getpid(), sent)
        result = method(*args, **kwargs)
        if when == "after" and mine == number:
            os.kill(os.getpid(), sent)
        return result

    setattr(owner, name, around)


def main() -> None:
    """Runs or continues the experiment."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    folder, arguments, *death = sys.argv[1:]
    if death:
        die_at(death[0], death[1], *map(int, death[2:]))
    given = ast.literal_eval(arguments)
    root = given.pop("store", None)
    tuner = make_tuner(Path(folder), **given)
    if root is None:
        tuner.run()
        return
    shorten_the_lease()
    tuner.keep_in(S3Store(Bucket(aws_for(), BUCKET), root))
    while True:
        try:
            tuner.run()
        except ExperimentLocked:
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main()
