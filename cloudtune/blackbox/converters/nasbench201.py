"""NASBench201: all 15,625 cells of a search space, on three image data sets, 200 epochs (Dong and Yang 2020).

Read is the archive of its successor NATS-Bench, which has the same cells with times: the folder
``NATS-tss-v1_0-3ffb9-simple``, with a file ``000000.pickle.pbz2`` and so on for each cell, and ``meta.pickle.pbz2``.
(The first release, ``NAS-Bench-201-*.pth``, was given up by its authors.) The files are pickles, and there is no other
form; see :mod:`~cloudtune.blackbox.converters.plain_pickle` for how they are read without executing anything in them.

A cell has six edges, each with one of five operations. It was trained one to three times on each data set; where a
cell has fewer trainings than others, its curves are repeated. Errors are shares, not percentages. The CIFAR-10 table
is of trainings on half of the training images, with an error on the other half (``valid_error``) and on the test images
(``test_error``) after every epoch. On the other two data sets the only error measured after every epoch is that on the
validation and test images together (``valtest_error``). The time of an epoch is that of training and of the first of
these measurements.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.blackbox.converters.plain_pickle import read_plain_pickle
from cloudtune.blackbox.converters.published import Source, chosen
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_space import choice

SOURCE = Source(
    "NAS-Bench-201 (Dong and Yang 2020, ICLR; as extended in NATS-Bench, Dong et al. 2021, IEEE TPAMI)",
    "NATS-tss-v1_0-3ffb9-simple.tar, unpacked to the folder NATS-tss-v1_0-3ffb9-simple,",
    "https://github.com/D-X-Y/NATS-Bench",
    "MIT",
)
OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
#: Edges from the nodes 0, 1 and 2 to those after them, in the order in which a cell is written down.
EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
CONFIG_SPACE = {edge: choice(OPERATIONS) for edge in EDGES}
RESOURCE_ATTR = "epoch"
#: Data set -> its name in the files, and for each metric the images it was measured on, the ones to optimise for first.
DATASETS: dict[str, tuple[str, dict[str, str]]] = {
    "cifar10": ("cifar10-valid", {"valid_error": "x-valid", "test_error": "ori-test"}),
    "cifar100": ("cifar100", {"valtest_error": "ori-test"}),
    "ImageNet16-120": ("ImageNet16-120", {"valtest_error": "ori-test"}),
}
#: Metrics of a training, of shape ``(epochs, n_metrics)``, and the seconds until the end of each epoch.
_Run = tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]
_LONG = "200"
_META = "meta.pickle.pbz2"
_CELL = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


def convert(path: str | Path, datasets: Collection[str] | None = None) -> Iterator[tuple[str, TabularBlackbox]]:
    """A table for each data set.

    Args:
        path: The unpacked folder.
        datasets: Which of ``cifar10``, ``cifar100`` and ``ImageNet16-120``. None: all.

    Raises:
        NoPublishedFile: The folder, or the file of a cell, is missing.
        UnknownForm: A file is something else, or holds more than plain data.
        ValueError: There is no such data set.
    """
    folder, names = Path(path), chosen(DATASETS, datasets)
    if not (folder / _META).is_file():
        raise SOURCE.missing(folder, _META)
    cells = [_configuration(folder, cell) for cell in _read(folder / _META)["meta_archs"]]
    found: dict[str, list[list[_Run]]] = {name: [] for name in names}
    for number in range(len(cells)):
        file = folder / f"{number:06d}.pickle.pbz2"
        if not file.is_file():
            raise SOURCE.missing(folder, file.name)
        try:
            trained = _read(file)[_LONG]
            for name in names:
                found[name].append([_curves(name, run) for run in _runs(name, trained)])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SOURCE.unknown(file, error) from error
    for name in names:
        yield name, _table(name, cells, found[name])


def _read(file: Path) -> Any:
    try:
        with bz2.open(file) as opened:
            return read_plain_pickle(opened)
    except (ValueError, OSError, EOFError) as error:
        raise SOURCE.unknown(file, error) from error


def _configuration(folder: Path, cell: str) -> dict[str, str]:
    match = _CELL.fullmatch(cell)
    if match is None:
        raise SOURCE.unknown(folder / _META, f"{cell!r} is no cell")
    return dict(zip(EDGES, match.groups(), strict=True))


def _runs(name: str, trained: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The trainings of a cell on a data set, by seed."""
    published = DATASETS[name][0]
    return [trained["all_results"][published, seed] for seed in sorted(trained["dataset_seed"][published])]


def _curves(name: str, run: Mapping[str, Any]) -> _Run:
    sets = list(DATASETS[name][1].values())
    epochs = range(run["epochs"])
    accuracies = np.array([[run["eval_acc1es"][f"{images}@{epoch}"] for images in sets] for epoch in epochs])
    seconds = [run["train_times"][epoch] + run["eval_times"][f"{sets[0]}@{epoch}"] for epoch in epochs]
    return (1.0 - accuracies / 100.0).astype(np.float32), np.cumsum(seconds)


def _table(name: str, cells: Sequence[Mapping[str, str]], trainings: Sequence[Sequence[_Run]]) -> TabularBlackbox:
    seeds = max(len(runs) for runs in trainings)
    repeated = [[runs[seed % len(runs)] for seed in range(seeds)] for runs in trainings]
    values = np.array([[metrics for metrics, _ in runs] for runs in repeated])
    return TabularBlackbox(
        CONFIG_SPACE,
        {edge: [cell[edge] for cell in cells] for edge in EDGES},
        values,
        list(DATASETS[name][1]),
        list(range(1, values.shape[2] + 1)),
        RESOURCE_ATTR,
        elapsed=np.array([[times for _, times in runs] for runs in repeated]),
        about=SOURCE.about(f"Data set {name}. Cells that were trained fewer times than others repeat their curves."),
    )
