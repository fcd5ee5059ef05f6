"""The script that draws the figure of the guide on studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarking.study_picture import EPOCHS, METHODS, draw, play


def curves() -> list[list[float]]:
    """Sixty that fall towards an error of their own."""
    ends = np.random.default_rng(0).uniform(0.02, 0.9, 60)
    return [(end + (0.9 - end) * 0.8 ** np.arange(EPOCHS)).tolist() for end in ends]


def test_a_study_is_played_by_the_schedulers() -> None:
    """Times rise and end with the limit; no more trials run at once than there are workers; ASHA stops many early."""
    table = curves()
    played = {method: play(table, method, 4, 0) for method in METHODS}
    for experiment in played.values():
        times = experiment.results["st_tuner_time"].to_numpy()
        assert (np.diff(times) >= 0).all()
        assert times[-1] <= 1800
        assert experiment.metadata["n_workers"] == 4
    counts = {method: experiment.results["trial_id"].nunique() for method, experiment in played.items()}
    assert counts["ASHA"] > 1.5 * counts["random search"]
    assert play(table, "ASHA", 4, 0).results.equals(played["ASHA"].results)


def test_the_figure(tmp_path: Path) -> None:
    """It is drawn, and the same each time."""
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file in files:
        draw(curves(), str(file))
    assert files[0].read_bytes() == files[1].read_bytes()
