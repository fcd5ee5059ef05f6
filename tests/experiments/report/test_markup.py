"""Text cannot become markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.experiments.report.markup import Html, block, embedded, joined, script_json, tag


class Read(HTMLParser):
    """What a browser reads: elements with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_element_has_attributes_and_children() -> None:
    """Names are those of HTML, None and False leave out, True stands alone, HTML inside stays HTML."""
    made = tag("td", tag("b", "1 < 2"), None, "&", class_="number", data_key=None, hidden=True, open=False)
    assert made == '<td class="number" hidden><b>1 &lt; 2</b>&amp;</td>'
    assert tag("br") == "<br>"
    assert joined("a<b", Html("<i>")) == "a&lt;b<i>"


@given(st.text(st.characters(codec="utf-8")))
def test_text_stays_text_wherever_it_stands(text: str) -> None:
    """As a child or as an attribute: a browser sees one element, with this text, control characters spelled out."""
    read = Read(tag("p", text, title=text))
    assert [name for name, _ in read.elements] == ["p"]
    if text.isprintable():
        assert read.text == text
        assert read.elements[0][1] == [("title", text)]


@pytest.mark.parametrize(
    "text", ["</script>", "<!--<script>", "]]>", "\u2028\u2029", "&lt;", '"\\', "\ud800", "<SCRIPT/XSS SRC=//x>"]
)
def test_data_cannot_end_their_element(text: str) -> None:
    """What stands in a script element is ASCII without angle brackets and ampersands, and the same when it is read."""
    inside = script_json({text: [text]})
    assert inside.isascii()
    assert not set("<>&") & set(inside)
    assert json.loads(inside) == {text: [text]}
    assert embedded("one", text).count("<") == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_numbers_that_json_does_not_know_are_refused(value: Any) -> None:
    """A browser could not read the page's data."""
    with pytest.raises(ValueError, match="Out of range"):
        script_json(value)


def test_lines_of_a_failure_are_kept() -> None:
    """Line ends and indents stand as they were; colours of a terminal are spelled out, not sent to the browser."""
    assert block("a\n\tb <c>\x1b[31m") == "<pre>a\n    b &lt;c&gt;\\x1b[31m</pre>"
