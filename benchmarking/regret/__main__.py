"""Simple regret after 30 and 60 evaluations, ours against others'.

``python -m benchmarking.regret --results FILE [--seeds 20] [--problems ...] [--optimizers ...] [--evaluations 60]``

Each course is a line of the file; those that are there already are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Matrices are small: one thread is fastest, for all. Libraries read this when they are loaded.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - see above

from benchmarking.regret.optimizers import OPTIMIZERS  # noqa: E402 - see above
from benchmarking.regret.problems import PROBLEMS  # noqa: E402 - see above

#: After so many evaluations regrets are compared.
CHECKPOINTS = (30, 60)
_RESAMPLES = 10_000

Course = tuple[str, str, int]


def read(path: Path) -> dict[Course, list[float]]:
    """Regret after each evaluation (the least so far), by problem, optimizer and seed."""
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
    return {(line["problem"], line["optimizer"], line["seed"]): line["regret"] for line in lines}


def run(path: Path, courses: Iterable[Course], evaluations: int) -> None:
    """Runs the courses that the file does not hold with so many evaluations, and appends them."""
    there = {course for course, regret in read(path).items() if len(regret) >= evaluations}
    path.parent.mkdir(parents=True, exist_ok=True)
    for problem, optimizer, seed in courses:
        if (problem, optimizer, seed) in there:
            continue
        begin = time.perf_counter()
        values = OPTIMIZERS[optimizer](PROBLEMS[problem].space, seed, PROBLEMS[problem].regret, evaluations)
        line = {
            "problem": problem,
            "optimizer": optimizer,
            "seed": seed,
            "seconds": round(time.perf_counter() - begin, 2),
            "regret": np.minimum.accumulate(values).tolist(),
        }
        # A line that was cut short is left behind, alone.
        torn = path.exists() and not path.read_text().endswith("\n") and path.stat().st_size > 0
        with path.open("a") as file:
            file.write("\n" * torn + json.dumps(line) + "\n")


def compared(ours: Any, theirs: Any) -> str:
    """Whether ours is better or worse with 95 % certainty, by a paired bootstrap over seeds of the mean logarithm.

    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    difference = np.log10(np.maximum(ours, 1e-9)) - np.log10(np.maximum(theirs, 1e-9))
    drawn = np.random.default_rng(0).integers(len(difference), size=(_RESAMPLES, len(difference)))
    low, high = np.quantile(difference[drawn].mean(1), [0.025, 0.975])
    return "better" if high < 0 else "worse" if low > 0 else "no difference shown"


def table(results: dict[Course, list[float]]) -> str:
    """Median regrets, and how ours compares on the seeds that both have."""
    lines = []
    for problem in PROBLEMS:
        for after in CHECKPOINTS:
            by_seed: dict[str, dict[int, float]] = {}
            for (name, optimizer, seed), regret in results.items():
                if name == problem and len(regret) >= after:
                    by_seed.setdefault(optimizer, {})[seed] = regret[after - 1]
            for optimizer in (name for name in OPTIMIZERS if name in by_seed):
                theirs = by_seed[optimizer]
                both = sorted(set(theirs) & set(by_seed.get("cloudtune", {})))
                verdict = ""
                if optimizer != "cloudtune" and both:
                    ours = np.array([by_seed["cloudtune"][seed] for seed in both])
                    verdict = f"cloudtune is {compared(ours, np.array([theirs[seed] for seed in both]))}"
                median = float(np.median(list(theirs.values())))
                lines.append(f"{problem:12} {after:3} {optimizer:11} {median:10.4g}  {len(theirs):3} seeds  {verdict}")
    return "\n".join(lines)


def main() -> int:
    """Runs what is missing, and prints the table."""
    parser = argparse.ArgumentParser(prog="benchmarking.regret", description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=CHECKPOINTS[-1])
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--optimizers", nargs="+", choices=list(OPTIMIZERS), default=list(OPTIMIZERS))
    args = parser.parse_args()
    courses = [
        (problem, optimizer, seed)
        for seed in range(args.seeds)
        for problem in args.problems
        for optimizer in args.optimizers
    ]
    run(args.results, courses, args.evaluations)
    print(table(read(args.results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
