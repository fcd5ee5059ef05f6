"""``cloudtune status``, ``logs``, ``ps`` and ``reap`` of a study, from what is said of it and from jobs' tags."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend
from cloudtune.cli import main, study_status
from cloudtune.cli.study_status import follow_study
from cloudtune.cli.study_table import HEADER, drawn
from cloudtune.config_space import choice
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.optimizer.baselines import GridSearch
from cloudtune.store.study_place import StudyPlace
from cloudtune.studies.finding import Study
from tests.cli.conftest import SCRIPT
from tests.studies.recorded_study import BUCKET, RecordedStudy, cell_of, said_of


@pytest.fixture
def study(in_process_cloud: InProcessCloud, monkeypatch: pytest.MonkeyPatch) -> RecordedStudy:
    """A study with an experiment that runs, one that has finished, and one that waits."""
    monkeypatch.setenv("CLOUDTUNE_AWS_RATES", "*=inf")
    monkeypatch.setenv("CLOUDTUNE_S3_PATH", f"s3://{BUCKET}")
    study = RecordedStudy(in_process_cloud)
    cells = [cell_of(seed) for seed in range(3)]
    study.record(*cells)
    study.begin(cells[0])
    study.say(said_of(cells[0]))
    study.say(said_of(cells[1], state="finished", why="stopping criterion reached", trials={"Completed": 8}))
    return study


def command(*arguments: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(main, [*arguments])


def run_here(name: str, folder: Path, **metadata: Any) -> None:
    """Runs an experiment on this machine."""
    script = folder / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    Tuner(
        trial_backend=LocalBackend(str(script)),
        scheduler=GridSearch({"x": choice([0.3]), "max_epochs": 1}, metric="error"),
        stop_criterion=StoppingCriterion(max_num_trials_started=1),
        n_workers=1,
        tuner_name=name,
        suffix_tuner_name=False,
        metadata=metadata,
    ).run()


def test_the_table_of_a_study(study: RecordedStudy) -> None:
    """A row for each experiment and a line about all of them; what is missing is a dash."""
    done = command("status", "heights")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == list(HEADER)
    assert lines[1].split() == ["height-RS-w4-0", "running", "5/2/1", "loss=0.25", "10", "min", "$1.50", "7", "min"]
    assert lines[2].split() == ["height-RS-w4-1", "finished", "8/0/0", "loss=0.25", "10", "min", "$1.50", "-"]
    assert lines[3].split() == ["height-RS-w4-2", "waiting", "-", "-", "-", "-", "-"]
    assert lines[4] == (
        "heights: 3 experiments (1 running, 1 waiting, 1 finished), 2 trials running, $3.00, best loss=0.25 by "
        "height-RS-w4-0"
    )


def test_a_study_as_json(study: RecordedStudy) -> None:
    """Everything that is known, as one object."""
    told = json.loads(command("status", "heights", "--json").stdout)
    assert (told["tag"], told["counts"]) == ("heights", {"running": 1, "waiting": 1, "finished": 1})
    first = told["cells"][0]
    assert (first["name"], first["state"], first["best"]) == (cell_of(0).name, "running", 0.25)
    assert first["cell"] == {"tag": "heights", "benchmark": "height", "method": "RS", "n_workers": 4, "seed": 0}
    assert first["best_config"] == {"width": 7}


def test_few_lists_from_the_command_line(study: RecordedStudy) -> None:
    """Looking for the study included, no more than five."""
    before = study.cloud.call_counts()
    assert command("status", "heights").exit_code == 0
    after = study.cloud.call_counts()
    assert sum(after[name] - before.get(name, 0) for name in after if ":List" in name) <= 5


def test_what_cannot_be_read_is_told_beside_the_table(study: RecordedStudy) -> None:
    """A damaged object costs its experiment's numbers, and nobody a traceback."""
    study.bucket.put(study.place.status_of(cell_of(1).name), b'{"format": 1, "name"')
    study.bucket.put(study.place.status_of(cell_of(2).name), b'{"format": 99}')
    done = command("status", "heights")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 5
    assert "height-RS-w4-1: what its tuner says cannot be read from s3://experiments/" in done.stderr
    assert "height-RS-w4-2: what its tuner says cannot be read" in done.stderr
    assert "a newer cloudtune wrote it" in done.stderr


def test_experiments_on_this_machine_belong_to_it(study: RecordedStudy, tmp_path: Path) -> None:
    """By the tag in their metadata, whatever there is in S3; those of another tag do not."""
    run_here("heights-height-RS-w1-0", tmp_path, tag="heights", benchmark="height", method="RS", n_workers=1, seed=0)
    run_here("heights-of-trees", tmp_path, tag="trees")
    told = json.loads(command("status", "heights", "--json").stdout)
    here = next(one for one in told["cells"] if one["name"] == "heights-height-RS-w1-0")
    assert (here["state"], here["trials"], here["metric"]) == ("finished", {"Completed": 1}, "error")
    assert here["place"].startswith(str(tmp_path))
    assert len(told["cells"]) == 4
    study.cloud.faults.add("access_denied", operation="s3:*")
    done = command("status", "heights")
    assert (done.exit_code, done.stdout.splitlines()[-1].partition(",")[0]) == (
        0,
        "heights: 1 experiment (1 finished)",
    )
    assert "S3 is not looked at" in done.stderr


def test_a_study_on_this_machine_of_somebody_without_aws(
    study: RecordedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 is not spoken of, unless the environment says that experiments lie there."""
    run_here("trees-oak", tmp_path, tag="trees")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    told = command("status", "trees")
    assert (told.exit_code, "No AWS region is set" in told.stderr) == (0, True)
    monkeypatch.delenv("CLOUDTUNE_S3_PATH")
    told = command("status", "trees")
    assert (told.exit_code, told.stderr) == (0, "")
    assert json.loads(command("status", "trees", "--json").stdout)["notes"] == []


def test_the_cause_comes_first_and_once(study: RecordedStudy) -> None:
    """Of somebody who may not list, it is no use to hear that nothing is on this machine; AWS is asked but once."""
    study.cloud.faults.add("access_denied", operation="s3:ListObjectsV2")
    for name in ("status", "logs", "stop"):
        before = len(study.cloud.calls("s3:*"))
        refused = command(name, "heights")
        assert refused.exit_code == 1
        (line,) = refused.stderr.splitlines()
        assert line.startswith("Error: s3:ListObjectsV2 of "), line
        assert "and on this machine there is no experiment 'heights' in " in line
        assert [call.operation for call in study.cloud.calls("s3:*")[before:]] == ["HeadBucket", "ListObjectsV2"]
    refused = command("status", "heights", "--s3-path", f"s3://{BUCKET}")
    assert refused.stderr.startswith("Error: s3:ListObjectsV2 of ")
    assert "on this machine" not in refused.stderr


def test_a_single_experiment_is_no_study(study: RecordedStudy, tmp_path: Path) -> None:
    """Its tuner says how it stands as well: its name shows it as ever; so does that of one on this machine."""
    single = said_of(cell_of(0), name="lonely", tag="lonely", metadata={})
    alone = StudyPlace(study.bucket, "", "lonely")
    study.bucket.put(alone.status_of("lonely"), single.to_json("n", 1))
    study.bucket.put(alone.experiment("lonely") + "remote/there", b"")
    done = command("status", "lonely")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "experiment  lonely: unfinished")
    run_here("heights", tmp_path)
    assert "experiment  heights: finished" in command("status", "heights").stdout


def test_nothing_of_that_name(study: RecordedStudy) -> None:
    """Neither experiment nor study: one line says so, and what there is."""
    done = command("status", "widths")
    assert done.exit_code == 1
    assert "there is no experiment 'widths'" in done.stderr
    assert "'heights'" in done.stderr


def test_logs_of_a_study_name_an_experiment(study: RecordedStudy) -> None:
    """By its name or by what stands behind the tag; without one, or with one that is not there, it is said how."""
    without = command("logs", "heights")
    assert (without.exit_code, "`cloudtune logs heights height-RS-w4-0`" in without.stderr) == (2, True)
    wrong = command("logs", "heights", "height-RS-w4-7")
    assert wrong.exit_code == 1
    assert "the study 'heights' has no experiment 'height-RS-w4-7'; did you mean height-RS-w4-" in wrong.stderr
    for named in ("height-RS-w4-2", cell_of(2).name):
        waiting = command("logs", "heights", named)
        assert waiting.exit_code == 1
        assert cell_of(2).name in waiting.stderr
    for bad, said in (
        (("heights", "height-RS-w4-0", "x"), "is not a valid integer"),
        (("heights", "height-RS-w4-0", "-1"), "No such option"),
        (("heights", "a", "1", "2"), "unexpected extra argument (2)"),
    ):
        refused = command("logs", *bad)
        assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output


def test_a_study_on_this_machine_alone(study: RecordedStudy, tmp_path: Path) -> None:
    """Its table and logs are there; to end what runs is the matter of who runs it."""
    run_here("trees-oak", tmp_path, tag="trees")
    assert command("status", "trees").stdout.splitlines()[1].split()[:3] == ["oak", "finished", "1/0/0"]
    logs = command("logs", "trees", "oak", "0")
    assert (logs.exit_code, "[tune-metric]" in logs.stdout) == (0, True)
    refused = command("stop", "trees")
    assert refused.exit_code == 1
    assert "no remote experiments of the study trees are to be seen (they are on this machine: trees-oak)" in (
        refused.stderr
    )


def test_stopping_tells_what_it_does(study: RecordedStudy) -> None:
    """Who was asked, and how many do not begin; the exit code says whether all went well."""
    done = command("stop", "heights", "--no-wait")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"{cell_of(0).name}: asked to end",
        "1 experiment not launched yet; `cloudtune launch` goes on with the study",
    ]
    study.cloud.faults.add("access_denied", operation="s3:GetObject", resource="*/remote/*")
    failed = command("stop", "heights", "--no-wait")
    assert failed.exit_code == 1
    assert f"{cell_of(0).name}: could not be ended: s3:GetObject of " in failed.stderr


class Steps:
    """A study that goes on by a step each time that somebody looks."""

    tag = "heights"

    def __init__(self, study: RecordedStudy, *steps: Any) -> None:
        self._study, self._steps = Study("heights", study.place), list(steps)

    def standing(self) -> Any:
        if self._steps:
            self._steps.pop(0)()
        return self._study.standing()


def finish(study: RecordedStudy) -> list[Any]:
    """What happens until all experiments have ended."""
    cells = [cell_of(seed) for seed in range(3)]
    return [
        lambda: None,
        lambda: study.say(said_of(cells[2], state="failed", why="too many failed trials")),
        lambda: study.say(said_of(cells[0], state="finished", reports=99)),
    ]


def test_following_a_study_elsewhere_than_on_a_terminal(
    study: RecordedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each change of a state and of the sums; the table at the end."""
    follow_study(Steps(study, *finish(study)), interval=0.0)  # type: ignore[arg-type]
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert "height-RS-w4-2: waiting" in lines
    assert "height-RS-w4-2: failed, trials 5/2/1, best loss=0.25 (too many failed trials)" in lines
    assert sum(line.startswith("height-RS-w4-0: ") for line in lines) == 2
    assert told.out.splitlines()[-1].startswith("heights: 3 experiments (2 finished, 1 failed)")


def test_following_a_study_on_a_terminal(
    study: RecordedStudy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is drawn anew in its place."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    follow_study(Steps(study, *finish(study)), interval=0.0)  # type: ignore[arg-type]
    drawn_text = screen.getvalue()
    assert "\x1b[" in drawn_text
    assert drawn_text.count("3 experiments (1 running, 1 waiting, 1 finished)") >= 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("heights: 3 experiments (2 finished, 1 failed)")


def test_s3_that_does_not_answer_for_a_while(study: RecordedStudy, capsys: pytest.CaptureFixture[str]) -> None:
    """Following goes on with the next look."""
    from cloudtune.aws.errors import Throttled

    def fail() -> None:
        raise Throttled("S3 is busy.")

    follow_study(Steps(study, fail, fail, *finish(study)), interval=0.0)  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert told.count("S3 is busy. Trying again") == 1


def test_ctrl_c_ends_following_alone(
    study: RecordedStudy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said that the study goes on; nothing of it was asked to end."""

    def press() -> None:
        raise KeyboardInterrupt

    follow_study(Steps(study, press), interval=0.0)  # type: ignore[arg-type]
    assert "the study heights goes on" in capsys.readouterr().err
    assert study_status.INTERVAL > 0


def test_a_low_terminal_shows_what_runs(study: RecordedStudy) -> None:
    """Of more experiments than there are lines, those that wait give way, and it is said how many."""
    study.record(*[cell_of(seed) for seed in range(3, 40)])
    console = Console(file=io.StringIO(), width=120)
    console.print(drawn(Study("heights", study.place).standing(), height=10))
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    assert "height-RS-w4-0" in text
    assert "(36 more experiments not shown)" in text
    assert len(text.splitlines()) <= 10


def test_jobs_of_a_study(study: RecordedStudy) -> None:
    """``ps TAG`` lists its jobs and no other's, ``reap TAG`` ends them."""
    study.tag_job(cell_of(0))
    other = cell_of(0, tag="widths")
    study.begin(other)
    study.tag_job(other)
    listed = json.loads(command("ps", "heights", "--json").stdout)
    assert [(row["experiment"], row["tag"], row["trial"]) for row in listed] == [(cell_of(0).name, "heights", "tuner")]
    assert len(json.loads(command("ps", "--json").stdout)) == 2
    assert "no training job of nothing runs" in command("ps", "nothing").stdout
    reaped = command("reap", "heights", "--yes", "--json")
    assert reaped.exit_code == 0, reaped.output
    assert json.loads(reaped.stdout)["stopped"] == [listed[0]["name"]]
    left = json.loads(command("ps", "--json").stdout)
    assert [row["tag"] for row in left if row["state"] not in ("Stopping",)] == ["widths"]
