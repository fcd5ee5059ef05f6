"""The process of a local cloud: ``python -m cloudtune.localcloud.server.server_main``.

The first line on standard input holds the settings as JSON. Standard input then stays open: its end means that whoever
started the cloud is gone, and the cloud ends too. On standard output comes one line of JSON once the cloud answers:
``{"endpoint": ..., "pid": ..., "id": ...}``, or ``{"error": ...}`` with exit code 2 if it cannot.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import sys
import threading
from types import FrameType

from cloudtune.localcloud.jobs import job_files

#: Exit code of a cloud that could not begin for a reason that its user can do something about.
CANNOT_BEGIN = 2

#: Real seconds between two looks whether the process that started this one still lives. The end of the pipe tells
#: sooner, but not while some other process has inherited its writing end.
_OWNER_INTERVAL = 1.0

#: More would be of no use, and there are programs that go through all descriptors they may have.
_DESCRIPTORS = 1 << 20


def main(folder: str | None = None, owner: int | None = None) -> int:
    """Serves until told to end; returns the exit code.

    Args:
        folder: Of this cloud, removed in the end if the owner is gone by then; otherwise that is the owner's.
        owner: Process that started the cloud; by default the parent of this one.
    """
    owner = os.getppid() if owner is None else owner
    try:
        return _serve(owner)
    finally:
        if folder is not None and os.getppid() != owner:
            job_files.remove(folder)


def _serve(owner: int) -> int:
    told = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    # What is imported now stays to the end: the collector need not look at it, neither now nor with every later turn.
    gc.disable()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    text = sys.stdin.readline()
    _allow_descriptors()

    from cloudtune.localcloud.settings import CloudSettings, FolderUnusable

    try:
        settings = CloudSettings.from_json(text)
    except (TypeError, ValueError) as error:
        _tell({"error": f"The settings on standard input cannot be used: {error}"})
        return CANNOT_BEGIN
    os.environ["MOTO_ACCOUNT_ID"] = settings.account
    # moto would let any web page read its answers; like S3, buckets do only where they are told to.
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

    try:
        from cloudtune.localcloud.server.cloud_server import CloudServer
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("cloudtune"):
            raise
        _tell({"error": f"The local cloud needs {error.name}; install it with: pip install 'cloudtune[local]'"})
        return CANNOT_BEGIN
    from cloudtune.localcloud.gate.moto_seam import SeamMoved
    from cloudtune.localcloud.server.http_server import PortTaken
    from cloudtune.localcloud.state.state_folder import StateUnusable

    try:
        server = CloudServer(settings)
    except (FolderUnusable, PortTaken, SeamMoved, StateUnusable) as error:
        _tell({"error": str(error)})
        return CANNOT_BEGIN
    try:
        server.told_to_end = told
        server.start()
        threading.Thread(target=_watch_owner, args=(owner, told), name="cloudtune-owner", daemon=True).start()
        _tell({"endpoint": server.endpoint, "pid": server.pid, "id": server.platform.id})
        gc.freeze()
        gc.enable()
        while not told.wait(3600):  # signals are handled between two waits on platforms where none ends a wait
            pass
    finally:
        server.close()
    return 0


def _tell(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _watch_owner(owner: int, told: threading.Event) -> None:
    """Tells the cloud to end when the process that started it is gone."""
    descriptor = sys.stdin.fileno()
    while not told.is_set():
        readable, _, _ = select.select([descriptor], [], [], _OWNER_INTERVAL)
        if (readable and not os.read(descriptor, 4096)) or os.getppid() != owner:
            told.set()


def _allow_descriptors() -> None:
    """moto keeps a descriptor for each object over 5 MB: as many as the machine allows."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(hard, _DESCRIPTORS):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _DESCRIPTORS), hard))
        except (OSError, ValueError):  # macOS names a hard limit that it does not allow
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(10_240, hard), hard))


if __name__ == "__main__":
    sys.exit(main())
