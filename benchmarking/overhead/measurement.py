"""A measured row, and the table of all of them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Args:
        work: What was measured.
        value: The figure.
        floor: The unit it is compared with, timed in the same run.
        unit: Unit of both, for instance "s" or "µs".
        limit: The ratio value / floor may not exceed this; None: shown only.
        floor_name: What the floor is.
    """

    work: str
    value: float
    floor: float
    unit: str
    limit: float | None
    floor_name: str

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.value / self.floor

    @property
    def missed(self) -> bool:
        """True if there is a limit and the ratio is above it."""
        return self.limit is not None and self.ratio > self.limit


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turn(repeats: int, *works: Callable[[], float]) -> list[float]:
    """Medians of measurements taken in turn (a b a b ...), so that a change in the machine's load meets all alike."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for results, work in zip(taken, works, strict=True):
            results.append(work())
    return [statistics.median(results) for results in taken]


_PRINT_PEAK = """
import sys
if sys.platform.startswith("linux"):
    # Not getrusage: what that says of a process includes what its parent was when it forked.
    with open("/proc/self/status") as file:
        print(next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")))
else:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def peak_megabytes(code: str) -> float:
    """Greatest resident memory of an interpreter that runs ``code``, the least of three runs."""
    argv = [sys.executable, "-c", code + _PRINT_PEAK]
    return min(float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout) for _ in range(3))


def table(rows: list[Row]) -> str:
    """The report as text, one row per line."""
    head = ("work", "measured", "floor", "ratio", "limit", "", "floor is")
    cells = [head]
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:.2f}"
        verdict = "" if row.limit is None else ("MISSED" if row.missed else "ok")
        cells.append(
            (
                row.work,
                f"{row.value:.4g} {row.unit}",
                f"{row.floor:.4g} {row.unit}",
                f"{row.ratio:.2f}",
                limit,
                verdict,
                row.floor_name,
            )
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)
