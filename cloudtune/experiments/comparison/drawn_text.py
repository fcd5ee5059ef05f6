"""Names and titles as figures show them: no longer than there is room for; no name is taken for a formula."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cloudtune.status_table import printable

if TYPE_CHECKING:
    from matplotlib.text import Text

#: Characters of a name that is drawn.
LONGEST_NAME = 44
#: Of the title of a figure, which may have several lines.
LONGEST_TITLE = 150
_LEFT_OUT = "\N{HORIZONTAL ELLIPSIS}"
#: How wide characters are on average, as a share of the font size.
_CHARACTER = 0.6
#: Letters have whole pixels, so that smaller ones may come to more than their size lets expect.
_TRIES = 5


def drawn_name(name: str, longest: int = LONGEST_NAME) -> str:
    """A name out of an experiment: what is left out of a long one is its middle, for names differ at their ends.

    Args:
        name: As it was given.
        longest: Characters, at most.
    """
    text = printable(name)
    if len(text) > longest:
        end = (longest - 1) // 2
        text = f"{text[: longest - 1 - end]}{_LEFT_OUT}{text[-end:]}"
    return text.replace("$", r"\$")


def drawn_names(names: Iterable[str]) -> dict[str, str]:
    """Each name as it is drawn; those that would look alike are numbered."""
    drawn: dict[str, str] = {}
    for name in names:
        text, number = drawn_name(name), 2
        while text in drawn.values():
            text, number = f"{drawn_name(name, LONGEST_NAME - 4)} ({number})", number + 1
        drawn[name] = text
    return drawn


def wrapped(text: str, font_size: float, inches: float, lines: int) -> str:
    """Text in lines that are about so wide, at most; the last one ends with an ellipsis where it is not all."""
    characters = max(8, int(inches * 72 / (_CHARACTER * font_size)))
    if "\n" in text or "$" in text.replace(r"\$", ""):
        return text  # somebody has parted it already, or it has a formula, which cannot be
    return textwrap.fill(text, characters, max_lines=lines, placeholder=f" {_LEFT_OUT}")


def shrink(text: Text, pixels: float) -> None:
    """Makes letters smaller where what they come to is wider than there is room for."""
    for _ in range(_TRIES):
        width = text.get_window_extent().width
        if width <= pixels:
            return
        text.set_fontsize(float(text.get_fontsize()) * pixels / width)
