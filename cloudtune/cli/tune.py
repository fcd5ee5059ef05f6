"""``cloudtune tune``: tunes a training script on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudtune.cli.failures import debug_option, one_line
from cloudtune.cli.limits import criterion_of, limit_options
from cloudtune.cli.running import plot_option, run_and_tell

if TYPE_CHECKING:
    from cloudtune.optimizer.scheduler import TrialScheduler

METHODS = ("asha", "asha-promotion", "random", "grid", "median")

#: What a script is taken to count its epochs by, where --resource-attr is not given and the method needs it.
_USUAL_RESOURCE_ATTR = "epoch"
#: The constant of a config space that is taken for --max-resource-attr where the option is not given.
_USUAL_MAX_RESOURCE_ATTR = "max_epochs"


@click.command("tune")
@click.argument("script", type=click.Path(path_type=Path))
@click.option(
    "--config-space",
    "config_space_file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="JSON file with a domain or a constant for each argument of SCRIPT.",
)
@click.option("--metric", required=True, metavar="NAME", help="What SCRIPT reports and is to be optimised.")
@click.option(
    "--mode", type=click.Choice(["min", "max"]), default="min", show_default=True, help="Minimise or maximise."
)
@click.option(
    "--method", type=click.Choice(METHODS), default="asha", show_default=True, help="How to choose and stop trials."
)
@click.option(
    "--resource-attr",
    metavar="NAME",
    help="What SCRIPT reports to count epochs. With random and grid it is optional: it lets epochs "
    f"that a trial repeats after an interruption count once. [default: {_USUAL_RESOURCE_ATTR}, for the other methods]",
)
@click.option(
    "--max-resource-attr",
    metavar="NAME",
    help="Constant of the config space that tells SCRIPT how many epochs to train "
    f"(asha, asha-promotion). [default: {_USUAL_MAX_RESOURCE_ATTR}, if it is there]",
)
@click.option(
    "--grace-period",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Epochs before a trial may be stopped.",
)
@click.option(
    "--reduction-factor",
    type=click.FloatRange(min=1, min_open=True),
    default=3,
    show_default=True,
    help="Of each rung, continue the best 1/FACTOR (asha, asha-promotion).",
)
@click.option("--n-workers", type=int, default=4, show_default=True, help="Trials at the same time.")
@limit_options
@click.option(
    "--max-failures", type=int, default=1, show_default=True, help="More failed trials than this end the experiment."
)
@click.option("--name", metavar="NAME", help="Name of the experiment. [default: from SCRIPT]")
@click.option(
    "--no-suffix", is_flag=True, help="Use NAME as it is: running the same command again continues the experiment."
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the method. [default: drawn]")
@click.option("--takeover", is_flag=True, help="Take the experiment over from a tuner that seems to drive it.")
@plot_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@debug_option
def tune_command(
    script: Path,
    config_space_file: Path,
    name: str | None,
    no_suffix: bool,
    takeover: bool,
    plot: bool | None,
    as_json: bool,
    n_workers: int,
    max_failures: int,
    **options: Any,
) -> None:
    """Tunes the training script SCRIPT on this machine.

    SCRIPT is run as `python SCRIPT --name value ...`, once for each trial, and tells how it goes by
    `cloudtune.Reporter`.

    \b
    Example:
      cloudtune tune train.py --config-space space.json --metric validation_error \\
          --method asha --n-workers 4 --max-wallclock-time 600
    \b
    with, in space.json:
      {"learning_rate": "loguniform(1e-4, 1)", "width": "lograndint(8, 256)", "max_epochs": 27}
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    criterion = criterion_of(options)
    if criterion is None:
        raise click.UsageError("without a limit the experiment would never end; give one, as --max-wallclock-time 600")
    if no_suffix and name is None:
        raise click.UsageError("--no-suffix needs a name; add --name NAME")

    from cloudtune.backend.local_backend import LocalBackend
    from cloudtune.config_space import config_space_from_file
    from cloudtune.tuner import Tuner

    try:
        config_space = config_space_from_file(config_space_file)
    except OSError as error:
        raise click.ClickException(f"{one_line(error)}; give the path of the config space, a JSON file") from error
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(script)),
        scheduler=scheduler_of(config_space, **options),
        stop_criterion=criterion,
        n_workers=n_workers,
        tuner_name=name,
        suffix_tuner_name=not no_suffix,
        max_failures=max_failures,
    )
    run_and_tell(tuner, takeover=takeover, plot=plot, as_json=as_json)


def scheduler_of(
    config_space: dict[str, Any],
    method: str,
    metric: str,
    mode: str,
    resource_attr: str | None,
    max_resource_attr: str | None,
    grace_period: int,
    reduction_factor: float,
    seed: int | None,
) -> TrialScheduler:
    """The scheduler that the options ask for.

    Raises:
        ValueError: An option does not fit the config space; the message names both.
    """
    from cloudtune.optimizer import baselines

    if max_resource_attr is None and _USUAL_MAX_RESOURCE_ATTR in config_space:
        max_resource_attr = _USUAL_MAX_RESOURCE_ATTR
    if method in ("random", "grid"):
        make = baselines.RandomSearch if method == "random" else baselines.GridSearch
        return make(
            config_space,
            metric=metric,
            mode=mode,
            random_seed=seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
        )
    resource_attr = resource_attr or _USUAL_RESOURCE_ATTR
    if method == "median":
        return baselines.MedianStopping(
            config_space,
            metric=metric,
            mode=mode,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            grace_time=grace_period,
            random_seed=seed,
        )
    return baselines.ASHA(
        config_space,
        metric=metric,
        mode=mode,
        resource_attr=resource_attr,
        max_resource_attr=max_resource_attr,
        grace_period=grace_period,
        reduction_factor=reduction_factor,
        type="promotion" if method == "asha-promotion" else "stopping",
        random_seed=seed,
    )
