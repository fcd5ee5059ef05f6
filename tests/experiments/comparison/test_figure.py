"""Figures of comparisons: what is drawn, named and saved, and that nothing of matplotlib is changed by it."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from cloudtune.errors import CloudtuneError
from cloudtune.experiments import (
    ComparativeResults,
    ExperimentResult,
    PlotParameters,
    SubplotParameters,
    TrialsOfExperimentResults,
)
from tests.experiments.comparison.made import made, of_rows


def curve(start: float, end: float, until: float = 10.0) -> list[tuple[float, float]]:
    return [(time, start + (end - start) * time / until) for time in np.linspace(1, until, 10)]


def study(*setups: str, ends: Sequence[float] = (), **metadata: Any) -> list[ExperimentResult]:
    """Three runs of each setup."""
    last = ends or [1 + place for place in range(len(setups))]
    return [
        made(f"{setup}-{seed}", curve(10, end + 0.01 * seed), method=setup, seed=seed, **metadata)
        for setup, end in zip(setups, last, strict=True)
        for seed in range(3)
    ]


def figure_of(experiments: Sequence[ExperimentResult], file_name: Path | None = None, **parameters: Any) -> Figure:
    return ComparativeResults(experiments).plot(plot_params=PlotParameters(**parameters), file_name=file_name)


def labels(axes: Axes) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation)]


def names(axes: Axes) -> list[str]:
    return [label.get_text() for label in labels(axes)]


def legend_names(holder: Axes | Figure) -> list[str]:
    legends = holder.legends if isinstance(holder, Figure) else [holder.get_legend()]
    return [text.get_text() for legend in legends if legend is not None for text in legend.get_texts()]


def test_the_curves_are_drawn() -> None:
    """As steps through the centres, with the interval around them, axes that say what they show, and small print."""
    results = ComparativeResults(study("RS", "ASHA"))
    figure = results.plot(plot_params=PlotParameters(title="two methods"))
    (axes,) = figure.axes
    drawn = {str(line.get_label()): line for line in axes.get_lines() if not str(line.get_label()).startswith("_")}
    for expected in results.curves().subplots[0].curves:
        line = drawn[expected.setup]
        assert line.get_drawstyle() == "steps-post"
        assert np.asarray(line.get_ydata()).tolist() == expected.centre.tolist()
    assert len(axes.collections) == 2
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("wall-clock time [s]", "best loss so far")
    assert figure.get_suptitle() == "two methods"
    assert "Interquartile mean of 3 runs, with its 95 % bootstrap interval" in figure.get_supxlabel().replace("\n", " ")


def test_curves_are_named_at_their_ends() -> None:
    """Each in the colour of its curve, beside it, without a legend; none covers another or leaves the figure."""
    figure = figure_of(study("RS", "BO", "ASHA", ends=(1.0, 1.02, 3.0)))
    (axes,) = figure.axes
    figure.draw_without_rendering()
    assert sorted(names(axes)) == ["ASHA", "BO", "RS"]
    assert axes.get_legend() is None
    boxes = {label.get_text(): label.get_window_extent() for label in labels(axes)}
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    for box in boxes.values():
        assert box.x0 >= axes.get_window_extent().x1
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
    assert boxes["ASHA"].y0 > boxes["BO"].y0 > boxes["RS"].y0


def test_a_legend_where_names_do_not_fit() -> None:
    """Eight curves that end at one place, or long names."""
    figure = figure_of(study(*"ABCDEFGH", ends=[1.0] * 8), subplots=SubplotParameters(kwargs={"figsize": (4, 2)}))
    assert names(figure.axes[0]) == []
    assert legend_names(figure.axes[0]) == list("ABCDEFGH")
    long = "a method whose name is as long as a sentence"
    assert legend_names(figure_of(study(long)).axes[0]) == [long]


def test_very_long_names() -> None:
    """Names are shortened in their middle, numbered where they would look alike, and leave room to the axes."""
    long = "a method whose name is much longer than a sentence, for nothing was left out of it"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of([*study(f"{long} (1)"), *study(f"{long.replace('sentence', 'page')} (1)")])
        figure.draw_without_rendering()
        beside = figure_of(study(*(f"{number} {long}" for number in range(12))))
        beside.draw_without_rendering()
        tiny = figure_of(study(long), subplots=SubplotParameters(kwargs={"figsize": (2.5, 2)}))
        tiny.draw_without_rendering()
    first, second = legend_names(figure.axes[0])
    assert len(first) <= 44
    assert first.startswith("a method whose name")
    assert first.endswith("left out of it (1)")
    assert second != first
    assert second.endswith("(2)")
    assert len(set(legend_names(beside))) == 12
    assert beside.axes[0].get_window_extent().width > 3.5 * beside.dpi
    assert beside.legends[0].get_window_extent().x1 <= beside.bbox.x1


@pytest.mark.parametrize("title", ["one_word_" * 40, "many words " * 40, "W" * 200, "$x^2$ " * 60])
def test_long_titles(title: str) -> None:
    """They are parted into lines, and not cut off at the sides; the rest of the figure keeps its place."""
    experiments = study("RS", benchmark=title, metric_names=["loss"])
    for parameters in ({}, {"title": title}, {"subplots": SubplotParameters(title_each_figure=True)}):
        figure = figure_of(experiments, **parameters)
        figure.draw_without_rendering()
        (axes,) = figure.axes
        drawn = [text for text in (figure.get_suptitle() and figure._suptitle, axes.title) if text]  # type: ignore[attr-defined]
        for text in drawn:
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
        assert axes.get_window_extent().height > 0.3 * figure.bbox.height


def test_a_name_is_no_formula() -> None:
    """What looks like one in names of setups, benchmarks and metrics is drawn as it is."""
    hostile = "$\\frac$ \x00"
    rows = [{"st_tuner_time": time, hostile: value} for time, value in curve(10, 1)]
    experiments = [
        of_rows(f"{method}-0", rows, method=method, benchmark=hostile, metric_names=[hostile])
        for method in (hostile, "RS")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of(experiments)
        figure.draw_without_rendering()
        TrialsOfExperimentResults(experiments).plot(seed=0).draw_without_rendering()
    assert "frac" in figure.get_suptitle()


def test_numbers_at_the_ticks_of_logarithmic_axes() -> None:
    """Those between powers of ten are no larger than those at them."""
    figure = figure_of(study("RS"), xscale="log", yscale="log")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for axis in (axes.xaxis, axes.yaxis):
        sizes = {label.get_fontsize() for which in ("major", "minor") for label in axis.get_ticklabels(which=which)}
        assert sizes == {8.0}


def test_a_logarithmic_axis_that_spans_little_has_plain_numbers() -> None:
    """4.9, and not 4.9 times ten to the power of nothing."""
    runs = [made(str(seed), [(10, 5.3), (20, 5.0), (30, 4.8 + seed / 100)]) for seed in range(3)]
    figure = figure_of(runs, yscale="log")
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = [label.get_text() for which in ("major", "minor") for label in axes.yaxis.get_ticklabels(which=which)]
    numbers = [text for text in texts if text]
    assert len(numbers) > 1
    assert all(float(text) > 0 for text in numbers)


def test_numbers_of_subplots() -> None:
    """Large ones are no large figure; where titles say what they stand for, they are refused, with what to do."""
    experiments = [*study("RS"), *study("BO")]
    numbers = {"RS": 10**6, "BO": 3}
    results = ComparativeResults(
        experiments,
        metadata_to_setup=lambda metadata: str(metadata["method"]),
        metadata_to_subplot=lambda metadata: numbers[metadata["method"]],
    )
    assert len(results.plot().axes) == 2
    with pytest.raises(CloudtuneError, match=r"at most, .*let metadata_to_subplot= return a title instead of a large"):
        results.plot(plot_params=PlotParameters(subplots=SubplotParameters(titles=["a", "b"])))
    with pytest.raises(CloudtuneError, match="100 subplots at most, and this one would have 20 rows and 20 columns"):
        figure_of(experiments, subplots=SubplotParameters(nrows=20, ncols=20))


def test_what_matplotlib_does_not_take() -> None:
    """The message names the parameter and what matplotlib says."""
    for parameters, said in (
        ({"subplots": SubplotParameters(kwargs={"foo": 1})}, r"SubplotParameters\(kwargs=\{'foo': 1\}\): .*'foo'"),
        ({"tick_params": {"foo": 1}}, r"PlotParameters\(tick_params=\{'foo': 1\}\): .*foo"),
    ):
        with pytest.raises(CloudtuneError, match=said):
            figure_of(study("RS"), **parameters)


def test_many_curves_have_their_legend_beside_the_figure() -> None:
    """In the order of the setups, and no axes are covered."""
    setups = [f"method {number}" for number in range(12)]
    figure = figure_of(study(*setups))
    figure.draw_without_rendering()
    assert legend_names(figure) == setups
    assert figure.legends[0].get_window_extent().x0 >= figure.axes[0].get_window_extent().x1


def test_legends_where_they_are_asked_for() -> None:
    """In that subplot and in no other, and no names at the ends of curves."""
    experiments = [*study("RS", n_workers=2), *study("RS", n_workers=4), *study("BO", n_workers=2)]
    for number, experiment in enumerate(experiments):
        experiment.name += f"-{number}"
    figure = figure_of(experiments, subplots=SubplotParameters(legend_no=[1]))
    assert [legend_names(axes) for axes in figure.axes] == [[], ["2 workers", "4 workers"]]
    assert [names(axes) for axes in figure.axes] == [[], []]
    with pytest.raises(CloudtuneError, match="legend_no=2 names subplot 2; choose from 0 to 1"):
        figure_of(experiments, subplots=SubplotParameters(legend_no=2))


def by_method(*methods: str) -> ComparativeResults:
    order = list(methods)
    experiments = [
        made(f"{m}-{w}-{s}", curve(10, 1 + w), method=m, n_workers=w, seed=s)
        for m in methods
        for w in (2, 4, 8)
        for s in range(2)
    ]
    return ComparativeResults(
        experiments,
        metadata_to_setup=lambda metadata: f"{metadata['n_workers']} workers",
        metadata_to_subplot=lambda metadata: order.index(metadata["method"]),
        plot_params=PlotParameters(title="t", subplots=SubplotParameters(titles=[m.lower() for m in methods])),
    )


def test_a_subplot_for_each_method() -> None:
    """The figure of four methods and three numbers of workers: two by two, titles, shared axes, colours of a setup."""
    figure = by_method("RS", "BO", "ASHA", "MOBSTER").plot()
    assert [axes.get_title() for axes in figure.axes] == ["rs", "bo", "asha", "mobster"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert [axes.get_xlabel() != "" for axes in figure.axes] == [False, False, True, True]
    assert [axes.get_ylabel() != "" for axes in figure.axes] == [True, False, True, False]
    for setup in ("2 workers", "4 workers", "8 workers"):
        (colour,) = {line.get_color() for axes in figure.axes for line in axes.get_lines() if line.get_label() == setup}
        assert colour


def test_how_the_figure_is_parted() -> None:
    """Rows, columns, titles of columns or of each subplot, and where an axis ends; what is not used is not seen."""
    results = by_method("RS", "BO", "ASHA")
    row = results.plot(plot_params=PlotParameters(subplots=SubplotParameters(nrows=2, ncols=2, xlims=[5, 6, (1, 7)])))
    assert [axes.axison for axes in row.axes] == [True, True, True, False]
    assert row.axes[1].get_xlabel() != ""
    assert row.axes[0].get_xlim() == row.axes[2].get_xlim() == (1, 7)  # shared: the last one counts
    apart = SubplotParameters(nrows=3, ncols=1, kwargs={"sharex": False, "figsize": (3, 6)}, xlims=[5, 6, (1, 7)])
    column = results.plot(plot_params=PlotParameters(subplots=apart))
    assert [axes.get_xlim() for axes in column.axes] == [(0, 5), (0, 6), (1, 7)]
    assert tuple(column.get_size_inches()) == (3, 6)
    each = results.plot(plot_params=PlotParameters(subplots=SubplotParameters(title_each_figure=True)))
    assert [axes.get_title() for axes in each.axes] == ["t rs", "t bo", "t asha"]
    assert each.get_suptitle() == ""
    columns = SubplotParameters(nrows=2, ncols=2, titles=["left", "right"], title_each_figure=False)
    assert [a.get_title() for a in results.plot(plot_params=PlotParameters(subplots=columns)).axes] == [
        "left", "right", "", "",
    ]  # fmt: skip
    with pytest.raises(CloudtuneError, match=r"nrows=1 times ncols=2 of them do not hold that; raise one"):
        results.plot(plot_params=PlotParameters(subplots=SubplotParameters(nrows=1, ncols=2)))


def test_limits_scales_and_grid() -> None:
    """What is given counts; by default the first values, far away from all that is compared, are not shown."""
    experiments = [made("a", [(1, 1e9), (2, 1.0), (50, 0.5), (100, 0.25)])]
    (axes,) = figure_of(experiments).axes
    assert 0.2 < axes.get_ylim()[0] < 0.25
    assert 1.0 < axes.get_ylim()[1] < 1.2
    (axes,) = figure_of(experiments, ylim=(0.1, 2), xlim=(5, 50), grid=False, xscale="log", yscale="log").axes
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlim()) == ("log", "log", (5, 50))
    ends = SubplotParameters(xlims=[60])
    assert figure_of(experiments, subplots=ends).axes[0].get_xlim() == (0, 60)
    assert figure_of(experiments, subplots=ends, xscale="log").axes[0].get_xlim()[1] == 60
    (axes,) = figure_of(experiments, tick_params={"labelsize": 13}).axes
    assert axes.xaxis.get_ticklabels()[0].get_fontsize() == 13


def test_thin_where_it_is_not_all_of_the_setup() -> None:
    """Where not all runs go on, and after the last has ended, as the small print says; none before all have begun."""
    experiments = [
        made("a", curve(9, 4, 5.0)),
        made("b", [(2, 8.0), (5, 3.0)], finished=False),
        made("c", curve(10, 1), method="BO"),
    ]
    figure = figure_of(experiments)
    (axes,) = figure.axes
    (thick,) = [line for line in axes.get_lines() if line.get_label() == "RS"]
    assert (np.min(thick.get_xdata()), np.max(thick.get_xdata())) == (2, 5)
    thin = [line for line in axes.get_lines() if line.get_label() == "_thin"]
    assert [float(np.min(line.get_xdata())) for line in thin] == [5]
    assert max(line.get_linewidth() for line in thin) < thick.get_linewidth() / 2
    assert "Thin where not all runs have a value or all have ended" in figure.get_supxlabel().replace("\n", " ")
    assert figure_of(experiments, caption="").get_supxlabel() == ""


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_files(suffix: str, begins: bytes, tmp_path: Path) -> None:
    """By the suffix, into a folder that is made; the same results give the same bytes."""
    experiments = study("RS", "BO")
    files = [tmp_path / "new" / f"{number}{suffix}" for number in range(2)]
    for file in files:
        figure_of(experiments, file)
    assert files[0].read_bytes().startswith(begins)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_other_files_are_refused_before_any_work(tmp_path: Path) -> None:
    """The message names the formats there are."""
    results = ComparativeResults([])
    with pytest.raises(CloudtuneError, match=r"must end with \.png, \.svg, \.pdf; '.*comparison' does not"):
        results.plot(file_name=tmp_path / "comparison")


def test_nothing_of_matplotlib_is_changed(tmp_path: Path) -> None:
    """No setting, no figure that pyplot knows, no backend; the size of png files is theirs times dpi."""
    before, backend = dict(mpl.rcParams), mpl.get_backend()
    figure = figure_of(study("RS"), tmp_path / "f.png", dpi=50)
    assert dict(mpl.rcParams) == before
    assert mpl.get_backend() == backend
    assert plt.get_fignums() == []
    width, height = figure.get_size_inches() * 50
    assert mpl.image.imread(tmp_path / "f.png").shape[:2] == (int(height), int(width))


def test_matplotlib_is_imported_when_a_figure_is_drawn() -> None:
    """Loading and comparing do without it."""
    program = "import sys; from cloudtune.experiments import ComparativeResults, TrialsOfExperimentResults"
    check = "sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", f"{program}; {check}"], check=True, cwd=Path(__file__).parents[3])


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the line to type."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CloudtuneError, match=re.escape("pip install 'cloudtune[plot]'")):
        figure_of(study("RS"))
