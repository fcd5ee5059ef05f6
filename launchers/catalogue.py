"""What studies of this folder are made of. Add your benchmarks, methods and flags here."""

from __future__ import annotations

import sys
from pathlib import Path

# So that `benchmarking` is found, wherever a script of this folder is started.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarking.definitions import BENCHMARKS
from cloudtune.studies import METHODS, Catalogue

CATALOGUE = Catalogue(
    benchmarks=BENCHMARKS,
    methods=METHODS,
    # Flags of your own reach the methods' constructors and the metadata of experiments:
    # extra_arguments=[ExtraArgument("brackets", int, help="Of ASHA.")]
)
