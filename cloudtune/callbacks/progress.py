"""Shows how an experiment goes: live in a terminal, as plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.status_table import format_value, incumbent_line, status_table, summary_line
from cloudtune.trial import Trial, TrialStatus

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table

    from cloudtune.tuner import Tuner
    from cloudtune.tuning_status import TuningStatus

logger = logging.getLogger(__name__)

#: The live display is redrawn at most this often (seconds), so that drawing never holds up tuning.
REDRAW_INTERVAL = 0.25
#: ... and at least this often, so that the time it shows goes on.
IDLE_REDRAW_INTERVAL = 1.0


class ProgressCallback(TunerCallback):
    """Live display on a terminal; otherwise the status table in the log every ``print_update_interval`` seconds.

    Args:
        print_update_interval: Seconds between two tables in the log.
        live: Draw the live display; None: if standard error is a terminal and the process is not a notebook.
        max_trials: Running trials and failures shown at once.
    """

    def __init__(self, print_update_interval: float = 30.0, live: bool | None = None, max_trials: int = 12) -> None:
        self.print_update_interval = print_update_interval
        self.live = live
        self.max_trials = max_trials
        self._tuner: Tuner | None = None
        self._display: Live | None = None
        self._due: float | None = None
        self._failures: deque[str] = deque(maxlen=3)
        self._best: tuple[float, int, float | None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"print_update_interval": self.print_update_interval, "live": self.live, "max_trials": self.max_trials}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def on_tuning_start(self, tuner: Tuner) -> None:
        self._tuner = tuner
        now = tuner.trial_backend.time()
        live = sys.stderr.isatty() if self.live is None else self.live
        if live:
            self._begin_display(now)
        else:
            self._due = now + self.print_update_interval

    def _begin_display(self, now: float) -> None:
        from rich.console import Console
        from rich.live import Live

        # Log lines go to standard error as well: rich keeps them above the display.
        self._display = Live(console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False)
        self._display.start()
        self._due = now

    def next_time(self) -> float | None:
        return self._due

    def on_time(self, now: float, status: TuningStatus) -> None:
        if self._display is not None:
            self._display.update(self._draw(status), refresh=True)
            self._due = now + IDLE_REDRAW_INTERVAL
        else:
            logger.info("tuning status (last metric is reported)\n%s\n%s", status_table(status), incumbent_line(status))
            self._due = now + self.print_update_interval

    def on_start_trial(self, trial: Trial) -> None:
        logger.info("(trial %d) - scheduled config %s", trial.trial_id, trial.config)
        self._redraw_soon()

    def on_resume_trial(self, trial: Trial) -> None:
        logger.info("(trial %d) - goes on as attempt %d, config %s", trial.trial_id, trial.attempt, trial.config)
        self._redraw_soon()

    def on_trial_result(self, trial: Trial, status: str, result: dict[str, Any], decision: str) -> None:
        self._redraw_soon()
        if self._tuner is None or self._tuner.status.incumbent is self._best:
            return
        self._best = self._tuner.status.incumbent
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("new incumbent: %s", incumbent_line(self._tuner.status))

    def on_trial_end(self, trial: Trial, status: TrialStatus, result: dict[str, Any], reason: str) -> None:
        if status is TrialStatus.failed:
            self._failures.append(f"trial {trial.trial_id}: {reason}")
        elif status is TrialStatus.completed:
            logger.info("Trial trial_id %d completed.", trial.trial_id)
        self._redraw_soon()

    def _redraw_soon(self) -> None:
        if self._display is not None and self._tuner is not None and self._due is not None:
            self._due = min(self._due, self._tuner.trial_backend.time() + REDRAW_INTERVAL)

    def on_tuning_end(self) -> None:
        self._due = None
        display, self._display = self._display, None
        if display is not None:
            display.stop()
        if self._tuner is not None:
            status = self._tuner.status
            logger.info(
                "Tuning finished, results of trials can be found on %s\n%s\n"
                "Resource summary (last result is reported):\n%s\n\n%s\n%s",
                self._tuner.tuner_path,
                "-" * 20,
                status_table(status),
                incumbent_line(status),
                "-" * 20,
            )
            self._tuner = None

    # ------------------------------------------------------------------ drawing

    def _draw(self, status: TuningStatus) -> Group:
        from rich.console import Group
        from rich.text import Text

        assert self._tuner is not None
        parts: list[Any] = [
            Text(f"{self._tuner.name}   {summary_line(status)}", style="bold"),
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

        table = Table(box=None, pad_edge=False)
        for column, width in (("trial", 5), ("status", 11), ("reports", 7), ("last report", 30), ("config", 30)):
            table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=width)
        shown = list(status.running.values())[: self.max_trials]
        for record in shown:
            own = {k: v for k, v in record.last_metrics.items() if not k.startswith("st_")}
            table.add_row(
                str(record.trial.trial_id),
                record.status.value,
                str(record.num_reports),
                " ".join(f"{k}={format_value(v)}" for k, v in own.items()),
                " ".join(f"{k}={format_value(v)}" for k, v in record.trial.config.items()),
            )
        if len(status.running) > len(shown):
            table.add_row("…", f"{len(status.running) - len(shown)} more running")
        return table
