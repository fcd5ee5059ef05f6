"""A program run to its end, which an order hastens."""

from __future__ import annotations

import errno
import signal
import time

from cloudtune.agent.agent_errors import AgentError
from cloudtune.agent.child import Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudtune.agent.console import Console
    from cloudtune.agent.orders import Orders

#: Seconds between SIGTERM and SIGKILL at most when the platform is about to kill the container.
GRACE_AT_TERMINATION = 45.0
#: Seconds after SIGKILL for which a program is waited for: one that hangs in the kernel is left to the platform.
_LONGEST_DEATH = 20.0
_INTERVAL = 1.0
_INTERVAL_WHEN_TOLD = 0.1
_DRAIN_TIME = 5.0

#: What to do about the reasons that the system gives for not starting a script.
_REMEDIES = {
    errno.E2BIG: "; its arguments are too long for a command line: use pass_args_as_json=True",
    errno.ENOEXEC: "; let it begin with a line such as #!/bin/sh, or end its name in .py or .sh",
    errno.EACCES: "; make it executable, or end its name in .py or .sh",
}


class ChildRun:
    """One run of a program; its output is copied to the container's.

    Args:
        command: Its command line.
        cwd: Where it runs.
        environment: Its variables.
        orders: Orders to end.
        console: Copies its output.

    Raises:
        AgentError: It could not be started.
    """

    def __init__(
        self, command: list[str], cwd: str, environment: dict[str, str], orders: Orders, console: Console
    ) -> None:
        self._orders = orders
        self._console = console
        self.is_told = False  # whether it was sent SIGTERM before it had ended by itself
        self.ended_at = 0.0  # time.time()
        try:
            self._child = Child(command, cwd, environment, console)
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None) or 0
            raise AgentError(f"{command[0]} could not be started: {error}{_REMEDIES.get(number, '')}") from error

    @property
    def exit_code(self) -> int | None:
        """Its exit code, once it has ended by itself."""
        return self._child.exit_code

    @property
    def signal(self) -> int | None:
        """Number of the signal that ended it, if one did."""
        return self._child.signal

    def run(
        self,
        grace: float,
        before_telling: Callable[[Callable[[], bool]], None] | None = None,
        at_termination: float = GRACE_AT_TERMINATION,
    ) -> None:
        """Returns when it has ended and nothing of it lives.

        Args:
            grace: Seconds between SIGTERM and SIGKILL, for all of its group: a shell that ends at once does not take
                the time from the program that it had started.
            before_telling: Called before SIGTERM, with what tells whether the program has ended meanwhile.
            at_termination: The grace at most where the platform ends the job, and kills it after 120 seconds.
        """
        kill_at = float("inf")
        killed = False
        while self._is_to_be_waited_for(killed, kill_at):
            self._orders.take_all()
            if self._orders.order is not None and not self.is_told and not self._is_over():
                if before_telling is not None:
                    before_telling(self._is_over)
                if not self._is_over():
                    self.is_told = True
                    self._child.send(signal.SIGTERM)
                    kill_at = time.monotonic() + grace
            if self._orders.terminated:
                kill_at = min(kill_at, time.monotonic() + min(grace, at_termination))
            if self.is_told and not killed and time.monotonic() >= kill_at:
                killed = True
                self._child.send(signal.SIGKILL)
            if not self._child.ended or self.is_told:
                self._orders.take(self._orders.events.wait(_INTERVAL_WHEN_TOLD if self.is_told else _INTERVAL))
        self.ended_at = time.time()
        if not self._child.ended:
            self._child.signal = signal.SIGKILL
        self.end_all()

    def end_all(self) -> None:
        """Kills whatever is left of it."""
        self._child.kill_all()
        self._console.drain(_DRAIN_TIME)

    def _is_over(self) -> bool:
        self._child.reap()
        return self._child.ended

    def _is_to_be_waited_for(self, killed: bool, kill_at: float) -> bool:
        if not self._is_over():
            return not killed or time.monotonic() < kill_at + _LONGEST_DEATH
        return self.is_told and not killed and self._child.group_lives()
