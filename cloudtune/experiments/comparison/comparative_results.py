"""Comparison of the setups of a study, as a figure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cloudtune.experiments.comparison.comparing import compare
from cloudtune.experiments.comparison.comparison import Comparison
from cloudtune.experiments.comparison.figure import draw_comparison
from cloudtune.experiments.comparison.gathered import experiments_of
from cloudtune.experiments.comparison.plot_parameters import PlotParameters
from cloudtune.experiments.comparison.saving import check_file_name
from cloudtune.experiments.comparison.setups import MetadataToSetup, MetadataToSubplot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cloudtune.experiments.experiment_result import ExperimentResult
    from cloudtune.experiments.loading import ExperimentFilter


class ComparativeResults:
    """Compares experiments: the best value so far, aggregated over repetitions, a curve for each setup. ::

        results = ComparativeResults(
            experiment_names=("tmlr-10",),
            metadata_to_setup=lambda metadata: f"{metadata['n_workers']} workers",
            metadata_to_subplot=lambda metadata: ["RS", "ASHA"].index(metadata["method"]),
            num_runs=5,
            plot_params=PlotParameters(subplots=SubplotParameters(titles=["random search", "ASHA"])),
        )
        results.plot(benchmark_name="transformer_wikitext2", file_name="comparison.pdf")

    What is missing, surplus, empty or damaged is named in warnings, and left out.

    Args:
        experiment_names: Tags or names of experiments, as :func:`cloudtune.experiments.load_experiments` takes them;
            or experiments that were loaded.
        setups: The setups, in the order in which they are shown; others are left out. Default: all, sorted.
        num_runs: How many experiments each setup should have; another number is warned of. Default: as many as the
            other setups.
        metadata_to_setup: From an experiment's metadata the setup that it is a run of; None leaves it out. Default: by
            method, by number of workers, or by both, as far as they differ.
        plot_params: What figures show, and how.
        metadata_to_subplot: From an experiment's metadata the number of its subplot, or its title; None leaves it out.
            Subplots fill the figure row by row. Places of numbers that do not occur stay empty where
            :class:`SubplotParameters` says what numbers stand for (titles, rows, columns, limits, legends). Default: a
            subplot for each method, if ``metadata_to_setup`` is not given either and both methods and numbers of
            workers differ; else one for all.
        benchmark_key: Key of the metadata that names the benchmark.
        experiment_filter: Keeps only experiments for which it returns true.
        download_from_s3: Ask S3 for results first; see :func:`cloudtune.experiments.load_experiments`, also for the
            default.
        s3_path: Where they lie in S3, ``s3://bucket[/prefix]``.
        local_path: Folder to look in, instead of ``$CLOUDTUNE_FOLDER`` or ``~/cloudtune``.

    Raises:
        ExperimentNotFound: Nothing fits one of the names.
    """

    def __init__(
        self,
        experiment_names: str | Sequence[str | ExperimentResult],
        setups: Sequence[str] | None = None,
        num_runs: int | None = None,
        metadata_to_setup: MetadataToSetup | None = None,
        plot_params: PlotParameters | None = None,
        metadata_to_subplot: MetadataToSubplot | None = None,
        benchmark_key: str = "benchmark",
        experiment_filter: ExperimentFilter | None = None,
        download_from_s3: bool | None = None,
        s3_path: str | None = None,
        local_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.experiments = experiments_of(experiment_names, experiment_filter, download_from_s3, s3_path, local_path)
        self._setups = setups
        self._num_runs = num_runs
        self._metadata_to_setup = metadata_to_setup
        self._metadata_to_subplot = metadata_to_subplot
        self._plot_params = plot_params
        self._benchmark_key = benchmark_key

    def curves(self, benchmark_name: str | None = None, plot_params: PlotParameters | None = None) -> Comparison:
        """The numbers that :meth:`plot` draws.

        Args:
            benchmark_name: Which experiments are compared. Not needed if all are of the same benchmark.
            plot_params: Laid over those of the constructor: what is given here counts.

        Raises:
            CloudtuneError: Nothing is left to compare, or experiments of several benchmarks or with different metrics.
        """
        return compare(
            self.experiments,
            (plot_params or PlotParameters()).laid_over(self._plot_params),
            benchmark_name=benchmark_name,
            metadata_to_setup=self._metadata_to_setup,
            metadata_to_subplot=self._metadata_to_subplot,
            setups=self._setups,
            num_runs=self._num_runs,
            benchmark_key=self._benchmark_key,
        )

    def plot(
        self,
        benchmark_name: str | None = None,
        plot_params: PlotParameters | None = None,
        file_name: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """Draws the figure.

        The figure is not one of pyplot's: nothing has to be closed, and no setting of matplotlib is changed.

        Args:
            benchmark_name: See :meth:`curves`.
            plot_params: See :meth:`curves`.
            file_name: Save it there, as png, svg or pdf by the suffix.

        Raises:
            CloudtuneError: As for :meth:`curves`; or matplotlib is missing, or the suffix is another one.
        """
        if file_name is not None:
            check_file_name(file_name)
        return draw_comparison(self.curves(benchmark_name, plot_params), file_name)
