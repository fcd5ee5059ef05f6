"""Tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudtune.experiments.quantities import NOTHING
from cloudtune.experiments.report.markup import Html, joined, tag


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        shown: What it shows: text, or HTML.
        key: What rows are sorted by, where it is not the text itself; None sorts last.
        is_number: It stands on the right.
        is_long: It needs some width.
    """

    shown: object
    key: float | str | None = None
    is_number: bool = False
    is_long: bool = False


def quantity(value: float | None, shown: str) -> Cell:
    """A cell of a number, sorted by it."""
    return Cell(shown, value, is_number=True)


def count(value: int) -> Cell:
    """A cell of a count."""
    return Cell(f"{value:,}" if value else NOTHING, value, is_number=True)


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, sortable: bool = False, name: str = ""
) -> Html:
    """A table.

    Args:
        caption: What it shows.
        columns: Their headings.
        rows: Of cells, or of what they show.
        sortable: A click on a heading sorts it, where scripts run.
        name: Id of the element.
    """
    made = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    numeric = [all(row[index].is_number for row in made) and bool(made) for index in range(len(columns))]
    head = [
        tag("th", heading, scope="col", class_="number" if is_number else None)
        for heading, is_number in zip(columns, numeric, strict=True)
    ]
    body = [tag("tr", *(_cell(cell) for cell in row)) for row in made]
    whole = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head)),
        tag("tbody", joined(*body)),
        id=name or None,
        data_sortable=sortable,
    )
    return tag("div", whole, class_="wide")


def _cell(cell: Cell) -> Html:
    kind = "number" if cell.is_number else "long" if cell.is_long else None
    return tag("td", cell.shown, class_=kind, data_key=cell.key)
