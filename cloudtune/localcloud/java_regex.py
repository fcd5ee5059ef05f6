"""Regular expressions as Java writes them: AWS's API model and metric definitions are made of these."""

from __future__ import annotations

import re
from functools import lru_cache

#: POSIX classes of Java: ASCII only.
_POSIX = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
}
#: Unicode categories. Python knows letters and numbers only together, as \w, with the underscore: a little wider than
#: Java where an expression names one of them.
_UNICODE = {
    "L": r"\w",
    "N": r"\w",
    "Z": " \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}
#: What a dot does not match in Java; Python excludes the newline alone.
_NOT_LINE_END = "[^\n\r\x85\u2028\u2029]"
_TOKEN = re.compile(
    r"""\\Q(?P<quoted>.*?)(?:\\E|$)        # taken literally
      | \\(?P<sign>[pP])(?:\{(?P<long>\w+)\}|(?P<short>\w))
      | \\k<(?P<reference>\w+)>
      | \(\?<(?P<group>[a-zA-Z]\w*)>
      | (?P<escaped>\\.)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def compile_java(pattern: str) -> re.Pattern[str]:
    r"""The same expression for Python.

    Java's own meaning is kept for ``.``, ``\d``, ``\w`` and ``\s`` (ASCII), ``\p{...}``, ``\Q...\E`` and named
    groups. Raises ValueError for an expression that is wrong, or that Python has no means for.
    """
    parts: list[str] = []
    flags = re.ASCII
    in_class = False
    for token in _TOKEN.finditer(pattern):
        if token["quoted"] is not None:
            parts.append(re.escape(token["quoted"]))
        elif token["sign"]:
            name = (token["long"] or token["short"]).removeprefix("Is")
            if name in _UNICODE:
                flags &= ~re.ASCII
            parts.append(_category(name, token["sign"] == "P", in_class))
        elif token["reference"]:
            parts.append(f"(?P={token['reference']})")
        elif token["group"] and not in_class:
            parts.append(f"(?P<{token['group']}>")
        elif token["other"]:
            character = token["other"]
            if in_class and character == "[":
                raise ValueError(f"Python has no class within a class, as in {pattern!r}.")
            if character in "[]":
                in_class = character == "["
            parts.append(_NOT_LINE_END if character == "." and not in_class else character)
        else:
            parts.append(r"\Z" if token[0] == r"\z" else token[0])
    try:
        return re.compile("".join(parts), flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}.") from error


def _category(name: str, negated: bool, in_class: bool) -> str:
    characters = _POSIX.get(name) or _UNICODE.get(name)
    if characters is None or (negated and in_class):
        raise ValueError(f"Python has no means for the class \\{'P' if negated else 'p'}{{{name}}}.")
    if in_class:
        return characters
    return f"[{'^' if negated else ''}{characters}]"
