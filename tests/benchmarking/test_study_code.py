"""Which code has made the study's records: that a change of it is seen, and told."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from benchmarking.study import fingerprint as module
from benchmarking.study import running
from benchmarking.study.experiment import Experiment, Setup
from benchmarking.study.fingerprint import ROOT, fingerprint, sources, without_prose
from benchmarking.study.page import rewrite
from benchmarking.study.plan import FULL, QUICK, REGRET, Plan
from benchmarking.study.records import append, digest_of, read, valid
from benchmarking.study.stamping import stamp
from benchmarking.study.tables import DIGITS
from benchmarking.study.told import told

SHORT = {"max_num_trials_started": 6}
SETUPS = {"asha": [Setup("random search", "RandomSearch", 2, limits=SHORT), Setup("ASHA", "ASHA", 2, limits=SHORT)]}
TINY = Plan(2, {"asha": (DIGITS,)}, setups=SETUPS, former_code=True)
#: What tells how an experiment went, or sets it up, and does not make it go.
AROUND = (
    "cloudtune/callbacks/",
    "cloudtune/continuing.py",
    "cloudtune/interruption.py",
    "cloudtune/new_experiment.py",
    "cloudtune/status_table.py",
    "cloudtune/store/",
    "cloudtune/trial.py",
    "cloudtune/tuner",
    "cloudtune/trial_record.py",
    "cloudtune/tuning_status.py",
)


def of_method(method: str) -> Experiment:
    return Experiment("x", DIGITS, Setup("x", method, 2, limits={"max_num_trials_started": 12}), 0)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copies of the sources that anything in the study runs."""
    methods = {(one.setup.method, one.claim == REGRET) for one in FULL.experiments()}
    for name in {name for method in methods for name in sources(*method)}:
        copy = tmp_path / "checkout" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy)
    return tmp_path / "checkout"


@pytest.mark.parametrize(
    "method", ["RandomSearch", "ASHA", "PASHA", "SyncHyperband", "BayesianOptimization", "MOBSTER"]
)
def test_what_a_method_runs_is_in_its_fingerprint(method: str) -> None:
    """Traced: all that is called of the optimizer, the simulator and the tables, and of the tuner what decides."""
    called: set[str] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>":
            called.add(frame.f_code.co_filename)

    former = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        running.record_of(of_method(method))
    finally:
        sys.setprofile(former)
        threading.setprofile(None)
    package = ROOT / "cloudtune"
    names = {path.relative_to(ROOT).as_posix() for path in map(Path, called) if path.is_relative_to(package)}
    assert any(name.startswith("cloudtune/optimizer/baselines/") for name in names)
    assert {name for name in names if not name.startswith(AROUND)} <= set(sources(method, for_regret=False))


@pytest.mark.parametrize(
    ("changed", "method", "is_other"),
    [
        ("cloudtune/optimizer/schedulers/rungs.py", "ASHA", True),
        ("cloudtune/optimizer/schedulers/rungs.py", "RandomSearch", False),
        ("cloudtune/optimizer/schedulers/soft_ranking.py", "PASHA", True),
        ("cloudtune/optimizer/schedulers/soft_ranking.py", "ASHA", False),
        ("cloudtune/optimizer/searchers/bayesian/kernel.py", "MOBSTER", True),
        ("cloudtune/optimizer/searchers/bayesian/kernel.py", "ASHA", False),
        ("cloudtune/backend/simulator_backend/backend.py", "RandomSearch", True),
        ("benchmarking/study/playing.py", "SyncHyperband", True),
    ],
)
def test_a_change_of_a_methods_code_is_another_fingerprint(
    checkout: Path, changed: str, method: str, is_other: bool
) -> None:
    """And a change of what it does not run is none."""
    (checkout / changed).write_text((checkout / changed).read_text() + "\nCHANGED = True\n")
    assert (fingerprint(of_method(method), checkout) != fingerprint(of_method(method))) == is_other


def test_prose_is_not_code() -> None:
    """Comments, docstrings and empty lines make no other code; strings and statements do."""
    code = 'def f(x):  # one\n    """Prose\n    of two lines."""\n\n    # more\n    return "# none" + x\n'
    assert without_prose(code) == 'def f(x):\n    return "# none" + x'
    assert without_prose(code.replace("none", "other")) != without_prose(code)


def test_libraries_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of methods that stand on some: another version is other code, and other methods are not concerned."""
    assert fingerprint(of_method("BayesianOptimization"))["torch"]
    before = fingerprint(of_method("MOBSTER")), fingerprint(of_method("ASHA"))
    monkeypatch.setattr(module, "_version", lambda library: f"another {library}")
    after = fingerprint(of_method("MOBSTER")), fingerprint(of_method("ASHA"))
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.mark.parametrize("code", [None, {"sources": "0123456789abcdef"}])
def test_records_of_other_code_are_told_and_made_again_if_wanted(tmp_path: Path, code: Any) -> None:
    """They count in a plan that takes them; of code that they do not name nobody knows. The newest code goes first."""
    file, experiments = tmp_path / "records.jsonl", TINY.experiments()
    assert running.run(file, experiments, 1) == 0
    assert not valid(file, experiments).other_code
    known = [of_key[0] for of_key in read(file).values()]
    former = tmp_path / "former.jsonl"
    for one in known:
        append(
            former,
            {**{name: value for name, value in one.items() if name != "code"}, **({"code": code} if code else {})},
        )
    found = valid(former, experiments)
    assert found.other_code == {one.key for one in experiments}
    assert found.counted(TINY) == found.records
    assert found.counted(QUICK) == {}
    assert "4 of 4 records were made by other code than there is now" in told(TINY, found.records, found.other_code)
    page = tmp_path / "study.md"
    page.write_text("".join(f"<!-- study: {name} -->\n<!-- study ends -->\n" for name in ("summary", "asha")))
    rewrite(page, TINY, found.records, found.other_code)
    assert "libraries (asha 4); `run --fresh-code` makes them again." in page.read_text()
    before = former.read_bytes()
    assert running.run(former, experiments, 1) == 0
    assert former.read_bytes() == before
    assert running.run(former, experiments, 1, time_limit=0.0, fresh_code=True) == 4
    append(former, known[2])
    append(former, {**known[2], "code": {"sources": "later, elsewhere"}})
    assert running.run(former, experiments, 1, fresh_code=True) == 0
    found = valid(former, experiments)
    assert not found.other_code
    assert [len(of_key) for of_key in read(former).values()] == [2, 2, 3, 2]
    assert "other code" not in told(TINY, found.records, found.other_code)


def test_the_quick_plan_counts_the_present_code_alone() -> None:
    """It is for changes: what was recorded before one says nothing about it. The full plan takes hours, and keeps."""
    assert not QUICK.former_code
    assert not QUICK.only(["asha"]).former_code
    assert FULL.former_code


def test_records_can_be_stamped_with_the_commit_that_made_them(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that name no code, behind the lines that are left as they are; a commit that is none is named."""
    first, second = TINY.experiments()[:2]
    git = ["git", "-C", str(checkout), "-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    rungs = checkout / "cloudtune/optimizer/schedulers/rungs.py"
    rungs.write_text(rungs.read_text() + "\nCHANGED = True\n")
    monkeypatch.setattr("benchmarking.study.stamping.ROOT", checkout)
    file = tmp_path / "records.jsonl"
    lines: list[dict[str, Any]] = [
        {"key": first.key, "digest": digest_of(first)},
        {"key": first.key, "digest": digest_of(first), "steps": []},
        {"key": second.key, "digest": digest_of(second), "code": {"sources": "known"}},
        {"key": "asha/none/ASHA/0", "digest": "?"},
    ]
    for line in lines:
        append(file, line)
    assert stamp(file, TINY.experiments(), "HEAD", after=1) == 1
    lines[1]["code"] = fingerprint(first)
    assert [json.loads(line) for line in file.read_text().splitlines()] == lines
    assert valid(file, [first]).other_code == frozenset()
    with pytest.raises(ValueError, match="git knows no commit 'none'"):
        stamp(file, TINY.experiments(), "none")
