"""TaskSet: training curves of a thousand settings of Adam with regularisers on small networks (Metz et al. 2020).

Two forms are read: the JSON files of the DyHPO repository, one per task, each a list of ``{"hp": {...}, "train":
{"loss": [...]}, "valid": ..., "test": ...}``; and ``.npz`` files with the arrays ``names``, ``configs``, ``valid`` and
``test``. A curve has 51 equally spaced points; the first is measured before training, and left out of the table: step
1 is the first fiftieth of training. Losses that are NaN, infinite or enormous are kept.

The data have no times, so a table carries an assumption: each step takes as long as any other, a minute unless told
otherwise.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.blackbox.converters.published import Source, chosen, files_at
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.blackbox.time_model import ConstantTime
from cloudtune.config_space import loguniform, reverseloguniform

SOURCE = Source(
    "TaskSet (Metz et al. 2020, Using a thousand optimization tasks to learn hyperparameter search strategies)",
    "the JSON file of a task in data/taskset of the DyHPO repository",
    "https://github.com/machinelearningnuremberg/DyHPO",
    "Apache-2.0",
)
#: The space that the configurations were drawn from: everything log-uniform, for the betas 1 - beta.
CONFIG_SPACE = {
    "learning_rate": loguniform(1e-8, 10.0),
    "beta1": reverseloguniform(0.0, 0.9999),
    "beta2": reverseloguniform(0.0, 0.999999),
    "epsilon": loguniform(1e-10, 1e3),
    "l1": loguniform(1e-8, 10.0),
    "l2": loguniform(1e-8, 10.0),
    "linear_decay": loguniform(1e-7, 1e-4),
    "exponential_decay": loguniform(1e-6, 1e-3),
}
METRICS = ("valid_loss", "test_loss")
RESOURCE_ATTR = "step"
SECONDS_PER_STEP = 60.0

_PARTS = ("valid", "test")


def convert(
    path: str | Path, datasets: Collection[str] | None = None, *, seconds_per_step: float = SECONDS_PER_STEP
) -> Iterator[tuple[str, TabularBlackbox]]:
    """A table for each task.

    Args:
        path: A ``.json`` or ``.npz`` file, or a folder of such files. A task is named as its file.
        datasets: Names of the tasks that are wanted. None: all.
        seconds_per_step: What one of the 50 steps is assumed to take.

    Raises:
        NoPublishedFile: There is no such file.
        UnknownForm: A file is something else.
        ValueError: A task that is wanted is not there, or ``seconds_per_step`` is no finite number over 0.
    """
    time_model = ConstantTime(seconds_per_step)
    files = {file.stem: file for file in files_at(SOURCE, path, "*.json", "*.npz")}
    for name in chosen(files, datasets):
        read = _read_arrays if files[name].suffix == ".npz" else _read_json
        try:
            configs, curves = read(files[name])
            table = TabularBlackbox(
                CONFIG_SPACE,
                dict(zip(CONFIG_SPACE, configs.T, strict=True)),
                curves[:, np.newaxis, 1:],
                METRICS,
                list(range(1, curves.shape[1])),
                RESOURCE_ATTR,
                time_model=time_model,
                about=SOURCE.about(f"Task {name}. Times are assumed: {seconds_per_step:g} s per step."),
            )
        except (ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
            raise SOURCE.unknown(files[name], error) from error
        yield name, table


def _read_arrays(file: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.floating[Any]]]:
    """Configurations of shape ``(n, 8)`` and curves of shape ``(n, 51, 2)``."""
    with np.load(file, allow_pickle=False) as arrays:
        names = arrays["names"].tolist()
        columns = [names.index(name) for name in CONFIG_SPACE]
        return arrays["configs"][:, columns], np.stack([arrays[part] for part in _PARTS], axis=-1)


def _read_json(file: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.floating[Any]]]:
    """Configurations of shape ``(n, 8)`` and curves of shape ``(n, 51, 2)``."""
    runs = json.loads(file.read_text(encoding="utf-8"))
    configs = np.array([[run["hp"][name] for name in CONFIG_SPACE] for run in runs], dtype=np.float64)
    curves = np.array([[run[part]["loss"] for part in _PARTS] for run in runs], dtype=np.float64)
    return configs, curves.transpose(0, 2, 1)
