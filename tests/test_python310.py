"""What the oldest supported Python, 3.10, does not know and no type checker tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloudtune

PACKAGE = Path(cloudtune.__file__).parent
#: Classes of the standard library that can be asked for with a type, as in ``StreamHandler[str]``, from 3.11 on.
LATE = {"LoggerAdapter", "StreamHandler"}


def too_new(text: str) -> list[int]:
    """Lines that ask for one of them when they are run; what only type checkers read does not count."""

    def found(node: ast.AST) -> Iterator[int]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield from found(other)
            return
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] in LATE:
            yield node.lineno
        for name, child in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                for one in child if isinstance(child, list) else [child]:
                    if isinstance(one, ast.AST):
                        yield from found(one)

    return list(found(ast.parse(text)))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_asked_for_with_a_type_too_early(path: Path) -> None:
    """With one such line nothing of the package can be imported there."""
    assert too_new(path.read_text(encoding="utf-8")) == []


def test_such_a_line_would_be_noticed() -> None:
    """Where it is run, and only there."""
    assert too_new("class A(logging.StreamHandler[str]): ...") == [1]
    assert too_new("if TYPE_CHECKING:\n    A = StreamHandler[str]\nelse:\n    A = StreamHandler[str]") == [4]
    assert too_new("def f(a: StreamHandler[str]) -> StreamHandler[str]: ...") == []
