"""What stands in for the outbox where the job and its tuner do not meet in S3."""

from __future__ import annotations

import os

from cloudtune.agent.log_lines import end_line, report_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cloudtune.agent.console import Console
    from cloudtune.agent.forms import EndForm


class LogOutbox:
    """Writes reports, and at last the end mark, to the container's standard output.

    Args:
        console: Writes lines.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._id = os.urandom(6).hex()
        self._told: tuple[object, ...] = ()
        self.run = 0
        self.made = 0
        self.shipped = 0
        self.state = ""
        self.checkpoint: str | None = None
        self.end: EndForm | None = None

    def add(self, reports: list[str]) -> None:
        """Writes reports, which are JSON texts."""
        for report in reports:
            self._console.line(report_line(self._id, self.made, report))
            self.made += 1

    def has_news(self) -> bool:
        """Whether something is still to be written."""
        return self.shipped < self.made or (self.end is not None and not self._told)

    def put(self) -> None:
        """Writes the end mark if there is one, and waits until all lines are written."""
        made = self.made
        if self.end is not None and not self._told:
            self._console.line(end_line(self._id, self.end, made))
            self._told = (made,)
        if self._console.flush(10.0):
            self.shipped = made


class NoOutbox:
    """Of hosts other than the first: they tell nothing."""

    def __init__(self) -> None:
        self.run = 0
        self.made = 0
        self.shipped = 0
        self.state = ""
        self.checkpoint: str | None = None
        self.end: EndForm | None = None

    def add(self, reports: list[str]) -> None:
        """Counts them."""
        self.made += len(reports)
        self.shipped = self.made

    def has_news(self) -> bool:
        """Never."""
        return False

    def put(self) -> None:
        """Nothing is put."""
