"""The trial of the chaos runs: writes down every report on the host before it makes it, and saves a checkpoint each.

The record is the truth that the tuner's log is compared with; the job has no other way to reach it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid

from cloudtune import Reporter
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json


def main() -> None:
    """Reports up to ``--max_epochs``, from where the checkpoint says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--max_epochs", type=int)
    add_checkpointing_to_argparse(parser)
    args = parser.parse_args()
    process = uuid.uuid4().hex
    trial, attempt = os.environ["CLOUDTUNE_TRIAL"], os.environ["CLOUDTUNE_ATTEMPT"]
    report = Reporter()
    done = (load_json(args.st_checkpoint_dir) or {"epoch": 0})["epoch"]
    path = os.path.join(os.environ["CHAOS_TRUTH"], f"{trial}-{attempt}-{process}.jsonl")
    with open(path, "a", encoding="utf-8") as truth:
        for epoch in range(done + 1, args.max_epochs + 1):
            time.sleep(float(os.environ["CHAOS_SECONDS"]))
            save_json(args.st_checkpoint_dir, {"epoch": epoch})
            loss = abs(args.x - 0.3) + (1 - args.x) / epoch
            truth.write(json.dumps({"key": f"{process}:{epoch}", "epoch": epoch, "unix": time.time()}) + "\n")
            truth.flush()
            report(epoch=epoch, loss=loss, key=f"{process}:{epoch}")


if __name__ == "__main__":
    main()
