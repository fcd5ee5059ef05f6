"""The container's output: copied whole, its last lines kept, the agent's own lines between."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent.console import Console
from cloudtune.constants import TUNE_METRIC_TAG


def written(feed: list[bytes]) -> tuple[bytes, str]:
    """What a console writes for what a script has written, and the tail that it keeps."""
    source, script = os.pipe()
    result, target = os.pipe()
    console = Console(target)
    console.copy(source, target)
    found: list[bytes] = []

    def read() -> None:
        while data := os.read(result, 1 << 16):
            found.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    for data in feed:
        os.write(script, data)
    os.close(script)
    console.drain(30.0)
    assert console.flush(30.0)
    os.close(target)
    reader.join(60.0)
    os.close(result)
    return b"".join(found), console.tail()


@given(feed=st.lists(st.binary(min_size=1, max_size=3000), max_size=20))
def test_every_byte_passes(feed: list[bytes]) -> None:
    """Whatever it is, text or not; what is kept of it is short and text."""
    out, tail = written(feed)
    assert out == b"".join(feed)
    assert len(tail.encode()) <= 2048


def test_the_last_whole_lines_are_kept() -> None:
    """Not the beginning of what is too long, and no reports, which are known anyway."""
    lines = [f"line {number}" for number in range(1000)]
    _, tail = written([("\n".join(lines) + f"\n{TUNE_METRIC_TAG}{{}}\n").encode()])
    assert tail.splitlines() == lines[-len(tail.splitlines()) :]
    assert len(tail) > 1900
    _, tail = written([b"x" * 100_000])
    assert tail == "x" * 2048
    _, tail = written([("ü" * 3000 + "\n").encode()])
    assert set(tail) == {"ü"}
    assert written([])[1] == ""


def test_a_line_of_ours_begins_a_line() -> None:
    """A script that has not ended its line does not swallow it."""
    source, script = os.pipe()
    result, target = os.pipe()
    console = Console(target)
    console.copy(source, target)
    os.write(script, b"half a line")
    assert os.read(result, 100) == b"half a line"
    console.note("hello")
    console.line("again")
    assert console.flush(30.0)
    assert os.read(result, 100) == b"\n[cloudtune]: hello\nagain\n"
    os.close(script)
    console.drain(30.0)


def test_an_output_that_nobody_reads_does_not_hold_the_agent() -> None:
    """Notes are written by a thread of their own: who writes them goes on."""
    result, target = os.pipe()
    console = Console(target)
    console.line("x" * 1_000_000)
    console.note("after")
    assert not console.flush(0.05)
    os.close(result)  # now nobody ever will: what is left goes nowhere
    assert console.flush(30.0)


def test_an_output_that_is_gone_does_not_hold_the_script() -> None:
    """Its reader has died: the script's writes go nowhere, its last lines are kept."""
    source, script = os.pipe()
    result, target = os.pipe()
    os.close(result)
    console = Console(target)
    console.copy(source, target)
    os.write(script, b"x" * 50_000 + b"\nlast\n")
    os.close(script)
    console.drain(30.0)
    assert console.tail().splitlines()[-1] == "last"


@pytest.mark.parametrize("text", ["\udcff", "ü\n"])
def test_any_text_can_be_said(text: str) -> None:
    """Even one with a byte that is no Unicode, from a file name perhaps."""
    result, target = os.pipe()
    console = Console(target)
    console.note(text)
    assert console.flush(30.0)
    assert os.read(result, 100).startswith(b"[cloudtune]: ")
