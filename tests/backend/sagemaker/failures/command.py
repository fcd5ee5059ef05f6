"""The command that is killed, interrupted and given again: ``command.py FOLDER ARGUMENTS [WHERE WHEN NUMBER]``.

``ARGUMENTS`` is the text of a dict for :func:`make_tuner`. With ``WHERE`` (``Class.method`` of :data:`STEPS`), ``WHEN``
(``before`` or ``after``) and ``NUMBER`` it kills itself with SIGKILL at that call of the method, counted from 1.
"""

from __future__ import annotations

import ast
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from cloudtune.aws.checkpoints import TrialCheckpoints
from cloudtune.aws.s3 import Bucket
from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.backend.sagemaker_backend.backend import SageMakerBackend
from cloudtune.backend.sagemaker_backend.desk import Desk
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.backend.sagemaker_backend.trial_requests import TrialRequests
from cloudtune.store.local_store import LocalStore
from tests.backend.sagemaker.failures.experiment import make_tuner

#: Classes whose methods it may die at.
STEPS: tuple[type, ...] = (
    Bucket,
    Desk,
    LifeWriter,
    LocalStore,
    SageMakerBackend,
    TrainingJobs,
    TrialCheckpoints,
    TrialRequests,
)


def die_at(where: str, when: str, number: int) -> None:
    """Wraps the method."""
    owner_name, _, name = where.partition(".")
    owner = next(one for one in STEPS if one.__name__ == owner_name)
    method = getattr(owner, name)
    calls = 0

    def around(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls
        if when == "before" and mine == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*args, **kwargs)
        if when == "after" and mine == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, around)


def main() -> None:
    """Runs or continues the experiment."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    folder, arguments, *death = sys.argv[1:]
    if death:
        die_at(death[0], death[1], int(death[2]))
    make_tuner(Path(folder), **ast.literal_eval(arguments)).run()


if __name__ == "__main__":
    main()
