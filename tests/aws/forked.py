"""What a function does in a forked child, as in a data loader's worker."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_child(do: Callable[[], T]) -> T:
    """What a function returns in a forked child; fails where the child does not answer within a minute."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(do()))
    child.start()
    try:
        assert ours.poll(60), "the child gave no answer"
        answer: T = ours.recv()
        return answer
    finally:
        child.kill()
        child.join()
