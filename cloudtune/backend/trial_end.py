"""How an attempt ended, as the supervisor recorded it, and what that means for the trial."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.backend import trial_files
from cloudtune.backend.trial_output import last_lines
from cloudtune.constants import TUNE_METRIC_TAG
from cloudtune.trial import End, Outcome

#: Characters of the last line of output that are quoted in the sentence.
_LONGEST_LINE = 300

_TOLD = {"stop": Outcome.stopped, "pause": Outcome.paused, "interrupt": Outcome.interrupted}


@dataclass(frozen=True)
class EndRecord:
    """The supervisor's record.

    Args:
        exit_code: Of the trial's main process, or None if a signal ended it.
        signal: Number of the signal that ended it, or None.
        sent: Why the supervisor had sent it SIGTERM before it ended: "stop", "pause", "interrupt", or None.
        error: Why it could not be started, or None.
        output_from: Sizes of std.out and std.err when the attempt began.
    """

    exit_code: int | None
    signal: int | None
    sent: str | None
    error: str | None
    output_from: tuple[int, int]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> EndRecord:
        """From a message or an end file."""
        begin = record["output_from"]
        return cls(record["exit_code"], record["signal"], record["sent"], record["error"], (begin[0], begin[1]))

    @classmethod
    def unknown(cls) -> EndRecord:
        """For an attempt whose end nobody saw: the machine or the supervisor was killed."""
        return cls(None, None, "interrupt", None, (0, 0))

    def to_event(self, trial_id: int, attempt: int, trials: str) -> End:
        """The event for the tuner; reads the last lines of output if the trial failed."""
        if self.sent is not None:
            outcome = _TOLD[self.sent]
            reason = "the tuner or its machine ended" if outcome is Outcome.interrupted else ""
        elif self.error is not None:
            outcome, reason = Outcome.failed, f"it could not be started: {self.error}"
        elif self.exit_code == 0:
            outcome, reason = Outcome.completed, ""
        else:
            outcome, reason = Outcome.failed, self._failure(trial_files.trial_folder(trials, trial_id))
        return End(trial_id, attempt, outcome, reason, self.exit_code)

    def _failure(self, folder: str) -> str:
        if self.signal is not None:
            how = f"killed by {_signal_name(self.signal)}"
            if self.signal == signal.SIGKILL:
                how += " (as happens when memory runs out)"
        else:
            how = f"exit code {self.exit_code}"
        begin_stdout, begin_stderr = self.output_from
        for path, begin in (
            (f"{folder}/{trial_files.STDERR}", begin_stderr),
            (f"{folder}/{trial_files.STDOUT}", begin_stdout),
        ):
            output = _without_reports(last_lines(path, begin))
            if output:
                return _told_by_output(how, path, output)
        return f"{how}; it wrote no output that tells why"


def _without_reports(output: str) -> str:
    """What is not a copy of a report: reports never tell why a trial failed."""
    return "\n".join(line for line in output.splitlines() if not line.startswith(TUNE_METRIC_TAG.strip()))


def _told_by_output(how: str, path: str, output: str) -> str:
    """One sentence in the first line, for messages that have room for no more; then the last lines, where there are."""
    *_, last = output.splitlines()
    last = last.strip()
    if len(last) > _LONGEST_LINE:
        last = f"{last[:_LONGEST_LINE]}…"
    sentence = f"{how}, its output ends with: {last}; see {path}"
    return f"{sentence}\nlast lines of its output:\n{output}" if "\n" in output else sentence


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
