"""``cloudtune plot``: the comparison of a study's methods as a figure."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import click

from cloudtune.cli.experiment_place import place_options
from cloudtune.cli.failures import debug_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cloudtune.experiments.comparison.comparative_results import ComparativeResults
    from cloudtune.experiments.comparison.plot_parameters import AggregateMode, Over
    from cloudtune.experiments.experiment_result import ExperimentResult

_NOT_IN_FILES = re.compile(r"[^\w.-]+")


@click.command("plot")
@click.argument("tag")
@click.option("--benchmark", metavar="NAME", help="Only this one. [default: all there are, a figure for each]")
@click.option(
    "--over",
    type=click.Choice(["time", "cost", "resource", "trials"]),
    default="time",
    show_default=True,
    help="What the horizontal axis counts.",
)
@click.option("--metric", metavar="NAME", help="Of several that the experiments optimise. [default: the first]")
@click.option("--resource-attr", metavar="NAME", help="What --over resource counts. [default: what experiments name]")
@click.option(
    "--aggregate",
    type=click.Choice(["iqm_bootstrap", "mean_and_ci", "median_percentiles"]),
    default="iqm_bootstrap",
    show_default=True,
    help="What a curve shows of its runs: interquartile mean, mean or median, each with its interval.",
)
@click.option("-o", "--output", metavar="FILE", help="A .png, .svg or .pdf file. [default: TAG.png]")
@place_options
@debug_option
def plot_command(
    tag: str,
    benchmark: str | None,
    over: Over,
    metric: str | None,
    resource_attr: str | None,
    aggregate: AggregateMode,
    output: str | None,
    s3_path: str | None,
    region: str | None,
    profile: str | None,
) -> None:
    """Draws the best value so far of the methods of the study TAG, aggregated over seeds.

    Also of a study that still runs: it shows how far it is. What is missing or left out is told.

    \b
    Example:
      cloudtune plot tmlr-10 --benchmark transformer_wikitext2 --over cost -o tmlr-10.pdf
    """  # noqa: D301 - \b is how click is told to keep the lines of a paragraph
    from pathlib import Path

    from cloudtune.cli.study_results import study_results, without_results
    from cloudtune.experiments.comparison.comparative_results import ComparativeResults
    from cloudtune.experiments.comparison.plot_parameters import PlotParameters
    from cloudtune.experiments.comparison.saving import check_file_name

    path = Path(output or f"{Path(tag).name}.png")
    check_file_name(path)
    found = study_results(tag, s3_path, region, profile)
    for note in (*found.notes, without_results(found, benchmark)):
        if note:
            click.echo(note, err=True)
    parameters = PlotParameters(over=over, metric=metric, resource_attr=resource_attr, aggregate_mode=aggregate)
    names = _benchmarks(found.experiments)
    results = ComparativeResults(found.experiments, plot_params=parameters)
    if benchmark is not None or len(names) < 2:
        results.plot(benchmark, file_name=path)
        click.echo(f"wrote {path}")
        return
    _draw_each(results, _files(path, names))


def _draw_each(results: ComparativeResults, files: Mapping[str, Path]) -> None:
    """A figure for each benchmark. One that has nothing to show yet does not keep the others from theirs."""
    from cloudtune.cli.failures import one_line
    from cloudtune.errors import CloudtuneError

    drawn = False
    for name, path in files.items():
        try:
            results.plot(name, file_name=path)
        except CloudtuneError as error:
            click.echo(f"no figure of benchmark {name!r}: {one_line(error)}", err=True)
            continue
        drawn = True
        click.echo(f"wrote {path}")
    if not drawn:
        raise CloudtuneError(f"none of the {len(files)} benchmarks has a figure, for the reasons given above")


def _files(path: Path, benchmarks: Sequence[str]) -> dict[str, Path]:
    """For each benchmark a file of its own, also where file names cannot tell two of them apart."""
    files: dict[str, Path] = {}
    taken: set[str] = set()
    for name in benchmarks:
        part = _NOT_IN_FILES.sub("-", name)
        endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        # Some file systems do not tell capital letters from small ones.
        chosen = next(part + ending for ending in endings if (part + ending).lower() not in taken)
        taken.add(chosen.lower())
        files[name] = path.with_name(f"{path.stem}-{chosen}{path.suffix}")
    return files


def _benchmarks(experiments: Sequence[ExperimentResult]) -> list[str]:
    return list(dict.fromkeys(str(one.metadata["benchmark"]) for one in experiments if "benchmark" in one.metadata))
