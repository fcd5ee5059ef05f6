"""100,000 reports through the store: writing, results, memory, reading back."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarking.overhead.measurement import Row, in_turn, peak_megabytes, seconds
from cloudtune.store.entries import EXPERIMENT, REPORT, SUGGEST
from cloudtune.store.local_store import LocalStore

NUM_REPORTS = 100_000
LEVELS = 10


def entries(num_reports: int) -> list[list[dict[str, Any]]]:
    """The log of an experiment, in batches as the tuner appends them: one trial a batch."""
    batches = []
    for trial in range(num_reports // LEVELS):
        config = {"lr": 1e-3 * trial, "width": trial % 512, "max_epochs": LEVELS}
        batch: list[dict[str, Any]] = [
            {
                "event": SUGGEST,
                "number": trial,
                "trial": trial,
                "attempt": 0,
                "config": config,
                "checkpoint_from": None,
                "computed_at": 0,
                "time": trial * 1.0,
            }
        ]
        for number in range(LEVELS):
            metrics = {
                "loss": 1 / (number + 1) + trial * 1e-6,
                "epoch": number + 1,
                "st_worker_timestamp": 1.79e9 + trial,
                "st_worker_time": number * 0.1,
                "st_worker_iter": number,
            }
            batch.append(
                {
                    "event": REPORT,
                    "trial": trial,
                    "attempt": 0,
                    "run": 0,
                    "number": number,
                    "time": trial + number / 10,
                    "decision": "CONTINUE",
                    "status": "InProgress",
                    "metrics": metrics,
                }
            )
        batches.append(batch)
    return batches


def fill(folder: Path, batches: Iterable[list[dict[str, Any]]]) -> None:
    """Writes the batches as the tuner does, results at the end included."""
    store = LocalStore(folder)
    store.open()
    store.append(
        [
            {
                "event": EXPERIMENT,
                "name": folder.name,
                "experiment_id": "abcdef",
                "scheduler": {},
                "metadata": {},
                "unix": 1.79e9,
            }
        ]
    )
    for batch in batches:
        store.append(batch)
        store.flush()
        store.maintain(time.time())
    store.write_metadata({"metric_names": ["loss"], "metric_mode": "min"})
    store.close()


def write_lines(path: Path, batches: list[list[dict[str, Any]]]) -> None:
    """The floor of writing: one JSON line a report, flushed each."""
    with path.open("w") as file:
        for batch in batches:
            for entry in batch:
                file.write(json.dumps(entry) + "\n")
                file.flush()


def read_lines(path: Path) -> list[Any]:
    """The floor of reading: one ``json.loads`` a line."""
    with path.open() as file:
        return [json.loads(line) for line in file]


def peak_of_filling(num_reports: int) -> float:
    """Peak resident memory (MB) of a process that puts so many reports through the store, entries made as they go."""
    return peak_megabytes(
        "import tempfile; from pathlib import Path; from benchmarking.overhead.store import entries, fill\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        f"    made = entries({LEVELS})[0]\n"
        f"    trials = range({num_reports} // {LEVELS})\n"
        "    fill(Path(folder, 'experiment'), ([{**e, 'trial': t} for e in made] for t in trials))\n"
    )


def measure(repeats: int) -> list[Row]:
    """The rows of the store. The limits of 3 s and 0.5 s hold where the floors take 0.77 and 0.54 s."""
    from cloudtune.experiments import load_experiment  # the writing is measured without pandas

    large, small = entries(NUM_REPORTS), entries(NUM_REPORTS // 10)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        count = iter(range(1_000))

        def filled(batches: list[list[dict[str, Any]]]) -> float:
            place = folder / str(next(count))
            return seconds(lambda: fill(place, batches))

        ours, tenth, floor = in_turn(
            repeats,
            lambda: filled(large),
            lambda: filled(small),
            lambda: seconds(lambda: write_lines(folder / "lines", large)),
        )
        full = str(folder / "0")
        frame = load_experiment(full).results
        if len(frame) != NUM_REPORTS:
            raise RuntimeError(f"{len(frame)} reports came back, not {NUM_REPORTS}")
        reading, parsing = in_turn(
            repeats,
            lambda: seconds(lambda: load_experiment(full)),
            lambda: seconds(lambda: read_lines(folder / "lines")),
        )
        many, few = peak_of_filling(NUM_REPORTS), peak_of_filling(NUM_REPORTS // 10)
    return [
        Row(
            "100,000 reports through the store, results written", ours, floor, "s", 3 / 0.77, "a flushed JSON line each"
        ),
        Row("... against ten times 10,000 (linear)", ours, 10 * tenth, "s", 1.2, "10 x 10,000 reports"),
        Row("... memory at 100,000 against 10,000", many, few, "MB", 1.2, "at 10,000"),
        Row("reading 100,000 reports back", reading, parsing, "s", 0.5 / 0.54, "json.loads of each line"),
    ]
