"""``cloudtune report``: experiments of this machine and of S3, while they run too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudtune.agent import protocol
from cloudtune.cli import main
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.remote.tuner_job import TunerPlace
from cloudtune.store.places import experiment_path
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.cell import Cell
from cloudtune.studies.plan import Plan
from cloudtune.studies.settings import CellSettings
from tests.aws.conftest import training_request
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, header, opened_in_s3
from tests.experiments.recorded import THREE_TRIALS, record, recorded, row, trial
from tests.experiments.report.studies import Page, check
from tests.experiments.studies_in_s3 import ended, place, running
from tests.store.opened_s3 import forget
from tests.studies.recorded_study import RecordedStudy, cell_of

__all__ = ["account"]

FAILED = {
    "event": "end",
    "trial": 0,
    "attempt": 0,
    "outcome": "failed",
    "reason": "exit code 1\nlast lines of its output:\nRuntimeError: too <b>hot</b>",
    "exit_code": 1,
    "time": 6.0,
    "status": "Failed",
}
FINISHED = {"event": "finish", "why": "enough", "state": "finished", "time": 9.0}


def run(*arguments: str) -> Result:
    """Runs the command."""
    return CliRunner().invoke(main, ["report", *arguments])


def page_of(path: Path) -> Page:
    """A page that was written, which is what a page is to be."""
    page = Page(path.read_text(encoding="utf-8"))
    check(page)
    return page


def of_cell(method: str, seed: int, tag: str = "study") -> dict[str, Any]:
    """Metadata of an experiment of a study."""
    return {"tag": tag, "benchmark": "digits", "method": method, "n_workers": 4, "seed": seed}


def states(page: Page) -> dict[str, str]:
    """Experiment -> state."""
    return {one["experiment"]: one["state"] for one in page.table("experiment")}


def test_the_command_explains_itself() -> None:
    """``--help`` shows how the command is typed, and needs nothing that is slow to import."""
    program = (
        "import sys; from cloudtune.cli import main; main(['report', '--help'], standalone_mode=False); "
        "sys.exit(', '.join({'numpy', 'pandas', 'rich', 'boto3', 'botocore', 'dill'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cloudtune report tmlr-10" in done.stdout.partition("Example:")[2]


def test_a_study_of_this_machine(tmp_path: Path) -> None:
    """All experiments with the tag, failures as their logs tell them, and the flags that their metadata tell."""
    for method in ("RS", "ASHA"):
        for seed in (2, 3):
            name = f"study-digits-{method}-w4-{seed}"
            recorded(name, header(name), *THREE_TRIALS, FAILED, FINISHED, **of_cell(method, seed))
    recorded("another", header("another"), *THREE_TRIALS)
    done = run("study", "-o", str(tmp_path / "pages" / "study.html"))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"wrote {tmp_path}/pages/study.html: 4 experiments, ")
    page = page_of(tmp_path / "pages" / "study.html")
    assert set(states(page).values()) == {"finished"}
    assert page.text.count("RuntimeError: too <b>hot</b>") == 4
    assert (
        "cloudtune launch --experiment_tag study --benchmark digits --method ASHA RS --n_workers 4 --num_seeds 2 "
        "--start_seed 2"
    ) in page.text
    runs = [curve["runs"] for curve in page.data["comparison-0"][0]["panels"][0]["curves"]]
    assert runs == [2, 2]


def test_the_page_goes_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``-o`` it is called after the study; a single experiment has a page, too, also while it runs here."""
    monkeypatch.chdir(tmp_path)
    store = record("alone", header("alone"), *THREE_TRIALS)
    done = run("alone")
    store.close()
    assert done.exit_code == 0, done.output
    page = page_of(tmp_path / "alone.html")
    assert states(page) == {"alone": "running"}
    assert "begun by scripts of their own" in page.text


def test_a_damaged_experiment_does_not_keep_the_others_from_their_page(tmp_path: Path) -> None:
    """What is wrong with it is told in a warning and on the page."""
    for seed in (0, 1):
        name = f"study-digits-RS-w4-{seed}"
        recorded(name, header(name), *THREE_TRIALS, FINISHED, **of_cell("RS", seed))
    log = experiment_path("study-digits-RS-w4-1") / "log" / "000001.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"event":"report"', b'"event:"report"', 1))
    done = run("study", "-o", str(tmp_path / "page.html"))
    assert done.exit_code == 0, done.output
    page = page_of(tmp_path / "page.html")
    assert states(page) == {"study-digits-RS-w4-0": "finished", "study-digits-RS-w4-1": "unfinished"}
    assert "study-digits-RS-w4-1 is damaged: the event log is damaged" in page.text


def test_a_study_that_is_nowhere() -> None:
    """One line says where it was looked for, and no file is written."""
    done = run("nothing")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "there is no study or experiment 'nothing' on this machine, nor can one be read from S3" in line
    assert not Path("nothing.html").exists()


def put(study: StudyPlace, cell: Cell) -> None:
    """Records a cell, as a launcher does."""
    from cloudtune.studies.cell_record import CellRecord

    study.bucket.put(study.cell(cell.name), CellRecord(cell, CellSettings(), {}, ()).to_json())


def test_a_study_in_s3(account: LocalCloud, tmp_path: Path) -> None:
    """Finished, running and waiting experiments, the plans that were launched, and what tuners have cost."""
    study = place()
    cells = [Cell("study", "digits", "RS", 4, seed) for seed in range(3)]
    for cell in cells:
        put(study, cell)
    plan = Plan("study", ("digits",), ("RS",), (4,), num_seeds=3, settings=CellSettings(random_seed=5, use_spot=True))
    study.bucket.put(study.plans + "abc.json", plan.to_json().encode())
    ended(cells[0].name, *THREE_TRIALS, FAILED, **of_cell("RS", 0))
    store = running(cells[1].name, *THREE_TRIALS)
    tuner = TunerPlace(study.bucket, study.experiment(cells[0].name))
    study.bucket.put(f"{tuner.keys.prefix}trials/0/0/task.json", b"{}")
    account.client("sagemaker").create_training_job(
        **training_request(tuner.job_name(cells[0].name, 0), Environment={protocol.ENV_PLACE: tuner.uri})
    )
    done = run("study", "-o", str(tmp_path / "page.html"))
    store.close()
    assert done.exit_code == 0, done.output
    page = page_of(tmp_path / "page.html")
    assert list(states(page)) == [cell.name for cell in cells]
    assert states(page)[cells[0].name] == "finished"
    assert states(page)[cells[2].name] == "waiting"
    assert f"from the experiments in s3://{DEFAULT_BUCKET}/cloudtune/study/" in page.text
    assert "RuntimeError: too <b>hot</b>" in page.text
    assert (
        "cloudtune launch --experiment_tag study --benchmark digits --method RS --n_workers 4 --num_seeds 3 "
        "--random_seed 5 --use_spot 1 --region us-east-1 --local_cloud 1"
    ) in page.text
    assert "cloudtune report study --region us-east-1" in page.text
    assert page.table("methods")[0]["seeds"] == "0 to 2"
    found = next(table for table in page.tables if "tuner's cost" in table[0])
    by_name = {one[0]: one[2] for one in found[1:]}
    assert by_name[cells[0].name].startswith("$")


def test_a_running_study_is_shown_as_it_is_now(account: LocalCloud, tmp_path: Path) -> None:
    """The page is made again while the study goes on: what has come since is on it."""
    name = "study-digits-RS-w4-0"
    put(place(), Cell("study", "digits", "RS", 4, 0))
    store = running(name, trial(0, lr=0.5), row(0, 1.0, loss=0.75, epoch=1))
    reports = []
    for loss in (0.5, 0.25):
        done = run("study", "-o", str(tmp_path / "page.html"))
        assert done.exit_code == 0, done.output
        reports.append(page_of(tmp_path / "page.html").table("experiment")[0]["best value"])
        store.append([row(0, 2.0 / loss, loss=loss, epoch=2)])
        store.flush()
    store.close()
    assert reports == ["loss 0.75", "loss 0.5"]


def test_what_the_study_says_of_an_experiment_counts(in_process_cloud: InProcessCloud, tmp_path: Path) -> None:
    """Its tuner is gone, as its log tells; but another one is on its way, as the study knows from its job."""
    study, cell = RecordedStudy(in_process_cloud), cell_of(0)
    study.record(cell)
    forget(opened_in_s3(cell.name, header(cell.name), *THREE_TRIALS, tag="heights", place="s3://experiments"))
    seen = []
    for name in ("gone", "starting"):
        done = run("heights", "-o", str(tmp_path / name), "--s3-path", "s3://experiments")
        assert done.exit_code == 0, done.output
        assert "load_experiments_df('heights', s3_path='s3://experiments')" in page_of(tmp_path / name).text
        assert "cloudtune report heights --s3-path s3://experiments" in page_of(tmp_path / name).text
        seen.append(states(page_of(tmp_path / name))[cell.name])
        if name == "gone":
            study.begin(cell)
    assert seen == ["running", "starting"]


def test_a_single_experiment_in_s3(account: LocalCloud, tmp_path: Path) -> None:
    """By ``TAG/NAME``; others of its tag are not on the page."""
    for name in ("one", "two"):
        ended(name, tag="mine")
    done = run("mine/two", "-o", str(tmp_path / "page.html"), "--s3-path", f"s3://{DEFAULT_BUCKET}")
    assert done.exit_code == 0, done.output
    page = page_of(tmp_path / "page.html")
    assert states(page) == {"two": "finished"}
    assert "cloudtune report mine/two" in page.text
