"""What a supervisor's process runs: reads what is the same for all trials, and sets the supervisor to work.

Trials may be forks of this process, so it imports as little as it can.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys

from cloudtune.backend import child_processes
from cloudtune.backend.supervisor import LOCK, MESSAGES, REQUESTS, Supervisor


def _read_exactly(fd: int, size: int) -> bytes:
    """Reads ``size`` bytes; fewer at the end of the input."""
    parts = []
    while size > 0 and (data := os.read(fd, min(size, 1 << 20))):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def main() -> None:
    """Runs a supervisor on the file descriptors that the tuner has arranged.

    The first request, a line that begins with its length in ten digits, says what is the same for all trials.
    """
    child_processes.close_inherited(above=LOCK)
    for fd in (REQUESTS, MESSAGES, LOCK):
        os.set_inheritable(fd, False)
    for number in (signal.SIGINT, signal.SIGHUP):  # they are meant for the tuner
        signal.signal(number, signal.SIG_IGN)
    length = _read_exactly(REQUESTS, 10)
    if not length:
        return  # the tuner died before it said anything
    hello = json.loads(_read_exactly(REQUESTS, int(length)))
    child_processes.adopt_orphans()
    functions = None
    if "function" in hello:
        from cloudtune.backend.function_trial import FunctionTrials

        sys.path[:] = hello["path"]
        functions = FunctionTrials(_read_exactly(REQUESTS, hello["function"]), hello["by_dill"], hello["reuse"])
    supervisor = Supervisor(hello["trials"], hello["grace"], hello["tuner"], functions)
    gc.freeze()  # what is there now stays: looking at it in every fork would copy its pages
    supervisor.run()
