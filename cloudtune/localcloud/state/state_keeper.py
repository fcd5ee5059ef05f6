"""Writes a cloud's state when something changed, and reads it when the cloud comes up again."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException

from cloudtune.localcloud.state.iam_state import roles_from_json, roles_to_json
from cloudtune.localcloud.state.job_state import jobs_from_json, jobs_to_json
from cloudtune.localcloud.state.log_state import LogState
from cloudtune.localcloud.state.s3_state import S3State
from cloudtune.localcloud.state.state_folder import StateFolder, StateUnusable

if TYPE_CHECKING:
    from cloudtune.localcloud.platform import Platform

logger = logging.getLogger(__name__)

#: Real seconds between two looks for changes: what a cloud that is killed may lose.
SAVE_INTERVAL = 2.0
#: Seconds since 1970: the year 9000. Python's dates end with 9999.
_LATEST = 221_845_392_000


class StateKeeper:
    """Keeps S3, training jobs, logs and IAM roles. The state of other services goes with the cloud.

    Args:
        folder: See :class:`StateFolder`; raises StateUnusable.
        platform: Whose state it is.
    """

    def __init__(self, folder: str, platform: Platform) -> None:
        self.platform = platform
        self._folder = StateFolder(folder)
        self._s3 = S3State(self._folder)
        self._logs = LogState(self._folder)
        self._saving = threading.Lock()
        self._written = ""
        self._calls_seen = -1
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="cloudtune-localcloud-state", daemon=True)

    def restore(self) -> None:
        """Takes over what the last cloud left, jobs included. Raises StateUnusable."""
        state = self._folder.read()
        if state is None:
            return
        try:
            self.platform.clock.not_before(_time(state["time"]))
            roles_from_json(state["roles"])
            self._s3.from_json(state["buckets"])
            self._logs.from_json(state["logs"], self.platform.logs)
            jobs_from_json(state["jobs"], self.platform)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError, ServiceException) as error:
            raise StateUnusable(
                f"{self._folder.path / 'state.json'} is damaged ({type(error).__name__}: {error}); move it away to "
                "begin with an empty cloud."
            ) from error

    def start(self) -> None:
        """Begins to save by itself."""
        self._thread.start()

    def save(self) -> None:
        """Writes the state if it is not what was written last. Raises OSError; what was written last is kept then."""
        with self._saving:
            self._folder.free()
            # Jobs first: what a job has written is there when its record says that it ended.
            state: dict[str, Any] = {"jobs": jobs_to_json(self.platform)}
            state["logs"], lines = self._logs.to_json(self.platform.logs)
            state["buckets"], contents = self._s3.to_json()
            state["roles"] = roles_to_json()
            text = json.dumps(state)
            if text != self._written:
                self._folder.write({"time": self.platform.clock.time(), **state}, lines | contents)
                self._written = text

    def close(self) -> None:
        """Saves once more and lets go of the folder."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        with ExitStack() as steps:  # the last comes first; each is taken, whatever another raises
            steps.callback(self._folder.close)
            steps.callback(self.save)
            # What faults hold back would be lost: there is nobody to deliver it later.
            steps.callback(self.platform.logs.deliver, everything=True)

    def let_go(self) -> None:
        """Lets go of the folder without a save: the state could not be taken over."""
        self._folder.close()

    def _keep(self) -> None:
        while not self._ending.wait(SAVE_INTERVAL):
            calls = sum(self.platform.calls.counts().values())
            running = any(not job.is_terminal for job in self.platform.jobs)
            if calls == self._calls_seen and not running:
                continue
            try:
                self.save()
            except OSError as error:  # a full disk: there may be room later
                logger.error("the state could not be saved: %s", error)
                continue
            except Exception:  # whatever breaks in one save, the next may do
                logger.exception("the state could not be saved")
                continue
            # Once more after the last job has ended: its last state is not a call.
            self._calls_seen = -1 if running else calls


def _time(value: Any) -> float:
    """A cloud time from a file. Raises ValueError, TypeError."""
    if not 0 <= value < _LATEST:
        raise ValueError(f"the time is {value!r}")
    return float(value)
