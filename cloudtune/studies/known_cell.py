"""Which cell of a study an experiment is, by what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cloudtune.studies.cell import Cell


def known_cell(values: Any, name: str) -> Cell | None:
    """The cell that some metadata tell; None where they tell none, or that of another experiment.

    Args:
        values: What may hold tag, benchmark, method, n_workers and seed.
        name: Of the experiment.
    """
    if not isinstance(values, Mapping):
        return None
    tag, benchmark, method, workers, seed = (values.get(one.name) for one in fields(Cell))
    if not (isinstance(tag, str) and isinstance(benchmark, str) and isinstance(method, str)):
        return None
    if not (isinstance(workers, int) and isinstance(seed, int)):
        return None
    cell = Cell(tag, benchmark, method, workers, seed)
    try:
        return cell if cell.name == name else None
    except ValueError:  # no experiment could be called so
        return None
