"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "cloudtune").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


@pytest.mark.defect("E5")
def test_the_package_never_sleeps() -> None:
    """Tuner and backends wait for events; a sleep anywhere in the package would be a delay that nothing can end."""
    sleeping = [
        f"{named(path)}:{line}"
        for path in PACKAGE
        for name, line in calls(ast.parse(path.read_text()))
        if name in ("sleep", "time.sleep", "asyncio.sleep")
    ]
    assert not sleeping, "wait for an event with a timeout instead"


def test_file_names_tell_the_subject() -> None:
    """A reader finds a behaviour by guessing the file: no file is named for holding odds and ends."""
    vague = {"util.py", "utils.py", "helper.py", "helpers.py", "common.py", "misc.py"}
    found = [named(path) for path in ROOT.glob("*/**/*.py") if path.name in vague and ".venv" not in path.parts]
    assert not found


def test_every_test_says_what_it_shows() -> None:
    """A test without a docstring leaves the next reader to guess which promise it keeps."""
    silent = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]
    assert not silent
