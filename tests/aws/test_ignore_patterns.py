"""Patterns mean what they mean to git: git itself is asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cloudtune.aws.ignore_patterns import IgnorePatterns

# A pattern is put together from what has a meaning to git, and from what looks as if it had.
PIECES = [
    *("a", "b", "ab", "*", "?", "**", "***", "a*", "*.py", "**a", "a**", "*a*b", "-", " ", "c d", "!a", "#x"),
    *("\\*", "a\\ ", "\\a", "\\", "\\!a", "\\#x", "ä", "[ä]", "??"),
    *("[ab]", "[!a]", "[^a]", "[a-b]*", "[b-a]", "[", "[]a]", "[!]a]", "[a-]", "[-a]", "[\\]]", "[a\\-c]", "[!/]"),
    *("[[:alpha:]]", "[[:foo:]]", "[[:punct:][:space:]]", "[[:digit:]a-]", "[a-[:alpha:]]", "[]-a]", "[--a]", "[]"),
    *("a[b/c]", "[[:]", "[[::]]", "[[:alpha]", "[a-\\c]", "[\\"),
]
NAMES = ["a", "b", "ab", "a.py", "b.py", "c d", "!a", "#x", "*", "a ", "c", "-", "]", "[", "axb", " ", "ä"]

patterns = st.builds(
    lambda negated, begin, pieces, end: negated + begin + "/".join(pieces) + end,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3),
    st.sampled_from(["", "", "", "/", "  ", "\r"]),
)
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


def kept_by_git(folder: Path) -> set[str]:
    """The files that ``git add .`` would take."""
    command = ["git", "ls-files", "--others", "--exclude-from=patterns", "-z"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {path for path in done.stdout.split("\0") if path and path != "patterns"}


def kept_by_us(folder: Path, patterns: IgnorePatterns) -> set[str]:
    kept = set()

    def walk(below: str) -> None:
        for entry in os.scandir(folder / below):
            path = below + entry.name
            if path in (".git", "patterns") or patterns.decide(path, entry.is_dir()):
                continue
            if entry.is_dir():
                walk(path + "/")
            else:
                kept.add(path)

    walk("")
    return kept


@settings(max_examples=60)
@given(lines=st.lists(patterns, min_size=1, max_size=4), files=st.lists(paths, min_size=5, max_size=25))
@example(lines=["/a**/b", "!a/b"], files=["a/x/b", "ab", "a/b", "c/ab"])
@example(lines=["a/", "!a/b"], files=["a/b", "c/a/b"])
@example(lines=["*", "!*/", "!*.py"], files=["a.py", "b", "a/a.py", "a/b"])
@example(lines=["[b-a]", "**/a.py"], files=["b", "a", "a.py", "c/a.py"])
def test_what_stays_at_home_is_what_git_ignores(
    lines: list[str], files: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the patterns, exactly the files are kept that git would take."""
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run(["git", "init", "-q", folder], check=True)
    for path in files:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("")
        except OSError:  # a file has the name of a folder
            continue
    (folder / "patterns").write_bytes("\n".join([*lines, ""]).encode())
    assert kept_by_us(folder, IgnorePatterns(lines)) == kept_by_git(folder)


@pytest.mark.parametrize("line", ["", "   ", "# comment", "!", "/", "!/", "\n", "\r\n"])
def test_lines_without_a_pattern_say_nothing(line: str) -> None:
    """Blank lines, comments and patterns of nothing neither ignore nor take back."""
    assert IgnorePatterns([line]).decide("a", is_folder=True) is None


def test_only_a_pattern_that_names_something_takes_back() -> None:
    """``!*/`` is how one says "all folders but what comes": no wish to have this one."""
    for line, path, wanted in [
        ("!ca.pem", "ca.pem", True),
        ("!*.pem", "keys/ca.pem", True),
        ("!*", "ca.pem", False),
        ("!**/*", "keys/ca.pem", False),
        ("*.pem", "ca.pem", False),
        ("!other", "ca.pem", False),
    ]:
        assert IgnorePatterns([line]).takes_back(path, is_folder=False) is wanted, line
