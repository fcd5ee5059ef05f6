"""How a run ended: for the tuner, for SageMaker, for people."""

from __future__ import annotations

import signal

from cloudtune.agent.agent_errors import Over
from cloudtune.agent.protocol import COMPLETED, FAILED, PAUSED, STOPPED, TERMINATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.forms import EndForm

#: Characters of the failure file that SageMaker shows.
_FAILURE_CHARACTERS = 1024


def how_it_ended(entry_point: str, exit_code: int | None, number: int | None, order: Over | None) -> Over:
    """The outcome of a script that has ended.

    Args:
        entry_point: Its name.
        exit_code: Its exit code.
        number: Of the signal that ended it.
        order: Because of which it was told to end, before it had ended by itself.
    """
    if order is not None:
        return Over(order.outcome, order.reason, exit_code, number)
    if number is not None:
        reason = f"{entry_point} was ended by signal {number} ({_signal_name(number)})"
        if number == signal.SIGKILL:
            reason += ", as happens when the machine runs out of memory"
        return Over(FAILED, reason, None, number)
    if exit_code:
        return Over(FAILED, f"{entry_point} ended with exit code {exit_code}", exit_code)
    return Over(COMPLETED, "", exit_code)


def end_form(over: Over, output: str) -> EndForm:
    """What the tuner is told."""
    return {
        "outcome": over.outcome,
        "exit_code": over.exit_code,
        "signal": over.signal,
        "reason": over.reason,
        "output": output,
    }


def exit_status(over: Over) -> int:
    """The container's exit status."""
    if over.outcome in (STOPPED, PAUSED, COMPLETED):
        return 0
    if over.outcome == TERMINATED:
        return 128 + signal.SIGTERM
    if over.signal is not None:
        return 128 + over.signal
    return over.exit_code or 1


def failure_text(over: Over, output: str) -> str:
    """What SageMaker shows as the reason: a sentence, then as much of the last output as there is room for."""
    sentence = " ".join((over.reason or "the job failed").split())[:_FAILURE_CHARACTERS]
    room = _FAILURE_CHARACTERS - len(sentence) - 1
    return f"{sentence}\n{output[-room:]}" if output and room > 0 else sentence


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "of real time"
