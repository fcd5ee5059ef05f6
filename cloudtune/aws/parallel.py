"""Many small tasks at once, in a bounded number of threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import TypeVar

T = TypeVar("T")


def in_parallel(threads: Executor, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Results of all tasks, in their order.

    A task must not run others in the same threads: all could wait for a free one.

    Raises:
        Exception: What the first failed task raised. Tasks that had not begun then are not run; those that had begun
            have ended.
    """
    if len(tasks) <= 1:
        return [task() for task in tasks]
    futures = [threads.submit(task) for task in tasks]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:
        for future in futures:
            future.cancel()
        wait(futures)
    failed = next((future for future in futures if not future.cancelled() and future.exception() is not None), None)
    if failed is not None:
        failed.result()
    return [future.result() for future in futures]
