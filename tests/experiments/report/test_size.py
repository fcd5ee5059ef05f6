"""The page stays small, whatever the study's size."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.report.size import data_of_experiments, fair_share
from cloudtune.experiments.report.study import ReportedTrial
from tests.experiments.report.studies import Page, curve, experiment, row


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(0, 5000))
def test_small_pieces_leave_their_rest_to_the_others(sizes: list[int], total: int) -> None:
    """All fit once each is at most its share, and no greater share would do."""
    share = fair_share(sizes, total)
    cut = [min(size, share) for size in sizes]
    assert sum(cut) <= total + 1e-6
    assert sum(sizes) <= total or abs(sum(cut) - total) < 1e-6


def test_only_what_is_large_loses_detail() -> None:
    """A long experiment is thinned out until all fit; a short one beside it is drawn in full, and the page says so."""
    long = experiment("long", rows=curve(4000), trials=[ReportedTrial(0, "Completed", {"lr": 0.5})])
    short = experiment("short")
    in_full = data_of_experiments([long, short])
    least = data_of_experiments([long, short], most=20_000)
    assert sum(map(len, least)) <= 20_000 < sum(map(len, in_full))
    assert least[1] == in_full[1]
    page = Page("".join(least))
    points, trials = page.data["data-0"]["left_out"]
    assert points + len(page.data["data-0"]["curves"][0][2]) == 4000
    assert trials == 0
    assert page.data["data-0"]["best"] == [[[0, 3998, 3999], [1, 0, 0]]]


def test_many_large_experiments_fit_on_a_page() -> None:
    """A thousand reports and hundreds of trials with long texts, several times over: all below the limit together."""
    text = "x" * 70
    trials = [
        ReportedTrial(number, "Completed", {f"{text}{key}": f"{text}{number}" for key in range(9)})
        for number in range(200)
    ]
    rows = [row(number % 200, float(number), loss=1 / (1 + number), epoch=number // 200) for number in range(1000)]
    one = experiment(rows=rows, trials=trials)
    pieces = data_of_experiments([one] * 3, most=60_000)
    assert sum(map(len, pieces)) <= 60_000
    shown = json.loads(pieces[0].partition(">")[2].rpartition("<")[0])
    assert 0 < len(shown["trials"]) < 200
    assert min(trial[3] for trial in shown["trials"]) == round(1 / 1000, 9)
