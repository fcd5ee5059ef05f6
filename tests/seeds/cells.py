"""Takes the code cells out of the book's chapters, word for word."""

from __future__ import annotations

import ast
import builtins
import re

#: Lines that only a notebook understands: IPython's magics, and the switch between frameworks of the book's builder.
_NOTEBOOK_ONLY = re.compile(r"^(%|tab\.interact_select\b)")
_FENCE = re.compile(r"^```\{\.python \.input[^}]*\}\n(.*?)^```", re.DOTALL | re.MULTILINE)

#: The longest statement of a chapter has far fewer lines.
_MAX_STATEMENT_LINES = 60


def cells_of_markdown(text: str) -> list[str]:
    """The fenced cells of a chapter's source, in order, without the lines that only a notebook understands."""
    return [_without_notebook_lines(cell) for cell in _FENCE.findall(text)]


def cells_of_page(text: str) -> list[str]:
    """The statements of a chapter's rendered page, in order.

    A page shows prose, code and output without any mark between them. A line begins a statement if it, with the lines
    that belong to it, is Python and uses only names that are built in or bound by an earlier statement. Prose and log
    lines are no Python; a value that the notebook printed, as ``Text(0, 0.5, 'x')``, calls a name that nobody bound.
    """
    lines = text.splitlines()
    bound = set(dir(builtins))
    cells: list[str] = []
    at = 0
    while at < len(lines):
        end = _end_of_statement(lines, at)
        if end is not None:
            source = "\n".join(lines[at:end])
            statement = ast.parse(source).body[0]
            if _is_code(statement, bound):
                bound |= _names_bound_by(statement)
                cells.append(source)
                at = end
                continue
        at += 1
    return cells


def script_of(cells: list[str]) -> str:
    """The cells as one script in which only the library's name is replaced."""
    return "\n\n".join(cells).replace("syne_tune", "cloudtune") + "\n"


def _without_notebook_lines(cell: str) -> str:
    return "".join(line for line in cell.splitlines(keepends=True) if not _NOTEBOOK_ONLY.match(line))


def _end_of_statement(lines: list[str], start: int) -> int | None:
    if not lines[start].strip() or lines[start][0].isspace():
        return None
    for end in range(start + 1, min(start + _MAX_STATEMENT_LINES, len(lines)) + 1):
        if _is_one_statement(lines[start:end]):
            return _end_of_block(lines, end)
    return None


def _is_one_statement(lines: list[str]) -> bool:
    try:
        return len(ast.parse("\n".join(lines)).body) == 1
    except SyntaxError:
        return False


def _end_of_block(lines: list[str], end: int) -> int:
    """Goes on over indented lines, and over blank ones that more indented lines follow."""
    ahead = end
    while ahead < len(lines) and (not lines[ahead].strip() or lines[ahead][0].isspace()):
        ahead += 1
        if lines[ahead - 1].strip():
            end = ahead
    return end


def _is_code(statement: ast.stmt, bound: set[str]) -> bool:
    if isinstance(statement, ast.Expr):
        if not isinstance(statement.value, ast.Call):
            return False
        return all(node.id in bound for node in ast.walk(statement) if isinstance(node, ast.Name))
    return True


def _names_bound_by(statement: ast.stmt) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
    return names
