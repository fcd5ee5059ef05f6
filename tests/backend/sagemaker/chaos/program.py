"""The command that is killed and given again: ``program.py TRIALS WORKERS spot|pool TRUTH``, in a cloud."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend.sagemaker_backend import Cadence, SageMakerBackend, TrainingJob
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import ASHA

NAME = "chaos"
BUCKET = "experiments"
SEED = 11
#: Reports wait at most so long in a job before they are shipped (seconds).
PUT_INTERVAL = 0.5
CADENCE = Cadence(
    poll=0.3,
    status=3.0,
    logs=1.0,
    life=2.0,
    settle=(0.1, 0.5, 1.0, 2.0, 4.0),
    stop_margin=8.0,
    first_wait=0.5,
    longest_wait=4.0,
    agent_put=PUT_INTERVAL,
    agent_watch=0.5,
    agent_heartbeat=5.0,
    checkpoint=0.5,
)


def main() -> None:
    """Runs or continues the experiment."""
    trials, workers, kind, truth = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    make_tuner(trials, workers, kind, truth).run()


def make_tuner(trials: int, workers: int, kind: str, truth: str) -> Tuner:
    """The tuner of the experiment.

    Args:
        trials: How many.
        workers: How many jobs at once.
        kind: ``spot`` or ``pool``.
        truth: Folder in which scripts record what they report.
    """
    job = TrainingJob(
        Path(__file__).with_name("train.py"),
        instance_type="ml.g4dn.xlarge",
        image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1",
        role="arn:aws:iam::123456789012:role/trainer",
        environment={"CHAOS_TRUTH": truth, "CHAOS_SECONDS": "0.1"},
        volume_size=1,
        max_run=3600,
        use_spot=kind == "spot",
        keep_alive_period=600 if kind == "pool" else 0,
        max_retries=3,
    )
    return Tuner(
        trial_backend=SageMakerBackend(
            job, f"s3://{BUCKET}", cadence=CADENCE, stop_grace=5.0, fallback_instance_types=["ml.g5.xlarge"]
        ),
        scheduler=ASHA(
            {"x": uniform(0, 1), "max_epochs": 20},
            metric="loss",
            mode="min",
            resource_attr="epoch",
            max_resource_attr="max_epochs",
            type="promotion",
            grace_period=2,
            reduction_factor=3,
            random_seed=SEED,
        ),
        stop_criterion=StoppingCriterion(max_num_trials_started=trials),
        n_workers=workers,
        tuner_name=NAME,
        suffix_tuner_name=False,
        max_failures=1000,
    )


if __name__ == "__main__":
    main()
