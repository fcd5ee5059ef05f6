"""The script that recorded the table of the digits: it goes on after a break, and the table says what was reported."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarking import record_digits_table
from benchmarking.definitions.digits_mlp import digits_mlp
from benchmarking.record_digits_table import configurations, main, record, table
from cloudtune.blackbox import TabularBlackbox
from cloudtune.config_space import default_config, search_space

EPOCHS = 27


class Trainings:
    """Stands in for training: notes what it is asked for; the third one breaks off after two epochs."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []

    def __call__(self, config: Mapping[str, Any], seed: int) -> dict[str, Any]:
        self.asked.append((config["learning_rate"], seed))
        broken_off = len(self.asked) == 4  # the first is for warming up
        return {
            "clock": 30.0,
            "processor": 15.0,
            "error": "not finite" if broken_off else None,
            "reports": [
                {
                    "epoch": epoch,
                    "validation_error": 1.0 / epoch,
                    "train_loss": float(seed),
                    "st_worker_iter": epoch - 1,
                    "st_worker_time": 0.12345 * epoch,
                }
                for epoch in range(1, (2 if broken_off else EPOCHS) + 1)
            ],
        }


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """In the place of training."""
    trainings = Trainings()
    monkeypatch.setattr(record_digits_table, "train", trainings)
    return trainings


def test_configurations_are_those_of_random_search() -> None:
    """The default comes first, more are a continuation of fewer, and none is there twice."""
    few, more = configurations(3), configurations(10)
    assert more[:3] == few
    space = search_space(digits_mlp().config_space)
    assert few[0] == default_config(space)
    assert len({tuple(config.values()) for config in more}) == 10


def test_recording_goes_on_after_a_kill(tmp_path: Path, trainings: Trainings) -> None:
    """What was recorded is not trained again; a line that a kill cut off is."""
    recording, configs = tmp_path / "digits.jsonl", configurations(2)
    first = list(itertools.islice(record(recording, configs, 2), 2))
    with recording.open("a") as file:
        file.write('{"seed": 1, "number": 0, "conf')
    trainings.asked.clear()
    whole = list(record(recording, configs, 2))
    assert whole[:2] == first
    rates = [config["learning_rate"] for config in configs]
    assert trainings.asked == [(rates[0], 1), (rates[0], 1), (rates[1], 1)]
    assert list(record(recording, configs, 2)) == whole
    assert len(trainings.asked) == 3


def test_other_recording_is_refused(tmp_path: Path, trainings: Trainings) -> None:
    """A recording of other configurations does not become part of the table."""
    recording = tmp_path / "digits.jsonl"
    list(record(recording, configurations(2), 1))
    with pytest.raises(ValueError, match=r"digits\.jsonl is the recording of another table"):
        list(record(recording, configurations(3)[1:], 1))
    assert len(trainings.asked) == 3


def test_table_says_what_was_reported(tmp_path: Path, trainings: Trainings) -> None:
    """Errors are the reported ones, times are scaled to the processor; what broke off goes on as NaN, at its pace."""
    done = CliRunner().invoke(
        main,
        [str(tmp_path / "digits.jsonl"), "--configurations", "2", "--seeds", "2", "--out", str(tmp_path / "table.npz")],
    )
    assert done.exit_code == 0, done.output
    assert "2 configurations x 2 seeds" in done.output
    assert "2.00 s on the clock per second on the processor), 1 broken off" in done.output
    kept = TabularBlackbox.load(tmp_path / "table.npz")
    assert "from the clock, which ran 2.00 times as long, to the processor" in kept.about
    curve = kept.curve(configurations(2)[1], seed=1)
    assert curve.metrics["validation_error"] == pytest.approx([1.0 / epoch for epoch in range(1, EPOCHS + 1)])
    assert curve.metrics["train_loss"] == [1.0] * EPOCHS
    assert curve.elapsed == pytest.approx([0.12345 / 2 * epoch for epoch in range(1, EPOCHS + 1)], abs=1e-5)
    broken_off = kept.curve(configurations(2)[0], seed=1)
    errors = np.array(broken_off.metrics["validation_error"], dtype=np.float64)
    assert np.isnan(errors).tolist() == [False] * 2 + [True] * (EPOCHS - 2)
    assert broken_off.elapsed[1:4] == pytest.approx([0.12345, 5.12345, 10.12345])


def test_training_is_the_scripts_own(capfd: pytest.CaptureFixture[str]) -> None:
    """A real training reports every epoch, on nobody's screen, and can be written down."""
    config = {**configurations(1)[0], "width": 8}
    entry = {"seed": 0, "number": 0, "config": config, **record_digits_table.train(config, 0)}
    assert capfd.readouterr().out == ""
    assert [report["epoch"] for report in entry["reports"]] == list(range(1, EPOCHS + 1))
    assert entry["clock"] >= entry["reports"][-1]["st_worker_time"]
    json.dumps(entry)
    assert table([entry], [config], 1).curve_at(0).elapsed[0] > 0
