"""``cloudtune resume``: continues an experiment under its name."""

from __future__ import annotations

from typing import Any

import click

from cloudtune.cli.failures import debug_option
from cloudtune.cli.limits import criterion_of, limit_options
from cloudtune.cli.running import plot_option, run_and_tell


@click.command("resume")
@click.argument("name")
@limit_options
@click.option("--n-workers", type=click.IntRange(min=1), help="Trials at the same time. [default: as before]")
@click.option("--max-failures", type=click.IntRange(min=0), help="As for tune. [default: as before]")
@click.option("--takeover", is_flag=True, help="Take the experiment over from a tuner that seems to drive it.")
@plot_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@debug_option
def resume_command(
    name: str,
    n_workers: int | None,
    max_failures: int | None,
    takeover: bool,
    plot: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Continues the experiment NAME, however it ended.

    Nothing that was reported is lost, and the time spent so far counts. Limits given here replace
    the old ones, all together; without any, the old ones hold.

    \b
    Example:
      cloudtune resume train-2026-01-31-12-00-00-000 --max-wallclock-time 1200
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    criterion = criterion_of(options)

    from cloudtune.cli.finding import find_experiment, summarise
    from cloudtune.tuner import Tuner

    path = find_experiment(name)
    before = summarise(path)
    tuner = Tuner.load(path)
    if criterion is not None:
        tuner.stop_criterion = criterion
    if n_workers is not None:
        tuner.n_workers = n_workers
    if max_failures is not None:
        tuner.max_failures = max_failures
    run_and_tell(tuner, takeover=takeover, plot=plot, as_json=as_json)
    if tuner.status.num_evaluations == before.reports:
        click.echo(
            "nothing was left to do: a limit was reached before; widen it, as --max-wallclock-time 1200", err=True
        )
