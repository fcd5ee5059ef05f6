"""Runs one experiment with its tuner on this machine, to its end; trials run beside it or as training jobs.

python launchers/hpo_main.py --experiment_tag trying --benchmark digits_mlp --method ASHA --max_wallclock_time 60
"""

from __future__ import annotations

import sys
from pathlib import Path

# The folder above this one is where `launchers` and `benchmarking` are found, wherever the script is started.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cloudtune.cli.launch_here import make_launch_here_command
from launchers.catalogue import CATALOGUE

if __name__ == "__main__":
    make_launch_here_command(CATALOGUE)()
