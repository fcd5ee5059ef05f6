"""A training script whose error depends on ``x`` and, by a little, on its seed. Run by the tests of reruns."""

from __future__ import annotations

import argparse
import os
import random
from pathlib import Path

from cloudtune import Reporter


def error_of(x: float, seed: int, epoch: int) -> float:
    """What it reports after an epoch: best after the second, a little worse then."""
    return abs(x - 0.3) + random.Random(f"{seed} {epoch}").uniform(0.0, 0.1) + (0.0 if epoch == 2 else 0.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float, required=True)
    parser.add_argument("--max_epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--st_checkpoint_dir")
    arguments = parser.parse_args()
    # A test may have the run of one seed fail.
    fails = os.environ.get("FAILS", "")
    if fails and Path(fails).read_text() == str(arguments.seed):
        raise SystemExit("as the test wants it")
    report = Reporter()
    for epoch in range(1, arguments.max_epochs + 1):
        report(epoch=epoch, error=error_of(arguments.x, arguments.seed, epoch))
