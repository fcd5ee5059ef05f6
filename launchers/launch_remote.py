"""Launches methods x benchmarks x numbers of workers x seeds, each a remote tuner of its own.

python launchers/launch_remote.py --experiment_tag tmlr-10 --benchmark transformer_wikitext2 \
    --random_seed 2938702734 --scale_max_wallclock_time 1 --num_seeds 5 --n_workers 8
"""

from __future__ import annotations

import sys
from pathlib import Path

# The folder above this one is where `launchers` and `benchmarking` are found, wherever the script is started.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cloudtune.cli.launch import make_launch_command
from launchers.catalogue import CATALOGUE

if __name__ == "__main__":
    make_launch_command(CATALOGUE)()
