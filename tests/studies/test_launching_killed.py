"""A launcher that dies at any step, and two at once: in the end each cell has one tuner, and nothing is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import pytest

from cloudtune.aws.clients import Aws
from cloudtune.studies import launch_queue, launch_turn
from cloudtune.studies.launch_turn import LaunchTurn
from cloudtune.studies.plan import Plan
from cloudtune.studies.study_launch import StudyLaunch
from tests.studies.launch_world import PLAN, LaunchWorld, cells_of, names_of

T = TypeVar("T")

#: Calls that change something.
_CHANGES = ("s3:PutObject", "sagemaker:CreateTrainingJob", "s3:DeleteObjects")


class Killed(BaseException):
    """What ends the launcher: nothing in it may take this for an error that it could handle."""


class Death:
    """Kills a launcher at a call that changes something, before or after its effect; from then on it does nothing.

    Args:
        monkeypatch: Undone when it has struck.
        at: Number of the call; None: never.
        after: The call has its effect.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int | None, after: bool) -> None:
        self.calls = 0
        self._at, self._after = at, after
        self._is_dead = False
        self._lock = threading.Lock()
        attempt = Aws.attempt

        def dying(aws: Aws, operation: str, doing: str, do: Callable[[], T], **options: object) -> T:
            strikes = self._strikes(operation)
            if self._is_dead and not (strikes and self._after):
                raise Killed
            answer = attempt(aws, operation, doing, do, **options)  # type: ignore[arg-type]
            if strikes:
                raise Killed
            return answer

        monkeypatch.setattr(Aws, "attempt", dying)

    def _strikes(self, operation: str) -> bool:
        with self._lock:
            if operation not in _CHANGES:
                return False
            self.calls += 1
            if self.calls != self._at:
                return False
            self._is_dead = True
            return True


def _changes(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many calls of a launch change something."""
    with monkeypatch.context() as patch:
        death = Death(patch, None, False)
        world.launch(replace(PLAN, tag="counted"))
        return death.calls


def test_killed_at_every_step(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command again launches what is missing, once: one job, one record, one task for each cell."""
    count = _changes(world, monkeypatch)
    assert count >= 13
    for at in range(1, count + 1):
        for after in (False, True):
            plan = replace(PLAN, tag=f"killed-{at}-{'after' if after else 'before'}")
            world.script.write_text(f"print('{plan.tag}, would read --st_checkpoint_dir')")  # another archive
            with monkeypatch.context() as patch, suppress(Killed):
                Death(patch, at, after)
                world.launch(plan)
            done = world.launch(plan)
            assert sorted((*done.launched, *done.running)) == sorted(names_of(plan)), plan.tag
            starts = [world.job_of(cell).rpartition("-")[0] for cell in cells_of(plan)]
            jobs = Counter(name.rpartition("-")[0] for name in world.jobs())
            assert [jobs[start] for start in starts] == [1, 1], plan.tag


def test_two_launchers_at_once(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both return when all is launched, and each cell has one tuner."""
    monkeypatch.setattr(launch_queue, "FIRST_WAIT", 0.2)
    plan = replace(PLAN, num_seeds=4)
    barrier = threading.Barrier(2)

    def launch() -> set[str]:
        barrier.wait()
        done = world.launch(plan)
        return {*done.launched, *done.running}

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(launch) for _ in range(2)]
        assert [one.result() for one in both] == [set(names_of(plan))] * 2
    assert world.jobs() == sorted(world.job_of(cell) for cell in cells_of(plan))


def test_two_launchers_keep_to_one_limit(world: LaunchWorld) -> None:
    """Both may have two experiments run at once: together they do not have more, for one looks after the other."""
    plans = [replace(PLAN, num_seeds=2, n_workers=(workers,)) for workers in (2, 3)]
    barrier = threading.Barrier(2)
    most = 0
    lock = threading.Lock()

    def end(line: str) -> None:
        nonlocal most
        with lock:
            running = world.jobs("InProgress")
            most = max(most, len(running))
            if line.startswith("launched "):
                cell = next(cell for plan in plans for cell in cells_of(plan) if f"launched {cell.name} " in line)
                world.begin(cell)
                world.end(cell)

    def launch(plan: Plan) -> StudyLaunch:
        barrier.wait()
        return world.launch(plan, max_parallel_experiments=2)

    world.meanwhile = end
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(launch, plan) for plan in plans]
        assert [one.result().launched for one in both] == [names_of(plan) for plan in plans]
    assert most <= 2


def test_a_turn_that_is_left(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has it and lives is waited for; a launcher that has died on another machine loses it after a while."""
    place = world.place()
    first, second = LaunchTurn(place), LaunchTurn(place)
    assert (first.take(), first.is_ours) == ("", True)
    assert "pid" in second.take()
    monkeypatch.setattr(launch_turn, "EXPIRES", -1.0)
    assert (second.take(), second.is_ours) == ("", True)
    monkeypatch.setattr(launch_turn, "RENEWED", -1.0)
    first.keep()
    assert not first.is_ours
    first.give_back()
    second.keep()
    number = world.cloud.faults.add("access_denied", operation="s3:PutObject")
    second.keep()
    assert second.is_ours, "that it could not be renewed once does not take it away"
    world.cloud.faults.remove(number)
    second.give_back()
    monkeypatch.setattr(launch_turn, "EXPIRES", 60.0)
    assert first.take() == ""
