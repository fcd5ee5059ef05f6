"""Which modules code imports when it runs: compiled code, and source."""

from __future__ import annotations

import dis
import re
from collections.abc import Iterator
from types import CodeType

# Cheaper than parsing by far, as whole packages are read. What stands in a docstring is found too and does no harm.
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n#;(]+)", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+([A-Za-z_][\w.]*)[ \t]+import\b", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def imports_of_code(code: CodeType) -> set[str]:
    """Full names of the modules that a code object imports, not those of functions defined in it."""
    return {
        str(instruction.argval)
        for instruction in dis.get_instructions(code)
        if instruction.opname == "IMPORT_NAME" and instruction.argval
    }


def imports_of_nested_code(code: CodeType) -> set[str]:
    """The same, with those of all functions and classes defined in it."""
    found = imports_of_code(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= imports_of_nested_code(constant)
    return found


def imports_of_source(text: str) -> set[str]:
    """Full names of the modules that a module's source imports, wherever in it; not the relative ones."""
    return set(_names(text))


def _names(text: str) -> Iterator[str]:
    yield from _FROM.findall(text)
    for names in _IMPORT.findall(text):
        for one in names.split(","):
            found = _NAME.match(one.strip())
            if found:
                yield found[0]
