"""How curves are told apart: by colours that colour-blind people can tell apart, and in grey by dashes and markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: The palette of Okabe and Ito (2008), "Color universal design", without yellow, which is too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.8)), (0, (1.2, 1.3)), (0, (7, 1.6, 1.2, 1.6)))
_MARKERS = "os^DvPX"

INK = "#22272E"
MUTED = "#6A737D"
LINES = "#E3E6EA"


@dataclass(frozen=True)
class Style:
    """Of a curve.

    Args:
        colour: Of line and interval.
        dashes: Of the line, as matplotlib takes them.
        marker: Set on it now and then.
    """

    colour: str
    dashes: Any
    marker: str

    @property
    def ink(self) -> str:
        """The colour for text: dark enough to be read on white."""
        return readable(self.colour)


def style(number: int) -> Style:
    """The style of a curve. Two curves are alike only if there are more than 28, for 7 and 4 have no common factor."""
    turns = number // len(PALETTE)
    return Style(
        PALETTE[number % len(PALETTE)],
        _DASHES[number % len(_DASHES)],
        _MARKERS[(number + turns) % len(_MARKERS)],
    )


def readable(colour: str) -> str:
    """The colour, darkened until its contrast with white is 4.5, as WCAG 2.1 (1.4.3) asks of text."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    while 1.05 / (_luminance(channels) + 0.05) < 4.5:
        channels = [0.95 * channel for channel in channels]
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in channels)


def _luminance(channels: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
