"""Records the table ``digits_mlp`` that cloudtune ships: learning curves of the digits benchmark, with real times.

    python benchmarking/record_digits_table.py digits.jsonl

trains every configuration of the table with the benchmark's own training script, one after the other in one process
and on one thread: those that random search of a fixed seed suggests, the default first. Each is a line of the recording
as soon as it is trained, so the same command goes on after a break, and in the end writes
``cloudtune/blackbox/tables/digits_mlp.npz``. Run it on a machine that has nothing else to do, and delete the recording
first to record anew: what each training took is part of the table. Where other programs take their share all the same,
a training's reported times are scaled to what it took on the processor, as if it had had a core of its own. How busy
the machine was is told at the end, and in the table's ``about``: on a quiet one the two times are the same.

A curve's times begin where the script makes its Reporter: without the start of Python and the imports, and without
saving checkpoints, which the simulator charges by itself. A training that breaks off (its weights are no longer finite)
keeps what it has reported; the rest of its curve is NaN.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # also where this is run as a script

# Before numpy is imported, which reads this once.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# ruff: noqa: E402 - see above
import numpy as np

from benchmarking.definitions.digits_mlp import digits_mlp
from benchmarking.training_scripts import digits_mlp as script
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_space import search_space
from cloudtune.constants import ENV_REPORT_FILE, ST_WORKER_TIME
from cloudtune.optimizer.baselines import RandomSearch

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "cloudtune" / "blackbox" / "tables" / "digits_mlp.npz"
CONFIGURATIONS, SEEDS = 400, 2
SEARCH_SEED = 20260101
METRICS = ("validation_error", "train_loss")
#: Times are kept to a hundredth of a millisecond: the quickest epoch takes some hundreds of these.
DECIMALS = 5
ABOUT = (
    "A network with two hidden layers (scikit-learn's MLPClassifier, Adam) on the 1,797 scanned digits that come with "
    "scikit-learn, a third held out; recorded by benchmarking/record_digits_table.py of cloudtune (Apache-2.0), one "
    "thread, real seconds."
)


def configurations(count: int) -> list[dict[str, Any]]:
    """The first ``count`` configurations of random search, the default among them as the first; constants left out."""
    benchmark = digits_mlp()
    search = RandomSearch(benchmark.config_space, metric=benchmark.metric, random_seed=SEARCH_SEED)
    names = list(search_space(benchmark.config_space))
    suggestions = [search.suggest() for _ in range(count)]
    configs = [suggestion.config for suggestion in suggestions if suggestion is not None and suggestion.config]
    return [{name: config[name] for name in names} for config in configs]


def train(config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """What the training script reports for a configuration, with the seconds it took on the clock and the processor."""
    constants = {"max_epochs": digits_mlp().config_space["max_epochs"], "random_seed": seed}
    words = [word for name, value in {**config, **constants}.items() for word in (f"--{name}", str(value))]
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nowhere:
        reports = Path(folder, "reports.jsonl")
        os.environ[ENV_REPORT_FILE] = str(reports)
        error, on_clock, on_processor = None, time.perf_counter(), time.process_time()
        try:
            with contextlib.redirect_stdout(nowhere):
                script.train(script.parser().parse_args(words))
        except ValueError as broken_off:
            error = str(broken_off)
        finally:
            del os.environ[ENV_REPORT_FILE]
        return {
            "clock": time.perf_counter() - on_clock,
            "processor": time.process_time() - on_processor,
            "error": error,
            "reports": [json.loads(line) for line in reports.read_text().splitlines()] if reports.exists() else [],
        }


def read(recording: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """What was recorded so far, by (seed, number of the configuration). A line that a kill cut off does not count."""
    if not recording.exists():
        return {}
    *lines, torn = recording.read_text(encoding="utf-8").split("\n")
    if torn:
        recording.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    entries = [json.loads(line) for line in lines]
    return {(entry["seed"], entry["number"]): entry for entry in entries}


def record(recording: Path, configs: Sequence[Mapping[str, Any]], seeds: int) -> Iterator[dict[str, Any]]:
    """Trains what the recording does not have yet, seed by seed, and yields every entry, old and new.

    Raises:
        ValueError: The recording has other configurations.
    """
    known = read(recording)
    warm = False
    for seed in range(seeds):
        for number, config in enumerate(configs):
            entry = known.get((seed, number))
            if entry is None:
                if not warm:
                    train(configs[0], seed)  # the first training loads what later ones find loaded
                    warm = True
                entry = {"seed": seed, "number": number, "config": config, **train(config, seed)}
                with recording.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
            elif entry["config"] != config:
                raise ValueError(f"{recording} is the recording of another table: delete it, or name another file")
            yield entry


def table(entries: Sequence[Mapping[str, Any]], configs: Sequence[Mapping[str, Any]], seeds: int) -> TabularBlackbox:
    """What was recorded, as a table, with times of the processor. A training that broke off goes on at its pace."""
    benchmark = digits_mlp()
    epochs = benchmark.config_space["max_epochs"]
    values = np.full((len(configs), seeds, epochs, len(METRICS)), np.nan, dtype=np.float32)
    elapsed = np.empty((len(configs), seeds, epochs))
    for entry in entries:
        place, reports = (entry["number"], entry["seed"]), entry["reports"]
        done = len(reports)
        values[place][:done] = [[report[metric] for metric in METRICS] for report in reports]
        share = entry["processor"] / entry["clock"]
        elapsed[place][:done] = [report[ST_WORKER_TIME] * share for report in reports]
        pace = entry["processor"] / (done + 1)
        elapsed[place][done:] = (elapsed[place][done - 1] if done else 0.0) + pace * np.arange(1, epochs - done + 1)
    return TabularBlackbox(
        search_space(benchmark.config_space),
        {name: [config[name] for config in configs] for name in configs[0]},
        values,
        METRICS,
        list(range(1, epochs + 1)),
        benchmark.resource_attr or "epoch",
        elapsed=np.round(elapsed, DECIMALS),
        about=f"{ABOUT} Scaled from the clock, which ran {_busy(entries):.2f} times as long, to the processor.",
    )


def _busy(entries: Sequence[Mapping[str, Any]]) -> float:
    """Seconds on the clock per second on the processor; near 1 on a machine that has nothing else to do."""
    clock, processor = (sum(entry[name] for entry in entries) for name in ("clock", "processor"))
    return float(clock / processor)


@click.command()
@click.argument("recording", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--configurations", "count", type=click.IntRange(min=1), default=CONFIGURATIONS, show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=SEEDS, show_default=True, help="Trainings of each.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=TABLE, help="File of the table.")
def main(recording: Path, count: int, seeds: int, out: Path) -> None:
    """Trains what RECORDING does not have yet, then writes the table."""
    configs = configurations(count)
    entries = []
    for entry in record(recording, configs, seeds):
        entries.append(entry)
        if len(entries) % 50 == 0:
            click.echo(f"{len(entries)} of {count * seeds} trainings")
    table(entries, configs, seeds).save(out)
    broken_off = sum(entry["error"] is not None for entry in entries)
    click.echo(
        f"{out}: {count} configurations x {seeds} seeds, {out.stat().st_size / 1000:.0f} kB; "
        f"{sum(entry['clock'] for entry in entries):.0f} s of training ({_busy(entries):.2f} s on the clock per second "
        f"on the processor), {broken_off} broken off"
    )


if __name__ == "__main__":
    main()
