"""Tuners' jobs on the local cloud that share a limit of money: what the cloud itself has recorded stays below."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.localcloud import CloudSettings, LocalCloud
from cloudtune.studies.budget import BudgetRefused, BudgetUsedUp, open_budget
from cloudtune.studies.ledger import dollars
from tests.backend.sagemaker.harness import BUCKET
from tests.remote.remote_experiment import wait_until
from tests.studies.budgeted_study import NAMES, TRIAL_COST, TUNER_COST, BudgetedStudy

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def local_cloud_settings() -> CloudSettings:
    """Jobs start at once, and are killed soon where they do not heed SIGTERM."""
    return CloudSettings(stop_grace=20.0, start_delay=0.0)


def make_study(cloud: LocalCloud, folder: Path, monkeypatch: pytest.MonkeyPatch, max_cost: float) -> BudgetedStudy:
    """A study; calls are not paced."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_PRICES", str(BudgetedStudy.write_prices(folder)))
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    return BudgetedStudy(cloud, folder, max_cost)


def test_cells_share_a_small_budget(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is money for one trial of each at a time: at no moment more is committed, and both come to their end.

    A third one, for whose first trial there is no money, is not launched beside them.
    """
    max_cost = 3 * TUNER_COST + 2.1 * TRIAL_COST
    study = make_study(local_cloud, tmp_path, monkeypatch, max_cost)
    jobs = [study.launch(name, trials=5) for name in NAMES[:2]]
    with pytest.raises(BudgetUsedUp, match=NAMES[2]):
        study.launch(NAMES[2], trials=5)
    assert study.wait(*jobs) == ["Completed"] * 2
    assert 0 < study.bill() <= max_cost
    assert study.most_committed() <= max_cost + 1e-6
    assert len(study.trial_jobs()) == 2 * 5
    book = study.book()
    assert list(book.shares) == NAMES[:2]
    assert all(share.ended for share in book.shares.values())
    assert book.committed <= book.limit
    for name in NAMES[:2]:
        last = study.log(name)[-1]
        assert (last["event"], last["state"]) == ("finish", "finished")
        bills = {(e["trial"], e["attempt"]): e["dollars"] for e in study.log(name) if e["event"] == "bill"}
        assert dollars(book.share(name).trials) == pytest.approx(sum(bills.values()), abs=1e-5)
        # Its tuner's job has ended since, a while before the time that was kept for it.
        assert book.share(name).tuner <= TUNER_COST * 1_000_000
    assert sum(dollars(share.reserved) for share in book.shares.values()) >= study.bill() - 1e-6


def test_a_tuner_that_is_killed_keeps_its_share(
    local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trial goes on meanwhile, and its successor with what was put aside; further cells are refused until then."""
    max_cost = 2 * TUNER_COST + 1.2 * TRIAL_COST
    study = make_study(local_cloud, tmp_path, monkeypatch, max_cost)
    job = study.launch("cell-0", trials=2, space={"hold": 1}, use_spot=True, max_wait=8000)
    wait_until(lambda: any(entry["event"] == "report" for entry in study.log("cell-0")), "a report")
    share = study.book().share("cell-0")
    assert dollars(share.trials) == pytest.approx(TRIAL_COST, abs=0.01)
    with pytest.raises(BudgetUsedUp, match="cell-1"):
        study.launch("cell-1", trials=1)
    with pytest.raises(BudgetRefused, match="are spent or committed"):
        open_budget(study.place, 1.0)
    # What the first trial costs until it has been let go on is gone for good; a later launch may raise the limit.
    raised = max_cost + 3 * TRIAL_COST
    assert open_budget(study.place, raised) is not None
    local_cloud.interrupt_job(job, notice=False)
    wait_until(lambda: study.book().share("cell-0").owner != share.owner, "the next tuner")
    assert study.book().share("cell-0").trials >= share.trials
    for number in range(2):
        (tmp_path / str(number)).touch()
    assert study.wait(job) == ["Completed"]
    assert len({entry["trial"] for entry in study.log("cell-0") if entry["event"] == "suggest"}) == 2
    assert study.book().share("cell-0").ended
    assert study.wait(study.launch("cell-1", trials=1)) == ["Completed"]
    assert study.most_committed() <= raised + 1e-6
