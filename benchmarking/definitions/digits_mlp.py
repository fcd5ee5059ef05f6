"""Benchmark ``digits_mlp``: a small network learns to read handwritten digits; a trial takes seconds on one core."""

from __future__ import annotations

from pathlib import Path

from cloudtune.config_space import lograndint, loguniform
from cloudtune.studies.benchmark import BenchmarkDefinition

SCRIPT = Path(__file__).parents[1] / "training_scripts" / "digits_mlp.py"


def digits_mlp() -> BenchmarkDefinition:
    """Learning rate, batch size, width and weight decay of a network with two hidden layers, on 1,797 scans."""
    return BenchmarkDefinition(
        name="digits_mlp",
        script=SCRIPT,
        config_space={
            "learning_rate": loguniform(1e-4, 1.0),
            "batch_size": lograndint(8, 256),
            "width": lograndint(8, 256),
            "alpha": loguniform(1e-6, 1.0),
            "max_epochs": 27,
        },
        metric="validation_error",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="max_epochs",
        max_wallclock_time=300.0,
        seed_attr="random_seed",
        blackbox="digits_mlp",
    )
