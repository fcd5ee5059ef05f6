"""Runs a tuner for a command and tells how it went."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from cloudtune.tuner import Tuner

PLOT_FILE = "best-so-far.png"


def run_and_tell(tuner: Tuner, takeover: bool, plot: bool, as_json: bool) -> None:
    """Runs the tuner to its end, then prints the best configuration and where the results are.

    Progress goes to standard error, the outcome to standard output.

    Raises:
        CloudtuneError: As :meth:`Tuner.run`.
        ValueError: No trial has reported the metric.
        TuningInterrupted: A signal ended the tuning; the line to continue with was printed.
    """
    from cloudtune.interruption import TuningInterrupted

    log_progress()
    try:
        tuner.run(takeover=takeover)
    except TuningInterrupted as interrupted:
        click.echo(f"{interrupted}; continue with `cloudtune resume {tuner.name}`", err=True)
        raise
    trial_id, config = tuner.best_config()
    picture = _draw(tuner) if plot else None
    outcome = outcome_of(tuner, trial_id, config, picture)
    if as_json:
        click.echo(json.dumps(outcome))
        return
    best = outcome["best"]
    click.echo(f"best {best['metric']}: {best['value']:.6g}, by trial {trial_id} with")
    width = max(len(name) for name in config)
    for name, value in config.items():
        click.echo(f"  {name:{width}}  {value}")
    click.echo(
        f"{outcome['trials_started']} trials, {outcome['reports']} reports in {outcome['seconds']:.1f} seconds "
        f"({outcome['why']})"
    )
    click.echo(f"results: {outcome['path']}")
    if picture is not None:
        click.echo(f"plot: {picture}")


def log_progress() -> None:
    """Sends the library's log to standard error: all of it, or warnings only where the live display shows the rest."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    library = logging.getLogger("cloudtune")
    if not library.handlers:
        library.addHandler(handler)
        library.propagate = False
    library.setLevel(logging.WARNING if sys.stderr.isatty() else logging.INFO)


def outcome_of(tuner: Tuner, trial_id: int, config: dict[str, Any], picture: Path | None) -> dict[str, Any]:
    """What ``--json`` prints of an experiment that has ended."""
    status = tuner.status
    assert status.incumbent is not None
    return {
        "name": tuner.name,
        "path": str(tuner.tuner_path),
        "best": {
            "trial_id": trial_id,
            "metric": status.metric,
            "value": status.incumbent[0],
            "config": config,
        },
        "trials_started": status.num_trials_started,
        "trials_completed": status.num_trials_completed,
        "trials_failed": status.num_trials_failed,
        "reports": status.num_evaluations,
        "seconds": status.wallclock_time,
        "why": status.finished_why,
        "plot": None if picture is None else str(picture),
    }


def _draw(tuner: Tuner) -> Path:
    from cloudtune.experiments import load_experiment

    # No window is wanted, whatever the user's settings are; matplotlib reads this when it is imported.
    os.environ["MPLBACKEND"] = "Agg"
    path = tuner.tuner_path / PLOT_FILE
    load_experiment(tuner.name).plot(file_name=path)
    return path
