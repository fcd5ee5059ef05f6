"""Runs a tuner for a command, tells how it went, and draws it."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cloudtune.cli.failures import drives, one_line
from cloudtune.cli.wording import OptionsFormatter

if TYPE_CHECKING:
    from pathlib import Path

    from cloudtune.tuner import Tuner

BEST_FILE = "best-so-far.png"
CURVES_FILE = "learning-curves.png"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def plot_option(command: _Command) -> _Command:
    """Adds ``--plot/--no-plot`` to a command; None where neither is given."""
    return click.option(
        "--plot/--no-plot",
        default=None,
        help="Draw the best value over time and the learning curves into the experiment's folder. "
        "[default: if matplotlib is installed]",
    )(command)


def run_and_tell(tuner: Tuner, takeover: bool, plot: bool | None, as_json: bool) -> None:
    """Runs the tuner to its end, then prints the best configuration and where results and pictures are.

    Progress goes to standard error, the outcome to standard output.

    Args:
        tuner: The tuner.
        takeover: As for :meth:`Tuner.run`.
        plot: Draw the pictures; None: if that is possible.
        as_json: Print the outcome as one JSON object.

    Raises:
        CloudtuneError: As :meth:`Tuner.run`.
        ValueError: No trial has reported the metric.
        TuningInterrupted: A signal ended the tuning; the line to continue with was printed.
    """
    from cloudtune.interruption import TuningInterrupted, resumed_as

    log_progress()
    drives(tuner.name)
    try:
        tuner.run(takeover=takeover)
    except TuningInterrupted as interrupted:
        again = resumed_as(tuner.name, tuner.results_place)
        click.echo(f"{interrupted}; continue with `cloudtune resume {again}`", err=True)
        raise
    trial_id, config = tuner.best_config()
    outcome = outcome_of(tuner, trial_id, config, _pictures(tuner, plot))
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
    for picture in outcome["plots"]:
        click.echo(f"plot: {picture}")


def log_progress() -> None:
    """Sends the library's log to standard error: all of it, or warnings only where the live display shows the rest."""
    handler = logging.StreamHandler()
    handler.setFormatter(OptionsFormatter("%(levelname)s %(message)s"))
    library = logging.getLogger("cloudtune")
    if not library.handlers:
        library.addHandler(handler)
        library.propagate = False
    library.setLevel(logging.WARNING if sys.stderr.isatty() else logging.INFO)


def outcome_of(tuner: Tuner, trial_id: int, config: dict[str, Any], pictures: list[Path]) -> dict[str, Any]:
    """What ``--json`` prints of an experiment that has ended."""
    status = tuner.status
    assert status.incumbent is not None
    return {
        "name": tuner.name,
        "path": tuner.results_place,
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
        "plots": [str(path) for path in pictures],
    }


def _pictures(tuner: Tuner, plot: bool | None) -> list[Path]:
    """Draws the pictures; where they were not asked for, one that cannot be drawn costs a line and not the outcome."""
    from cloudtune.errors import CloudtuneError

    if plot is None and importlib.util.find_spec("matplotlib") is not None:
        try:
            return _draw(tuner)
        except (CloudtuneError, ImportError, OSError, ValueError) as error:
            click.echo(f"the pictures were not drawn: {one_line(error)}", err=True)
    return _draw(tuner) if plot else []


def _draw(tuner: Tuner) -> list[Path]:
    from cloudtune.experiments import load_experiment

    # No window is wanted, whatever the user's settings are; matplotlib reads this when it is imported.
    os.environ["MPLBACKEND"] = "Agg"
    experiment = load_experiment(tuner.results_place)
    best, curves = tuner.tuner_path / BEST_FILE, tuner.tuner_path / CURVES_FILE
    experiment.plot(file_name=best)
    experiment.plot_trials_over_time(file_name=curves)
    return [best, curves]
