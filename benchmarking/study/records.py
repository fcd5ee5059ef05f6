"""The file of records: a line of JSON for each experiment that has finished, appended in one step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarking.study.experiment import Experiment
from benchmarking.study.fingerprint import fingerprint
from benchmarking.study.plan import REGRET, Plan
from benchmarking.study.playing import Record
from benchmarking.study.tables import ground, is_there

#: Of an experiment's key.
Records = dict[str, Record]


def read(path: Path) -> dict[str, list[Record]]:
    """All lines by key, in the order they were written; one that was cut short is passed over."""
    lines: dict[str, list[Record]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            lines.setdefault(record["key"], []).append(record)
    return lines


def append(path: Path, record: Record) -> None:
    """Adds a line: whole, or not at all, whoever else writes and whenever this process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # A line that a crash cut short is left behind, alone.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" * torn + line)
    finally:
        os.close(descriptor)


def digest_of(experiment: Experiment) -> str | None:
    """What its record must carry; None where its table is not there, so that nobody can tell."""
    if experiment.claim == REGRET:
        return experiment.digest("")
    return experiment.digest(ground(experiment.table).digest) if is_there(experiment.table) else None


@dataclass(frozen=True)
class Valid:
    """What a file holds of some experiments.

    Args:
        records: Of their settings as they are now; of two the one of the code as it is now, then the later one.
        other_settings: How many lines had others; they are passed over, and the experiment counts as not run.
        other_code: Keys of the records that other code has made, or code that they do not name.
    """

    records: Records
    other_settings: int
    other_code: frozenset[str]

    def of_present_code(self) -> Records:
        """Those of the code as it is now."""
        return {key: record for key, record in self.records.items() if key not in self.other_code}

    def counted(self, plan: Plan) -> Records:
        """Those that count in a plan."""
        return self.records if plan.former_code else self.of_present_code()


def valid(path: Path, experiments: Iterable[Experiment]) -> Valid:
    """The records of these experiments, by key."""
    lines = read(path)
    found: Records = {}
    other_settings = 0
    other_code: set[str] = set()
    for experiment in experiments:
        of_key = lines.get(experiment.key)
        if of_key is None:
            continue
        digest = digest_of(experiment)
        fitting = [record for record in of_key if digest in (None, record["digest"])]
        other_settings += len(of_key) - len(fitting)
        if not fitting:
            continue
        code = fingerprint(experiment)
        present = [record for record in fitting if record.get("code") == code]
        found[experiment.key] = (present or fitting)[-1]
        if not present:
            other_code.add(experiment.key)
    return Valid(found, other_settings, frozenset(other_code))
