"""Keeps the page small: what is too much of it is drawn with less detail, the largest experiments first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cloudtune.experiments.report.curves import DETAILS, experiment_data
from cloudtune.experiments.report.markup import Html, embedded
from cloudtune.experiments.report.study import ReportedExperiment

#: Bytes of the data of all experiments together.
MAX_BYTES = 10_000_000


def data_of_experiments(experiments: Sequence[ReportedExperiment], most: int = MAX_BYTES) -> list[Html]:
    """The data of each experiment, in an element of its own with the id ``data-<its number>``.

    Args:
        experiments: In the order of their numbers.
        most: Bytes of all of them together; more only where the least detail needs more.
    """
    pieces = [_piece(number, experiment, 0) for number, experiment in enumerate(experiments)]
    share = fair_share([len(piece) for piece in pieces], most)
    for number, experiment in enumerate(experiments):
        level = 0
        while len(pieces[number]) > share and level + 1 < len(DETAILS):
            # A step about halves what is shown.
            level = min(level + max(1, int(math.log2(len(pieces[number]) / max(share, 1.0)))), len(DETAILS) - 1)
            pieces[number] = _piece(number, experiment, level)
    return pieces


def fair_share(sizes: Sequence[int], total: int) -> float:
    """The size above which a piece has to shrink, so that all fit: small ones leave their rest to the others."""
    rest, share = float(total), float("inf")
    for done, size in enumerate(sorted(sizes)):
        share = rest / (len(sizes) - done)
        if size > share:
            return share
        rest -= size
    return float("inf")


def _piece(number: int, experiment: ReportedExperiment, level: int) -> Html:
    return embedded(f"data-{number}", experiment_data(experiment, DETAILS[level]))
