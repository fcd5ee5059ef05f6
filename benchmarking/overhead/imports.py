"""What importing costs: the Reporter in every trial, the package in every program."""

from __future__ import annotations

import subprocess
import sys

from benchmarking.overhead.measurement import Row, in_turn, peak_megabytes, seconds

_STDLIB = "import json, os, time"
_REPORTER = "import cloudtune.report"


def run(code: str) -> str:
    """Runs an interpreter on ``code``; its output."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def measure(repeats: int) -> list[Row]:
    """The rows of imports. Medians of many starts in turn: one start is short and noisy."""
    starts = max(15, 5 * repeats)
    codes = (_REPORTER, _STDLIB, "import cloudtune", "pass")
    reporter, stdlib, package, nothing = in_turn(
        starts, *[lambda code=code: seconds(lambda: run(code)) for code in codes]
    )
    grown, base = peak_megabytes(_REPORTER), peak_megabytes(_STDLIB)
    return [
        Row("import cloudtune.report", reporter * 1e3, stdlib * 1e3, "ms", 1.25, _STDLIB),
        Row("import cloudtune", package * 1e3, nothing * 1e3, "ms", 2.0, "interpreter start"),
        Row(
            "memory of import cloudtune.report", grown, base, "MB", (base + 3) / base, f"{_STDLIB} (3 MB more at most)"
        ),
    ]
