"""The program that launches a study and waits for it; it is killed, and begun again, as often as a test likes.

It exits with 0 once every experiment has reached its end.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from pathlib import Path

from cloudtune.config_space import uniform
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.launching import launch_study
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings

TAG = "chaos"
TRIALS = 3
EPOCHS = 3
SCRIPT = Path(__file__).with_name("train.py")
CENTRES = {"left": 0.1, "middle": 0.5, "right": 0.9}
METHODS = ("RS", "ASHA", "ASHA-STOP")
SEEDS = 3
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1"


def _benchmark(name: str) -> BenchmarkDefinition:
    return BenchmarkDefinition(
        name=name,
        script=SCRIPT,
        config_space={"x": uniform(0, 1), "centre": CENTRES[name], "epochs": EPOCHS},
        metric="loss",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="epochs",
        max_wallclock_time=600.0,
        n_workers=2,
        instance_type="ml.m5.large",
        environment={"TRUTH": os.environ["TRUTH"]},
    )


def plan(backend: str) -> Plan:
    """Three methods on three benchmarks with three seeds."""
    settings = CellSettings(backend=backend, max_num_trials_started=TRIALS)
    return Plan(TAG, tuple(CENTRES), METHODS, num_seeds=SEEDS, settings=settings)


def catalogue() -> Catalogue:
    """The three benchmarks."""
    return Catalogue({name: partial(_benchmark, name) for name in CENTRES})


def main(backend: str, at_once: int) -> None:
    """Launches what is missing, and waits."""
    logging.basicConfig(level=logging.INFO)
    account = Account(
        role="arn:aws:iam::123456789012:role/tuner",
        image_uri=IMAGE,
        tuner_image_uri=IMAGE,
        tuner_instance_type="ml.m5.large",
    )
    done = launch_study(
        catalogue(),
        plan(backend),
        account,
        max_parallel_experiments=at_once,
        wait=True,
        tell=partial(print, flush=True),
    )
    if len(done.finished) < plan(backend).size:
        sys.exit(f"not all have reached their end: {done}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
