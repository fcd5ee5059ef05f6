"""What a study can be made of: benchmarks and methods, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cloudtune.errors import CloudtuneError
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.cell import Cell
from cloudtune.studies.methods import METHODS, Method, MethodArguments
from cloudtune.studies.plan import Plan
from cloudtune.studies.seeds import first_configs, master_seed, method_seed
from cloudtune.studies.settings import CellSettings


class UnknownName(CloudtuneError):
    """There is no method or benchmark of that name; the message lists those there are."""


@dataclass(frozen=True)
class Catalogue:
    """Benchmarks and methods.

    Args:
        benchmarks: Name -> makes the definition; each is made when it is asked for.
        methods: Name -> makes the scheduler.
    """

    benchmarks: Mapping[str, Callable[[], BenchmarkDefinition]]
    methods: Mapping[str, Method] = field(default_factory=lambda: METHODS)

    def benchmark(self, name: str) -> BenchmarkDefinition:
        """The benchmark of this name. Raises UnknownName."""
        _check_known("benchmark", name, self.benchmarks)
        return self.benchmarks[name]()

    def cells(self, plan: Plan) -> list[Cell]:
        """The cells of a plan, all of whose names are known.

        Raises:
            UnknownName: One is not.
            ValueError: Two cells would have one name.
        """
        for method in plan.methods:
            _check_known("method", method, self.methods)
        return plan.cells({name: self.benchmark(name).n_workers for name in plan.benchmarks})

    def scheduler(self, cell: Cell, settings: CellSettings) -> Any:
        """The cell's method, in the state in which it begins.

        Raises:
            UnknownName: There is no such method or benchmark.
            ValueError: The method does not take an argument of one's own.
        """
        _check_known("method", cell.method, self.methods)
        benchmark = self.benchmark(cell.benchmark)
        master = master_seed(cell.tag) if settings.random_seed is None else settings.random_seed
        arguments = MethodArguments(
            benchmark,
            method_seed(master, cell),
            first_configs(master, cell, benchmark.config_space, cell.n_workers),
            settings.extra,
        )
        try:
            return self.methods[cell.method](arguments)
        except TypeError as error:
            if not settings.extra:
                raise
            raise ValueError(
                f"the method {cell.method} cannot be made with {', '.join(settings.extra)}: {error}; leave out what it "
                "does not take"
            ) from error


def _check_known(what: str, name: str, known: Iterable[str]) -> None:
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1) or [one for one in names if one.lower() == name.lower()]
    advice = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownName(f"there is no {what} {name!r}; {advice}known are {', '.join(names) or 'none'}")
