"""A real tuner on a virtual machine whose trials cost money, with its account kept in a thread beside it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import dill
import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.aws import prices
from cloudtune.aws.clients import aws_for
from cloudtune.aws.s3 import Bucket
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.remote.launches import HANDING_OVER
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.budget import StudyBudget, open_budget, share_budget
from cloudtune.studies.ledger import Ledger, dollars, micros
from cloudtune.studies.ledger_entries import taken_over
from cloudtune.studies.purse_filler import Pace, PurseFiller
from cloudtune.studies.shared_budget import SharedBudget
from tests.studies.faulty_bucket import DENIED, UNREACHABLE, FaultyBucket
from tests.virtual import Killed, Machine, Program, Terms
from tests.virtual_tuner import curve, make_tuner

#: Looks as often as a test can wait for.
QUICK = Pace(look=0.02, retry=0.01, spacing=0.0, longest_wait=30.0)
#: A trial may cost 10 dollars, and costs 9 if it is not stopped.
TERMS = Terms(dollars=1.0, longest=10.0)


class Study:
    """One with one cell.

    Args:
        max_cost: In dollars.
    """

    def __init__(self, max_cost: float) -> None:
        self.bucket = FaultyBucket()
        self.place = StudyPlace(self.bucket, "", "tag")
        budget = open_budget(self.place, max_cost)
        assert budget is not None
        self.budget: StudyBudget = budget
        self.machine = Machine(Program(curve), TERMS)

    def tuner(self, **options: Any) -> Tuner:
        """Of the cell; a new one goes on with what an earlier one has left."""
        assert self.budget.put_aside("cell", micros(0.5), 0) is None
        tuner = make_tuner(self.machine, **options)
        share_budget(tuner, self.place, "cell", QUICK)
        return tuner


def test_a_tuner_runs_within_its_studys_money() -> None:
    """It starts what the money is there for, ends when nobody can give more, and says what it has cost.

    It is not finished then: with more money it goes on.
    """
    study = Study(41.0)
    tuner = study.tuner(n_workers=3, stop_criterion=StoppingCriterion(max_num_trials_started=50))
    tuner.run()
    assert isinstance(tuner.stop_criterion, SharedBudget)
    assert tuner.stop_criterion.purse.n_workers == 3
    cost = study.machine.total_cost()
    assert 30.0 < cost <= 40.5
    book = study.budget.book()
    share = book.share("cell")
    assert not share.ended
    assert dollars(share.trials) == dollars(share.spent) == pytest.approx(cost)
    assert share.tuner == 0  # no training job has run it
    assert (tuner.status.finished_state, tuner.status.finished_why) == ("interrupted", "the study's money is used up")
    started = tuner.status.num_trials_started
    open_budget(study.place, 200.0)
    again = study.tuner(n_workers=3, stop_criterion=StoppingCriterion(max_num_trials_started=started + 3))
    again.run()
    assert again.status.num_trials_started == started + 3
    assert (again.status.finished_state, again.status.finished_why) == ("finished", "stopping criterion reached")
    assert study.budget.book().share("cell").ended


def test_its_own_criterion_ends_it() -> None:
    """What was put aside and not used is given back."""
    study = Study(1000.0)
    study.tuner(stop_criterion=StoppingCriterion(max_num_trials_started=3)).run()
    assert len(study.machine.starts) == 3
    assert study.budget.book().committed == micros(study.machine.total_cost())


def test_a_tuner_that_dies_and_its_successor() -> None:
    """Nothing is given back at the death; the successor finishes what was begun, within the same money."""
    study = Study(31.0)
    study.machine.fuse = 22
    with pytest.raises(Killed):
        study.tuner(n_workers=2).run()
    share = study.budget.book().share("cell")
    assert not share.ended
    assert dollars(share.trials) >= study.machine.worst_cost()
    study.machine.fuse = None
    study.machine.tuner_died(5.0)
    study.tuner(n_workers=2).run()
    assert study.machine.total_cost() <= 30.5
    share = study.budget.book().share("cell")
    assert share.trials == share.spent == micros(study.machine.total_cost())


def test_interrupted_it_gives_back_what_its_trials_do_not_need() -> None:
    """Somebody may go on with it, who asks for more then."""
    study = Study(100.0)
    tuner = study.tuner(n_workers=2)

    class Interrupts(TunerCallback):
        def on_trial_result(self, *_: Any) -> None:
            tuner.interrupt("for the test")

    tuner.callbacks.append(Interrupts())
    tuner.run()
    share = study.budget.book().share("cell")
    assert not share.ended
    assert share.trials == share.spent == micros(study.machine.total_cost())


def test_s3_is_out_of_reach_at_first(caplog: pytest.LogCaptureFixture) -> None:
    """The tuner waits, and says so; nothing is started without money."""
    study = Study(100.0)
    tuner = study.tuner(stop_criterion=StoppingCriterion(max_num_trials_started=2))
    study.bucket.faults = [UNREACHABLE] * 3
    with caplog.at_level(logging.WARNING, "cloudtune"):
        tuner.run()
    assert "budget cannot be asked at the moment, trying again" in caplog.text
    assert len(study.machine.starts) == 2


def test_s3_is_out_of_reach_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Then as much stays committed as could have been spent, which is said; the experiment itself has ended well."""
    study = Study(100.0)
    tuner = study.tuner(stop_criterion=StoppingCriterion(max_num_trials_started=2))

    class Cuts(TunerCallback):
        def on_tuning_end(self) -> None:
            study.bucket.faults = [UNREACHABLE] * 10_000

    tuner.callbacks.insert(0, Cuts())
    tuner.run()
    study.bucket.faults = []
    assert "could not be written into the study's budget" in caplog.text
    share = study.budget.book().share("cell")
    assert not share.ended
    assert dollars(share.trials) >= study.machine.total_cost()


def test_the_ledger_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """No trial is started without money; the tuner ends, and says why."""
    study = Study(100.0)
    tuner = study.tuner()
    study.bucket.objects.clear()
    tuner.run()
    assert study.machine.starts == []
    assert tuner.status.finished_why == "the study's budget could not be asked"
    assert tuner.status.finished_state == "interrupted"
    assert "is gone; launch the study again with its max_cost" in caplog.text


def test_another_tuner_has_taken_the_cell_over() -> None:
    """The account of this one is closed: it starts nothing more, and changes nothing."""
    study = Study(100.0)
    tuner = study.tuner(n_workers=1, stop_criterion=StoppingCriterion(max_num_trials_started=1000))
    ledger = Ledger(study.bucket, study.place.budget)

    class TakesOver(TunerCallback):
        def on_trial_complete(self, *_: Any) -> None:
            ledger.change(lambda book: None if book is None else taken_over(book, "cell", "another", None))

    tuner.callbacks.append(TakesOver())
    tuner.run()
    share = study.budget.book().share("cell")
    assert share.owner == "another"
    assert not share.ended


def test_it_travels() -> None:
    """A tuner is pickled before it runs: the purse is one for criterion and filler, the credentials profile stays."""
    place = StudyPlace(Bucket(aws_for("eu-west-1", "work"), "experiments", "123456789012", "key"), "mine", "tag")
    tuner = make_tuner(Machine(Program(curve)))
    share_budget(tuner, place, "cell", QUICK)
    share_budget(tuner, place, "cell", QUICK)  # once more changes nothing
    criterion, fillers = dill.loads(dill.dumps((tuner.stop_criterion, tuner.callbacks)))
    [filler] = [one for one in fillers if isinstance(one, PurseFiller)]
    assert isinstance(criterion, SharedBudget)
    assert criterion.purse is filler.purse
    assert (filler.name, filler.pace, filler.place.root) == ("cell", QUICK, "mine/cloudtune/tag/")
    bucket = filler.place.bucket
    assert (bucket.name, bucket.owner, bucket.kms_key) == ("experiments", "123456789012", "key")
    assert (bucket.aws.region, bucket.aws.profile) == ("eu-west-1", None)


def test_the_launching_machines_prices_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Money was put aside by them: a tuner elsewhere that knows none, or others, must not count by those."""
    prices_file = tmp_path / "prices.json"
    prices_file.write_text('{"usd_per_hour": {"us-east-1": {"ml.p9.xlarge": 9.0}, "*": {"ml.m5.large": 5.0}}}')
    monkeypatch.setenv("CLOUDTUNE_PRICES", str(prices_file))
    monkeypatch.setattr(prices, "_told", {})
    study = Study(100.0)
    tuner = study.tuner(stop_criterion=StoppingCriterion(max_num_trials_started=1))
    monkeypatch.delenv("CLOUDTUNE_PRICES")
    assert prices.price_per_hour("ml.p9.xlarge", "us-east-1") is None
    tuner.run()
    told = prices.find_price("ml.p9.xlarge", "us-east-1")
    assert told is not None
    assert (told.usd_per_hour, told.source) == (9.0, "the machine that has launched this")
    assert prices.price_per_hour("ml.m5.large", "us-east-1") == 5.0
    assert prices.price_per_hour("ml.m5.large", "eu-west-1") != 5.0


def test_without_the_right_to_read_the_ledger(caplog: pytest.LogCaptureFixture) -> None:
    """That does not pass: the tuner starts nothing, says why, and ends."""
    study = Study(100.0)
    tuner = study.tuner()
    study.bucket.faults = [DENIED] * 10_000
    tuner.run()
    assert study.machine.starts == []
    assert "starts no trials beyond the money that it has" in caplog.text


def test_handing_over_keeps_what_is_put_aside_for_the_next_job() -> None:
    """The successor's job is paid with it."""
    study = Study(100.0)
    tuner = study.tuner(n_workers=1)

    class HandsOver(TunerCallback):
        def on_trial_result(self, *_: Any) -> None:
            tuner.interrupt(HANDING_OVER)

    tuner.callbacks.append(HandsOver())
    tuner.run()
    share = study.budget.book().share("cell")
    assert (share.ended, dollars(share.tuner)) == (False, 0.5)


def test_it_runs_again() -> None:
    """One tuner object may run several times: each run has an account of its own."""
    study = Study(100.0)
    tuner = study.tuner(stop_criterion=StoppingCriterion(max_num_trials_started=1))
    tuner.run()
    tuner.stop_criterion = tuner.stop_criterion.with_limits(StoppingCriterion(max_num_trials_started=2))
    tuner.run()
    assert len(study.machine.starts) == 2
    assert study.budget.book().committed == micros(study.machine.total_cost())
