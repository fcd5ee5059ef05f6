"""A server with one container, to be killed: ``python -m tests.localcloud.sandbox.server_program KIND FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cloudtune.localcloud.sandbox.open_sandbox import open_sandbox
from tests.localcloud.sandbox.place import DAEMON, ENDLESS, Place


def main(kind: str, folder: str) -> None:
    running = Place(open_sandbox(kind), Path(folder)).start(DAEMON + ENDLESS, environment={"MARK": folder})
    running.line()
    read, write = os.pipe()
    if os.fork() == 0:  # a fork holds copies of the server's descriptors, as multiprocessing's do
        os.close(write)
        os.read(0, 1)
        os._exit(0)
    print("ready", flush=True)
    os.read(read, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
