"""How a job meets its tuner: through S3, or, where that cannot be, through the log."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from cloudtune.agent.agent_errors import Over
from cloudtune.agent.life import Life
from cloudtune.agent.log_outbox import LogOutbox, NoOutbox
from cloudtune.agent.outbox import Outbox, newer
from cloudtune.agent.protocol import PAUSED, STOPPED, TERMINATED, WISH_PAUSE, Keys
from cloudtune.agent.s3 import S3
from cloudtune.agent.s3_errors import NoBoto3, S3Denied, S3Error, S3NotFound, S3Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from cloudtune.agent.console import Console
    from cloudtune.agent.forms import Head, Task
    from cloudtune.agent.machine import Machine
    from cloudtune.agent.shipper import AnyOutbox

    T = TypeVar("T")

#: Seconds for which S3 may be unreachable at the start, before the job goes on without it.
_PATIENCE = 300.0
_LONGEST_WAIT = 8.0
#: How often S3 may refuse at the start, before the job goes on without it: rights that were just given are not known
#: everywhere at once.
_REFUSALS = 3


class Connection:
    """Where an attempt's news go, and where its orders come from.

    Args:
        outbox: For news.
        s3: The bucket; None in the mode without S3.
        life: The life object, read once; None in the mode without S3.
        over: Why the script is not to be started at all.
    """

    def __init__(
        self, outbox: AnyOutbox, s3: S3 | None = None, life: Life | None = None, over: Over | None = None
    ) -> None:
        self.outbox = outbox
        self.s3 = s3
        self.life = life
        self.over = over


def connect(task: Task, machine: Machine, console: Console, given_up: threading.Event) -> Connection:
    """Meets the tuner in S3 if that is possible; says so where it is not. May take minutes while S3 is not reachable.

    Args:
        task: The task.
        machine: This host.
        console: Told of what is wrong.
        given_up: Set by who no longer waits for the answer.
    """
    if task["use_s3"]:
        try:
            s3 = S3(task["bucket"], task["owner"], task["region"], task["kms_key"])
            return _through_s3(s3, task, machine, given_up)
        except NoBoto3 as error:
            reason = f"image without boto3, which has to be installed in it: {error}"
        except (S3Denied, S3NotFound) as error:
            reason = f"the job's role has no rights on s3://{task['bucket']}/{task['prefix']}: {error}"
        except S3Unreachable as error:
            reason = f"S3 cannot be reached: {error}"
        console.note(f"{reason}. Reports go to the log; the tuner's wishes cannot be read, no checkpoint is saved")
    return Connection(LogOutbox(console) if machine.is_first else NoOutbox())


def _through_s3(s3: S3, task: Task, machine: Machine, given_up: threading.Event) -> Connection:
    life = Life(s3, task)
    if not machine.is_first:
        persist(life.look, given_up, refusals=_REFUSALS)
        return Connection(NoOutbox(), s3, life, _wished(life))
    previous = _previous_head(s3, task, given_up)
    persist(life.look, given_up, refusals=_REFUSALS)
    outbox = Outbox(s3, task, machine.host, machine.job, previous)
    over = _ended_before(previous) or _wished(life)
    if over is None:
        try:
            persist(outbox.put, given_up, refusals=_REFUSALS)
        except S3Denied:
            # The tuner has heard an earlier run here, and listens nowhere else: the shipper goes on trying.
            if previous is None:
                raise
    return Connection(outbox, s3, life, over)


def persist(call: Callable[[], T], given_up: threading.Event, refusals: int = 0) -> T:
    """What a call returns, which is repeated, with growing waits, while S3 cannot be reached.

    Args:
        call: Made at least once.
        given_up: Set by who no longer waits for the answer.
        refusals: How often it may refuse.

    Raises:
        S3Unreachable: For too long, or when it was given up.
        S3Denied: After so many refusals, or when it was given up.
    """
    failing_since, wait = None, 0.25
    while True:
        try:
            return call()
        except S3Unreachable:
            # What moves gigabytes may take longer than our patience lasts before it fails for the first time.
            failing_since = time.monotonic() if failing_since is None else failing_since
            if time.monotonic() - failing_since > _PATIENCE or given_up.wait(wait):
                raise
        except S3Denied:
            refusals -= 1
            if refusals < 0 or given_up.wait(wait):
                raise
        wait = min(2 * wait, _LONGEST_WAIT)


def may_list(s3: S3, prefix: str) -> bool:
    """Whether the job may list objects. Anything but a plain refusal counts as a yes."""
    try:
        s3.list(prefix)
    except S3Denied:
        return False
    except S3Error:
        return True
    return True


def _previous_head(s3: S3, task: Task, given_up: threading.Event) -> Head | None:
    keys = Keys(task["prefix"])
    try:
        found = [
            _as_head(persist(lambda key=key: s3.get(key), given_up))  # type: ignore[misc]
            for key in (keys.head(task["trial"], task["attempt"]), keys.end(task["trial"], task["attempt"]))
        ]
    except S3Denied:
        # Without s3:ListBucket this is how S3 says that an object is missing. Who may not read at all is found out
        # with the life object, which is there.
        return None
    return newer(found[0], found[1])


def _as_head(got: Any) -> Head | None:
    if got is None:
        return None
    try:
        head: Head = json.loads(got.body)
    except ValueError:
        return None
    return head if isinstance(head, dict) and isinstance(head.get("run"), int) else None


def _ended_before(previous: Head | None) -> Over | None:
    """An attempt that has ended is not done again, should the platform start its container once more."""
    end = previous["end"] if previous is not None else None
    if end is None or end["outcome"] == TERMINATED:
        return None
    return Over(end["outcome"], end["reason"] or "an earlier run had ended so", end["exit_code"], end["signal"])


def _wished(life: Life) -> Over | None:
    if life.wish is None:
        return None
    return Over(PAUSED if life.wish == WISH_PAUSE else STOPPED, "before the script was started")
