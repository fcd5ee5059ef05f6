"""Shows how an experiment goes: live in a terminal, as log lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from cloudtune.callbacks.log_output import PlainHandler, log_above
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.status_table import (
    MAX_ROWS,
    format_value,
    incumbent_line,
    own_values,
    printable,
    status_table,
    summary_line,
)
from cloudtune.trial import Trial, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, Group
    from rich.live import Live
    from rich.table import Table

    from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

#: The live display is redrawn at most this often (seconds), so that drawing never holds up tuning.
REDRAW_INTERVAL = 0.25
#: ... and at least this often, so that the time it shows goes on.
IDLE_REDRAW_INTERVAL = 1.0


#: The table that stays on a terminal at the end has at most this many trials.
FINAL_ROWS = 20

#: Columns left free at the right, or the terminal's ``^C`` would begin a line and shift the display.
_MARGIN = 4

#: What records are marked with that a terminal with a live display gets in another way.
_DRAWN = "cloudtune_drawn"


class Clock(Protocol):
    """Whose time the display goes by."""

    @property
    def is_virtual(self) -> bool:
        """Whether trials are simulated."""

    def wall_time(self) -> float:
        """Unix seconds."""


class Limits(Protocol):
    """What the experiment is to reach."""

    def describe(self) -> list[tuple[str, float, Callable[[TuningStatus], float]]]:
        """See :meth:`cloudtune.stopping_criterion.Criterion.describe`."""


class Shown(Protocol):
    """What is shown: a tuner, or one that runs elsewhere."""

    @property
    def name(self) -> str:
        """Of the experiment."""

    @property
    def status(self) -> TuningStatus:
        """How it stands."""

    @property
    def trial_backend(self) -> Clock:
        """Whose time counts."""

    @property
    def stop_criterion(self) -> Limits:
        """When it ends."""

    @property
    def results_place(self) -> str:
        """Where its results are."""


class ProgressCallback(TunerCallback):
    """Live display on a terminal; elsewhere the status table in the log every ``print_update_interval`` seconds.

    Trials that start and complete are logged as well; simulated ones at the level DEBUG, since thousands do so in a
    second. The tuner adds a progress callback if there is none among its callbacks. Where logging is not configured,
    the tuner shows its log on standard error while it runs. To see errors only, pass ``ProgressCallback(live=False)``
    as a callback, and ``logging.getLogger("cloudtune").setLevel(logging.ERROR)``.

    Args:
        print_update_interval: Seconds between two tables in the log.
        live: Draw the live display; None: if standard error is a terminal that can show it.
        max_trials: Running trials shown at once.

    Raises:
        ValueError: ``print_update_interval`` is not above 0.
    """

    def __init__(self, print_update_interval: float = 30.0, live: bool | None = None, max_trials: int = 12) -> None:
        if not print_update_interval > 0:
            raise ValueError(
                f"print_update_interval must be above 0 seconds, got {print_update_interval!r}; "
                "a large number keeps the table away"
            )
        self.print_update_interval = print_update_interval
        self.live = live
        self.max_trials = max_trials
        self._forget_run()

    def _forget_run(self) -> None:
        self._tuner: Shown | None = None
        self._display: Live | None = None
        self._open = ExitStack()
        self._due: float | None = None
        self._notice: str | None = None
        self._failures: deque[str] = deque(maxlen=3)
        self._best: tuple[float, int, float | None] | None = None
        self._note = ""
        self._trial_level = logging.INFO

    def __getstate__(self) -> dict[str, Any]:
        of_run = ("_tuner", "_display", "_open", "_due", "_notice", "_failures", "_best", "_note", "_trial_level")
        return {name: value for name, value in self.__dict__.items() if name not in of_run}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_run()

    def on_tuning_start(self, tuner: Shown) -> None:
        self._tuner = tuner
        if tuner.trial_backend.is_virtual:
            self._trial_level = logging.DEBUG
        now = tuner.trial_backend.wall_time()
        console = self._console()
        if console is not None:
            self._begin_display(console, now)
        else:
            self._due = now + self.print_update_interval

    def _console(self) -> Console | None:
        """The terminal, if the display is to be drawn there."""
        if self.live is False or (self.live is None and not _is_terminal(sys.stderr)):
            return None
        from rich.console import Console

        console = Console(stderr=True, force_terminal=self.live)
        return None if console.is_dumb_terminal else console

    def _begin_display(self, console: Console, now: float) -> None:
        from rich.live import Live

        # What is printed goes above the display; standard output only if it is the same terminal.
        display = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=_is_terminal(sys.stdout))
        with ExitStack() as opened:
            opened.enter_context(log_above(console, _wanted))
            opened.callback(display.stop)
            display.start()
            self._open = opened.pop_all()
        self._display = display
        self._due = now

    def note(self, text: str) -> None:
        """Shows a line below the experiment's name, in place of the one before; elsewhere than in a display, logs it.

        Args:
            text: "" takes the line away.
        """
        if text != self._note:
            self._note = text
            if text:
                logger.info("%s", text)
            self._redraw_soon()

    def on_interrupt(self, text: str) -> bool:
        if self._display is None:
            return False
        # Written past the display it would be overdrawn.
        self._notice = text
        return True

    def next_time(self) -> float | None:
        return self._due if self._notice is None else 0.0

    def on_time(self, now: float, status: TuningStatus) -> None:
        if self._display is not None:
            from rich.constrain import Constrain

            console = self._display.console
            self._show_notice(console)
            self._display.update(Constrain(self._draw(status), console.width - _MARGIN), refresh=True)
            self._due = now + IDLE_REDRAW_INTERVAL
        else:
            logger.info("tuning status (last metric is reported)\n%s\n%s", status_table(status), incumbent_line(status))
            self._due = now + self.print_update_interval

    def _show_notice(self, console: Console) -> None:
        notice, self._notice = self._notice, None
        if notice is not None:
            console.print(notice, style="bold", markup=False, highlight=False)

    def on_start_trial(self, trial: Trial) -> None:
        logger.log(self._trial_level, "(trial %d) - scheduled config %s", trial.trial_id, trial.config)
        self._redraw_soon()

    def on_resume_trial(self, trial: Trial) -> None:
        text = "(trial %d) - goes on as attempt %d, config %s"
        logger.log(self._trial_level, text, trial.trial_id, trial.attempt, trial.config)
        self._redraw_soon()

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        if self._display is not None:
            self._redraw_soon()
        if logger.isEnabledFor(logging.DEBUG) and self._tuner is not None:
            best = self._tuner.status.incumbent
            if best is not self._best:
                self._best = best
                logger.debug("new incumbent: %s", incumbent_line(self._tuner.status))

    def on_trial_end(self, trial: Trial, status: TrialStatus, result: dict[str, Any], reason: str) -> None:
        if status is TrialStatus.failed:
            self._failures.append(printable(f"trial {trial.trial_id} failed: {reason.partition(chr(10))[0]}"))
        elif status is TrialStatus.completed:
            logger.log(self._trial_level, "Trial trial_id %d completed.", trial.trial_id)
        self._redraw_soon()

    def _redraw_soon(self) -> None:
        if self._display is not None and self._tuner is not None and self._due is not None:
            self._due = min(self._due, self._tuner.trial_backend.wall_time() + REDRAW_INTERVAL)

    def leave(self) -> None:
        """Takes the display away: the experiment goes on, and nobody looks any more."""
        with self._open:
            if self._display is not None:
                self._display.stop()
        self._forget_run()

    def on_tuning_end(self) -> None:
        with self._open:
            if self._display is not None:
                from rich.text import Text

                console = self._display.console
                self._show_notice(console)
                self._display.stop()
                if self._tuner is not None:
                    console.print(Text(_outcome(self._tuner, FINAL_ROWS, console.width)), soft_wrap=True)
            if self._tuner is not None:
                logger.info("%s", _outcome(self._tuner), extra={_DRAWN: True})
        self._forget_run()

    # ------------------------------------------------------------------ drawing

    def _draw(self, status: TuningStatus) -> Group:
        from rich.console import Group
        from rich.text import Text

        assert self._tuner is not None
        parts: list[Any] = [
            Text(f"{self._tuner.name}   {summary_line(status)}", style="bold"),
            *([Text(printable(self._note), style="yellow")] if self._note else []),
            self._draw_limits(status),
            Text(incumbent_line(status), style="green"),
            self._draw_running(status),
        ]
        parts.extend(Text(line, style="red", overflow="ellipsis", no_wrap=True) for line in self._failures)
        return Group(*parts)

    def _draw_limits(self, status: TuningStatus) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        assert self._tuner is not None
        table = Table.grid(padding=(0, 1))
        for name, limit, how_far in self._tuner.stop_criterion.describe():
            so_far = how_far(status)
            table.add_row(
                name, ProgressBar(total=limit, completed=min(so_far, limit), width=40), f"{so_far:.4g} of {limit:.6g}"
            )
        return table

    def _draw_running(self, status: TuningStatus) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, expand=True)
        for column, width in (("trial", 5), ("status", 10), ("reports", 7), ("last report", None), ("config", None)):
            # Without a width: half of what is left.
            ratio = 1 if width is None else None
            table.add_column(column, no_wrap=True, overflow="ellipsis", width=width, ratio=ratio)
        shown = list(status.running.values())[: self.max_trials]
        for record in shown:
            table.add_row(
                str(record.trial.trial_id),
                record.status.value,
                str(record.num_reports),
                " ".join(f"{printable(k)}={format_value(v)}" for k, v in own_values(record).items()),
                " ".join(f"{printable(k)}={format_value(v)}" for k, v in record.trial.config.items()),
            )
        if len(status.running) > len(shown):
            table.add_row("…", f"{len(status.running) - len(shown)} more")
        return table


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _wanted(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """What of the log a terminal shows beside the live display: not what is drawn there already, unless asked for."""
    if isinstance(handler, PlainHandler) and record.name == logger.name:
        return record.levelno > logging.INFO
    return not getattr(record, _DRAWN, False)


def _outcome(tuner: Shown, max_rows: int = MAX_ROWS, width: int | None = None) -> str:
    """What is said at the end: where the results are, the table, the incumbent."""
    status, line = tuner.status, "-" * 20
    why = "by an error" if status.finished_why is None else f"({printable(status.finished_why)})"
    return (
        f"Tuning ended {why}, results of trials can be found on {tuner.results_place}\n{line}\n"
        f"Resource summary (last result is reported):\n{status_table(status, max_rows, width)}\n\n"
        f"{incumbent_line(status)}\n{line}"
    )
