"""The documentation says what is true: its links lead somewhere and its programs run."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudtune.config_space import uniform
from cloudtune.optimizer.scheduler import TrialSuggestion
from cloudtune.optimizer.schedulers import FIFOScheduler
from cloudtune.trial import Trial

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text())


def anchors(page: Path) -> Iterator[str]:
    """Anchors of a page's headings, as myst and GitHub make them."""
    prose = BLOCK.sub("", page.read_text())
    for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def write_files(page: Path, folder: Path) -> None:
    """Writes each block whose first line names a file, as a reader would."""
    for block in code_blocks(page):
        name = FILE_NAME.match(block)
        if name:
            (folder / name[1]).write_text(block)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_relative_links_resolve(page: Path) -> None:
    """A reader who follows a link within the project finds the file, and the heading if one is named."""
    broken = []
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_code_compiles(page: Path) -> None:
    """A block of Python in the documentation is at least Python."""
    for block in code_blocks(page):
        assert ast.parse(block).body, block


METHODS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "methods.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "block", METHODS, ids=[re.findall(r"\w+(?=\($)", block, re.MULTILINE)[-1] for block in METHODS]
)
def test_the_methods_of_the_guide_can_be_made(block: str) -> None:
    """Each block makes a scheduler, which has a first configuration to propose."""
    defined: dict[str, Any] = {}
    exec(block, defined)
    suggestion = defined["scheduler"].suggest()
    assert suggestion is not None
    assert suggestion.config is not None


PROGRAMS = [
    ("quickstart.md", ["tune.py"], r"validation_error"),
    ("quickstart.md", ["tune_function.py"], r"'y'"),
    ("writing_a_training_script.md", ["train.py", "--learning_rate", "0.3", "--max_epochs", "3"], r'"epoch": ?3'),
    ("continuing_an_experiment.md", ["tune.py", "3"], r"\b[3-9] trials"),
    ("own_scheduler.md", ["local_search.py"], r"'x'"),
    ("own_scheduler.md", ["cut_the_worst.py"], r"'x'"),
    ("simulator.md", ["simulate.py"], r"ASHA \d{3} trials"),
    ("blackboxes.md", ["own_table.py"], r"'learning_rate': 0.01, 'width': 64"),
]


@pytest.mark.parametrize(("page", "command", "expected"), PROGRAMS, ids=[f"{p}-{c[0]}" for p, c, _ in PROGRAMS])
def test_programs_in_the_guides_run(page: str, command: list[str], expected: str, tmp_path: Path) -> None:
    """Who copies the files of a guide and runs them gets what the guide promises."""
    write_files(ROOT / "docs" / page, tmp_path)
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(expected, done.stdout), done.stdout + done.stderr


def classes(page: str, file_name: str) -> dict[str, Any]:
    """What a file of a guide imports and defines, without the experiment that it runs."""
    (block,) = (code for code in code_blocks(ROOT / "docs" / page) if code.startswith(f"# {file_name}\n"))
    module = ast.parse(block)
    module.body = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef)]
    defined: dict[str, Any] = {}
    exec(compile(module, file_name, "exec"), defined)
    return defined


@pytest.mark.parametrize(("mode", "best"), [("min", 0.1), ("max", 0.9)])
def test_the_searcher_of_the_guide_searches_around_the_best(mode: str, best: float) -> None:
    """For the mode of its scheduler, whatever NaN and infinite values there are between."""
    scheduler = FIFOScheduler(
        {"x": uniform(0, 1)},
        classes("own_scheduler.md", "local_search.py")["AroundTheBest"],
        metric="loss",
        mode=mode,
        points_to_evaluate=[{"x": x} for x in (0.9, 0.3, 0.1, 0.5, 0.6, 0.7)],
        random_seed=1,
    )
    for trial_id, value in enumerate([0.9, math.nan, 0.1, -math.inf, 0.5, math.inf]):
        suggestion = scheduler.suggest()
        assert suggestion is not None
        trial = Trial(trial_id, suggestion.config or {})
        scheduler.on_trial_add(trial)
        scheduler.on_trial_result(trial, {"loss": value})
    configs = [(scheduler.suggest() or TrialSuggestion({})).config or {} for _ in range(20)]
    assert sum(abs(config["x"] - best) < 0.3 for config in configs) >= 18


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_the_scheduler_of_the_guide_cuts_the_worst(mode: str, sign: int) -> None:
    """In the direction that it is given; values that are no numbers are cut, and leave the others in their order."""
    scheduler = classes("own_scheduler.md", "cut_the_worst.py")["CutTheWorst"](
        {"x": uniform(0, 1)}, metric="loss", mode=mode, random_seed=1
    )
    values = [5, math.nan, 3, math.inf, 1, math.nan, 9, 2, 8, -math.inf, 0, 4, 10]
    answers = [
        scheduler.on_trial_result(Trial(trial_id, {}), {"step": 1, "loss": sign * value})
        for trial_id, value in enumerate(values)
    ]
    stopped = [value for value, answer in zip(values, answers, strict=True) if answer == "STOP"]
    assert [repr(value) for value in stopped] == ["nan", "-inf"]
    values = [1, 2, 3, 4, 5, 4.5, 6, 0]
    answers = [
        scheduler.on_trial_result(Trial(trial_id, {}), {"step": 2, "loss": sign * value})
        for trial_id, value in enumerate(values)
    ]
    assert [value for value, answer in zip(values, answers, strict=True) if answer == "STOP"] == [5, 6]
    assert scheduler.metric_mode() == mode


def test_running_again_continues_as_the_guide_says(tmp_path: Path) -> None:
    """The guide on continuing promises more trials of the same experiment for a higher limit."""
    write_files(ROOT / "docs" / "continuing_an_experiment.md", tmp_path)
    counts = []
    for limit in ("2", "4"):
        done = subprocess.run(
            [sys.executable, "tune.py", limit], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        counts.append(int(re.findall(r"(\d+) trials", done.stdout)[-1]))
    assert counts[0] >= 2
    assert counts[1] >= 4


def test_the_script_of_the_guide_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The guide's training script, started again with the same directory, reports only the epochs that were missing."""
    write_files(ROOT / "docs" / "writing_a_training_script.md", tmp_path)
    epochs = []
    for max_epochs in ("2", "5"):
        command = [sys.executable, "train.py", "--learning_rate", "0.3", "--max_epochs", max_epochs]
        command += ["--st_checkpoint_dir", str(tmp_path / "checkpoints")]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        epochs.append([int(epoch) for epoch in re.findall(r'"epoch": ?(\d+)', done.stdout)])
    assert epochs == [[1, 2], [3, 4, 5]]


def test_the_guide_lists_every_fault_of_the_local_cloud() -> None:
    """The table of faults says what the code says, kind by kind."""
    from cloudtune.localcloud.fault import KINDS

    page = (ROOT / "docs" / "local_cloud.md").read_text()
    rows = dict(re.findall(r"^\| [\w ]+ \| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == dict(KINDS)
