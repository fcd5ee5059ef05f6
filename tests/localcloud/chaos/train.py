"""The training script of the chaos jobs: ``train.py STEPS SECONDS EXIT_CODE``. Goes on from its checkpoint.

Each step is written to the checkpoint first, then reported, then printed, so that what is printed is in the checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

CHECKPOINT = "/opt/ml/checkpoints/state.json"


def main() -> int:
    """The exit code the job was asked to end with, or 0 if it was told to stop."""
    steps, seconds, exit_code = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    wanted = []
    signal.signal(signal.SIGTERM, lambda number, _frame: wanted.append(number))
    start = 0
    if os.path.exists(CHECKPOINT):
        with open(CHECKPOINT, encoding="utf-8") as file:
            start = json.load(file)["step"]
    print(f"begin start={start}", flush=True)
    for step in range(start + 1, steps + 1):
        time.sleep(seconds)
        os.makedirs(os.path.dirname(CHECKPOINT), exist_ok=True)
        with open(f"{CHECKPOINT}.new", "w", encoding="utf-8") as file:
            json.dump({"step": step}, file)
        os.replace(f"{CHECKPOINT}.new", CHECKPOINT)
        with open("/opt/ml/output/data/reports.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "loss": 1 / step}) + "\n")
        print(f"step={step} loss={1 / step:.6f};", flush=True)
        if wanted:
            print("told to stop", flush=True)
            return 0
    with open("/opt/ml/model/weights.txt", "w", encoding="utf-8") as file:
        file.write(str(steps))
    print(f"done steps={steps}", flush=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
