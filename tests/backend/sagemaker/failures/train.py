"""The training script of these tests: reports epochs, goes on from its checkpoint, and waits where it is told to.

It waits by looking for a file on the host, which a test makes when it has done what the job is to go through.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

from cloudtune import Reporter
from cloudtune.checkpoint import add_checkpointing_to_argparse, load_json, save_json


def write_blocks(path: str, megabytes: int) -> None:
    """A file in which no megabyte is like another."""
    if megabytes:
        with open(path, "wb") as file:
            for number in range(megabytes):
                file.write(number.to_bytes(8, "big") * (1 << 17))


def check_blocks(path: str, megabytes: int) -> None:
    """Ends the script if the file is not as it was written."""
    if not megabytes:
        return
    with open(path, "rb") as file:
        for number in range(megabytes):
            if file.read(1 << 20) != number.to_bytes(8, "big") * (1 << 17):
                sys.exit(f"megabyte {number} of the checkpoint is not what was saved")
        if file.read(1):
            sys.exit("the checkpoint is longer than what was saved")


def main() -> None:
    """Reports up to ``--epochs``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--hold", type=int, default=0, help="wait behind the report of this epoch")
    parser.add_argument("--save", type=int, default=1, help="write checkpoints")
    parser.add_argument("--deaf", type=int, default=0, help="ignore SIGTERM")
    parser.add_argument("--crash", type=int, default=0, help="raise behind the report of this epoch")
    parser.add_argument("--kills", type=int, default=0, help="send SIGTERM to the first process behind this epoch")
    parser.add_argument("--silent", type=int, default=0, help="report nothing")
    parser.add_argument("--last_word", type=int, default=0, help="report so many epochs more on SIGTERM")
    parser.add_argument("--dies_on", default="", help="name of a host whose script ends at once with an error")
    parser.add_argument("--megabytes", type=int, default=0, help="of a file that is part of each checkpoint")
    parser.add_argument("--expects", type=int, default=0, help="of a file that the checkpoint has to hold")
    parser.add_argument("--loss", type=float, default=None)
    parser.add_argument("--text", default="")
    add_checkpointing_to_argparse(parser)
    args = parser.parse_args()
    gate = os.path.join(os.environ["GATES"], os.environ["CLOUDTUNE_TRIAL"])
    if os.environ.get("SM_CURRENT_HOST") == args.dies_on:
        sys.exit("this host has a broken disk")
    large = os.path.join(args.st_checkpoint_dir, "weights")
    check_blocks(large, args.expects)
    write_blocks(large, args.megabytes)
    report = Reporter()
    print("about to begin", flush=True)
    done = (load_json(args.st_checkpoint_dir) or {"epoch": 0})["epoch"]

    def last_words(*_: object) -> None:
        for extra in range(args.last_word):
            report(epoch=args.hold + 1 + extra, loss=1.0, text="late")
        sys.exit(0)

    if args.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif args.last_word:
        signal.signal(signal.SIGTERM, last_words)
    for epoch in range(done + 1, args.epochs + 1):
        if args.save:
            save_json(args.st_checkpoint_dir, {"epoch": epoch})
        if not args.silent:
            loss = 1.0 / epoch if args.loss is None else args.loss
            report(epoch=epoch, loss=loss, began_at=done, text=args.text, host=os.environ.get("SM_CURRENT_HOST", ""))
        while epoch == args.hold and not os.path.exists(gate):
            time.sleep(0.02)
        if epoch == args.kills:
            os.kill(os.getppid(), signal.SIGTERM)
            time.sleep(60)
        if epoch == args.crash:
            print("about to divide")
            raise ZeroDivisionError("no loss is left")


if __name__ == "__main__":
    main()
