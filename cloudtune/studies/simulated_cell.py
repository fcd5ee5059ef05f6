"""Trials of a cell that are learning curves of a table."""

from __future__ import annotations

from cloudtune.backend.simulator_backend import SimulatorBackend
from cloudtune.blackbox import TabularBlackbox, add_surrogate, load_blackbox
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.cell import Cell
from cloudtune.studies.settings import CellSettings


def simulated(cell: Cell, benchmark: BenchmarkDefinition, settings: CellSettings) -> SimulatorBackend:
    """The backend of a cell whose trials are simulated.

    A cell's seed also decides which repetition of each configuration its curves are taken from.

    Raises:
        ValueError: The benchmark names no blackbox.
        UnknownBlackbox: There is none of that name.
    """
    if benchmark.blackbox is None:
        raise ValueError(
            f"benchmark '{benchmark.name}' names no blackbox, so that there is nothing to simulate its trials with; "
            "use another backend, or give its definition the name of a table of learning curves"
        )
    blackbox = load_blackbox(benchmark.blackbox)
    return SimulatorBackend(
        add_surrogate(blackbox) if isinstance(blackbox, TabularBlackbox) else blackbox,
        seed=cell.seed,
        delete_checkpoints=settings.delete_checkpoints,
    )
