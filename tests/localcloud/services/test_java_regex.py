"""Java's regular expressions in Python."""

from __future__ import annotations

import pytest

from cloudtune.localcloud.java_regex import compile_java


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 5:/=@", "a#b"),
        (r"arn:[\p{Alnum}\-]+:x", "arn:aws-cn:x", "arn:ä:x"),
        (r".*", "a b", "a\nb"),
        (r".*", "", "a\u2028b"),
        (r"[\S\s]*", "a\nb", None),
        (r"\d+", "12", "\u0663"),
        (r"\w", "a", "ä"),
        (r"\P{Alpha}+", "123", "12a"),
        (r"\pL+", "äb", "-"),
        (r"\Qa.b\E+", "a.b", "axb"),
        (r"\Qa.b", "a.b", "axb"),
        (r"(?<x>a)\k<x>", "aa", "ab"),
        (r"(?<!-)a(?=b)b", "ab", "a"),
        (r"a\.b", "a.b", "axb"),
        (r"[.]", ".", "x"),
        (r"a\z", "a", "a\n"),
    ],
)
def test_an_expression_keeps_its_meaning(pattern: str, yes: str, no: str | None) -> None:
    """What Java would match whole is matched, and what it would not is not."""
    compiled = compile_java(pattern)
    assert compiled.fullmatch(yes)
    assert no is None or not compiled.fullmatch(no)


@pytest.mark.parametrize("pattern", ["(", "[a[b]]", r"\p{Foo}", r"[\P{L}]", "*", "a{99999999999999999999}"])
def test_what_python_has_no_means_for_is_refused(pattern: str) -> None:
    """One kind of error for wrong expressions and for those that cannot be translated; it shows the expression."""
    with pytest.raises(ValueError, match=r"Python has no|is no regular expression"):
        compile_java(pattern)
