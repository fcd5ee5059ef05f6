"""The watcher: what it makes of SageMaker's answers, also of those that are behind, and when it asks again."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import pytest

from cloudtune.agent import protocol
from cloudtune.aws.errors import InvalidRequest, Unreachable
from cloudtune.aws.training_jobs import WarmPool
from cloudtune.backend.sagemaker_backend.attempt import Phase
from cloudtune.errors import Fenced
from cloudtune.trial import Bill, End, Outcome
from tests.backend.sagemaker.heads import end_mark
from tests.backend.sagemaker.watcher_scene import Scene, state

TERMINATED = end_mark(protocol.TERMINATED, 143)


def test_a_stop_of_a_job_that_was_never_created(scene: Scene) -> None:
    """A trial whose tuner died before creating its job may be stopped by the next: it has just not begun."""
    attempt = scene.add(created_at=None, wish=protocol.WISH_PAUSE, stop_job_at=scene.now)
    del scene.jobs.states[attempt.job_name], scene.jobs.listed[attempt.job_name]
    scene.turn()
    assert scene.events() == [
        End(0, 0, Outcome.paused, "it had not begun"),
        Bill(0, 0, 0.0, 0.0, 0.0, "ml.m5.large", final=True),
    ]
    assert attempt.is_settled


def test_a_stop_of_a_job_that_cannot_be_seen_yet(scene: Scene) -> None:
    """A job that was just created and is not to be seen yet is stopped a little later."""
    attempt = scene.add(wish=protocol.WISH_STOP, stop_job_at=scene.now)
    there = scene.jobs.states.pop(attempt.job_name)
    wait = scene.turn()
    assert (attempt.phase, attempt.stop_sent) == (Phase.EXISTS, False)
    assert wait is not None
    assert 0 < wait < 30
    scene.jobs.states[attempt.job_name] = there
    scene.turn(wait)
    assert attempt.stop_sent


def test_a_stop_that_is_refused_is_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a job that has just ended, say, and that SageMaker still calls in progress: no reason to end the tuner."""
    attempt, other = (scene.add(trial, wish=protocol.WISH_STOP, stop_job_at=scene.now) for trial in (0, 1))
    stop = scene.jobs.stop

    def refused(name: str, patience: float | None = None) -> bool:
        if name == attempt.job_name:
            raise InvalidRequest("the job is not in a status in which it can be stopped")
        return stop(name, patience)

    monkeypatch.setattr(scene.jobs, "stop", refused)
    scene.turn()
    assert (attempt.stop_sent, other.stop_sent) == (False, True)
    monkeypatch.setattr(scene.jobs, "stop", stop)
    scene.turn(60)
    assert attempt.stop_sent


def test_a_spot_job_between_two_runs_is_stopped_in_its_grace(scene: Scene) -> None:
    """The mark that an interruption leaves is not the end of the script: nothing is uploaded that a stop would cut."""
    attempt = scene.add(wish=protocol.WISH_STOP, stop_job_at=scene.now + 80)
    attempt.take_mark(TERMINATED, scene.now)
    scene.turn()
    assert scene.jobs.stopped == []
    scene.turn(80)
    assert scene.jobs.stopped == [attempt.job_name]


def test_a_job_that_uploads_is_given_time(scene: Scene) -> None:
    """Once a script has ended by itself, StopTrainingJob waits for the upload of its output."""
    attempt = scene.add(wish=protocol.WISH_STOP, stop_job_at=scene.now + 80)
    attempt.take_mark({**TERMINATED, "outcome": protocol.STOPPED}, scene.now)
    scene.turn(800)
    assert scene.jobs.stopped == []
    scene.turn(100)
    assert scene.jobs.stopped == [attempt.job_name]


def known_after_stop(scene: Scene, trial: int, seconds: float, **members: Any) -> tuple[float, int]:
    """A job ends so long after StopTrainingJob, without an end mark: when that is known, and by how many questions."""
    attempt = scene.add(trial, wish=protocol.WISH_STOP, stop_job_at=scene.now, **members)
    stopped_at = scene.now
    scene.jobs.described.clear()
    for _ in range(50):
        wait = scene.turn()
        if attempt.phase is Phase.OVER:
            break
        assert wait is not None
        scene.now += wait
        if scene.now >= stopped_at + seconds:
            scene.jobs.states[attempt.job_name] = state(attempt.job_name, "Stopped")
            scene.jobs.listed.pop(attempt.job_name, None)
    assert attempt.phase is Phase.OVER
    return scene.now - stopped_at, len(scene.jobs.described) - 1  # the stop itself looks


@pytest.mark.parametrize("seconds", [1.0, 4.0, 6.5, 11.0, 15.0, 30.0])
def test_a_stopped_job_without_a_mark_is_known_to_have_ended_soon(scene: Scene, seconds: float) -> None:
    """Whose container has died writes no end mark: its end is known before it has taken twice as long, or 3 seconds."""
    known, asked = known_after_stop(scene, 0, seconds)
    assert known <= max(3.0, 2 * seconds)
    assert asked <= 5


@pytest.mark.parametrize(("seconds", "late"), [(2.0, 1.5), (7.0, 2.5), (24.0, 5.0), (122.0, 35.0)])
def test_how_long_stops_take_is_learnt(scene: Scene, seconds: float, late: float) -> None:
    """Once some jobs were stopped, the next one's end is known soon, also after SIGTERM was of no use."""
    for trial in range(12):
        known_after_stop(scene, trial, seconds, has_agent=False)
    known = [known_after_stop(scene, trial, seconds, has_agent=False)[0] for trial in range(12, 23)]
    assert statistics.median(known) <= seconds + late


def test_a_job_that_no_list_has_is_asked_for_at_once(scene: Scene) -> None:
    """The listing that finds a stopped job gone waits for no question that is to come later."""
    attempt = scene.add(wish=protocol.WISH_STOP, stop_job_at=scene.now + 80)
    scene.turn(80)
    scene.jobs.listed.clear()
    scene.jobs.states[attempt.job_name] = state(attempt.job_name, "Stopped")
    scene.watcher.list_now()
    scene.turn(0.5)
    scene.turn()
    assert attempt.phase is Phase.OVER


#: Of the experiment, though no trial waits for it.
STRAY = replace(state("trials-abcdef-7-0"), environment={protocol.ENV_JOB_ID: "abcdef-7-0"})


def test_a_job_that_hangs_in_stopping_is_told_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """SageMaker has been seen to stop for hours: the machine stays busy, and the user learns what is waited for."""
    attempt = scene.add(has_head=True, wish=protocol.WISH_STOP, stop_job_at=1000.0)
    scene.turn()
    told = []
    for _ in range(20):
        scene.turn(100.0)
        told.append(caplog.text.count("SageMaker has been stopping trials-abcdef-0-0, the job of trial 0, for 1"))
    assert told == sorted(told)
    assert (told[7], told[-1]) == (0, 1)
    assert attempt.occupies_worker


def test_a_list_that_is_behind_makes_no_strays(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A job that is known to have ended is not stopped because a list still has it; one that nobody knows is."""
    attempt, _ = scene.add(0, describe_at=scene.now), scene.add(1)
    scene.jobs.states[attempt.job_name] = state(attempt.job_name, "Completed")
    scene.turn()
    assert attempt.phase is Phase.OVER
    scene.desk.forget_settled()
    scene.jobs.listed["trials-abcdef-7-0"] = "Training"
    scene.jobs.states["trials-abcdef-7-0"] = STRAY
    scene.turn(100)
    assert scene.jobs.stopped == ["trials-abcdef-7-0"]


def test_a_job_that_a_damaged_log_has_forgotten_is_no_stray_yet(scene: Scene) -> None:
    """The listing at the beginning leaves a job alone whose trial may begin again right now; the next one does not."""
    scene.add()
    scene.jobs.listed["trials-abcdef-7-0"] = "Training"
    scene.jobs.states["trials-abcdef-7-0"] = STRAY
    scene.watcher.list_now()
    scene.turn()
    assert scene.jobs.stopped == []
    scene.turn(100)
    assert scene.jobs.stopped == ["trials-abcdef-7-0"]


def test_a_foreign_job_of_such_a_name_is_no_stray(scene: Scene) -> None:
    """A job whose name looks like one of ours, and that says it is not, belongs to somebody else."""
    scene.add()
    scene.jobs.listed["trials-abcdef-7-0"] = "Training"
    scene.jobs.states["trials-abcdef-7-0"] = state("trials-abcdef-7-0")
    scene.turn(100)
    assert scene.jobs.stopped == []


def test_jobs_of_another_tuner_are_no_strays(scene: Scene) -> None:
    """Whoever wakes after another tuner has taken over stops none of its jobs, however often it looks."""
    scene.add()
    scene.jobs.listed["trials-abcdef-7-0"] = "Training"
    scene.jobs.states["trials-abcdef-7-0"] = STRAY
    scene.is_fenced = True
    for _ in range(2):
        with pytest.raises(Fenced):
            scene.turn(100)
    assert scene.jobs.stopped == []


def test_a_stray_whose_stop_failed_is_stopped_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop that did not get through is not forgotten; one that did is not repeated."""
    scene.add()
    stray = "trials-abcdef-7-0"
    scene.jobs.listed[stray] = "Training"
    scene.jobs.states[stray] = STRAY

    def refuse(name: str, patience: float | None = None) -> bool:
        raise Unreachable("no answer")

    with monkeypatch.context() as patched, pytest.raises(Unreachable):
        patched.setattr(scene.jobs, "stop", refuse)
        scene.turn(100)
    scene.turn(100)
    scene.turn(100)
    assert scene.jobs.stopped == [stray]


@pytest.mark.parametrize(("secondary", "read"), [("Starting", []), ("Pending", []), ("Training", [0]), ("", [0])])
def test_a_job_that_starts_slowly_is_not_read_by_its_log(scene: Scene, secondary: str, read: list[int]) -> None:
    """Only a job whose container runs, and that says nothing in S3, may have to be read by its log."""
    attempt = scene.add()
    scene.jobs.listed[attempt.job_name] = secondary
    for _ in range(3):
        scene.turn(100)
    assert scene.listener.read == read


def test_a_bill_on_its_way_counts_as_committed(scene: Scene) -> None:
    """Between the end of a job and the moment in which the tuner takes its bill, its money is still accounted for."""
    attempt = scene.add(describe_at=scene.now, max_seconds=3600.0)
    assert scene.bills.committed() == 1.0
    scene.jobs.states[attempt.job_name] = state(attempt.job_name, "Completed")
    scene.turn()
    on_its_way = scene.bills.committed()
    spent = sum(event.dollars for event in scene.events() if isinstance(event, Bill) and event.dollars)
    assert on_its_way == spent > 0
    assert scene.bills.committed() == 0


def test_groups_of_machines_are_billed_each_at_its_price(scene: Scene) -> None:
    """A job of two kinds of machines costs what both cost; where one price is unknown, so is the bill."""
    small, large = scene.bills.price("ml.m5.large"), scene.bills.price("ml.p3.2xlarge")
    assert small
    assert large
    for trial, machines, hourly in (
        (0, (("ml.m5.large", 2), ("ml.p3.2xlarge", 1)), 2 * small + large),
        (1, (("ml.m5.large", 2), ("ml.none.large", 1)), None),
    ):
        attempt = scene.add(trial, describe_at=scene.now)
        scene.jobs.states[attempt.job_name] = replace(
            state(attempt.job_name, "Completed"), instance_count=3, machines=machines
        )
        scene.turn()
        (bill,) = [event for event in scene.events() if isinstance(event, Bill)]
        assert bill.dollars == (None if hourly is None else pytest.approx(hourly * 100 / 3600))


def test_a_kept_machine_is_billed_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a warm pool has retained is known soon after its end, and not only at the end of the experiment."""
    scene = Scene(monkeypatch, keep_alive=600.0)
    attempt = scene.add(describe_at=scene.now)
    kept = state(attempt.job_name, "Completed", WarmPool("Available", None, None))
    scene.jobs.states[attempt.job_name] = kept
    wait = scene.turn()
    assert not attempt.is_settled
    assert [event.final for event in scene.events() if isinstance(event, Bill)] == [False]
    scene.jobs.states[attempt.job_name] = replace(kept, warm_pool=WarmPool("Reused", 50, "trials-abcdef-1-0"))
    assert wait is not None
    assert 600 <= wait <= 700
    scene.turn(wait)
    assert attempt.is_settled
    assert [(event.final, event.retained_seconds) for event in scene.events()] == [(True, 50.0)]
    assert len(scene.jobs.described) == 2
    scene.desk.bell.close()


def test_a_machine_that_is_given_back_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a machine was given back its job is asked for until SageMaker says so, less and less often."""
    scene = Scene(monkeypatch, keep_alive=600.0)
    attempt = scene.add(describe_at=scene.now, pool_ended=True)
    kept = state(attempt.job_name, "Completed", WarmPool("Available", None, None))
    scene.jobs.states[attempt.job_name] = kept
    waits = []
    for _ in range(5):
        wait = scene.turn()
        assert wait is not None
        waits.append(wait)
        scene.now += wait
    assert waits == sorted(waits)
    assert 1 <= waits[0] <= 10
    assert waits[-1] <= 100
    scene.jobs.states[attempt.job_name] = replace(kept, warm_pool=WarmPool("Terminated", 20, None))
    assert scene.turn() is None
    assert attempt.is_settled
    scene.desk.bell.close()
