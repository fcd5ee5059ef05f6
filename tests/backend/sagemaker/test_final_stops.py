"""Ending all jobs in bounded time: which are stopped first, which are left alone, and what is said of the rest."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from cloudtune.agent import protocol
from cloudtune.backend.sagemaker_backend import final_stops as module
from cloudtune.backend.sagemaker_backend.attempt import Attempt, Phase
from cloudtune.backend.sagemaker_backend.cadence import Cadence
from cloudtune.backend.sagemaker_backend.final_stops import FinalStops
from cloudtune.backend.sagemaker_backend.life import LifeWriter
from cloudtune.remote.own_job import LONGEST_LOOK
from cloudtune.remote.tuner_job import TIME_TO_END
from tests.backend.sagemaker.heads import end_mark
from tests.backend.sagemaker.watcher_scene import Scene, state

#: Seconds that one StopTrainingJob takes at the rate that AWS grants.
PACE = 1 / 0.97


class Wishes:
    """Stands for the writer of the life object."""

    def __init__(self) -> None:
        self.all: str | None = None

    def stop_all(self, wish: str) -> None:
        self.all = wish


class End:
    """The end of a run on the watcher's clock."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene = scene
        self.wishes = Wishes()
        monkeypatch.setattr(module, "now", lambda: scene.now)
        self.final_stops = FinalStops(
            scene.desk,
            cast(LifeWriter, self.wishes),
            scene.watcher,
            ask_to_end=lambda trial, wish: None,
            s3_works=lambda: True,
            stop_grace=60.0,
            max_run=3600.0,
            cadence=Cadence(),
            experiment="trials",
        )
        stop = scene.jobs.stop

        def paced(name: str, patience: float | None = None) -> bool:
            running = stop(name)
            scene.now += PACE
            scene.jobs.states[name] = state(name, "Stopped")
            scene.jobs.listed.pop(name, None)
            return running

        monkeypatch.setattr(scene.jobs, "stop", paced)

    def add(self, trial: int, kind: str, **members: Any) -> Attempt:
        """An attempt that is asked to end: ``own`` is without an agent, that of ``begins`` was not heard of yet."""
        heard = kind == "heard"
        return self.scene.add(
            trial,
            has_agent=kind != "own",
            use_s3=kind != "own",
            has_head=heard,
            wish=protocol.WISH_PAUSE,
            stop_job_at=self.scene.now + (80.0 if heard else 0.0),
            **members,
        )

    def run(self, seconds: float) -> None:
        """Has the watcher work until the time is over."""
        until = self.scene.now + seconds
        if not self.final_stops.are_hastened:
            self.final_stops.hasten(seconds)
        while self.scene.now < until:
            wait = self.scene.turn()
            left = max(0.0, until - self.scene.now)
            self.scene.now += left if wait is None else min(wait, left)

    @property
    def stopped(self) -> list[int]:
        """Trials whose jobs were stopped, in this order."""
        return [int(name.split("-")[2]) for name in self.scene.jobs.stopped]


@pytest.fixture
def end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> End:
    return End(scene, monkeypatch)


def test_a_hundred_jobs_that_no_wish_reaches(end: End) -> None:
    """At one stop a second all are stopped in the time that a remote tuner has; SageMaker kills it after 120 s.

    It has found out before, since the signal, why it is to end.
    """
    for trial in range(100):
        end.add(trial, "own")
    until = end.scene.now + TIME_TO_END - LONGEST_LOOK
    end.run(TIME_TO_END - LONGEST_LOOK)
    assert sorted(end.stopped) == list(range(100))
    assert end.scene.now <= until
    assert TIME_TO_END < 110


def test_the_dearest_and_the_deaf_come_first(end: End) -> None:
    """An agent that begins reads the wish first of all: its job is stopped when all others are."""
    end.add(0, "begins", hourly_price=30.0)
    end.add(1, "own", hourly_price=1.0)
    end.add(2, "own", hourly_price=5.0)
    end.add(3, "begins", hourly_price=40.0)
    end.add(4, "own")  # one dollar as well, and younger
    end.run(30.0)
    assert end.stopped == [2, 1, 4, 3, 0]


def test_who_answers_is_left_its_grace(end: End) -> None:
    """What does not answer the wish is stopped long before the script's grace is over, what ends is not."""
    end.add(0, "heard")
    end.add(1, "heard", is_ending=True)
    end.run(14.0)
    assert end.stopped == []
    end.run(3.0)
    assert end.stopped == [0]
    end.run(60.0)
    assert end.stopped == [0]
    end.run(10.0)
    assert end.stopped == [0, 1]


def test_without_a_hurry_a_job_that_does_not_answer_has_its_grace(end: End) -> None:
    """A tuner that nobody kills leaves its scripts all the time that they were promised."""
    attempt = end.add(0, "heard")
    end.scene.turn(79.0)
    assert not attempt.stop_sent
    end.scene.turn(1.0)
    assert attempt.stop_sent


def test_what_is_left_is_said(end: End, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs with an agent end by the wish, which stands in S3; of the others it is said how they are stopped."""
    for trial in range(6):
        end.add(trial, "own")
    for trial in range(6, 16):
        end.add(trial, "begins")
    end.run(4.0)
    with caplog.at_level(logging.WARNING):
        end.final_stops.tell_of_left()
    assert len(end.stopped) == 4
    assert end.wishes.all == protocol.WISH_PAUSE
    own, agents = sorted((record.getMessage() for record in caplog.records), key=lambda text: "S3" in text)
    assert "no time to stop 2 training jobs" in own
    assert "trials-abcdef-4-0, trials-abcdef-5-0)" in own
    assert "`cloudtune reap trials`" in own
    assert "max_run=3600" in own
    assert "10 training jobs are left to end by themselves (trials-abcdef-6-0, " in agents
    assert "3600 seconds after the last sign of life" in agents


def test_nothing_is_said_where_all_have_ended(end: End, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs that were stopped, or whose scripts have ended, are not left."""
    end.add(0, "own")
    end.add(1, "heard").take_mark(end_mark(protocol.PAUSED), 0)
    end.add(2, "begins", phase=Phase.OVER)
    end.run(4.0)
    end.final_stops.tell_of_left()
    assert not caplog.records
