"""Compares numbers of workers: a subplot for each method, a curve for each number of workers.

python launchers/plot_results.py --experiment_tag tmlr-10 --benchmark transformer_wikitext2
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

# The folder above this one is where `launchers` and `benchmarking` are found, wherever the script is started.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cloudtune.cli.failures import PlainErrorsCommand, debug_option
from cloudtune.cli.study_results import study_results, without_results
from cloudtune.experiments import (
    ComparativeResults,
    ExperimentResult,
    PlotParameters,
    SubplotParameters,
    load_experiments,
)
from launchers.catalogue import CATALOGUE


def metadata_to_setup(metadata: dict[str, Any]) -> str:
    """The curve of an experiment."""
    return f"{metadata['n_workers']} workers"


def methods_of(experiments: list[ExperimentResult], benchmark: str) -> list[str]:
    """The methods that were run, those of the default study first: each has a subplot."""
    metadata = [one.metadata for one in experiments if one.metadata.get("benchmark") == benchmark]
    methods = sorted({str(one["method"]) for one in metadata if "method" in one})
    return sorted(methods, key=[*CATALOGUE.default_methods, *methods].index)


@click.command(cls=PlainErrorsCommand, context_settings={"token_normalize_func": lambda name: name.replace("_", "-")})
@click.option("--experiment_tag", required=True, metavar="TAG", help="Of the study.")
@click.option("--benchmark", required=True, metavar="NAME", help="Whose experiments are compared.")
@click.option("--num_runs", type=click.IntRange(min=1), metavar="N", help="Seeds of each setup, to miss none.")
@click.option("--s3_path", metavar="s3://BUCKET[/PREFIX]", help="Where results are fetched from.")
@click.option(
    "--download_from_s3", type=bool, default=True, help="Fetch what has changed in S3; 0: results were fetched before."
)
@click.option("--file_name", metavar="FILE", help="A .png, .svg or .pdf file. [default: TAG-BENCHMARK.png]")
@debug_option
def main(
    experiment_tag: str,
    benchmark: str,
    num_runs: int | None,
    s3_path: str | None,
    download_from_s3: bool,
    file_name: str | None,
) -> None:
    """Draws the best value so far over wall-clock time, aggregated over seeds."""
    if download_from_s3:
        found = study_results(experiment_tag, s3_path, region=None, profile=None)
        experiments = found.experiments
        for note in (*found.notes, without_results(found, benchmark)):
            if note:
                click.echo(note, err=True)
    else:
        experiments = load_experiments(experiment_tag, s3_path=s3_path, download_from_s3=False)
    methods = methods_of(experiments, benchmark)
    results = ComparativeResults(
        experiments,
        num_runs=num_runs,
        metadata_to_setup=metadata_to_setup,
        metadata_to_subplot=lambda metadata: methods.index(metadata["method"]),
        plot_params=PlotParameters(
            title=benchmark,
            aggregate_mode="iqm_bootstrap",
            grid=True,
            subplots=SubplotParameters(titles=methods, kwargs={"sharey": "all"}),
        ),
    )
    file_name = file_name or f"{experiment_tag}-{benchmark}.png"
    results.plot(benchmark_name=benchmark, file_name=file_name)
    click.echo(f"plot: {Path(file_name).resolve()}")


if __name__ == "__main__":
    main()
