"""Launching a plan: what is missing is launched, what nobody goes on with is continued, the rest is left alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cloudtune.studies.cell_tuner import Account
from cloudtune.studies.plan import Plan
from tests.studies.launch_world import ACCOUNT, PLAN, LaunchWorld, cells_of, names_of


def test_every_cell_is_launched_with_one_upload(world: LaunchWorld) -> None:
    """Each is a tuner's job of its own; what they are is written down, and what was asked for."""
    done = world.launch()
    assert done.launched == names_of()
    assert (done.continued, done.running, done.finished, done.refused) == ((), (), (), {})
    assert world.jobs() == sorted(world.job_of(cell) for cell in cells_of())
    assert world.uploads() == 1
    place = world.place()
    for cell in cells_of():
        got = world.bucket.get(place.cell(cell.name))
        assert got is not None
        record = json.loads(got.body)
        assert record["cell"]["method"] == cell.method
        assert record["settings"] == PLAN.settings.to_dict()
    (plan,) = world.bucket.list(place.plans)
    got = world.bucket.get(plan.key)
    assert got is not None
    assert Plan.from_json(got.body.decode()) == PLAN
    assert json.loads(got.body)["launch"]["s3_path"] == world.place().bucket.uri("").rstrip("/")


def test_launched_again_nothing_happens(world: LaunchWorld) -> None:
    """While tuners start or run, and when they have finished: nothing is created, packed or uploaded."""
    world.launch()
    first, second = cells_of()
    world.begin(first)
    before = len(world.cloud.calls("s3:PutObject"))
    assert world.launch().running == names_of()
    world.end(first)
    done = world.launch()
    assert (done.finished, done.running) == ((first.name,), (second.name,))
    world.end(second)
    assert world.launch().finished == names_of()
    assert len(world.jobs()) == 2
    puts = [call.resource for call in world.cloud.calls("s3:PutObject")[before:] if "/status/" not in call.resource]
    assert puts == []


def test_further_seeds_and_workers_under_the_same_tag(world: LaunchWorld) -> None:
    """Only what is missing is launched; each request is kept."""
    world.launch()
    seeds = replace(PLAN, num_seeds=2)
    assert world.launch(seeds).launched == tuple(name for name in names_of(seeds) if name not in names_of())
    workers = replace(PLAN, n_workers=(4, 2))
    assert world.launch(workers).launched == names_of(replace(PLAN, n_workers=(4,)))
    later = replace(PLAN, start_seed=1, num_seeds=2)
    assert world.launch(later).launched == names_of(replace(PLAN, start_seed=2))
    assert len(world.jobs()) == 8
    assert len(world.bucket.list(world.place().plans)) == 4


def test_how_it_was_launched_last_is_written_down(world: LaunchWorld) -> None:
    """A limit of money counts until it is changed, whichever launch has set it; how many run at once is said anew."""
    world.launch(max_cost=500.0, max_parallel_experiments=2)
    world.launch(replace(PLAN, start_seed=1))
    written = [world.bucket.get(one.key) for one in world.bucket.list(world.place().plans)]
    flags = [json.loads(one.body)["launch"] for one in written if one is not None]
    assert [one["max_cost"] for one in flags] == [500.0, 500.0]
    assert sorted(one.get("max_parallel_experiments", 0) for one in flags) == [0, 2]


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_what_nobody_drives_is_continued(world: LaunchWorld, how: str) -> None:
    """A cell whose tuner has died, or was told to end, gets another job; the others keep theirs."""
    world.launch()
    first, second = cells_of()
    world.begin(first)
    if how == "killed":
        world.kill(first)
    else:
        world.end(first, "interrupted", "interrupted by SIGTERM")
    done = world.launch()
    assert (done.launched, done.continued, done.running) == ((), (first.name,), (second.name,))
    assert world.jobs("InProgress") == sorted([world.job_of(first, 1), world.job_of(second)])


def test_a_tuner_that_never_began(world: LaunchWorld) -> None:
    """Its job has failed before its program ran: it is launched again."""
    world.launch()
    first, _ = cells_of()
    world.kill(first)
    assert world.launch().continued == (first.name,)


def test_waiting_until_all_have_ended(world: LaunchWorld) -> None:
    """With one line whenever something has changed; in the end it is known how each has ended."""
    first, second = cells_of()

    def run(line: str) -> None:
        if line == "heights: of 2 experiments 2 running":
            world.begin(first)
            world.end(first)
        elif line == "heights: of 2 experiments 1 finished, 1 running":
            world.kill(second)

    world.meanwhile = run
    done = world.launch(wait=True)
    assert done.launched == names_of()
    assert (done.finished, list(done.unfinished), done.running) == ((first.name,), [second.name], ())
    assert "killed" in done.unfinished[second.name]
    assert world.told[-1] == "heights: of 2 experiments 1 finished, 1 left by their tuners"


def test_the_account_is_looked_up_once(world: LaunchWorld) -> None:
    """Role, image and bucket are the same for all cells: nothing of them is asked for each."""
    account = Account(s3_path=ACCOUNT.s3_path)
    world.launch(replace(PLAN, num_seeds=3), account)
    counts = world.cloud.call_counts()
    assert counts["s3:HeadBucket"] == 1
    looks = {name: count for name, count in counts.items() if name.startswith(("iam:", "ecr:", "sts:"))}
    assert looks
    assert max(looks.values()) <= 2


def test_a_launch_takes_so_many_calls(world: LaunchWorld) -> None:
    """Each further cell costs sixteen: seven of its launch, its record, what the queue looks at, and six small looks.

    Four of these right before its job is created, and two right after: whether somebody has stopped the study, limited
    its money, begun the cell elsewhere or recorded it otherwise.
    """
    counts = []
    for seeds, tag in ((1, "few"), (5, "many")):
        before = len(world.cloud.calls())
        world.launch(replace(PLAN, tag=tag, num_seeds=seeds))
        counts.append(len(world.cloud.calls()) - before)
    assert (counts[1] - counts[0]) / 8 <= 16
