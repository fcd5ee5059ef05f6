"""What runs inside a training job keeps to the syntax of Python 3.8, because old images have no newer one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cloudtune"


@pytest.mark.parametrize("name", ["__init__", "report", "checkpoint", "config_json", "constants"])
def test_what_a_training_script_imports_parses_as_python_3_8(name: str) -> None:
    """Newer syntax in one of these files would break every trial in an old image at its first line."""
    path = PACKAGE / f"{name}.py"
    assert ast.parse(path.read_text(), filename=str(path), feature_version=(3, 8)).body


def test_the_agent_parses_as_python_3_8() -> None:
    """The agent runs inside a job as well, from its first file on."""
    for path in sorted((PACKAGE / "agent").rglob("*.py")):
        assert ast.parse(path.read_text(), filename=str(path), feature_version=(3, 8)).body, path


def test_newer_syntax_would_be_noticed() -> None:
    """The parser does refuse what Python 3.8 does not know."""
    with pytest.raises(SyntaxError):
        ast.parse("match x:\n    case 1: pass", feature_version=(3, 8))
