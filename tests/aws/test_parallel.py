"""Many tasks in few threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from cloudtune.aws.parallel import in_parallel
from tests.aws.conftest import wait_until


def test_results_come_in_the_order_of_the_tasks() -> None:
    """Also where the first task ends last."""
    last_has_ended = threading.Event()

    def first() -> int:
        assert last_has_ended.wait(60)
        return 0

    def last() -> int:
        last_has_ended.set()
        return 2

    with ThreadPoolExecutor(3) as threads:
        assert in_parallel(threads, [first, lambda: 1, last]) == [0, 1, 2]
        assert in_parallel(threads, []) == []


class Recorder(ThreadPoolExecutor):
    """Remembers what was submitted."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.futures.append(super().submit(fn, *args, **kwargs))
        return self.futures[-1]


def test_a_failure_is_raised_when_nothing_runs_any_more() -> None:
    """What had not begun is not begun; what had begun has ended, so that nobody works behind the caller's back."""
    has_begun = threading.Event()
    rest_is_cancelled = threading.Event()
    ended: list[int] = []

    def slow(number: int) -> None:
        has_begun.set()
        assert rest_is_cancelled.wait(60)
        sum(range(5_000_000))  # long enough for a caller that does not wait to be gone
        ended.append(number)

    def fail() -> None:
        assert has_begun.wait(60)
        raise LookupError("first")

    with Recorder(2) as threads:

        def watch() -> None:
            wait_until(lambda: len(threads.futures) == 50 and threads.futures[-1].cancelled())
            rest_is_cancelled.set()

        watching = threading.Thread(target=watch)
        watching.start()
        tasks: list[Callable[[], None]] = [fail, partial(slow, 0), *(partial(slow, number) for number in range(1, 49))]
        with pytest.raises(LookupError, match="first"):
            in_parallel(threads, tasks)
        assert 0 in ended
        assert len(ended) <= 2
        watching.join()


def test_one_task_needs_no_thread() -> None:
    """A single object is read where the caller stands."""
    with ThreadPoolExecutor(1) as threads:
        assert in_parallel(threads, [threading.get_ident]) == [threading.get_ident()]
