"""What a study can be made of: benchmarks and methods, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudtune.errors import CloudtuneError
from cloudtune.studies.benchmark import BenchmarkDefinition
from cloudtune.studies.cell import Cell
from cloudtune.studies.extra_arguments import ExtraArgument
from cloudtune.studies.methods import METHODS, Method, MethodArguments
from cloudtune.studies.plan import Plan
from cloudtune.studies.seeds import first_configs, method_seed
from cloudtune.studies.settings import CellSettings

#: Compared where no method is named, as far as they are there.
_USUAL_METHODS = ("RS", "BO", "ASHA", "MOBSTER")


class UnknownName(CloudtuneError):
    """There is no method or benchmark of that name; the message lists those there are."""


@dataclass(frozen=True)
class Catalogue:
    """Benchmarks and methods.

    Args:
        benchmarks: Name -> makes the definition; each is made when it is asked for.
        methods: Name -> makes the scheduler.
        default_methods: Names of those that are compared where none is named. Default: those of RS, BO, ASHA and
            MOBSTER that there are, or else all.
        extra_arguments: Flags of one's own, for the methods.

    Raises:
        ValueError: Two arguments of one's own have one name.
    """

    benchmarks: Mapping[str, Callable[[], BenchmarkDefinition]]
    methods: Mapping[str, Method] = field(default_factory=lambda: METHODS)
    default_methods: Sequence[str] = ()
    extra_arguments: Sequence[ExtraArgument] = ()

    def __post_init__(self) -> None:
        usual = tuple(name for name in _USUAL_METHODS if name in self.methods)
        object.__setattr__(self, "default_methods", tuple(self.default_methods) or usual or tuple(self.methods))
        object.__setattr__(self, "extra_arguments", tuple(self.extra_arguments))
        names = [argument.name for argument in self.extra_arguments]
        if len(set(names)) < len(names):
            raise ValueError(f"arguments of one's own must differ in name, got {', '.join(names)}")

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
        master = settings.master_seed(cell.tag)
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
    by_folded = {one.casefold(): one for one in names}
    near = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    advice = f"did you mean {by_folded[near[0]]!r}? " if near else ""
    raise UnknownName(f"there is no {what} {name!r}; {advice}known are {', '.join(names) or 'none'}")
