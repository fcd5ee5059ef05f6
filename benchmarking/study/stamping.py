"""Says afterwards which commit has made records that do not name their code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from benchmarking.study.experiment import Experiment
from benchmarking.study.fingerprint import ROOT, fingerprint


def stamp(path: Path, experiments: Iterable[Experiment], commit: str, after: int = 0) -> int:
    """Writes the fingerprint of a commit into the records of these experiments that have none.

    Nobody can check it: it is for who knows that they were made there, with the libraries as they are here. Nobody
    else must write the file meanwhile.

    Args:
        path: The file of records.
        experiments: Of a plan.
        commit: Of this repository, as git names it.
        after: So many lines are left as they are.

    Returns:
        How many.

    Raises:
        ValueError: There is no such commit.
    """
    by_key = {experiment.key: experiment for experiment in experiments}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    stamped = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        _check_out(commit, root)
        for number, line in enumerate(lines[after:], after):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if "code" not in record and record["key"] in by_key:
                record["code"] = fingerprint(by_key[record["key"]], root)
                lines[number] = json.dumps(record, separators=(",", ":")) + "\n"
                stamped += 1
    beside = path.with_name(f"{path.name}.stamped")
    beside.write_text("".join(lines), encoding="utf-8")
    os.replace(beside, path)
    return stamped


def _check_out(commit: str, folder: Path) -> None:
    command = ["git", "-C", str(ROOT), "archive", "--format=zip", commit, "benchmarking", "cloudtune"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"git knows no commit {commit!r} of {ROOT}: {done.stderr.decode().strip()}")
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder)
