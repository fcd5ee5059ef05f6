"""A script that trains an epoch whenever a file lets it: ``$GATES/<trial>-<epoch>``."""

from __future__ import annotations

import argparse
import os
import time

from cloudtune import Reporter
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json


def main() -> None:
    """Saves a checkpoint and reports, each epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--loss", type=float)
    add_checkpointing_to_argparse(parser)
    args = parser.parse_args()
    report = Reporter()
    done = (load_json(args.st_checkpoint_dir) or {"epoch": 0})["epoch"]
    for epoch in range(done + 1, args.epochs + 1):
        save_json(args.st_checkpoint_dir, {"epoch": epoch})
        report(epoch=epoch, loss=args.loss)
        gate = os.path.join(os.environ["GATES"], f"{os.environ['CLOUDTUNE_TRIAL']}-{epoch}")
        while not os.path.exists(gate):
            time.sleep(0.02)


if __name__ == "__main__":
    main()
