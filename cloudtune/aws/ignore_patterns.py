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
        path = _as_git_sees_it(path)
        for pattern in reversed(self._patterns):
            if (is_folder or not pattern.folders_only) and pattern.matches.fullmatch(path):
                return pattern
        return None


def _parsed(line: str) -> _Pattern | None:
    text = _without_trailing_blanks(_as_git_sees_it(line).rstrip("\r\n"))
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


def _as_git_sees_it(text: str) -> str:
    """A character per byte: to git, "?" is one byte, of two that an umlaut has."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


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
            members, at = _set(text, at)
            if not members:
                return _NOTHING
            found.append(members)
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


def _set(text: str, at: int) -> tuple[str, int]:
    """The set whose ``[`` stands before ``at`` as a regular expression, and where the pattern goes on.

    It never matches a slash. One that is broken is empty, as git takes the whole pattern for broken then.
    """
    negated = text[at : at + 1] in ("!", "^")
    if negated:
        at += 1
    inside: list[str] = []
    low = ""  # what a "-" that follows would begin its range with
    first = True
    while first or text[at : at + 1] != "]":
        first = False
        if at >= len(text):
            return "", at
        if text[at] == "-" and low and text[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(text, at + 1)
            if low <= high:
                inside.append(f"{re.escape(low)}-{re.escape(high)}")
            low = ""
        elif (end := _end_of_class(text, at)) is not None:
            low = ""
            if (members := _CLASSES.get(text[at + 2 : end - 1])) is None:
                return "", at
            inside.append(members)
            at = end + 1
        else:
            low, at = _member(text, at)
            inside.append(re.escape(low))
    return f"(?!/)[{'^' if negated else ''}{''.join(inside)}]", at + 1


def _end_of_class(text: str, at: int) -> int | None:
    """Where the last bracket stands of a class such as ``[:alpha:]`` that begins at ``at``; None if none does."""
    if not text.startswith("[:", at):
        return None
    end = text.find("]", at + 2)
    return end if end > at + 2 and text[end - 1] == ":" else None


def _member(text: str, at: int) -> tuple[str, int]:
    """A character of a set, and where the next begins."""
    if text[at] == "\\":
        return text[at + 1 : at + 2], at + 2
    return text[at], at + 1
