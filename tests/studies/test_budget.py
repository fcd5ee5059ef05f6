"""A study's limit of money, as launchers see it: begun, raised, lowered, and asked before each launch."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cloudtune.aws.training_jobs import STOP_GRACE
from cloudtune.remote import RemoteLauncher
from cloudtune.remote.changes import change, changes_of
from cloudtune.remote.time_limit import LONGEST_JOB
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.stopping_criterion import StoppingCriterion
from cloudtune.studies.budget import BudgetRefused, BudgetUsedUp, StudyBudget, open_budget
from cloudtune.studies.budget_here import share_budget_here
from cloudtune.studies.cell_tuner import CellTuners
from cloudtune.studies.ledger import Book, Share, dollars, micros
from cloudtune.studies.ledger_entries import LastWord, asked, ended, launched, taken_over, withdrawn
from cloudtune.studies.settings import CellSettings
from cloudtune.studies.shared_budget import SharedBudget
from cloudtune.studies.tuner_costs import earlier_jobs, most_seconds
from tests.studies.faulty_bucket import ANSWER_LOST, FINE, FaultyBucket
from tests.studies.launch_world import ACCOUNT, LaunchWorld
from tests.studies.recorded_study import cell_of

#: On demand in us-east-1.
TUNER_HOUR, TRIAL_HOUR = 0.115, 0.7364
SETTINGS = CellSettings(max_wallclock_time=600)
CELL = cell_of(0)
#: Ten minutes of tuning, an hour's margin, and SageMaker's own.
TUNER_COST = TUNER_HOUR * (600 + 3600 + STOP_GRACE) / 3600
TRIAL_COST = TRIAL_HOUR * (600 + 1800 + STOP_GRACE) / 3600


def launcher_of(world: LaunchWorld, settings: CellSettings = SETTINGS) -> RemoteLauncher:
    """What launches the cell."""
    return CellTuners(world.catalogue, settings, ACCOUNT).launcher(CELL)


def opened(world: LaunchWorld, max_cost: float) -> StudyBudget:
    """The budget of the study."""
    budget = open_budget(world.place(), max_cost)
    assert budget is not None
    return budget


# ---------------------------------------------------------------------- the limit


def test_a_study_without_a_limit(world: LaunchWorld) -> None:
    """Nothing is written."""
    assert open_budget(world.place(), None) is None
    assert world.bucket.list(world.place().folder) == []


def test_a_later_launch_without_a_limit_keeps_the_first_ones(world: LaunchWorld) -> None:
    """It cannot be got around by leaving it out."""
    opened(world, 12.5)
    again = open_budget(world.place(), None)
    assert again is not None
    assert dollars(again.book().limit) == 12.5


def test_it_is_raised_and_lowered(world: LaunchWorld) -> None:
    """Down to what is committed, and not below; the message has the figures, and who holds the most."""
    budget = opened(world, 10.0)
    assert budget.put_aside("small", micros(1.0), micros(0.5)) is None
    assert budget.put_aside("large", micros(3.25), micros(0.5)) is None
    assert dollars(opened(world, 20.0).book().limit) == 20.0
    assert dollars(opened(world, 5.25).book().limit) == 5.25
    with pytest.raises(
        BudgetRefused, match=r"cannot be \$5\.00: \$5\.25 are .*by large \$3\.75, small \$1\.50"
    ) as error:
        opened(world, 5.0)
    assert "stop experiments first" in str(error.value)
    assert dollars(budget.book().limit) == 5.25


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_none(world: LaunchWorld, wrong: float) -> None:
    """Nothing can be launched with it."""
    with pytest.raises(BudgetRefused, match="must be above 0"):
        opened(world, wrong)


def test_experiments_from_before_there_was_a_limit(world: LaunchWorld) -> None:
    """What they have cost counts; one that still runs could cost anything, so that no limit could be kept."""
    done = Share(trials=2_000_000, spent=2_000_000, ended=True)
    with pytest.raises(BudgetRefused, match=r"max_cost cannot be kept: running runs without a limit"):
        open_budget(world.place(), 10.0, {"done": done, "running": None})
    assert open_budget(world.place(), None) is None
    with pytest.raises(BudgetRefused, match=r"cannot be \$1\.00: \$2\.00 are"):
        open_budget(world.place(), 1.0, {"done": done})
    budget = open_budget(world.place(), 10.0, {"done": done})
    assert budget is not None
    assert budget.book().share("done") == done
    # Asked again, what the ledger knows itself counts.
    assert open_budget(world.place(), 10.0, {"done": None}) is not None


def test_two_launchers_begin_at_once(world: LaunchWorld) -> None:
    """One object, and both are counted in it."""
    results: list[object] = []

    def begin(number: int) -> None:
        results.append(opened(world, 10.0).put_aside(f"cell-{number}", micros(1.0), 0))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [None] * 6
    assert dollars(opened(world, 10.0).book().committed) == 6.0


# ---------------------------------------------------------------------- admitting


def test_a_cell_is_admitted(world: LaunchWorld) -> None:
    """Its tuner's job is put aside with all the time it may take, and a trial; its tuner asks the ledger from then."""
    budget, launcher = opened(world, 10.0), launcher_of(world)
    budget.admit(CELL.name, launcher)
    share = budget.book().share(CELL.name)
    assert dollars(share.tuner) == pytest.approx(TUNER_COST, abs=1e-6)
    assert (share.trials, share.first, share.ended, share.owner) == (micros(TRIAL_COST), micros(TRIAL_COST), False, "")
    assert isinstance(launcher.tuner.stop_criterion, SharedBudget)
    assert launcher.tuner.stop_criterion.longest() == 600
    assert launcher.job.max_run == 600 + 3600


def test_a_cell_for_which_there_is_not_enough(world: LaunchWorld) -> None:
    """A tuner that could start no trial would cost all the same: it takes its job and one trial."""
    budget = opened(world, TUNER_COST + TRIAL_COST - 0.001)
    with pytest.raises(BudgetUsedUp, match=r"of the study's \$0\.65, \$0\.00 are committed, .* may cost \$0\.65"):
        budget.admit(CELL.name, launcher_of(world))
    assert budget.book().shares == {}
    opened(world, TUNER_COST + TRIAL_COST + 0.001).admit(CELL.name, launcher_of(world))


def test_the_dearest_machine_counts(world: LaunchWorld) -> None:
    """A trial may get any of its instance types."""
    settings = CellSettings(max_wallclock_time=600, instance_type=("ml.g4dn.xlarge", "ml.g4dn.12xlarge"))
    with pytest.raises(BudgetUsedUp):
        opened(world, TUNER_COST + TRIAL_COST + 0.01).admit(CELL.name, launcher_of(world, settings))


def test_trials_beside_the_loop(world: LaunchWorld) -> None:
    """They have no jobs: all that a cell can cost is its tuner's machine, which is the trials'."""
    settings = CellSettings(backend="local", max_wallclock_time=600, instance_type=("ml.g4dn.xlarge",))
    budget = opened(world, 1.0)
    budget.admit(CELL.name, launcher_of(world, settings))
    assert dollars(budget.book().committed) == pytest.approx(TRIAL_HOUR * (4200 + STOP_GRACE) / 3600, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "unknown"),
    [
        (CellSettings(instance_type=("ml.g4dn.xlarge", "ml.p9.xlarge")), "ml.p9.xlarge"),
        (CellSettings(backend="local", instance_type=("ml.p9.xlarge",)), "ml.p9.xlarge"),
    ],
)
def test_without_a_price_there_is_no_limit(world: LaunchWorld, settings: CellSettings, unknown: str) -> None:
    """Which type has none is said, and how one is made known."""
    with pytest.raises(BudgetRefused, match=rf"no price is known for {unknown} in us-east-1; .*CLOUDTUNE_PRICES"):
        opened(world, 100.0).admit(CELL.name, launcher_of(world, settings))


def test_an_answer_that_was_lost_while_admitting(world: LaunchWorld) -> None:
    """Done twice, it is the same."""
    bucket = FaultyBucket()
    place = world.place()
    budget = open_budget(type(place)(bucket, "", "tag"), 10.0)
    assert budget is not None
    bucket.faults = [FINE, ANSWER_LOST]
    with pytest.raises(Exception, match="does not answer"):
        budget.put_aside("cell", 5, 5)
    assert budget.put_aside("cell", 5, 5) is None
    assert budget.book().committed == 10


def test_a_ledger_that_is_gone(world: LaunchWorld) -> None:
    """Nothing is launched past it."""
    budget = opened(world, 10.0)
    world.bucket.delete([world.place().budget])
    with pytest.raises(BudgetRefused, match=r"budget.json is gone; launch the study again"):
        budget.admit(CELL.name, launcher_of(world))


def test_a_tuner_of_this_machine(world: LaunchWorld) -> None:
    """It has no job, and its trials' jobs are paid from the same money."""
    cell = cell_of(1)
    tuner = CellTuners(world.catalogue, SETTINGS, ACCOUNT).tuner(cell)
    share_budget_here(tuner, cell, ACCOUNT, None)
    assert not isinstance(tuner.stop_criterion, SharedBudget)  # there is no limit
    with pytest.raises(BudgetUsedUp, match=r"one trial may cost \$0\.52"):
        share_budget_here(tuner, cell, ACCOUNT, 0.1)
    share_budget_here(tuner, cell, ACCOUNT, 0.55)
    assert isinstance(tuner.stop_criterion, SharedBudget)
    share = opened(world, 0.55).book().share(cell.name)
    assert (share.tuner, share.trials) == (0, micros(TRIAL_COST))


def test_other_limits_leave_the_studys(world: LaunchWorld) -> None:
    """What `cloudtune resume` changes of a cell does not free it of the study's budget."""
    launcher = launcher_of(world)
    opened(world, 10.0).admit(CELL.name, launcher)
    change(launcher.tuner, changes_of(StoppingCriterion(max_wallclock_time=900)))
    assert isinstance(launcher.tuner.stop_criterion, SharedBudget)
    assert launcher.tuner.stop_criterion.longest() == 900


# ---------------------------------------------------------------------- tuners' jobs


def place_of_tuners(world: LaunchWorld) -> TunerPlace:
    """Of the cell."""
    return TunerPlace(world.bucket, world.place().experiment(CELL.name))


def test_what_earlier_jobs_have_cost_counts(world: LaunchWorld) -> None:
    """Launched again, a cell has its old job's bill and its new job's limit put aside; while it runs, no more."""
    budget = opened(world, 10.0)
    launcher = launcher_of(world)
    budget.admit(CELL.name, launcher)
    first = launcher.run(wait=False).job_name
    assert earlier_jobs(place_of_tuners(world)) == (micros(TUNER_COST), True)
    world.cloud.job(first).move("Training")
    again = launcher_of(world)
    budget.admit(CELL.name, again)
    assert budget.book().share(CELL.name).tuner == micros(TUNER_COST)
    world.cloud.job(first).finish("Failed", "Failed", "", "AlgorithmError: killed, exit code: 137")
    cost, runs = earlier_jobs(place_of_tuners(world))
    assert not runs
    assert cost is not None
    assert cost < micros(TUNER_COST)
    budget.admit(CELL.name, again)
    # This cloud does not bill, so that the job's age counts: it grows.
    assert budget.book().share(CELL.name).tuner == pytest.approx(cost + micros(TUNER_COST), abs=2000)


def test_withdrawing(world: LaunchWorld) -> None:
    """Where no job was created nothing stays put aside; where another launcher is about to, all does."""
    budget = opened(world, 10.0)
    budget.admit(CELL.name, launcher_of(world))
    budget.withdraw(CELL.name)
    assert budget.book().shares == {}
    budget.withdraw("another")
    budget.admit(CELL.name, launcher_of(world))
    place = place_of_tuners(world)
    world.bucket.put(place.keys.task(0, 0), b"{}")
    budget.withdraw(CELL.name)
    assert budget.book().share(CELL.name).tuner == micros(TUNER_COST)


def test_withdrawing_what_another_launcher_needs(world: LaunchWorld) -> None:
    """Two launch the same cell, and one of them is refused: the other one's money stays, the job's and the trial's."""
    first, second = opened(world, 10.0), opened(world, 10.0)
    second.admit(CELL.name, launcher_of(world))
    first.admit(CELL.name, launcher_of(world))
    second.withdraw(CELL.name)
    assert first.book().committed == micros(TUNER_COST) + micros(TRIAL_COST)
    launcher_of(world).run(wait=False)
    first.withdraw(CELL.name)
    assert first.book().committed == micros(TUNER_COST) + micros(TRIAL_COST)


@pytest.mark.parametrize("is_here", [True, False])
def test_what_a_launcher_that_died_has_put_aside(world: LaunchWorld, is_here: bool) -> None:
    """Of this machine, or long ago elsewhere: it is given back. What one that lives has put aside is not."""
    budget = opened(world, 10.0)
    budget.admit(CELL.name, launcher_of(world))
    assert budget.give_back_left([]) == []
    book = budget.book()
    claim = dict(book.share(CELL.name).claim)
    if is_here:
        with subprocess.Popen([sys.executable, "-c", ""]) as program:
            claim["pid"] = program.pid
    else:
        claim.update(boot_id="another machine", unix=claim["unix"] - 600)
        left = book.with_share(CELL.name, replace(book.share(CELL.name), claim=claim))
        world.bucket.put(world.place().budget, left.to_json())
        assert budget.give_back_left([]) == []
        claim["unix"] -= 3600
    left = book.with_share(CELL.name, replace(book.share(CELL.name), claim=claim))
    world.bucket.put(world.place().budget, left.to_json())
    assert budget.give_back_left([CELL.name]) == []  # a tuner that has just been launched has not taken it yet
    assert budget.give_back_left([]) == [CELL.name]
    assert budget.book().shares == {}


def test_what_a_tuner_has_is_nothing_that_is_left(world: LaunchWorld) -> None:
    """Its launcher has ended long since; the tuner was killed, and its trials may run."""
    budget = opened(world, 10.0)
    budget.admit(CELL.name, launcher_of(world))
    claim = budget.book().share(CELL.name).claim
    budget.ledger.change(lambda book: None if book is None else taken_over(book, CELL.name, "tuner", None))
    after = budget.book()
    assert after.share(CELL.name).claim == {}
    assert budget.give_back_left([]) == []
    assert withdrawn(after, CELL.name, claim["nonce"], 0, runs=False) == after


def test_a_launch_of_what_runs_adds_nothing_that_could_be_taken_from_it() -> None:
    """Its tuner takes what the launcher has added for a trial, and keeps it when the launcher withdraws."""
    book = taken_over(Book(100), "cell", "tuner", 10)
    admitted = launched(book, "cell", 10, 30, {"nonce": "launcher"})
    assert admitted is not None
    assert (admitted.share("cell").trials, admitted.share("cell").first) == (30, 30)
    assert launched(admitted, "cell", 10, 30, {"nonce": "launcher"}) == admitted
    after = asked(admitted, "cell", "tuner", 30, [], 0)
    assert withdrawn(after, "cell", "launcher", 10, runs=False) == after
    # A tuner that ends meanwhile leaves to the next one what was put aside for that.
    last = ended(admitted, "cell", "tuner", LastWord(0, 0, for_good=True), None, 10)
    assert (last.share("cell").trials, last.share("cell").first, last.share("cell").ended) == (30, 30, False)


def test_a_last_word_leaves_the_next_job_its_money_where_both_cost_the_same() -> None:
    """The last job has cost nothing, the next one may cost as much as it might have: what was put aside stays."""
    admitted = launched(taken_over(Book(100), "cell", "tuner", 20), "cell", 20, 30, {"nonce": "launcher"})
    assert admitted is not None
    last = ended(admitted, "cell", "tuner", LastWord(0, 0, for_good=False), 0, 20)
    assert last.share("cell").tuner == 20
    alone = ended(taken_over(Book(100), "cell", "tuner", 20), "cell", "tuner", LastWord(0, 0, for_good=False), 0, 20)
    assert alone.share("cell").tuner == 0


def test_a_job_that_is_about_to_end(world: LaunchWorld) -> None:
    """Its tuner says what the cell has cost: beyond its age it may be billed for some minutes at most."""
    launcher = launcher_of(world)
    job = launcher.run(wait=False).job_name
    world.cloud.job(job).move("Training")
    cost, runs = earlier_jobs(place_of_tuners(world), ending=job)
    assert runs
    assert cost is not None
    assert 0 < dollars(cost) < TUNER_HOUR * 400 / 3600


@pytest.mark.parametrize(
    ("needed", "max_run", "jobs"),
    [
        (None, 1000, 1),
        (600.0, 4200, 1),
        (600.0, 700, 2),  # it hands over after 525 seconds
        (LONGEST_JOB - 600.0, LONGEST_JOB, 2),  # a quarter of an hour before its end
        (900_000.0, LONGEST_JOB, 3),
    ],
)
def test_jobs_that_carry_on(needed: float | None, max_run: int, jobs: int) -> None:
    """For an experiment that one job may have to hand over, all its jobs are put aside."""
    assert most_seconds(needed, max_run) == jobs * (max_run + STOP_GRACE)


def test_a_job_that_will_hand_over_just_before_the_end_of_its_experiment(world: LaunchWorld) -> None:
    """What carries on for the last minutes costs as much at most: without money for it nothing is launched."""
    settings = CellSettings(max_wallclock_time=LONGEST_JOB - 600)
    launcher = launcher_of(world, settings)
    assert launcher.job.max_run == LONGEST_JOB
    tuners = 2 * TUNER_HOUR * (LONGEST_JOB + STOP_GRACE) / 3600
    trial = TRIAL_HOUR * (86_400 + STOP_GRACE) / 3600
    with pytest.raises(BudgetUsedUp, match=rf"its tuner's job and one trial may cost \${tuners + trial:.2f}"):
        opened(world, tuners).admit(CELL.name, launcher)
    opened(world, tuners + trial + 0.01).admit(CELL.name, launcher)


def test_prices_of_ones_own(world: LaunchWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come first, as everywhere."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"usd_per_hour": {"*": {"ml.m5.large": 36.0}}}', encoding="utf-8")
    monkeypatch.setenv("CLOUDTUNE_PRICES", str(prices))
    budget = opened(world, 100.0)
    budget.admit(CELL.name, launcher_of(world))
    assert dollars(budget.book().share(CELL.name).tuner) == pytest.approx((4200 + STOP_GRACE) * 0.01)
