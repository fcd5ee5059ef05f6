"""Saves checkpoints while the script runs, and the last one when it has ended."""

from __future__ import annotations

import threading
import traceback

from cloudtune.agent.events import CRASH, LOOK, Events
from cloudtune.agent.s3_errors import S3Denied, S3Error, S3NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.checkpoints import Checkpoints
    from cloudtune.agent.console import Console
    from cloudtune.agent.shipper import Shipper

_INTERVAL = 1.0
_LONGEST_WAIT = 8.0


class Saver:
    """A thread that saves when it is due, and at once when asked.

    Args:
        checkpoints: The trial's.
        shipper: Knows which reports were shipped; tells the tuner of a new generation.
        events: Told if the thread fails, and when it has saved what it was asked for.
        console: Told what could not be saved.
    """

    def __init__(self, checkpoints: Checkpoints, shipper: Shipper, events: Events, console: Console) -> None:
        self._checkpoints = checkpoints
        self._shipper = shipper
        self._events = events
        self._console = console
        self._wake = threading.Event()
        self._ended = False
        self._asked = False
        self.is_saved = False
        self._thread = threading.Thread(target=self._run, name="saver", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def save_now(self) -> None:
        """Asks for a generation, due or not. An event LOOK tells when ``is_saved`` is true."""
        self._asked = True
        self._wake.set()

    def end(self) -> None:
        """Nothing is begun any more."""
        self._ended = True
        self._wake.set()

    def save_final(self, killed: bool, ended: float, given_up: threading.Event) -> str:
        """Saves what the script left; tries again while S3 cannot be reached. What is wrong, or "".

        Args:
            killed: Whether a signal ended the script.
            ended: When it ended, as ``time.time()``.
            given_up: Set when there is no more time.
        """
        wait, problem = 0.25, ""
        while not given_up.is_set():
            try:
                self._tell(self._checkpoints.save_final(self._shipper.shipped, killed, ended))
                return ""
            except (S3Denied, S3NotFound, OSError) as error:
                return str(error)
            except S3Error as error:
                if not problem:
                    self._console.note(f"the checkpoint cannot be saved at the moment, the agent tries again: {error}")
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - the end mark is still to be written
                self._console.note(traceback.format_exc())
                return f"the agent failed: {type(error).__name__}: {error}"
            given_up.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        return problem or "there was no time"

    def _run(self) -> None:
        try:
            while not self._ended:
                self._wake.wait(_INTERVAL)
                self._wake.clear()
                asked = self._asked
                if not self._ended:
                    self._tell(self._checkpoints.save_if_due(self._shipper.shipped, asked))
                if asked:
                    self._asked, self.is_saved = False, True
                    self._events.post(LOOK)
        except Exception as error:  # noqa: BLE001 - the main thread ends the run in order
            self._console.note(traceback.format_exc())
            self._events.post(CRASH, f"the agent could not save checkpoints: {type(error).__name__}: {error}")

    def _tell(self, generation: str | None) -> None:
        if generation is not None:
            self._shipper.outbox.checkpoint = generation
