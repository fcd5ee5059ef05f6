"""The table of results as text: what the csv module would write, whatever stands in reports and configurations."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloudtune.store.results import write_results
from cloudtune.store.results_rows import Columns
from tests.contracts.store_contract import report, suggest

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6)
_VALUES = st.one_of(
    st.floats(), st.integers(), st.floats(), st.booleans(), st.none(), _TEXTS, st.lists(st.integers(), max_size=2)
)
_NAMES = st.sampled_from(["loss", "epoch", 'odd, "name"', "trial_id", "x"])
_LOGS = st.lists(
    st.one_of(
        st.builds(
            lambda trial, config: {"event": "suggest", "trial": trial, "config": config},
            st.integers(0, 2),
            st.dictionaries(_NAMES, _VALUES, max_size=3),
        ),
        st.builds(
            lambda trial, time, metrics: {
                "event": "report",
                "trial": trial,
                "decision": "CONTINUE",
                "status": "InProgress",
                "time": time,
                "metrics": metrics,
            },
            st.integers(0, 2),
            st.floats(0, 1e6),
            st.dictionaries(_NAMES, _VALUES, max_size=4),
        ),
    ),
    max_size=8,
)


def plainly(log: list[dict[str, Any]]) -> str:
    """The same with the csv module alone."""
    metrics: dict[str, None] = {}
    keys: dict[str, None] = {}
    for entry in log:
        (metrics if entry["event"] == "report" else keys).update(
            dict.fromkeys(entry["metrics"] if entry["event"] == "report" else entry["config"])
        )
    shown = [key for key in metrics if key != "trial_id"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["trial_id", "st_decision", "st_status", "st_tuner_time"]
    writer.writerow([*names, *shown, *(f"config_{key}" for key in keys)])
    configs: dict[int, dict[str, Any]] = {}
    for entry in log:
        if entry["event"] == "suggest":
            configs[entry["trial"]] = entry["config"]
            continue
        of_trial = configs.get(entry["trial"], {})
        values = [*(entry["metrics"].get(key) for key in shown), *(of_trial.get(key) for key in keys)]
        cells = [json.dumps(value) if isinstance(value, list) else value for value in values]
        writer.writerow([entry["trial"], entry["decision"], entry["status"], entry["time"], *cells])
    return out.getvalue()


@given(_LOGS)
@example(
    [
        {"event": "suggest", "trial": 0, "config": {"loss": "\n"}},
        {"event": "report", "trial": 0, "decision": "STOP", "status": "Stopped", "time": 0.0, "metrics": {"x": "\n"}},
    ]
)
def test_rows_are_what_csv_writes(log: list[dict[str, Any]]) -> None:
    """Numbers, which are written directly, and everything else make the very text of the csv module."""
    log = json.loads(json.dumps(log))
    file = io.BytesIO()
    write_results(lambda: [log[:3], log[3:]], file, Columns())
    with zipfile.ZipFile(file) as archive:
        assert archive.read("results.csv").decode() == plainly(log)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_ends_of_lines_within_a_cell(end: str) -> None:
    """A text with an end of line comes back as it was, be it of a report or of a configuration."""
    log = [suggest(0, name=f"a{end}b"), report(0, metrics={"note": f"c{end}", "loss": 1.0})]
    file = io.BytesIO()
    write_results(lambda: [log], file, Columns())
    with zipfile.ZipFile(file) as archive, archive.open("results.csv") as text:
        (row,) = csv.DictReader(io.TextIOWrapper(text, encoding="utf-8", newline=""))
    assert (row["config_name"], row["note"], row["loss"]) == (f"a{end}b", f"c{end}", "1.0")
