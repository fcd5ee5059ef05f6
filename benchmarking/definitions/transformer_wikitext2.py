"""Benchmark ``transformer_wikitext2``: a transformer language model learns from WikiText-2; a trial wants a GPU."""

from __future__ import annotations

import os
from pathlib import Path

from cloudtune.config_space import loguniform, randint, uniform
from cloudtune.studies.benchmark import BenchmarkDefinition

SCRIPT = Path(__file__).parents[1] / "training_scripts" / "transformer_wikitext2" / "train.py"

#: Names the folder, or the ``s3://`` prefix, in which data sets lie, each in a folder of its own.
ENV_DATA = "CLOUDTUNE_DATA"
_DEFAULT_DATA = "~/cloudtune-data"
_FOLDER = "wikitext-2"


def transformer_wikitext2() -> BenchmarkDefinition:
    """Learning rate, momentum, length of gradients, dropout and batch size of a transformer with two layers.

    Domains, and all that is held fixed, are those of the tutorial whose figure this benchmark is known from.
    """
    data = os.environ.get(ENV_DATA) or _DEFAULT_DATA
    return BenchmarkDefinition(
        name="transformer_wikitext2",
        script=SCRIPT,
        config_space={
            "lr": loguniform(1e-6, 1e-3),
            "dropout": uniform(0.0, 0.99),
            "batch_size": randint(16, 48),
            "momentum": uniform(0.0, 0.99),
            "clip": uniform(0.0, 1.0),
            "epochs": 40,
            "d_model": 256,
            "ffn_ratio": 1,
            "nlayers": 2,
            "nhead": 2,
            "bptt": 35,
            "optimizer_name": "sgd",
            "precision": "float",
            "seed": 1111,
        },
        metric="val_loss",
        mode="min",
        resource_attr="epoch",
        max_resource_attr="epochs",
        max_wallclock_time=5 * 3600.0,
        n_workers=4,
        instance_type="ml.g4dn.xlarge",
        local_instance_type="ml.g4dn.12xlarge",
        inputs={"wikitext2": f"{data.rstrip('/')}/{_FOLDER}"},
        inputs_from=(
            "get train.txt, valid.txt and test.txt from "
            "https://github.com/pytorch/examples/tree/main/word_language_model/data/wikitext-2 and put them there, or "
            f"set {ENV_DATA} to the folder, or the s3:// prefix, in which their folder {_FOLDER} lies"
        ),
        seed_attr="seed",
    )
