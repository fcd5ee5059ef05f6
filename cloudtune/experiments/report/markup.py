"""HTML that cannot be broken by what it shows: text is escaped unless it is marked as HTML already."""

from __future__ import annotations

import html
import json
from typing import Any

from cloudtune.status_table import printable

#: Elements without content, and so without an end.
_VOID = frozenset({"br", "col", "input", "meta"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(element: str, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        element: Its name.
        *children: :class:`Html` as it is; everything else as text. None is left out.
        **attributes: Underscores become dashes, and one at the end is dropped (``class_``). True: the attribute alone;
            None and False: no attribute.
    """
    given = "".join(_attribute(name, value) for name, value in attributes.items())
    if element in _VOID:
        return Html(f"<{element}{given}>")
    return Html(f"<{element}{given}>{joined(*children)}</{element}>")


def joined(*children: object) -> Html:
    """Several pieces, one after another; see :func:`tag`."""
    return Html("".join(_content(child) for child in children if child is not None))


def block(text: str) -> Html:
    """Text of several lines, shown as it is."""
    lines = (joined(line.replace("\t", "    ")) for line in text.splitlines())
    return tag("pre", Html("\n".join(lines)))


def embedded(identifier: str, value: Any) -> Html:
    """Data for a script, to be found by an element's id.

    No character that means something to HTML is left in it, so that nothing in the data can end the element.

    Raises:
        ValueError: There is a NaN or an infinite number in it.
    """
    return Html(f'<script type="application/json" id="{html.escape(identifier)}">{script_json(value)}</script>')


def script_json(value: Any) -> str:
    """A JSON value, safe inside a ``script`` element. Raises ValueError for NaN and infinite numbers."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(printable(str(value)))}"'


def _content(child: object) -> str:
    return child if isinstance(child, Html) else html.escape(printable(str(child)), quote=False)
