"""Prints what cloudtune costs as ratios within this run; exits with 1 if a limit is missed.

``python -m benchmarking.overhead [--repeats N] [--only imports,asha,...]``
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile

from benchmarking.overhead import (
    asha,
    bayesian,
    function_trials,
    imports,
    local_cloud,
    many_trials,
    moasha,
    pasha,
    peers,
    remote,
    restart,
    s3_store,
    sagemaker,
    script_trials,
    simulator,
    store,
    studies_figure,
    studies_gather,
    studies_launch,
    studies_status,
    tuner_puts,
)
from benchmarking.overhead.measurement import Row, table

_PARTS = {
    "scripts": script_trials.measure,
    "functions": function_trials.measure,
    "imports": imports.measure,
    "asha": asha.measure,
    "simulator": simulator.measure,
    "moasha": moasha.measure,
    "pasha": pasha.measure,
    "bayesian": bayesian.measure,
    "store": store.measure,
    "s3store": s3_store.measure,
    "many": many_trials.measure,
    "localcloud": local_cloud.measure,
    "sagemaker": sagemaker.measure,
    "remote": remote.measure,
    "restart": restart.measure,
    "puts": tuner_puts.measure,
    "figure": studies_figure.measure,
    "gather": studies_gather.measure,
    "status": studies_status.measure,
    "launch": studies_launch.measure,
    "peers": peers.measure,
}


def main() -> int:
    """Runs the parts one after another; the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarking.overhead", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default=",".join(_PARTS), help="parts, separated by commas: " + ", ".join(_PARTS))
    args = parser.parse_args()
    # Lines are for people; how fast they are printed is a matter of the terminal. Some jobs here are silent on purpose.
    logging.getLogger("cloudtune").setLevel(logging.ERROR)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLOUDTUNE_FOLDER"] = folder
        # Without compiled files, which every usual installation has, each start of a process compiles its imports anew.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for part in args.only.split(","):
            rows.extend(_PARTS[part](args.repeats))
    missed = [row for row in rows if row.missed]
    print(table(rows))
    print(f"\n{len(rows)} rows, {len(missed)} limits missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
