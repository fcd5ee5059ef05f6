"""A study in S3, compared from any machine."""

from __future__ import annotations

import pytest

from cloudtune.experiments import ComparativeResults, PlotParameters
from tests.experiments.in_s3 import account
from tests.experiments.studies_in_s3 import TAG, ended, running
from tests.store.opened_s3 import forget

__all__ = ["account"]


@pytest.mark.usefixtures("account")
def test_a_study_in_s3_is_compared() -> None:
    """Experiments are found by their tag; those that have ended keep their last value, one that runs is named."""
    for seed in range(2):
        ended(f"{TAG}-RS-w4-{seed}", method="RS", n_workers=4, seed=seed, st_finished_state="finished")
    open_still = running(f"{TAG}-RS-w4-2")
    results = ComparativeResults(
        (TAG,), metadata_to_setup=lambda _: "all", plot_params=PlotParameters(aggregate_mode="median_percentiles"),
        num_runs=3, download_from_s3=True,
    )  # fmt: skip
    comparison = results.curves()
    ((curve,),) = [panel.curves for panel in comparison.subplots]
    assert sorted(curve.runs) == [f"{TAG}-RS-w4-{seed}" for seed in range(3)]
    assert curve.x.tolist() == [1.0, 1.5, 3.0, 4.5]
    assert curve.centre.tolist() == [0.9, 0.7, 0.4, 0.4]
    assert comparison.notes == (f"not finished, and counted up to the last report only: '{TAG}-RS-w4-2'",)
    forget(open_still)
