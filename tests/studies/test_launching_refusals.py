"""Launches that AWS refuses: none fails silently, and none holds up the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cloudtune.aws.buckets import BucketUnusable
from cloudtune.aws.errors import AccessDenied, QuotaReached
from cloudtune.errors import ExperimentLocked
from cloudtune.localcloud.fault import Fault
from cloudtune.studies import launch_queue
from cloudtune.studies.account_room import AccountRoom
from cloudtune.studies.budget import BudgetUsedUp
from cloudtune.studies.catalogue import UnknownName
from cloudtune.studies.launch_queue import Candidate, LaunchQueue
from cloudtune.studies.launch_turn import LaunchTurn
from cloudtune.studies.launches_stopped import StopCheck
from cloudtune.studies.launching import NotAllLaunched
from cloudtune.studies.status import StudyWatch, study_standing
from tests.studies.launch_world import PLAN, LaunchWorld, cells_of, names_of


@pytest.mark.defect("C7")
@pytest.mark.defect("R5")
def test_a_refused_cell_is_told_and_holds_up_no_other(world: LaunchWorld) -> None:
    """The others are launched; the error names the one, and why. The same command launches it later."""
    plan = replace(PLAN, num_seeds=3)
    refused = cells_of(plan)[1]
    number = world.cloud.faults.add(
        Fault("access_denied", operation="sagemaker:CreateTrainingJob", job=world.job_of(refused))
    )
    with pytest.raises(NotAllLaunched) as caught:
        world.launch(plan)
    assert str(caught.value).startswith(
        f"1 of 6 experiments of study 'heights' could not be launched: {refused.name}: sagemaker:CreateTrainingJob of "
        f"{world.job_of(refused)} is not allowed"
    )
    done = caught.value.launch
    assert list(done.refused) == [refused.name]
    assert set(done.launched) == set(names_of(plan)) - {refused.name}
    assert len(world.jobs()) == 5
    assert world.uploads() == 1
    world.cloud.faults.remove(number)
    assert world.launch(plan).launched == (refused.name,)
    assert len(world.jobs()) == 6


@pytest.mark.defect("C7")
def test_what_nobody_may_do_is_not_tried_again_and_again(world: LaunchWorld) -> None:
    """Without the right to create jobs a few launches are refused, and the others are not tried: all are named."""
    plan = replace(PLAN, num_seeds=20)
    world.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob"))
    with pytest.raises(NotAllLaunched, match=r"40 of 40 experiments .* and 37 more: .*CreateTrainingJob") as caught:
        world.launch(plan)
    assert set(caught.value.launch.refused) == set(names_of(plan))
    assert len(world.cloud.calls("sagemaker:CreateTrainingJob")) < 40


def test_throttling_only_slows(world: LaunchWorld) -> None:
    """Each creation is refused for a while: all are launched."""
    world.cloud.faults.add(Fault("throttle", operation="sagemaker:CreateTrainingJob", count=5))
    assert world.launch().launched == names_of()
    assert len(world.jobs()) == 2


def test_a_lost_answer_makes_no_second_job(world: LaunchWorld) -> None:
    """The job was created, and nobody was told: the launch finds it."""
    world.cloud.faults.add(Fault("answer_lost", operation="sagemaker:CreateTrainingJob", count=1))
    assert world.launch().launched == names_of()
    assert len(world.jobs()) == 2


def test_a_bucket_that_cannot_be_written(world: LaunchWorld) -> None:
    """Nothing is launched, and the message names what is not allowed."""
    world.cloud.faults.add(Fault("access_denied", operation="s3:PutObject"))
    with pytest.raises(AccessDenied, match=r"s3://experiments/cloudtune/heights/_study/"):
        world.launch()
    assert world.jobs() == []


def test_a_bucket_that_is_closed(world: LaunchWorld) -> None:
    """The same where it may not even be looked at."""
    world.cloud.faults.add(Fault("access_denied", operation="s3:HeadBucket"))
    with pytest.raises(BucketUnusable, match="experiments"):
        world.launch()


def test_names_that_nobody_knows(world: LaunchWorld) -> None:
    """Before AWS is asked anything."""
    with pytest.raises(UnknownName, match="did you mean 'ASHA'"):
        world.launch(replace(PLAN, methods=("ASHAA",)))
    with pytest.raises(UnknownName, match="benchmark"):
        world.launch(replace(PLAN, benchmarks=("width",)))
    with pytest.raises(ValueError, match="max_parallel_experiments must be at least 1, got 0"):
        world.launch(max_parallel_experiments=0)
    assert world.cloud.calls("s3:HeadBucket") == []


def test_money_that_is_not_enough(world: LaunchWorld) -> None:
    """One cell may run within the limit; the other one waits for what it gives back, and begins then."""
    plan = replace(PLAN, methods=("RS", "ASHA"))
    first, second = cells_of(plan)
    world.launch(replace(plan, methods=("RS",)), max_cost=0.7)
    world.begin(first)
    waited: list[str] = []

    def end(line: str) -> None:
        if " waits: " in line:
            waited.append(line)
            world.end(first)
            world.launch(replace(plan, methods=("RS",)), max_cost=30.0)

    world.meanwhile = end
    assert world.launch(plan).launched == (second.name,)
    assert len(waited) == 1
    assert "committed" in waited[0]


def queue_of(
    world: LaunchWorld, launches: Mapping[str, Callable[[], str]], tell: Callable[[str], object] = lambda _line: None
) -> LaunchQueue:
    """A queue of experiments that need no machines.

    Args:
        world: Where.
        launches: Name -> what launches it.
        tell: Is told what happens.
    """
    place = world.place()
    return LaunchQueue(
        [Candidate(name, (), launch) for name, launch in launches.items()],
        StudyWatch(place),
        AccountRoom(place),
        lambda names: dict.fromkeys(names, ()),
        StopCheck(place, ""),
        LaunchTurn(place),
        max_parallel=None,
        tell=tell,
    )


def no_money() -> str:
    """A launch for which there is too little."""
    raise BudgetUsedUp("there is not enough for it")


def test_money_that_one_launched_beside_it_may_give_back(world: LaunchWorld) -> None:
    """The other's launch has ended before this one's is refused: it waits all the same, and begins later."""
    first_is_launched, calls = threading.Event(), iter(range(2))

    def second() -> str:
        assert first_is_launched.wait(60)
        return no_money() if next(calls) == 0 else "second-0"

    def tell(line: str) -> None:
        if line.startswith("launched first"):
            first_is_launched.set()

    queue = queue_of(world, {"first": lambda: "first-0", "second": second}, tell)
    queue.run(study_standing(world.place()))
    assert (list(queue.launched), queue.refused) == (["first", "second"], {})


def test_money_that_nobody_can_give_back(world: LaunchWorld) -> None:
    """Nothing runs and nothing can be launched: they are refused, however they met."""
    queue = queue_of(world, {"first": no_money, "second": no_money})
    queue.run(study_standing(world.place()))
    assert set(queue.refused) == {"first", "second"}


def test_locked_after_another_reason(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it has waited for a quota does not count: it may be locked for as long as a launch elsewhere takes."""
    late, calls = [0.0], iter(range(3))
    monkeypatch.setattr(launch_queue, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late[0]))

    def launch() -> str:
        call = next(calls)
        if call == 0:
            raise QuotaReached("there is no room", "ResourceLimitExceeded")
        if call == 1:
            late[0] += 1000.0
            raise ExperimentLocked("somebody launches it")
        return "one-0"

    queue = queue_of(world, {"one": launch})
    queue.run(study_standing(world.place()))
    assert (list(queue.launched), queue.refused) == (["one"], {})


def test_locked_for_too_long(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a launch elsewhere may take: somebody else has it."""
    late = [0.0]
    monkeypatch.setattr(launch_queue, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late[0]))

    def launch() -> str:
        late[0] += 1000.0
        raise ExperimentLocked("somebody launches it")

    queue = queue_of(world, {"one": launch})
    queue.run(study_standing(world.place()))
    assert queue.refused == {"one": "somebody launches it"}
