"""The training script under chaos: a few epochs, with checkpoints; it notes each report on the host first."""

from __future__ import annotations

import argparse
import json
import os
import time

from cloudtune import Reporter
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json


def main() -> None:
    """Reports the value of a parabola, the more exact the longer it runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float, required=True)
    parser.add_argument("--centre", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    add_checkpointing_to_argparse(parser)
    args = parser.parse_args()
    saved = load_json(args.st_checkpoint_dir)
    report = Reporter()
    for epoch in range(1 if saved is None else saved["epoch"] + 1, args.epochs + 1):
        time.sleep(0.05)
        loss = (args.x - args.centre) ** 2 + 1.0 / epoch
        save_json(args.st_checkpoint_dir, {"epoch": epoch})
        told = {name: os.environ[f"CLOUDTUNE_{name.upper()}"] for name in ("experiment", "trial")}
        with open(os.environ["TRUTH"], "a") as file:
            file.write(json.dumps({**told, "epoch": epoch, "loss": loss}) + "\n")
        report(epoch=epoch, loss=loss)


if __name__ == "__main__":
    main()
