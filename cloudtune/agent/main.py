"""The first process of a training job's container."""

from __future__ import annotations

import os
import sys
import traceback

from cloudtune.agent.events import Events

__all__ = ["main", "run"]


def run() -> int:
    """Runs the attempt that the task describes; the container's exit status."""
    events = Events()
    # Before anything else is imported: the first process of a container ignores signals that it does not handle.
    events.install()
    try:
        from cloudtune.agent.course import Course

        return Course(events, os.environ).run()
    except Exception:  # noqa: BLE001 - whatever it is: said, and the container ends
        traceback.print_exc()
        return 1


def main() -> None:
    """Runs the attempt and ends the process at once, whatever thread is still at work."""
    status = 1
    try:
        status = run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
