"""The benchmarks, by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarking.definitions.digits_mlp import digits_mlp
from benchmarking.definitions.transformer_wikitext2 import transformer_wikitext2
from cloudtune.studies.benchmark import BenchmarkDefinition

#: Each benchmark is made when it is asked for: none costs anything before.
BENCHMARKS: dict[str, Callable[[], BenchmarkDefinition]] = {
    "digits_mlp": digits_mlp,
    "transformer_wikitext2": transformer_wikitext2,
}

__all__ = ["BENCHMARKS", "BenchmarkDefinition", "benchmark"]


def benchmark(name: str) -> BenchmarkDefinition:
    """The benchmark of this name.

    Raises:
        KeyError: There is none; the message lists those there are.
    """
    if name not in BENCHMARKS:
        raise KeyError(f"there is no benchmark {name!r}; choose one of {', '.join(sorted(BENCHMARKS))}")
    return BENCHMARKS[name]()
