"""The machines that an experiment of a study has at once: those of its trials, and its tuner's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cloudtune.studies.cell import Cell
from cloudtune.studies.settings import CellSettings

if TYPE_CHECKING:
    from cloudtune.studies.benchmark import BenchmarkDefinition


@dataclass(frozen=True)
class Machines:
    """Some instances.

    Args:
        types: Of which each may be one, best first.
        count: How many.
        is_spot: Whether they are spot instances.
    """

    types: tuple[str, ...]
    count: int
    is_spot: bool = False

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of_object(cls, values: Mapping[str, Any]) -> Machines:
        """Those that :meth:`as_object` has described."""
        return cls(tuple(map(str, values["types"])), int(values["count"]), bool(values["is_spot"]))


def machines_of(cell: Cell, settings: CellSettings, benchmark: BenchmarkDefinition, tuner: Machines) -> list[Machines]:
    """What an experiment has at once, its tuner's machine first.

    Args:
        cell: Of the experiment.
        settings: Of the experiment.
        benchmark: Of the cell.
        tuner: The tuner's machine. Trials that are no jobs of their own run on it.
    """
    if settings.backend != "sagemaker":
        return [tuner]
    return [tuner, Machines(settings.instance_type or (benchmark.instance_type,), cell.n_workers, settings.use_spot)]
