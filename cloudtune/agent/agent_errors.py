"""What ends the agent's work before the script has ended by itself."""

from __future__ import annotations


class AgentError(Exception):
    """The job cannot go on; the text is one sentence that names the thing and the remedy."""


class Over(Exception):
    """The script's run is over, or will not begin.

    Args:
        outcome: One of protocol.COMPLETED, FAILED, STOPPED, PAUSED, TERMINATED.
        reason: A sentence for people; "" where the outcome says it all.
        exit_code: Of the script.
        signal: Number of the signal that ended the script.
    """

    def __init__(self, outcome: str, reason: str = "", exit_code: int | None = None, signal: int | None = None) -> None:
        super().__init__(outcome, reason)
        self.outcome = outcome
        self.reason = reason
        self.exit_code = exit_code
        self.signal = signal
