"""Pages of a list that does not change, with opaque tokens."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

Row = TypeVar("Row")


def cut_page(rows: Sequence[Row], token: object, most: int) -> tuple[Sequence[Row], str | None]:
    """The page that a token stands for, and the token of the next page where there is one.

    Args:
        rows: All of them.
        token: Of a page before, or None for the first page.
        most: Rows on a page.

    Raises:
        ValueError: The token is not one of this list.
    """
    begin = 0
    if token is not None:
        try:
            begin = int(base64.b64decode(str(token), validate=True))
        except binascii.Error as error:
            raise ValueError(str(error)) from error
        if not 0 < begin < len(rows):
            raise ValueError("The token is of another list.")
    end = begin + most
    return rows[begin:end], base64.b64encode(str(end).encode()).decode() if end < len(rows) else None
