"""The first lines of the tuner's program in its training job: from here on no signal is lost.

What the program needs takes seconds to import. A job that is stopped meanwhile ends its trials all the same.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from cloudtune.interruption import SignalWatch


def main() -> None:
    """Runs the tuner that was shipped with this job, and ends the process."""
    with SignalWatch() as signals:
        try:
            # Here, and not at the top of the file: it is what takes so long.
            from cloudtune.remote.program import main as run

            run(signals)
        except SystemExit as end:
            if signals.received is None:
                raise
            _leave(end.code)
        if signals.received is not None:
            _leave(0)


def _leave(code: object) -> NoReturn:
    """Ends the process without waiting for threads: everything is stored, and AWS may keep them for minutes."""
    if not isinstance(code, int):
        if code is not None:
            sys.stderr.write(f"{code}\n")
        code = 0 if code is None else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
