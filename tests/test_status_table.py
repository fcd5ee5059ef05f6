"""The status table: what stands in it, and that nothing a trial says can tear it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloudtune.status_table import format_value, incumbent_line, printable, status_table, summary_line
from cloudtune.store import entries
from cloudtune.tuning_status import TuningStatus

CLOCK = 5.0


def suggest(status: TuningStatus, trial: int, **config: Any) -> None:
    status.apply(
        {"event": entries.SUGGEST, "number": trial, "trial": trial, "attempt": 0, "config": config, "time": CLOCK}
    )


def report(status: TuningStatus, trial: int, number: int = 0, **metrics: Any) -> None:
    event = {"event": entries.REPORT, "trial": trial, "attempt": 0, "run": 0, "number": number, "time": CLOCK}
    extra = {} if status.metric in metrics else {"extra": True}
    status.apply({**event, **extra, "decision": "CONTINUE", "status": "InProgress", "metrics": metrics})


def end(status: TuningStatus, trial: int, ending: str = "Completed", reason: str = "") -> None:
    event = {"event": entries.END, "trial": trial, "attempt": 0, "outcome": "completed", "exit_code": 0}
    status.apply({**event, "reason": reason, "time": CLOCK, "status": ending})


def cells(table: str) -> list[dict[str, str]]:
    """The table's rows, by column."""
    header, *rows = [line.split() for line in table.splitlines()[:-1]]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_row_per_trial_with_configuration_last_values_time_and_cost() -> None:
    """Two trials, one of which has not reported: dashes stand where there is nothing."""
    status = TuningStatus("loss")
    suggest(status, 0, x=0.25, layers=3)
    suggest(status, 1, x=1 / 3, layers=4)
    for number, loss in enumerate((0.5, 0.125)):
        report(status, 0, number, loss=loss, st_worker_time=1.5 * (number + 1), st_worker_cost=0.01)
    end(status, 0)
    assert cells(status_table(status)) == [
        {
            "trial_id": "0",
            "status": "Completed",
            "iter": "2",
            "x": "0.25",
            "layers": "3",
            "loss": "0.125",
            "worker-time": "3.00",
            "worker-cost": "0.0100",
        },
        {
            "trial_id": "1",
            "status": "InProgress",
            "iter": "0",
            "x": "0.333333",
            "layers": "4",
            "loss": "-",
            "worker-time": "-",
            "worker-cost": "-",
        },
    ]
    assert status_table(status).splitlines()[-1] == summary_line(status)
    assert summary_line(status) == (
        "1 trials running, 1 finished (1 until the end), 5.00s wallclock-time, $0.01 estimated cost"
    )


def test_every_key_keeps_its_last_value() -> None:
    """A script that reports now the loss, now the accuracy, has both in its row."""
    status = TuningStatus("loss")
    suggest(status, 0, x=1)
    report(status, 0, 0, loss=0.5)
    report(status, 0, 1, accuracy=0.75)
    (row,) = cells(status_table(status))
    assert (row["loss"], row["accuracy"]) == ("0.5", "0.75")


@given(st.text(), st.text())
def test_no_text_tears_the_table(value: str, key: str) -> None:
    """Line ends, escapes, separators and half characters in values and keys: two rows, and all of it printable."""
    status = TuningStatus("loss")
    suggest(status, 0, text=value, loss=0.0)
    metrics: dict[str, Any] = {"loss": 0.5, "k" + key: value}
    report(status, 0, **metrics)
    table = status_table(status)
    assert len(table.splitlines()) == 3
    for line in [*table.split("\n"), incumbent_line(status)]:
        assert line.isprintable()


def test_what_is_printable_stays_as_it_is() -> None:
    """Only what would move a cursor is spelled out."""
    assert printable("läuft → 90 % ✓") == "läuft → 90 % ✓"
    assert printable("a\nb\x1b[31m\u2028") == r"a\nb\x1b[31m\u2028"
    assert format_value(1e-7 / 3) == "3.33333e-08"
    assert format_value("two\nlines") == r"two\nlines"
    assert format_value("x" * 80) == "x" * 80
    assert format_value("x" * 5000) == "x" * 79 + "…"
    assert format_value(None) == "None"


def test_a_long_table_shows_what_is_of_interest() -> None:
    """Of 100 trials the best, the failed, the running and the newest; the rest is counted."""
    status = TuningStatus("score", "max")
    for trial in range(100):
        suggest(status, trial, x=trial)
        report(status, trial, score=100.0 if trial == 7 else -float(trial))
        if trial not in (21, 22):
            end(status, trial, "Failed" if trial == 33 else "Completed", "broke")
    table = status_table(status, max_rows=20)
    lines = table.splitlines()
    shown = {int(line.split()[0]) for line in lines[1:-2]}
    assert {7, 0, 1, 21, 22, 33, 99, 98} <= shown
    assert len(shown) <= 20
    assert lines[-2] == f"({100 - len(shown)} more trials not shown)"
    assert len(cells(status_table(status, max_rows=100))) == 100


def test_a_table_too_wide_has_the_metric_in_front_and_is_cut() -> None:
    """With many parameters the metric would be cut off first; where there is room, nothing changes."""
    status = TuningStatus("loss", resource_attr="epoch")
    suggest(status, 0, **{f"parameter_{i}": i for i in range(20)})
    report(status, 0, other=1, epoch=3, loss=0.5)
    cut = status_table(status, width=60).splitlines()
    assert cut[0].split()[:6] == ["trial_id", "status", "iter", "loss", "epoch", "parameter_0"]
    assert [len(line) for line in cut[:-1]] == [60, 60]
    assert cut[0].endswith("…")
    assert status_table(status, width=1000) == status_table(status)


def test_the_incumbent_is_told_with_its_level() -> None:
    """Value, trial, epoch and configuration; before the first report that there is none."""
    status = TuningStatus("loss", resource_attr="epoch")
    assert incumbent_line(status) == "no result yet"
    suggest(status, 0, x=0.5)
    report(status, 0, epoch=3, loss=0.25)
    assert incumbent_line(status) == "loss: best 0.25 for trial-id 0 at epoch 3 (x=0.5)"


def test_each_of_several_metrics_has_its_best() -> None:
    """One line for each that has a value, in its own mode; in a long or narrow table none of them is lost."""
    status = TuningStatus(["loss", "score", "unknown"], ["min", "max", "min"])
    for trial in range(60):
        suggest(status, trial, x=trial)
        loss = float("nan") if trial % 9 else trial + 1.0
        report(status, trial, loss=loss, score=9.0 - (trial - 25) ** 2, unknown=float("nan"))
        end(status, trial, "Completed", "")
    assert incumbent_line(status).splitlines() == [
        "loss: best 1 for trial-id 0 (x=0)",
        "score: best 9 for trial-id 25 (x=25)",
    ]
    lines = status_table(status, max_rows=12, width=30).splitlines()
    assert lines[0].split()[:4] == ["trial_id", "status", "iter", "loss"]
    assert {0, 25} <= {int(line.split()[0]) for line in lines[1:-2]}


def test_an_experiment_without_trials_has_a_table() -> None:
    """Nothing started yet: just the header-less counts."""
    assert status_table(TuningStatus("loss")).strip() == summary_line(TuningStatus("loss"))
