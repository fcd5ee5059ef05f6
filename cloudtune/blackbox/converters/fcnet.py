"""FCNet: all 62,208 networks of a grid on four regression problems, four trainings each (Klein and Hutter 2019).

Published is an HDF5 file per problem, ``fcnet_*_data.hdf5``. Its groups are named by configurations as JSON; a group
has the data sets ``valid_mse`` (for the year prediction data ``valid_mae``), ``train_mse`` and others of 100 epochs for
each of the four trainings, and ``runtime``: seconds of each whole training. A table spreads these evenly over the
epochs, as the authors do. Needs h5py.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cloudtune.blackbox.converters.published import Source, chosen, files_at, library
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_space import choice, ordinal

SOURCE = Source(
    "FCNet (Klein and Hutter 2019, Tabular benchmarks for joint architecture and hyperparameter optimization)",
    "fcnet_tabular_benchmarks.tar.gz, with a file fcnet_*_data.hdf5 for each of its problems,",
    "http://ml4aad.org/wp-content/uploads/2019/01/fcnet_tabular_benchmarks.tar.gz",
    "BSD-3-Clause",
)
_UNITS = [16, 32, 64, 128, 256, 512]
CONFIG_SPACE = {
    "n_units_1": ordinal(_UNITS),
    "n_units_2": ordinal(_UNITS),
    "dropout_1": ordinal([0.0, 0.3, 0.6]),
    "dropout_2": ordinal([0.0, 0.3, 0.6]),
    "activation_fn_1": choice(["tanh", "relu"]),
    "activation_fn_2": choice(["tanh", "relu"]),
    "init_lr": ordinal([5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1]),
    "lr_schedule": choice(["cosine", "const"]),
    "batch_size": ordinal([8, 16, 32, 64]),
}
RESOURCE_ATTR = "epoch"
#: Published curves that a table takes over, where a file has them, the one to optimise first.
METRICS = ("valid_mse", "valid_mae", "train_mse", "train_mae")


def convert(path: str | Path, datasets: Collection[str] | None = None) -> Iterator[tuple[str, TabularBlackbox]]:
    """A table for each problem, named ``protein_structure`` and the like.

    Args:
        path: One of the files, or a folder with them.
        datasets: Names of the problems that are wanted. None: all.

    Raises:
        NoPublishedFile: There is no such file.
        UnknownForm: A file is something else.
        MissingLibrary: h5py is not installed.
        ValueError: A problem that is wanted is not there.
    """
    files = {
        file.stem.removeprefix("fcnet_").removesuffix("_data"): file for file in files_at(SOURCE, path, "fcnet_*.hdf5")
    }
    h5py = library("h5py", "converting FCNet")
    for name in chosen(files, datasets):
        try:
            with h5py.File(files[name], "r") as published:
                table = _table(name, published)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SOURCE.unknown(files[name], error) from error
        yield name, table


def _table(name: str, published: Any) -> TabularBlackbox:
    keys = sorted(published)
    metrics = [metric for metric in METRICS if metric in published[keys[0]]] if keys else []
    if not metrics or not metrics[0].startswith("valid"):
        raise ValueError("it has no groups with a data set valid_mse or valid_mae")
    configs = [json.loads(key) for key in keys]
    seeds, epochs = published[keys[0]][metrics[0]].shape
    values = np.empty((len(keys), seeds, epochs, len(metrics)), dtype=np.float32)
    seconds = np.empty((len(keys), seeds))
    for row, key in enumerate(keys):
        group = published[key]
        for column, metric in enumerate(metrics):
            values[row, :, :, column] = group[metric][()]
        seconds[row] = group["runtime"][()]
    return TabularBlackbox(
        CONFIG_SPACE,
        {parameter: [config[parameter] for config in configs] for parameter in CONFIG_SPACE},
        values,
        metrics,
        list(range(1, epochs + 1)),
        RESOURCE_ATTR,
        elapsed=seconds[:, :, np.newaxis] * (np.arange(1, epochs + 1) / epochs),
        about=SOURCE.about(f"Problem {name}. The time of a training is spread evenly over its epochs."),
    )
