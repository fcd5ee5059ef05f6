"""From bytes to lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.jobs.output_lines import MAX_LINE_BYTES, OutputLines


def lines_of(*chunks: bytes) -> list[str]:
    lines = OutputLines()
    return [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.end())


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((b"a\nb\n",), ["a", "b"]),
        (
            (
                b"a",
                b"b\nc",
            ),
            ["ab", "c"],
        ),
        ((b"\n\na\n\n",), ["a"]),
        ((b"windows\r\n", b"split\r", b"\nx"), ["windows", "split", "x"]),
        ((b"10%\r20%\r30%\n",), ["30%"]),
        (
            (
                b"10%\r",
                b"20%\r",
                b"30%",
            ),
            ["30%"],
        ),
        ((b"10%\r20%\r",), ["20%"]),
        ((b"\xff\xfe\n",), ["\ufffd\ufffd"]),
        ((b"\xc3", b"\xa4\n"), ["ä"]),
    ],
)
def test_lines(chunks: tuple[bytes, ...], expected: list[str]) -> None:
    """Lines come whole over chunks, without empty ones; of a progress bar the last state stays."""
    assert lines_of(*chunks) == expected


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_chunks_do_not_matter(chunks: list[bytes]) -> None:
    """However the bytes are cut on their way, the lines are the same."""
    assert lines_of(*chunks) == lines_of(b"".join(chunks))


def test_long_lines() -> None:
    """A line beyond CloudWatch's limit becomes several; no character is cut, none is lost."""
    text = "ä" * (MAX_LINE_BYTES // 2 * 2) + "x"
    for chunks in (
        [b"y" + text.encode()],
        [b"y", *(text.encode()[at : at + 65536] for at in range(0, 600_000, 65536))],
    ):
        lines = lines_of(*chunks)
        assert "".join(lines) == "y" + text
        assert len(lines) == 3
        assert max(len(line.encode()) for line in lines) <= MAX_LINE_BYTES


def test_progress_without_end_takes_no_memory() -> None:
    """A bar that is drawn over and over keeps one state, not its history."""
    lines = OutputLines()
    for _ in range(1000):
        assert list(lines.feed(b"\r 50% " * 100)) == []
    assert len(lines._rest) < 100
