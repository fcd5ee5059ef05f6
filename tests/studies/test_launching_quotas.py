"""Experiments wait for machines that they will have, and it is said why and until when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudtune.localcloud.fault import Fault
from cloudtune.studies import account_room, launch_queue
from cloudtune.studies.cell_tuner import CellTuners
from cloudtune.studies.launches_stopped import LaunchesStopped
from cloudtune.studies.launching import NotAllLaunched
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.stop_mark import put_stop_mark
from tests.aws.conftest import training_request
from tests.studies.launch_world import ACCOUNT, PLAN, TRIALS, TUNERS, LaunchWorld, cells_of, names_of, quota_of

#: Four cells with two workers each.
MORE = replace(PLAN, num_seeds=2)


def occupy(world: LaunchWorld, name: str, **request: Any) -> None:
    """Has somebody else begin a training job."""
    world.cloud.client("sagemaker").create_training_job(**training_request(name, **request))


def machines(instance_type: str, count: int) -> dict[str, Any]:
    """What a request says of machines."""
    return {"InstanceType": instance_type, "InstanceCount": count, "VolumeSizeInGB": 1}


def waits(world: LaunchWorld) -> list[str]:
    """What was told of waiting."""
    return [line for line in world.told if "wait: " in line or "waits: " in line]


class Ends:
    """Has the oldest tuner end whenever so many run.

    Args:
        world: Where.
        at_once: So many.
    """

    def __init__(self, world: LaunchWorld, at_once: int) -> None:
        self.world = world
        self.at_once = at_once
        #: Most cells that had a tuner at once.
        self.most = 0
        world.meanwhile = self

    def __call__(self, _line: str) -> None:
        running = self.world.jobs("InProgress")
        self.most = max(self.most, len(running))
        oldest = next((cell for cell in cells_of(MORE) if self.world.job_of(cell) in running), None)
        if oldest is not None and len(running) >= self.at_once:
            self.world.begin(oldest)
            self.world.end(oldest)


def test_tuners_within_their_quota(world: LaunchWorld) -> None:
    """With room for one tuner, one cell after the other is launched; that they wait is told with the quota."""
    world.set_quota(TUNERS, 1)
    ends = Ends(world, 1)
    assert world.launch(MORE).launched == names_of(MORE)
    assert ends.most == 1
    why = f"of 1 instances ({quota_of(TUNERS)!r}) 1 are in use or put aside, and it needs 1"
    last = names_of(MORE)[-1]
    assert waits(world) == [f"3 experiments wait: {why}", f"2 experiments wait: {why}", f"{last} waits: {why}"]


def test_trials_of_all_launched_cells_fit(world: LaunchWorld) -> None:
    """Two workers each, five instances: two cells at once, whatever their trials have begun to use."""
    world.set_quota(TRIALS, 5)
    ends = Ends(world, 2)
    assert world.launch(MORE).launched == names_of(MORE)
    assert ends.most == 2
    assert waits(world)[0].startswith(f"2 experiments wait: of 5 instances ({quota_of(TRIALS)!r}) 4 are in use")


def test_spot_instances_have_a_quota_of_their_own(world: LaunchWorld) -> None:
    """That of instances on demand does not count for them."""
    world.set_quota(TRIALS, 0)
    world.set_quota(TRIALS, 2, "spot training job usage")
    ends = Ends(world, 1)
    spot = replace(MORE, settings=replace(MORE.settings, use_spot=True))
    assert world.launch(spot).launched == names_of(MORE)
    assert ends.most == 1
    assert "for spot training job usage" in waits(world)[0]


def test_fallback_types_count_together(world: LaunchWorld) -> None:
    """What one type has no room for, the next one has."""
    world.set_quota(TRIALS, 3)
    world.set_quota("ml.g5.xlarge", 1)
    ends = Ends(world, 2)
    either = replace(MORE, settings=replace(MORE.settings, instance_type=(TRIALS, "ml.g5.xlarge")))
    assert world.launch(either).launched == names_of(MORE)
    assert ends.most == 2


def test_what_runs_in_the_account_counts(world: LaunchWorld) -> None:
    """Jobs of others, and the trials that an earlier study has and will have."""
    occupy(world, "of-somebody-else", ResourceConfig=machines(TRIALS, 3))
    earlier = replace(PLAN, tag="earlier", methods=("RS",), n_workers=(3,))
    world.launch(earlier)
    (tuner,) = cells_of(earlier)
    occupy(
        world,
        "trial-of-it",
        ResourceConfig=machines(TRIALS, 1),
        Environment={"CLOUDTUNE_PLACE": world.bucket.uri(world.place("earlier").experiment(tuner.name) + "abcdef/")},
    )
    world.set_quota(TRIALS, 7)

    def end(line: str) -> None:
        if " wait: " in line:
            world.cloud.job("of-somebody-else").finish("Completed", "Completed", "")

    world.meanwhile = end
    assert world.launch().launched == names_of()
    (told,) = waits(world)
    assert told.startswith(f"2 experiments wait: of 7 instances ({quota_of(TRIALS)!r}) 6 are in use or put aside")


def test_many_jobs_of_others_are_looked_up_with_one_search(world: LaunchWorld) -> None:
    """And asked for once, however often it is looked."""
    for number in range(8):
        occupy(world, f"other-{number}", ResourceConfig=machines(TRIALS, 1))
    world.set_quota(TRIALS, 9)
    looks: list[str] = []

    def end(line: str) -> None:
        looks.append(line)
        for number in range(8):
            if " wait: " in line:
                world.cloud.job(f"other-{number}").finish("Completed", "Completed", "")

    world.meanwhile = end
    assert world.launch().launched == names_of()
    assert len(world.cloud.calls("sagemaker:Search")) == 1
    described = [call.job for call in world.cloud.calls("sagemaker:DescribeTrainingJob")]
    assert not [name for name in described if name.startswith("other-")]


def test_without_the_right_to_list_jobs(world: LaunchWorld) -> None:
    """What else runs is not known, and not counted; cells of the study are."""
    world.cloud.faults.add(Fault("access_denied", operation="sagemaker:ListTrainingJobs"))
    world.set_quota(TRIALS, 4)
    assert world.launch().launched == names_of()
    assert any("sagemaker:ListTrainingJobs" in line for line in world.told)


def test_what_can_never_fit_is_refused(world: LaunchWorld) -> None:
    """The quota is named, with how to raise it; the others are launched, and nothing of it is written down."""
    world.set_quota(TRIALS, 6)
    wide = replace(PLAN, methods=("RS",), n_workers=(2, 8))
    with pytest.raises(NotAllLaunched) as caught:
        world.launch(wide)
    narrow, too_wide = cells_of(wide)
    (why,) = caught.value.launch.refused.values()
    assert why.startswith(
        f"{too_wide.name} needs 8 instances at once, and the account's quota {quota_of(TRIALS)!r} is 6: aws "
        "service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-"
    )
    assert "--desired-value 8 --region us-east-1, or launch it with fewer workers" in why
    assert caught.value.launch.launched == (narrow.name,)
    assert world.bucket.get(world.place().cell(too_wide.name)) is None


def test_a_quota_of_nothing(world: LaunchWorld) -> None:
    """No cell can be launched: all are refused, and nothing is created."""
    world.set_quota(TUNERS, 0)
    with pytest.raises(NotAllLaunched, match=r"2 of 2 .* 'ml.m5.large for training job usage' is 0: .* another inst"):
        world.launch()
    assert (world.jobs(), world.uploads()) == ([], 0)


def test_a_tuner_beside_its_trials_machine(world: LaunchWorld) -> None:
    """With the local backend the tuner's machine is all that a cell needs."""
    world.set_quota(TRIALS, 1)
    ends = Ends(world, 1)
    local = replace(MORE, settings=CellSettings(backend="local", max_wallclock_time=600))
    assert world.launch(local).launched == names_of(MORE)
    assert ends.most == 1


def test_so_many_cells_at_once(world: LaunchWorld) -> None:
    """Those of an earlier launch count; until when the next one waits is told."""
    world.launch(replace(MORE, num_seeds=1, methods=("RS",)))
    world.begin(cells_of(MORE)[0])
    ends = Ends(world, 2)
    assert world.launch(MORE, max_parallel_experiments=2).launched == names_of(MORE)[1:]
    assert ends.most == 2
    why = "2 run, and max_parallel_experiments is 2"
    assert waits(world)[0] == (f"2 experiments wait: {why}; of those that run, one ends in 6 min 40 s at the latest")
    assert waits(world)[1:] == [f"{names_of(MORE)[-1]} waits: {why}"]


def waiting_since_before_anything_ran(world: LaunchWorld, **options: Any) -> list[str]:
    """What is told of one that waits for another of the same launch, of whose end nothing is known at first."""
    first, _ = cells_of()

    def go_on(line: str) -> None:
        if " at the latest" in line:
            world.end(first)
        elif line.startswith(f"launched {first.name} "):
            world.begin(first)

    world.meanwhile = go_on
    assert world.launch(**options).launched == names_of()
    return waits(world)


def test_until_when_is_told_as_soon_as_it_is_known(world: LaunchWorld) -> None:
    """What runs has not said anything when others begin to wait: they say it again, once it has."""
    world.set_quota(TUNERS, 1)
    before, after = waiting_since_before_anything_ran(world)
    assert after == f"{before}; of those that run, one ends in 6 min 40 s at the latest"


def test_until_when_max_parallel_experiments_makes_them_wait(world: LaunchWorld) -> None:
    """The same where no quota is too small."""
    before, after = waiting_since_before_anything_ran(world, max_parallel_experiments=1)
    assert before.endswith("waits: 1 run, and max_parallel_experiments is 1")
    assert after == f"{before}; of those that run, one ends in 6 min 40 s at the latest"


def test_why_it_waits_is_told_every_few_minutes(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing has changed."""
    monkeypatch.setattr(launch_queue, "TOLD_AGAIN", 0.0)
    world.set_quota(TUNERS, 1)
    first, _ = cells_of()

    def end(line: str) -> None:
        is_launched = world.job_of(first) in world.jobs("InProgress")  # by another thread
        if " waits: " in line and len(waits(world)) >= 3 and is_launched:
            world.begin(first)
            world.end(first)

    world.meanwhile = end
    assert world.launch().launched == names_of()
    assert len(set(waits(world))) == 1


def test_a_quota_that_is_reached_all_the_same(world: LaunchWorld) -> None:
    """AWS refuses for want of quota: the cell waits and is launched later, and the others are not held up."""
    first, second = cells_of()
    world.cloud.faults.add(
        Fault("resource_limit", operation="sagemaker:CreateTrainingJob", job=world.job_of(first), count=2)
    )
    assert world.launch().launched == (first.name, second.name)
    created = [call.job for call in world.cloud.calls("sagemaker:CreateTrainingJob")]
    assert created.count(world.job_of(first)) == 3
    assert created.count(world.job_of(second)) == 1
    (told,) = waits(world)
    assert told.startswith(f"{first.name} waits: ")
    assert "quota" in told.lower()


def test_a_quota_of_nothing_that_only_the_refusal_tells(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where quotas cannot be read, a cell does not wait for machines that there will never be."""
    monkeypatch.setattr(account_room, "training_quota", lambda *_arguments, **_options: None)
    world.set_quota(TUNERS, 0)
    with pytest.raises(NotAllLaunched, match="is 0 Instances"):
        world.launch()


def test_aws_does_not_answer_for_a_while(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait go on waiting, and are launched when it does."""
    from cloudtune.aws.errors import Unreachable
    from cloudtune.studies.cell_standing import StudyStanding
    from cloudtune.studies.status import StudyWatch

    world.set_quota(TUNERS, 1)
    Ends(world, 1)
    look, failures = StudyWatch.look, iter(range(2))

    def failing(watch: StudyWatch) -> StudyStanding:
        if waits(world) and next(failures, None) is not None:
            raise Unreachable("No answer from S3; try again.", "ConnectTimeoutError")
        return look(watch)

    monkeypatch.setattr(StudyWatch, "look", failing)
    assert world.launch().launched == names_of()
    assert [line for line in world.told if "AWS does not answer, and is asked again: No answer" in line]


def test_stopped_by_somebody_else(world: LaunchWorld) -> None:
    """After `cloudtune stop` nothing more is launched; launched again, it goes on in spite of the mark."""
    world.set_quota(TUNERS, 1)

    def stop(line: str) -> None:
        if "waits: " in line:
            put_stop_mark(world.place())

    world.meanwhile = stop
    with pytest.raises(LaunchesStopped, match="somebody has stopped the study 'heights' meanwhile"):
        world.launch()
    # The one there was room for is not created any more either, or is stopped at once.
    assert world.jobs("InProgress") == []
    world.meanwhile = lambda _line: None
    world.set_quota(TUNERS, 2)
    for job in world.jobs("Stopping"):
        world.cloud.job(job).finish("Stopped", "Stopped", "")
    done = world.launch()
    assert len(done.launched + done.continued) == 2


def test_ctrl_c_while_cells_wait(world: LaunchWorld) -> None:
    """What was launched runs on; the same command launches the rest."""
    world.set_quota(TUNERS, 1)

    def interrupt(line: str) -> None:
        if "waits: " in line:
            raise KeyboardInterrupt

    world.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        world.launch()
    first, second = cells_of()
    assert world.jobs() == [world.job_of(first)]
    world.meanwhile = lambda _line: None
    world.begin(first)
    world.end(first)
    done = world.launch()
    assert (done.finished, done.launched) == ((first.name,), (second.name,))


def test_somebody_else_launches_what_waits(world: LaunchWorld) -> None:
    """A cell that is launched elsewhere meanwhile is left to those."""
    world.set_quota(TUNERS, 1)
    first, second = cells_of()

    def launch(line: str) -> None:
        if "waits: " in line:
            # Elsewhere a greater quota is known already.
            world.cloud.set_quota(quota_of(TUNERS), 2)
            CellTuners(world.catalogue, PLAN.settings, ACCOUNT).launcher(second).run(wait=False)

    world.meanwhile = launch
    done = world.launch()
    assert (done.launched, done.running) == ((first.name,), (second.name,))
    assert len(world.jobs()) == 2
