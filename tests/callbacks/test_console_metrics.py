"""What SageMaker's console is told of a tuning."""

from __future__ import annotations

import io
import json
import re

from cloudtune.aws.console_metrics import with_console_metrics
from cloudtune.callbacks.console_metrics import ConsoleMetrics, metric_names
from cloudtune.constants import TUNE_METRIC_TAG
from tests.callbacks.virtual_run import make_tuner


def test_lines_that_the_console_reads() -> None:
    """A line whenever something changed, at intervals and at the end; the job's definitions find every value in it."""
    out = io.StringIO()
    tuner = make_tuner(callbacks=[ConsoleMetrics(interval=2.0, out=out)])
    tuner.run()
    lines = out.getvalue().splitlines()
    assert len(lines) == len(set(lines)) > 2
    last = json.loads(lines[-1].removeprefix(TUNE_METRIC_TAG))
    best, _, _ = tuner.status.incumbents["loss"]
    assert last == {
        "best_loss": best,
        "trials_started": tuner.status.num_trials_started,
        "trials_finished": tuner.status.num_trials_finished,
        "trials_running": 0,
    }
    for definition in with_console_metrics((), metric_names(tuner)):
        found = re.search(definition["Regex"], lines[-1])
        assert (float(found[1]) if found else None) == last.get(definition["Name"])


def test_nothing_is_printed_while_nothing_changes() -> None:
    """A long trial that reports little does not fill the log."""
    out = io.StringIO()
    make_tuner(trials=1, n_workers=1, callbacks=[ConsoleMetrics(interval=0.1, out=out)]).run()
    assert len(out.getvalue().splitlines()) < 15
