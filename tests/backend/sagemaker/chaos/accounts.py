"""Compares what the tuner's log says with what happened: the scripts' own records, and the cloud's jobs."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtune.store.entries import BILL, END, REPORT, SUGGEST
from cloudtune.store.local_store import LocalStore
from tests.backend.sagemaker.chaos.program import PUT_INTERVAL

#: Seconds that a put may take on a loaded machine, beyond the interval between two.
SLACK = 0.5


@dataclass(frozen=True)
class Made:
    """A report that a script has made."""

    key: str
    trial: int
    attempt: int
    process: str
    epoch: int
    unix: float


def truth(folder: Path) -> list[Made]:
    """All reports ever made, those of one process in order."""
    made = []
    for path in sorted(folder.iterdir()):
        trial, attempt, process = path.stem.split("-")
        for line in path.read_text().splitlines():
            record = json.loads(line)
            made.append(Made(record["key"], int(trial), int(attempt), process, record["epoch"], float(record["unix"])))
    return made


def entries(folder: Path) -> list[dict[str, Any]]:
    """The experiment's log."""
    return list(LocalStore(folder).read())


def configs(log: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """What each trial began with."""
    return {entry["trial"]: entry["config"]["x"] for entry in log if entry["event"] == SUGGEST and not entry["attempt"]}


def problems_of_reports(log: Sequence[Mapping[str, Any]], made: Sequence[Made], killed: set[str]) -> list[str]:
    """Reports that are missing, double, out of order or under a wrong name.

    Args:
        log: The tuner's.
        made: What the scripts have recorded.
        killed: Names (trial-attempt) of jobs whose machine died without notice.
    """
    found: list[str] = []
    logged = [entry for entry in log if entry["event"] == REPORT]
    keys = [entry["metrics"]["key"] for entry in logged]
    if len(set(keys)) != len(keys):
        found.append(f"reports twice: {sorted(key for key in set(keys) if keys.count(key) > 1)}")
    by_key = {one.key: one for one in made}
    next_number: dict[tuple[int, int, int], int] = defaultdict(int)
    epochs: dict[tuple[int, int, int], int] = defaultdict(int)
    last_run: dict[tuple[int, int], int] = defaultdict(int)
    for entry in logged:
        run = (entry["trial"], entry["attempt"], entry["run"])
        one = by_key.get(entry["metrics"]["key"])
        if one is None or (one.trial, one.attempt) != run[:2]:
            found.append(f"{entry} was never made by {run}")
        if entry["number"] != next_number[run]:
            found.append(f"{run} goes from report {next_number[run] - 1} to {entry['number']}")
        if entry["metrics"]["epoch"] <= epochs[run]:
            found.append(f"{run} goes back to epoch {entry['metrics']['epoch']}")
        if entry["run"] < last_run[run[:2]]:
            found.append(f"{run} comes after run {last_run[run[:2]]}")
        next_number[run] = entry["number"] + 1
        epochs[run] = entry["metrics"]["epoch"]
        last_run[run[:2]] = entry["run"]
    found += _missing(made, set(keys), killed)
    return found


def _missing(made: Sequence[Made], logged: set[str], killed: set[str]) -> list[str]:
    """Only the last moment of a machine that died without notice may be missing."""
    found = []
    processes: dict[str, list[Made]] = defaultdict(list)
    for one in made:
        processes[one.process].append(one)
    for reports in processes.values():
        missing = [one for one in reports if one.key not in logged]
        if not missing:
            continue
        first, last = missing[0], reports[-1]
        is_tail = missing == reports[-len(missing) :]
        if f"{first.trial}-{first.attempt}" not in killed:
            found.append(f"lost, and nobody killed the machine: {missing}")
        elif not is_tail or last.unix - first.unix > PUT_INTERVAL + SLACK:
            found.append(f"lost, and older than the machine's last moment: {missing}, its last was {last}")
    return found


def problems_of_jobs(log: Sequence[Mapping[str, Any]], made: Sequence[Made], jobs: Mapping[str, str]) -> list[str]:
    """Jobs that run, that nobody asked for or whose end is not in the log, and trials that ran twice at once."""
    found = [f"{name} is {status}" for name, status in jobs.items() if status not in ("Completed", "Failed", "Stopped")]
    ends = [(entry["trial"], entry["attempt"]) for entry in log if entry["event"] == END]
    if len(set(ends)) != len(ends):
        found.append(f"attempts that ended twice: {sorted(one for one in set(ends) if ends.count(one) > 1)}")
    named = {tuple(int(part) for part in name.split("-")[-2:]) for name in jobs}
    found += [f"a job of attempt {one} that the log does not know" for one in sorted(named - set(ends))]
    spans: dict[int, list[tuple[float, float, str]]] = defaultdict(list)
    processes: dict[str, list[Made]] = defaultdict(list)
    for one in made:
        processes[one.process].append(one)
    for reports in processes.values():
        spans[reports[0].trial].append((reports[0].unix, reports[-1].unix, reports[0].process))
    for trial, intervals in spans.items():
        intervals.sort()
        for before, after in itertools.pairwise(intervals):
            if after[0] < before[1]:
                found.append(f"trial {trial} ran twice at once: {before}, {after}")
    return found


def problems_of_costs(
    log: Sequence[Mapping[str, Any]], described: Sequence[Mapping[str, Any]], prices: Mapping[str, float]
) -> list[str]:
    """The last bill of each attempt is its job's billable time, with what a warm pool kept of it."""
    bills = {(entry["trial"], entry["attempt"]): entry for entry in log if entry["event"] == BILL}
    found = []
    for job in described:
        trial, attempt = (int(part) for part in job["TrainingJobName"].split("-")[-2:])
        resources = job["ResourceConfig"]
        retained = (job.get("WarmPoolStatus") or {}).get("ResourceRetainedBillableTimeInSeconds", 0)
        seconds = job.get("BillableTimeInSeconds", 0) + retained
        expected = prices[resources["InstanceType"]] * resources["InstanceCount"] * seconds / 3600
        bill = bills.pop((trial, attempt), None)
        if bill is None or not bill["final"] or abs(bill["dollars"] - expected) > 1e-9:
            found.append(f"{job['TrainingJobName']} cost {expected}, the log says {bill}")
    found += [f"a bill for no job: {bill}" for bill in bills.values() if bill["dollars"]]
    return found
