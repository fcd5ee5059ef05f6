"""LCBench: 2,000 networks on each of 35 tabular data sets, over 50 epochs, with times (Zimmer et al. 2021).

Published is one JSON text, plain or in a ``.zip``: data set -> number of the run -> ``{"config": ..., "log": ...,
"results": ...}``, where ``log`` has lists of 52 values. Their ``epoch`` counts from 0, which is before training; epochs
1 to 50 make the table. ``time`` is the seconds since the start of training. The text is read as a whole: the file of
all data sets takes several times its size in memory.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cloudtune.blackbox.converters.published import Source, chosen, files_at
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_space import Float, Integer, lograndint, loguniform, randint, uniform

SOURCE = Source(
    "LCBench (Zimmer, Lindauer and Hutter 2021, Auto-PyTorch Tabular, IEEE TPAMI 43)",
    "six_datasets_lw.zip (6 data sets) or data_2k_lw.zip (all 35)",
    "https://figshare.com/projects/LCBench/74151",
    "Apache-2.0",
)
CONFIG_SPACE: dict[str, Float | Integer] = {
    "batch_size": lograndint(16, 512),
    "learning_rate": loguniform(1e-4, 1e-1),
    "momentum": uniform(0.1, 0.99),
    "weight_decay": uniform(1e-5, 1e-1),
    "num_layers": randint(1, 5),
    "max_units": lograndint(64, 1024),
    "max_dropout": uniform(0.0, 1.0),
}
EPOCHS = 50
RESOURCE_ATTR = "epoch"
#: Names in a table -> names in the published log.
METRICS = {
    "val_accuracy": "Train/val_accuracy",
    "val_balanced_accuracy": "Train/val_balanced_accuracy",
    "val_cross_entropy": "Train/val_cross_entropy",
    "test_accuracy": "Train/test_result",
    "test_balanced_accuracy": "Train/test_balanced_accuracy",
    "test_cross_entropy": "Train/test_cross_entropy",
}
#: How far a value may lie outside its domain for having been rounded.
_ROUNDING = 1e-9


def convert(path: str | Path, datasets: Collection[str] | None = None) -> Iterator[tuple[str, TabularBlackbox]]:
    """A table for each data set; accuracies are percentages.

    Args:
        path: The ``.zip`` or ``.json`` file, or a folder with it.
        datasets: Names of the data sets that are wanted, as LCBench has them (``"Fashion-MNIST"``). None: all.

    Raises:
        NoPublishedFile: There is no such file.
        UnknownForm: A file is something else.
        ValueError: A data set that is wanted is not there.
    """
    file = files_at(SOURCE, path, "*_lw.zip", "*_lw.json", "*.zip", "*.json")[0]
    try:
        published = json.loads(_text(file))
    except (ValueError, zipfile.BadZipFile) as error:
        raise SOURCE.unknown(file, error) from error
    for name in chosen(published, datasets):
        try:
            table = _table(name, published[name])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SOURCE.unknown(file, f"data set {name}: {error}") from error
        yield name, table


def _text(file: Path) -> bytes:
    if file.suffix != ".zip":
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        if not names:
            raise ValueError("there is no .json in it")
        return archive.read(names[0])


def _table(name: str, runs: Mapping[str, Mapping[str, Any]]) -> TabularBlackbox:
    ordered = [runs[number] for number in sorted(runs, key=int)]
    metrics = {metric: key for metric, key in METRICS.items() if key in ordered[0]["log"]}
    curves = [_epochs(run["log"], ["time", *metrics.values()]) for run in ordered]
    return TabularBlackbox(
        CONFIG_SPACE,
        {parameter: [_inside(parameter, run["config"][parameter]) for run in ordered] for parameter in CONFIG_SPACE},
        np.array([[log[key] for key in metrics.values()] for log in curves]).transpose(0, 2, 1)[:, np.newaxis],
        list(metrics),
        list(range(1, EPOCHS + 1)),
        RESOURCE_ATTR,
        elapsed=np.array([log["time"] for log in curves])[:, np.newaxis],
        about=SOURCE.about(f"Data set {name}."),
    )


def _epochs(log: Mapping[str, list[float]], keys: list[str]) -> dict[str, list[float]]:
    """What was logged after epochs 1 to 50."""
    places = {int(epoch): place for place, epoch in enumerate(log["epoch"])}
    return {key: [log[key][places[epoch]] for epoch in range(1, EPOCHS + 1)] for key in keys}


def _inside(parameter: str, value: float) -> float:
    """The value; its bound if it lies outside by no more than rounding."""
    domain = CONFIG_SPACE[parameter]
    nearest = min(max(value, domain.lower), domain.upper)
    return nearest if abs(nearest - value) <= _ROUNDING else value
