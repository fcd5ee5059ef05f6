"""``cloudtune blackbox``: published tables of learning curves, made ready for the simulator."""

from __future__ import annotations

import inspect
import math
import re
from pathlib import Path
from typing import Any

import click

from cloudtune.blackbox.converters import CONVERTERS, converter
from cloudtune.cli.failures import PlainErrorsGroup, debug_option

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


@click.group("blackbox", cls=PlainErrorsGroup)
def blackbox_group() -> None:
    """Tables of learning curves, which the simulator plays instead of training anything.

    \b
    Example:
      cloudtune blackbox convert lcbench six_datasets_lw.zip --dataset Fashion-MNIST
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph


def _finite(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    """No range leaves out NaN, which is neither below nor above any number."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number; give seconds, such as 30")
    return value


@blackbox_group.command("convert")
@click.argument("source", type=click.Choice(CONVERTERS))
@click.argument("files", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the tables. [default: your own blackboxes, which load_blackbox knows]",
)
@click.option("--dataset", "datasets", multiple=True, metavar="NAME", help="Only this one; repeatable. [default: all]")
@click.option(
    "--seconds-per-step",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    help="taskset: it has no times.",
)
@click.option("--configurations", type=click.IntRange(min=1), help="yahpo: how many to ask the surrogate about.")
@click.option("--random-seed", type=int, help="yahpo: of the draw of configurations.")
@debug_option
def convert_command(source: str, files: Path, out: Path | None, datasets: tuple[str, ...], **options: Any) -> None:
    """Makes tables of the FILES of a published benchmark: a file or a folder that you have downloaded.

    Each data set becomes a blackbox SOURCE-NAME, for SimulatorBackend and load_blackbox, in a file of that name.
    Nothing in the published files is executed.

    \b
    Example:
      cloudtune blackbox convert taskset taskset/imdb_patch32_GRU64_avg_bs128.json --seconds-per-step 30
      cloudtune blackbox convert nasbench201 NATS-tss-v1_0-3ffb9-simple --dataset cifar10 --out tables
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from cloudtune.blackbox.registry import add_blackbox, blackbox_folder

    convert = converter(source).convert
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in inspect.signature(convert).parameters:
            raise click.UsageError(f"--{name.replace('_', '-')} says nothing about {source}; leave it out")
    for name, table in convert(files, datasets or None, **given):
        called = _NOT_IN_NAMES.sub("-", f"{source}-{name}")
        if out is None:
            add_blackbox(called, table)
        else:
            table.save(out / f"{called}.npz")
        click.echo(
            f"{called}: {table.num_configs} configurations x {table.num_seeds} seeds, {table.resource_attr} 1 to "
            f"{table.max_resource}; {', '.join(table.metrics)}"
        )
    click.echo(f"written to {blackbox_folder() if out is None else out}")
