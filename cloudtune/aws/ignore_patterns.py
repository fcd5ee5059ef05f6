"""Which files of a source folder stay at home: patterns as git reads them from a ``.gitignore``.

Tested against git itself. One file of patterns counts, that of the folder itself; those in folders below it are not
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
_NOTHING = "(?!)"


@dataclass(frozen=True)
class _Pattern:
    matches: re.Pattern[str]
    ignores: bool  # False: a pattern that begins with "!"
    folders_only: bool
    names_something: bool  # not only stars and question marks


class IgnorePatterns:
    """Patterns, the last of which that matches a path decides. A folder that is ignored is to be left out as a whole.

    Args:
        lines: As they stand in a ``.gitignore``.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns = [pattern for line in lines if (pattern := _parsed(line)) is not None]

    def decide(self, path: str, is_folder: bool) -> bool | None:
        """Whether a path, relative to the folder of the patterns, is left out; None if no pattern says anything of it.

        The folders above it are to be asked about first.
        """
        pattern = self._deciding(path, is_folder)
        return pattern.ignores if pattern is not None else None

    def takes_back(self, path: str, is_folder: bool) -> bool:
        """Whether a pattern such as ``!settings.pem`` or ``!*.pem``, but not ``!*``, says that a path is wanted."""
        pattern = self._deciding(path, is_folder)
        return pattern is not None and not pattern.ignores and pattern.names_something

    def _deciding(self, path: str, is_folder: bool) -> _Pattern | None:
        for pattern in reversed(self._patterns):
            if (is_folder or not pattern.folders_only) and pattern.matches.fullmatch(path):
                return pattern
        return None


def _parsed(line: str) -> _Pattern | None:
    text = _without_trailing_blanks(line.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    ignores = not text.startswith("!")
    if not ignores:
        text = text[1:]
    folders_only = text.endswith("/")
    if folders_only:
        text = text[:-1]
    anchored = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    expression = _expression(text, anchored)
    if not anchored:
        expression = "(?:.*/)?" + expression
    names_something = bool(text.rpartition("/")[2].strip("*?"))
    return _Pattern(re.compile(expression, re.DOTALL), ignores, folders_only, names_something)


def _without_trailing_blanks(text: str) -> str:
    """Blanks at the end count only behind a backslash."""
    end = len(text)
    while end and text[end - 1] == " ":
        backslashes = len(text[: end - 1]) - len(text[: end - 1].rstrip("\\"))
        if backslashes % 2:
            break
        end -= 1
    return text[:end]


def _expression(text: str, anchored: bool) -> str:
    """The pattern as a regular expression for a whole path. One that git takes for broken matches nothing."""
    found: list[str] = []
    # Git compares what stands before the first special character by itself: "**" directly behind it counts as a whole.
    plain = next((at for at, char in enumerate(text) if char in "*?[\\"), 0) if anchored else 0
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            if at == len(text):
                return _NOTHING
            found.append(re.escape(text[at]))
            at += 1
        elif char == "?":
            found.append("[^/]")
        elif char == "[":
            end = _end_of_set(text, at)
            if end is None:
                return _NOTHING
            found.append(_set(text[at:end]))
            at = end + 1
        elif char == "*":
            begin = at - 1
            while at < len(text) and text[at] == "*":
                at += 1
            starts = begin in (0, plain) or text[begin - 1] == "/"
            at += _stars(text, begin, at, starts, found)
        else:
            found.append(re.escape(char))
    return "".join(found)


def _stars(text: str, begin: int, end: int, starts: bool, found: list[str]) -> int:
    """Adds what the stars from ``begin`` to ``end`` mean; how many characters behind them belong to it."""
    several = starts and end - begin >= 2
    if several and text[end : end + 1] == "/":
        found.append("(?:.*/)?")
        return 1
    if several and (end == len(text) or text[end : end + 2] == "\\/"):
        found.append(".*")
    else:
        found.append("[^/]*")
    return 0


def _end_of_set(text: str, at: int) -> int | None:
    """Where the ``]`` stands of the set that begins at ``at``, behind its ``[``."""
    if at < len(text) and text[at] in "!^":
        at += 1
    first = True
    while at < len(text):
        if text[at] == "]" and not first:
            return at
        first = False
        if text[at] == "\\":
            at += 2
        elif text.startswith("[:", at) and ":]" in text[at + 2 :]:
            at = text.index(":]", at + 2) + 2
        else:
            at += 1
    return None


def _set(text: str) -> str:
    """A set, ``text`` between its brackets, as a regular expression. It never matches a slash."""
    negated = text[0] in "!^"
    at = 1 if negated else 0
    inside: list[str] = []
    while at < len(text):
        if text.startswith("[:", at) and ":]" in text[at + 2 :]:
            end = text.index(":]", at + 2)
            if text[at + 2 : end] not in _CLASSES:
                return _NOTHING
            inside.append(_CLASSES[text[at + 2 : end]])
            at = end + 2
            continue
        low, at = _member(text, at)
        if at + 1 < len(text) and text[at] == "-":
            high, at = _member(text, at + 1)
            if low <= high:
                inside.append(f"{re.escape(low)}-{re.escape(high)}")
        inside.append(re.escape(low))
    members = "".join(inside)
    if not members:
        return "[^/]" if negated else _NOTHING
    return f"(?!/)[{'^' if negated else ''}{members}]"


def _member(text: str, at: int) -> tuple[str, int]:
    """A character of a set, and where the next begins."""
    if text[at] == "\\" and at + 1 < len(text):
        return text[at + 1], at + 2
    return text[at], at + 1
