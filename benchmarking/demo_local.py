"""Tunes a small network on scanned digits on this machine, for about a minute: ``make demo-local``.

Four trials at a time train on this machine; ASHA stops those that do badly (Li et al., "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020). At the end it prints the best configuration and the best trials, and draws two
pictures into the experiment's folder.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from benchmarking.definitions import benchmark

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from rich.console import Console

    from benchmarking.definitions import BenchmarkDefinition
    from cloudtune.tuner import Tuner

TOP = 8
CURVES_FILE = "learning-curves.png"
BEST_FILE = "best-so-far.png"


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), default=45.0, show_default=True, help="How long to tune.")
@click.option(
    "--trials", type=click.IntRange(min=1), default=None, help="How many trials at most. [default: any number]"
)
@click.option("--workers", type=click.IntRange(min=1), default=4, show_default=True, help="Trials at the same time.")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Seed of the method. [default: drawn]")
def main(seconds: float, trials: int | None, workers: int, seed: int | None) -> None:
    """Tunes a small network on scanned digits with ASHA and shows what came out."""
    from rich.console import Console

    logging.basicConfig(level=logging.WARNING if sys.stderr.isatty() else logging.INFO, format="%(message)s")
    # It announces at INFO that it looks for the fonts of this machine.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    console = Console(highlight=False, soft_wrap=True)
    definition = benchmark("digits_mlp")
    tuner = make_tuner(definition, seconds, trials, workers, seed)
    console.print(
        f"Tuning [bold]{definition.name}[/] for {seconds:g} seconds with ASHA, {workers} networks at a time "
        f"({tuner.tuner_path})"
    )
    tuner.run()
    show(tuner, definition, console)


def make_tuner(
    definition: BenchmarkDefinition, seconds: float, trials: int | None, workers: int, seed: int | None
) -> Tuner:
    """A tuner that runs the benchmark on this machine with ASHA, as an experiment of its own."""
    from cloudtune.backend.local_backend import LocalBackend
    from cloudtune.optimizer.baselines import ASHA
    from cloudtune.stopping_criterion import StoppingCriterion
    from cloudtune.tuner import Tuner

    scheduler = ASHA(
        definition.config_space,
        metric=definition.metric,
        mode=definition.mode,
        resource_attr=definition.resource_attr,
        max_resource_attr=definition.max_resource_attr,
        grace_period=definition.grace_period,
        reduction_factor=definition.reduction_factor,
        type="stopping",
        random_seed=seed,
    )
    return Tuner(
        trial_backend=LocalBackend(entry_point=str(definition.training_script)),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_wallclock_time=seconds, max_num_trials_started=trials),
        n_workers=workers,
        tuner_name="demo",
        metadata={"benchmark": definition.name},
        print_update_interval=15,
    )


def show(tuner: Tuner, definition: BenchmarkDefinition, console: Console) -> None:
    """Prints the best configuration and the best trials, and draws the pictures."""
    from benchmarking.demo_pictures import draw_best_so_far, draw_learning_curves
    from cloudtune.experiments import load_experiment

    results = load_experiment(tuner.name).results
    if len(results) == 0:
        raise click.ClickException("no trial has reported yet; give it longer with --seconds 120")
    per_trial = summary(results, definition)
    console.print(_table(per_trial.head(TOP), definition))
    best = per_trial.iloc[0]
    console.print(
        f"[bold]Best:[/] validation error [bold green]{best[definition.metric]:.2%}[/], trial {best.name}, with"
    )
    for name in _tuned(definition):
        console.print(f"  --{name} {_number(best[f'config_{name}'])}")
    epochs, all_epochs = int(per_trial["epochs"].sum()), len(per_trial) * definition.max_resource_level
    stopped = int((per_trial["end"] == "stopped early").sum())
    console.print(
        f"{len(per_trial)} trials, {stopped} of them stopped early: {epochs:,} epochs were trained, "
        f"where training every trial to the end takes {all_epochs:,}."
    )
    pictures = {BEST_FILE: draw_best_so_far, CURVES_FILE: draw_learning_curves}
    for file_name, draw in pictures.items():
        path: Path = tuner.tuner_path / file_name
        draw(results, definition, path)
        console.print(f"Picture: {path}")


def summary(results: pd.DataFrame, definition: BenchmarkDefinition) -> pd.DataFrame:
    """A row per trial, the best first: its lowest error, the epochs it trained, how it ended, its configuration."""
    grouped = results.groupby("trial_id")
    table: pd.DataFrame = grouped.last()
    table[definition.metric] = grouped[definition.metric].min()
    table["epochs"] = grouped[definition.resource_attr].max()
    table["end"] = [
        "trained fully" if epochs >= definition.max_resource_level else ("stopped early" if stopped else "time was up")
        for epochs, stopped in zip(table["epochs"], table["st_decision"] == "STOP", strict=True)
    ]
    # Of equally good ones the earliest comes first, as in ``best_config``.
    ranked = results.sort_values(definition.metric, kind="stable")["trial_id"]
    ordered: pd.DataFrame = table.loc[list(dict.fromkeys(ranked))]
    return ordered


def _table(top: pd.DataFrame, definition: BenchmarkDefinition) -> Any:
    from rich.table import Table

    table = Table(
        title=f"The best {len(top)} trials, by lowest validation error", title_justify="left", box=None, pad_edge=False
    )
    names = _tuned(definition)
    for column in ("trial", "error", "epochs", "end", *names):
        table.add_column(column, justify="left" if column == "end" else "right", no_wrap=True)
    for trial_id, row in top.iterrows():
        values = [_number(row[f"config_{name}"]) for name in names]
        table.add_row(str(trial_id), f"{row[definition.metric]:.2%}", str(int(row["epochs"])), str(row["end"]), *values)
    return table


def _tuned(definition: BenchmarkDefinition) -> list[str]:
    return [name for name in definition.config_space if name != definition.max_resource_attr]


def _number(value: Any) -> str:
    return f"{int(value)}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.3g}"


if __name__ == "__main__":
    main()
