"""NASBench201: a tiny folder in the form of NATS-Bench's archive."""

from __future__ import annotations

import bz2
import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune.blackbox.converters import converter
from cloudtune.blackbox.converters.nasbench201 import EDGES
from cloudtune.blackbox.converters.published import NoPublishedFile, UnknownForm

convert = converter("nasbench201").convert

CELLS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
]
EPOCHS = 4
SEEDS = {"cifar10-valid": [777, 888], "cifar10": [777], "cifar100": [777], "ImageNet16-120": [777]}


def training(dataset: str, seed: int, number: int) -> dict[str, Any]:
    """A training as it is published. Accuracy on any images is ``10 * epoch + number``, with the seed 888 one more."""
    images = {"cifar10-valid": ["x-valid", "ori-test"], "cifar10": ["ori-test"]}.get(dataset, ["ori-test"])
    keys = [(f"{name}@{epoch}", epoch) for name in images for epoch in range(EPOCHS)]
    if dataset not in ("cifar10-valid", "cifar10"):
        keys += [(f"{name}@{EPOCHS - 1}", EPOCHS - 1) for name in ("x-valid", "x-test")]  # only after the last epoch
    accuracies = {key: 10.0 * epoch + number + (seed == 888) for key, epoch in keys}
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": collections.OrderedDict((epoch, 50.0) for epoch in range(EPOCHS)),
        "train_losses": collections.OrderedDict((epoch, 1.0) for epoch in range(EPOCHS)),
        "train_times": collections.OrderedDict((epoch, np.float64(8.0 + number)) for epoch in range(EPOCHS)),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": CELLS[number], "class_num": 10},
        "params": 0.1,
        "flop": np.float32(1.5),
        "seed": seed,
        "epochs": EPOCHS,
        "latency": [0.01, 0.02],
        "eval_names": images,
        "eval_acc1es": accuracies,
        "eval_losses": dict.fromkeys(accuracies, 1.0),
        "eval_times": dict.fromkeys(accuracies, 2.0),
    }


def cell(number: int) -> dict[str, Any]:
    """The file of a cell; the second cell was trained once only."""
    seeds = {dataset: known if number == 0 else [777] for dataset, known in SEEDS.items()}
    state = {
        "arch_index": number,
        "arch_str": CELLS[number],
        "all_results": {
            (dataset, seed): training(dataset, seed, number) for dataset, known in seeds.items() for seed in known
        },
        "dataset_seed": seeds,
        "clear_net_done": True,
    }
    return {"12": {}, "200": state}


def write(file: Path, content: Any) -> None:
    """A file of the archive."""
    with bz2.open(file, "wb") as opened:
        pickle.dump(content, opened, protocol=4)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The folder with both cells."""
    folder = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    folder.mkdir()
    write(folder / "meta.pickle.pbz2", {"meta_archs": CELLS, "total_archs": set(CELLS)})
    for number in range(len(CELLS)):
        write(folder / f"{number:06d}.pickle.pbz2", cell(number))
    return folder


def test_cells_are_configurations(archive: Path) -> None:
    """Six edges name an operation each, in the order of the nodes they lead to."""
    tables = dict(convert(archive))
    assert list(tables) == ["cifar10", "cifar100", "ImageNet16-120"]
    assert [tables["cifar10"].config_at(1)[edge] for edge in EDGES] == [
        "nor_conv_3x3",
        "nor_conv_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "nor_conv_3x3",
        "none",
    ]
    assert tables["cifar10"].config_at(0)["edge_1_2"] == "skip_connect"


def test_errors_and_times(archive: Path) -> None:
    """Errors are shares after each epoch; its time is that of training and of measuring; trainings are seeds."""
    ((_, table),) = convert(archive, ["cifar10"])
    assert table.metrics == ("valid_error", "test_error")
    assert table.num_seeds == 2
    first, second = table.curve_at(0, 0), table.curve_at(0, 1)
    assert first.resources == [1, 2, 3, 4]
    assert first.metrics["valid_error"] == pytest.approx([1.0, 0.9, 0.8, 0.7])
    assert second.metrics["valid_error"] == pytest.approx([0.99, 0.89, 0.79, 0.69])
    assert first.elapsed == pytest.approx([10.0, 20.0, 30.0, 40.0])
    assert table.curve_at(1, 0) == table.curve_at(1, 1)  # it was trained once


def test_only_what_every_epoch_has_is_a_metric(archive: Path) -> None:
    """On the larger data sets validation alone was measured at the end only: the curve is that of all test images."""
    ((_, table),) = convert(archive, ["cifar100"])
    assert table.metrics == ("valtest_error",)
    assert table.curve_at(1).metrics["valtest_error"] == pytest.approx([0.99, 0.89, 0.79, 0.69])


class Hostile:
    """Pickled as a call that makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_archive_is_not_executed(archive: Path, tmp_path: Path) -> None:
    """A cell that names a function is refused, and the function is not called."""
    write(archive / "000001.pickle.pbz2", Hostile(tmp_path / "made"))
    with pytest.raises(UnknownForm, match=r"000001\.pickle\.pbz2 .*mkdir, which is not plain data"):
        next(convert(archive))
    assert not (tmp_path / "made").exists()


def test_wrong_files_are_named(archive: Path, tmp_path: Path) -> None:
    """The first release, a missing cell, a cell without its long training and unknown data sets are refused."""
    with pytest.raises(NoPublishedFile, match=r"nothing at .*\.pth.*; download NATS-tss-v1_0-3ffb9-simple\.tar"):
        next(convert(tmp_path / "NAS-Bench-201-v1_1-096897.pth"))
    with pytest.raises(ValueError, match="no data set 'svhn'; these files have cifar10, cifar100, ImageNet16-120"):
        next(convert(archive, ["svhn"]))
    write(archive / "000001.pickle.pbz2", {"12": {}})
    with pytest.raises(UnknownForm, match=r"000001\.pickle\.pbz2 is not in the published form \('200'\)"):
        next(convert(archive))
    (archive / "000001.pickle.pbz2").unlink()
    with pytest.raises(NoPublishedFile, match=r"no 000001\.pickle\.pbz2 in .*3ffb9-simple; download .*NATS-Bench"):
        next(convert(archive))
    (archive / "000000.pickle.pbz2").write_bytes(b"no bz2")
    with pytest.raises(UnknownForm, match=r"000000\.pickle\.pbz2 is not in the published form"):
        next(convert(archive))
