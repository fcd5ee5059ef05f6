"""A plan: which experiments a study consists of, as data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from cloudtune.studies.cell import Cell
from cloudtune.studies.settings import CellSettings

#: Of the form in which plans are written. A higher one is refused.
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """Methods x benchmarks x numbers of workers x seeds, under one tag.

    A tag may hold several plans: each is a launch of some of its cells.

    Args:
        tag: What the experiments have in common.
        benchmarks: By name.
        methods: By name.
        n_workers: Trials at the same time; None: as many as each benchmark has by default.
        num_seeds: Repetitions of each.
        start_seed: Number of the first.
        settings: For all of them.

    Raises:
        ValueError: Nothing is planned, something is planned twice, or two cells would have one name.
    """

    tag: str
    benchmarks: tuple[str, ...]
    methods: tuple[str, ...]
    n_workers: tuple[int | None, ...] = (None,)
    num_seeds: int = 1
    start_seed: int = 0
    settings: CellSettings = field(default_factory=CellSettings)

    def __post_init__(self) -> None:
        for name in ("benchmarks", "methods", "n_workers"):
            values: Sequence[Any] = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            if not values:
                raise ValueError(f"a plan without {name} has no experiments; name at least one")
            twice = [str(value) for value, count in Counter(values).items() if count > 1]
            if twice:
                raise ValueError(f"a plan names {name} {', '.join(twice)} twice; name each once")
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be at least 1, got {self.num_seeds}")
        if self.start_seed < 0:
            raise ValueError(f"start_seed must not be negative, got {self.start_seed}")
        for workers in self.n_workers:
            if workers is not None and workers < 1:
                raise ValueError(f"n_workers must be at least 1, got {workers}")

    @property
    def size(self) -> int:
        """How many cells it has."""
        return len(self.benchmarks) * len(self.methods) * len(self.n_workers) * self.num_seeds

    def cells(self, default_workers: Mapping[str, int]) -> list[Cell]:
        """Its cells: seed after seed, so that a study that is cut short has whole repetitions.

        Args:
            default_workers: Of each benchmark.

        Raises:
            ValueError: Two cells would have one name.
        """
        seeds = range(self.start_seed, self.start_seed + self.num_seeds)
        cells = [
            Cell(self.tag, benchmark, method, default_workers[benchmark] if workers is None else workers, seed)
            for seed, benchmark, workers, method in product(seeds, self.benchmarks, self.n_workers, self.methods)
        ]
        by_name: dict[str, Cell] = {}
        for cell in cells:
            other = by_name.setdefault(cell.name, cell)
            if other is not cell:
                raise ValueError(
                    f"{cell.method} on {cell.benchmark} with {cell.n_workers} workers and {other.method} on "
                    f"{other.benchmark} with {other.n_workers} would both be called {cell.name}; rename one of them, "
                    "or launch them under two tags"
                )
        return cells

    def to_json(self) -> str:
        """As one JSON object; see :meth:`from_json`."""
        plan = {
            "format": _FORMAT,
            "tag": self.tag,
            "benchmarks": self.benchmarks,
            "methods": self.methods,
            "n_workers": self.n_workers,
            "num_seeds": self.num_seeds,
            "start_seed": self.start_seed,
            "settings": self.settings.to_dict(),
        }
        return json.dumps(plan, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that :meth:`to_json` has written.

        Raises:
            ValueError: It is none, or a newer cloudtune wrote it.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or not isinstance(values.get("format"), int):
            raise ValueError("this is no plan of experiments; write one with `cloudtune plan --json`")
        if values.pop("format") > _FORMAT:
            raise ValueError("a newer cloudtune wrote this plan; upgrade with pip install -U cloudtune")
        values.pop("launch", None)  # how it was launched, see launched_plan.py, is no part of it
        settings = CellSettings.from_dict(values.pop("settings"))
        return cls(**{**values, "settings": settings})
