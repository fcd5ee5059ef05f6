"""The trial of the chaos tests: a few quick levels, each reported and then checkpointed.

Reported first: a kill in between makes the next attempt repeat the level (a replay), never skip it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from cloudtune.report import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, required=True)
parser.add_argument("--max_epochs", type=int, required=True)
parser.add_argument("--st_checkpoint_dir", type=Path, required=True)
args = parser.parse_args()

state = args.st_checkpoint_dir / "state.json"
level = json.loads(state.read_text())["level"] if state.exists() else 0
report = Reporter()
while level < args.max_epochs:
    level += 1
    time.sleep(0.005)
    report(epoch=level, loss=abs(args.x - 0.3) + (1 - args.x) / level)
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps({"level": level}))
    fresh.replace(state)
