"""What a figure of a large study costs: a thousand experiments of 500 reports, a thousand bootstrap draws."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarking.overhead.measurement import Row, peak_megabytes, seconds
from cloudtune.experiments import ComparativeResults, ExperimentResult, PlotParameters

EXPERIMENTS, REPORTS, TRIALS, DRAWS = 1000, 500, 40, 1000
#: Methods x numbers of workers, over which the experiments are spread; and a single group of all of them.
METHODS, WORKERS = ("RS", "BO", "ASHA", "MOBSTER"), (1, 2, 4, 8, 16)
#: What the issue allows: seconds, and megabytes.
TIME, MEMORY = 10.0, 1000.0

_PEAK = """
from benchmarking.overhead.studies_figure import draw, experiments
draw(experiments(), "{file}", {alone})
"""


def measure(repeats: int) -> list[Row]:
    """All rows about figures."""
    made = experiments()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "figure.png"))
        draw(made[:20], file, False)  # imports matplotlib
        for alone, what in ((False, f"{len(METHODS) * len(WORKERS)} setups"), (True, "one setup")):
            # The least: what else the machine does meanwhile can only add to it.
            taken = min(seconds(lambda alone=alone: draw(made, file, alone)) for _ in range(repeats))  # type: ignore[misc]
            work = f"figure of {EXPERIMENTS} experiments x {REPORTS}, {what}"
            rows.append(Row(work, taken, TIME, "s", 1.0, "the target"))
            begin = time.process_time()
            draw(made, file, alone)
            used = time.process_time() - begin
            rows.append(Row("... processor time of it", used, taken, "s", None, "the time it took"))
            peak = peak_megabytes(_PEAK.format(file=file, alone=alone))
            held = peak_megabytes("from benchmarking.overhead.studies_figure import experiments; made = experiments()")
            rows.append(Row("... memory, the experiments included", peak, MEMORY, "MB", 1.0, "the target"))
            rows.append(Row("... against the experiments alone", peak, held, "MB", None, "made and held"))
        floor = seconds(lambda: [one.results["loss"].to_numpy(dtype=float).cumsum() for one in made])
        rows.append(Row("... against a pass over the data", taken, floor, "s", None, "numpy, one column"))
    return rows


def draw(made: list[ExperimentResult], file: str, alone: bool) -> None:
    """Makes curves and figure, and saves it."""
    setup = (lambda _: "all") if alone else None
    results = ComparativeResults(made, metadata_to_setup=setup)
    results.plot(plot_params=PlotParameters(num_draws=DRAWS), file_name=file)


def experiments() -> list[ExperimentResult]:
    """Experiments that never hit the same second twice, each getting better about as often as real ones."""
    random = np.random.default_rng(0)
    cells = [(method, workers) for method in METHODS for workers in WORKERS]
    made = []
    for number in range(EXPERIMENTS):
        method, workers = cells[number % len(cells)]
        losses = random.lognormal(0.0, 1.0, REPORTS) * np.linspace(3.0, 1.0, REPORTS)
        results = pd.DataFrame(
            {
                "trial_id": np.sort(random.integers(0, TRIALS, REPORTS)),
                "st_decision": "CONTINUE",
                "st_status": "InProgress",
                "st_tuner_time": np.cumsum(random.exponential(30.0, REPORTS)),
                "loss": losses,
            }
        )
        metadata = {
            "metric_names": ["loss"],
            "metric_mode": "min",
            "method": method,
            "n_workers": workers,
            "seed": number // len(cells),
            "st_finished_state": "finished",
        }
        made.append(ExperimentResult(f"figure-{number}", results, metadata, Path("figure")))
    return made
