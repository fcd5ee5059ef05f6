"""A limit of money that comes while others launch, run, or have died."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloudtune.aws.training_jobs import TrainingJobs
from cloudtune.errors import ExperimentLocked, ExperimentMismatch
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.s3_lease import S3Lease
from cloudtune.studies.budget import BudgetRefused, open_budget
from cloudtune.studies.budget_here import share_budget_here
from cloudtune.studies.cell import Cell
from cloudtune.studies.cell_tuner import CellTuners
from cloudtune.studies.claimed_here import ClaimedElsewhere
from cloudtune.studies.launching import NotAllLaunched
from cloudtune.studies.ledger import Book, dollars
from cloudtune.studies.ledger_entries import LastWord, asked, ended, taken_over
from tests.aws.conftest import training_request
from tests.studies.launch_world import ACCOUNT, PLAN, TRIALS, LaunchWorld, cells_of, names_of
from tests.studies.test_budget import TRIAL_COST, TRIAL_HOUR, TUNER_COST

#: What it takes to launch one cell.
ONE_CELL = TUNER_COST + TRIAL_COST


def book_of(world: LaunchWorld) -> Book:
    """What the ledger says."""
    budget = open_budget(world.place(), None)
    assert budget is not None
    return budget.book()


def begin_trial(world: LaunchWorld, cell: Cell, number: int, max_run: int) -> str:
    """A job of a trial begins."""
    place = world.bucket.uri(f"{world.place().experiment(cell.name)}abcdef/")
    name = f"{cell.name}-abcdef-{number}-0"
    request = training_request(
        name,
        ResourceConfig={"InstanceType": TRIALS, "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": max_run},
        Environment={"CLOUDTUNE_PLACE": place, "CLOUDTUNE_JOB_ID": f"abcdef-{number}-0"},
        Tags=[
            {"Key": "cloudtune:experiment", "Value": cell.name},
            {"Key": "cloudtune:tag", "Value": cell.tag},
            {"Key": "cloudtune:trial", "Value": str(number)},
        ],
    )
    world.cloud.client("sagemaker").create_training_job(**request)
    world.cloud.job(name).move("Training")
    return name


def test_a_cell_waits_for_what_another_one_gives_back(world: LaunchWorld) -> None:
    """There is money for one: the second is launched once the first one has ended, and not before."""
    counts: list[int] = []

    def meanwhile(line: str) -> None:
        if not line.startswith("launched "):
            return
        [running] = [cell for cell in cells_of() if cell.name == line.split()[1]]
        counts.append(len(world.jobs()))
        world.begin(running)
        world.end(running)
        budget = open_budget(world.place(), None)
        assert budget is not None
        budget.ledger.change(lambda book: None if book is None else book.without_share(running.name))

    world.meanwhile = meanwhile
    launch = world.launch(max_cost=ONE_CELL + 0.2)
    assert sorted(launch.launched) == sorted(names_of())
    assert counts == [1, 2]


def test_an_experiment_that_has_ended_for_want_of_money(world: LaunchWorld) -> None:
    """Launched again with the same limit it is refused, which is told; with a higher one it goes on."""
    plan = replace(PLAN, methods=("RS",))
    [cell] = cells_of(plan)
    world.launch(plan, max_cost=ONE_CELL + 0.001)
    world.begin(cell)
    budget = open_budget(world.place(), None)
    assert budget is not None
    spent = LastWord(trials=400_000, spent=400_000, for_good=False)
    begun = taken_over(budget.book(), cell.name, "tuner", None)
    over = ended(begun, cell.name, "tuner", spent, 10_000, begun.share(cell.name).tuner)
    budget.ledger.change(lambda _book: over)
    world.end(cell, "interrupted", "the study's money is used up")
    with pytest.raises(NotAllLaunched, match=r"of the study's \$0\.65, \$0\.41 are committed"):
        world.launch(plan)
    assert len(world.jobs()) == 1
    assert world.launch(plan, max_cost=3.0).continued == names_of(plan)


def test_a_limit_that_another_launch_sets_meanwhile(world: LaunchWorld) -> None:
    """A launch without one that still waits launches nothing past it, and says so."""
    more = replace(PLAN, num_seeds=2)
    cells = {cell.name: cell for cell in cells_of(more)}

    def meanwhile(line: str) -> None:
        if line.startswith("launched "):
            cell = cells[line.split()[1]]
            world.begin(cell)
            world.end(cell)
            open_budget(world.place(), 100.0)

    world.meanwhile = meanwhile
    with pytest.raises(NotAllLaunched, match=r"a max_cost was set for the study while .* launch again") as error:
        world.launch(more, max_parallel_experiments=1)
    assert len(world.jobs()) == len(error.value.launch.launched) == 1
    assert len(error.value.launch.refused) == 3
    world.meanwhile = lambda _line: None
    assert len(world.launch(more).launched) == 3
    assert len(book_of(world).shares) == 3


def test_trials_that_run_without_a_tuner(world: LaunchWorld) -> None:
    """When a limit is set they count with all that they may cost, until whoever goes on with them knows better."""
    killed, done = cells_of()
    world.launch()
    for cell in (killed, done):
        world.begin(cell)
    for number in range(2):
        begin_trial(world, killed, number, max_run=36_000)
    begin_trial(world, replace(killed, tag="another"), 7, max_run=36_000)
    world.kill(killed)
    world.end(done)
    running = 2 * TRIAL_HOUR * (36_000 + 120) / 3600
    other = replace(PLAN, methods=("MSR",))
    with pytest.raises(BudgetRefused, match=rf"spent or committed, the most of it by {killed.name}"):
        world.launch(other, max_cost=running)
    assert world.launch(other, max_cost=running + 20.0).launched == names_of(other)
    share = book_of(world).share(killed.name)
    assert dollars(share.trials - share.spent) == pytest.approx(running, abs=1e-5)
    assert not share.ended
    assert book_of(world).share(done.name).ended


def test_trials_without_a_price_that_run_without_a_tuner(world: LaunchWorld) -> None:
    """Nobody can tell what they may cost: there can be no limit."""
    killed, done = cells_of()
    world.launch()
    for cell in (killed, done):
        world.begin(cell)
    request = training_request(
        "no-price",
        ResourceConfig={"InstanceType": "ml.m8i-flex.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        Tags=[{"Key": "cloudtune:experiment", "Value": killed.name}, {"Key": "cloudtune:tag", "Value": killed.tag}],
    )
    world.cloud.client("sagemaker").create_training_job(**request)
    world.kill(killed)
    world.end(done)
    with pytest.raises(BudgetRefused, match=rf"{killed.name} runs without a limit, or what it has cost is not known"):
        world.launch(max_cost=1000.0)


def test_what_a_launcher_was_killed_with(world: LaunchWorld) -> None:
    """It had put money aside for a cell that nobody launches any more: the next launch has it again."""
    left, _ = cells_of()
    budget = open_budget(world.place(), ONE_CELL + 0.001)
    assert budget is not None
    budget.admit(left.name, CellTuners(world.catalogue, PLAN.settings, ACCOUNT).launcher(left))
    book = budget.book()
    with subprocess.Popen([sys.executable, "-c", ""]) as program:
        claim = {**book.share(left.name).claim, "pid": program.pid}
    killed = book.with_share(left.name, replace(book.share(left.name), claim=claim))
    budget.ledger.change(lambda _book: killed)
    other = replace(PLAN, methods=("MSR",))
    with pytest.raises(BudgetRefused, match="cannot be"):
        open_budget(world.place(), 0.3)
    assert world.launch(other).launched == names_of(other)
    assert list(book_of(world).shares) == list(names_of(other))


def test_a_tuner_here_beside_one_elsewhere(world: LaunchWorld) -> None:
    """One whose tuner's job runs, or ran, is not driven here as well, with a limit or without."""
    cell, other = cells_of()
    world.launch(max_cost=100.0)
    world.begin(cell)
    before = book_of(world)
    tuner = CellTuners(world.catalogue, PLAN.settings, ACCOUNT).tuner(cell)
    for limit in (None, 50.0):
        with pytest.raises(ExperimentLocked, match=rf"'{cell.name}' is driven by training job {world.job_of(cell)}"):
            share_budget_here(tuner, cell, ACCOUNT, limit)
    assert book_of(world) == before
    world.end(cell, "interrupted")
    for limit in (None, 50.0):
        with pytest.raises(ExperimentMismatch, match=r"was launched, and lies in s3://.*: continue it with `cloud"):
            share_budget_here(tuner, cell, ACCOUNT, limit)
    assert other.name in before.shares
    assert world.launch().continued == (cell.name,)


def test_a_tuner_here_and_a_launch(world: LaunchWorld) -> None:
    """What was begun here is not launched: a tuner elsewhere would not know what it has cost. The others are."""
    cell, other = cells_of()
    tuner = CellTuners(world.catalogue, PLAN.settings, ACCOUNT).tuner(cell)
    share_budget_here(tuner, cell, ACCOUNT, 100.0)
    before = book_of(world).share(cell.name)
    with pytest.raises(NotAllLaunched, match=f"'{cell.name}' was begun by a tuner that was not launched") as caught:
        world.launch()
    assert caught.value.launch.launched == (other.name,)
    assert book_of(world).share(cell.name) == before
    share_budget_here(tuner, cell, ACCOUNT, None)  # the same command again


def test_a_tuner_here_that_begins_while_a_job_is_created(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees the launch, and its own word is taken back: the launch goes on."""
    plan = replace(PLAN, methods=("RS",))
    (cell,) = cells_of(plan)
    real, refused = TrainingJobs.create, []

    def create(self: TrainingJobs, request: Mapping[str, Any], **options: Any) -> object:
        with pytest.raises(ExperimentLocked, match="another launch of experiment"):
            share_budget_here(CellTuners(world.catalogue, plan.settings, ACCOUNT).tuner(cell), cell, ACCOUNT, None)
        refused.append(True)
        return real(self, request, **options)

    monkeypatch.setattr(TrainingJobs, "create", create)
    assert world.launch(plan).launched == (cell.name,)
    assert refused == [True]


def test_tuners_on_two_machines(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second one is refused, unless the experiment lies there as well."""
    cell = cells_of()[0]
    tuner = CellTuners(world.catalogue, PLAN.settings, ACCOUNT).tuner(cell)
    share_budget_here(tuner, cell, ACCOUNT, None)
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path / "elsewhere"))
    with pytest.raises(ClaimedElsewhere, match=r"lies in .* on host .*; if it is gone, delete s3://"):
        share_budget_here(tuner, cell, ACCOUNT, None)
    log = tmp_path / "elsewhere" / cell.name / "log"
    log.mkdir(parents=True)
    (log / "000001.jsonl").touch()
    share_budget_here(tuner, cell, ACCOUNT, None)


def test_a_log_that_was_deleted(world: LaunchWorld) -> None:
    """A tuner that begins anew knows nothing of the money before: it stays spent, and none of it is given back."""
    (cell,) = cells_of(replace(PLAN, methods=("RS",)))
    budget = open_budget(world.place(), 100.0)
    assert budget is not None

    def change(by: Callable[[Book], Book]) -> None:
        budget.ledger.change(lambda book: None if book is None else by(book))

    change(lambda book: taken_over(book, cell.name, "first", 1, begins=True))
    change(lambda book: asked(book, cell.name, "first", 0, [50], 40))
    assert budget.book().share(cell.name).reserved == 51
    for _ in range(2):  # nobody knows whether the first time was written
        change(lambda book: taken_over(book, cell.name, "second", 2, begins=True))
    change(lambda book: asked(book, cell.name, "second", 0, [7], 0))
    assert budget.book().share(cell.name).reserved == 50 + 2 + 7
    change(lambda book: ended(book, cell.name, "second", LastWord(7, 7, for_good=True), 2, 2))
    assert budget.book().share(cell.name).reserved == 50 + 2 + 7
    change(lambda book: taken_over(book, cell.name, "third", 3))
    assert budget.book().share(cell.name).earlier == 50


def test_a_tuner_here_beside_one_that_is_no_job(world: LaunchWorld) -> None:
    """It holds the experiment's lease in S3, wherever it runs."""
    cell = cells_of()[0]
    place = TunerPlace(world.bucket, world.place().experiment(cell.name))
    tuner = CellTuners(world.catalogue, PLAN.settings, ACCOUNT).tuner(cell)
    lease = S3Lease(world.bucket, place.root)
    lease.acquire()
    with pytest.raises(ExperimentLocked, match=r"is driven by pid \d+ on host .*; |has one tuner at a time"):
        share_budget_here(tuner, cell, ACCOUNT, None)
    lease.release()
    share_budget_here(tuner, cell, ACCOUNT, None)


def test_a_tuner_here_beside_one_that_is_about_to_be_launched(world: LaunchWorld) -> None:
    """Its job does not exist yet, but what it reads."""
    cell = cells_of()[0]
    place = TunerPlace(world.bucket, world.place().experiment(cell.name))
    world.bucket.put(place.keys.task(0, 0), b"{}")
    tuner = CellTuners(world.catalogue, PLAN.settings, ACCOUNT).tuner(cell)
    with pytest.raises(ExperimentLocked):
        share_budget_here(tuner, cell, ACCOUNT, None)
