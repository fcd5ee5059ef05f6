"""How the experiments of a study stand, from what is said of them in S3 and the jobs of their tuners."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cloudtune.aws.s3 import Bucket
from cloudtune.localcloud.in_process import InProcessCloud
from cloudtune.store.results import read_results
from cloudtune.store.results_object import Heading, PackedTable, running_object, table_object
from cloudtune.studies.cell import Cell
from cloudtune.studies.status import StudyWatch, study_standing
from cloudtune.studies.stop_mark import put_stop_mark
from tests.studies.recorded_study import RecordedStudy, cell_of, job_of, said_of


@pytest.fixture
def study(in_process_cloud: InProcessCloud) -> RecordedStudy:
    """A study of which nothing is recorded yet."""
    return RecordedStudy(in_process_cloud)


def states(study: RecordedStudy) -> dict[str, str]:
    """Name -> state."""
    return {one.name: one.state for one in study_standing(study.place).cells}


def test_nothing_is_recorded(study: RecordedStudy) -> None:
    """There are no cells, and SageMaker is not asked."""
    standing = study_standing(study.place)
    assert (standing.cells, standing.counts, standing.cost, standing.best) == ([], {}, 0, None)
    assert study.cloud.calls("sagemaker:*") == []


def test_a_cell_from_its_record_to_its_end(study: RecordedStudy) -> None:
    """Waiting, starting, running, finished: each as soon as somebody tells."""
    cell = cell_of(0)
    study.record(cell)
    (waiting,) = study_standing(study.place).cells
    assert (waiting.name, waiting.cell, waiting.state, waiting.last_sign) == (cell.name, cell, "waiting", None)
    job = study.begin(cell)
    (starting,) = study_standing(study.place).cells
    assert (starting.state, starting.tuner_job, starting.is_driven) == ("starting", job, True)
    study.say(said_of(cell))
    (running,) = study_standing(study.place).cells
    assert (running.state, running.why, running.cell) == ("running", "", cell)
    assert running.trials == {"InProgress": 2, "Completed": 5, "Failed": 1}
    assert (running.best, running.best_trial, running.best_config) == (0.25, 3, {"width": 7})
    assert (running.metric, running.seconds, running.cost) == ("loss", 600.0, 1.5)
    assert running.left == 400.0
    study.say(said_of(cell, state="finished", why="stopping criterion reached"))
    study.end(cell)
    (finished,) = study_standing(study.place).cells
    assert (finished.state, finished.why, finished.left) == ("finished", "stopping criterion reached", None)


def test_a_tuner_that_is_gone(study: RecordedStudy) -> None:
    """Its job has ended although it said it ran, or before it said anything: unfinished, with the reason."""
    killed, never_began, stopped = (cell_of(seed) for seed in range(3))
    study.record(killed, never_began, stopped)
    for cell in (killed, never_began, stopped):
        study.begin(cell)
    study.say(said_of(killed))
    study.end(killed, "Failed", "AlgorithmError: the machine is gone, exit code: 137")
    study.end(never_began, "Failed", "ClientError: the image cannot be pulled")
    study.end(stopped, "Stopped")
    told = study_standing(study.place).by_name
    assert {one.state for one in told.values()} == {"unfinished"}
    assert "the machine is gone" in told[killed.name].why
    assert "the image cannot be pulled" in told[never_began.name].why
    assert told[stopped.name].why == f"training job {job_of(stopped)} was stopped"


def put_results(study: RecordedStudy, cell: Cell, state: str = "finished") -> None:
    """What the tuner of a cell writes last but for how it stands; or first, if it runs."""
    if state == "running":
        body = running_object(cell.name, 1, 3)
    else:
        table = PackedTable.of(read_results([]))
        body = table_object(Heading(cell.name, state, 1, 7, table.rows), table, {})
    study.bucket.put(study.place.results_of(cell.name), body)


def test_an_end_whose_last_word_has_not_arrived(study: RecordedStudy) -> None:
    """The results, which come before it, tell that the experiment has finished; they are read once."""
    cells = [cell_of(seed) for seed in range(4)]
    for cell, state in zip(cells, ("finished", "finished", "interrupted", "running"), strict=True):
        study.record(cell)
        study.begin(cell)
        if cell is not cells[1]:
            study.say(said_of(cell))
        put_results(study, cell, state)
        assert states(study)[cell.name] != "finished", "its job has not ended"
        study.end(cell)
    watch = StudyWatch(study.place)
    assert [one.state for one in watch.look().cells] == ["finished", "finished", "unfinished", "unfinished"]
    read = len(study.cloud.calls("s3:GetObject"))
    assert [one.state for one in watch.look().cells] == ["finished", "finished", "unfinished", "unfinished"]
    assert len(study.cloud.calls("s3:GetObject")) == read


def test_results_of_an_earlier_tuner_are_no_end(study: RecordedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one has begun since, and is gone without a word; nor are results that cannot be read."""
    older, damaged = cell_of(0), cell_of(1)
    put_results(study, older)
    study.bucket.put(study.place.results_of(damaged.name), b"no results")
    # By S3's clock they were there before the tuner has said that it runs.
    real = study.bucket.list
    monkeypatch.setattr(
        Bucket,
        "list",
        lambda _, prefix: [replace(one, age_seconds=9.0 if "/results/" in one.key else 5.0) for one in real(prefix)],
    )
    for cell in (older, damaged):
        study.begin(cell)
        study.say(said_of(cell))
        study.end(cell)
    assert set(states(study).values()) == {"unfinished"}


def test_a_launch_after_the_end(study: RecordedStudy) -> None:
    """The newest job counts: where a later one is on its way, what the earlier tuner has said is past."""
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell, state="interrupted", why="interrupted by SIGTERM"))
    study.end(cell)
    assert states(study) == {cell.name: "interrupted"}
    study.begin(cell, attempt=1)
    assert states(study) == {cell.name: "starting"}
    study.say(said_of(cell, job=job_of(cell, 1)))
    assert states(study) == {cell.name: "running"}


def test_a_study_of_the_same_tag_elsewhere(study: RecordedStudy) -> None:
    """Jobs of its tuners are called alike: they are told as those of ours only where ours were launched."""
    waiting, running = cell_of(0), cell_of(1)
    study.record(waiting, running)
    elsewhere = RecordedStudy(study.cloud, prefix="another/place")
    for cell in (waiting, running):
        elsewhere.begin(cell)
    study.say(said_of(running, job=job_of(running, 7)))
    assert states(study) == {waiting.name: "waiting", running.name: "running"}
    assert states(elsewhere) == {}
    elsewhere.record(waiting)
    assert states(elsewhere) == {waiting.name: "starting"}


def test_our_job_behind_a_newer_one_that_is_called_alike(study: RecordedStudy) -> None:
    """Ours is found all the same, before its tuner has said anything."""
    cell = cell_of(0)
    elsewhere = RecordedStudy(study.cloud, prefix="another/place")
    study.record(cell)
    study.begin(cell)
    elsewhere.begin(cell, attempt=1)
    (found,) = study_standing(study.place).cells
    assert (found.state, found.tuner_job) == ("starting", job_of(cell))


def test_handing_over(study: RecordedStudy) -> None:
    """A tuner that creates its successor has ended, and its experiment has not."""
    cell = cell_of(0)
    study.begin(cell)
    study.say(said_of(cell, state="interrupted", why="handing over to another job"))
    (standing,) = study_standing(study.place).cells
    assert (standing.state, standing.why) == ("running", "handing over to another job")


def test_experiments_that_are_asked_for(study: RecordedStudy) -> None:
    """Only these, in their order, also those of which nothing is recorded."""
    cells = [cell_of(seed) for seed in range(4)]
    study.record(*cells[:3])
    names = [cells[3].name, cells[1].name]
    assert [(one.name, one.state) for one in study_standing(study.place, names).cells] == [
        (names[0], "waiting"),
        (names[1], "waiting"),
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (said_of(cell_of(0)).to_json("n", 1)[:200], "not all of it"),
        (b"[]", "not what a tuner writes"),
        (b'{"format": 2}', "a newer cloudtune wrote it"),
        (b'{"format": 1, "state": "running"}', "lacks a part"),
        (said_of(cell_of(0)).to_json("n", 1).replace(b'"running"', b'"dancing"'), "no state is called dancing"),
    ],
)
def test_what_cannot_be_read_is_named(study: RecordedStudy, body: bytes, said: str) -> None:
    """Damaged, half-written, or written by a newer cloudtune: the experiment is there, and what is wrong is told."""
    cell, other = cell_of(0), cell_of(1)
    study.record(cell, other)
    study.begin(cell)
    study.bucket.put(study.place.status_of(cell.name), body)
    told = study_standing(study.place).by_name
    assert told[other.name].damage == ""
    assert said in told[cell.name].damage
    assert f"_study/status/{cell.name}.json" in told[cell.name].damage
    assert (told[cell.name].state, told[cell.name].cell) == ("running", cell)
    study.end(cell)
    assert states(study)[cell.name] == "unfinished"


def test_a_damaged_record_is_named(study: RecordedStudy) -> None:
    """Which cell it is nobody knows; that there is one is told."""
    cell = cell_of(0)
    study.bucket.put(study.place.cell(cell.name), b'{"cell"')
    (standing,) = study_standing(study.place).cells
    assert (standing.cell, standing.state) == (None, "waiting")
    assert f"_study/cells/{cell.name}.json" in standing.damage


def test_what_somebody_else_has_put_there(study: RecordedStudy) -> None:
    """Metadata of one's own that look like a cell and are another one's are no cell; other objects are passed over."""
    cell = cell_of(0)
    study.say(said_of(cell, metadata={**said_of(cell).metadata, "seed": 7}))
    study.bucket.put(study.place.budget, b"{}")
    (standing,) = study_standing(study.place).cells
    assert (standing.name, standing.cell) == (cell.name, None)


def test_without_a_look_at_jobs(study: RecordedStudy) -> None:
    """Who may read the bucket and no more is told what tuners have said, and that nothing else was looked at."""
    waiting, running, finished = (cell_of(seed) for seed in range(3))
    study.record(waiting)
    study.say(said_of(running))
    study.say(said_of(finished, state="finished"))
    study.cloud.faults.add("access_denied", operation="sagemaker:*")
    standing = study_standing(study.place)
    assert {one.name: one.state for one in standing.cells} == {
        waiting.name: "waiting",
        running.name: "running",
        finished.name: "finished",
    }
    (note,) = standing.notes
    assert "tuners' training jobs are not looked at" in note


def test_sums_over_a_study(study: RecordedStudy) -> None:
    """How many are in which state, what it has cost, and which is best, by the metric's mode."""
    cells = [cell_of(seed) for seed in range(3)]
    for number, cell in enumerate(cells):
        best = said_of(cell).best
        assert best is not None
        study.say(said_of(cell, state="finished", mode="max", best=type(best)("loss", float(number), 0, {})))
    study.record(cell_of(9))
    standing = study_standing(study.place)
    assert standing.counts == {"waiting": 1, "finished": 3}
    assert standing.cost == pytest.approx(4.5)
    assert standing.best is not None
    assert standing.best.name == cells[2].name
    told = json.loads(json.dumps(standing.as_object()))
    assert (told["best"], told["counts"]["finished"], len(told["cells"])) == (cells[2].name, 3, 4)


def test_values_of_several_metrics_have_no_best(study: RecordedStudy) -> None:
    """Losses and accuracies are not compared."""
    study.say(said_of(cell_of(0)))
    study.say(said_of(cell_of(1), metric="accuracy", mode="max"))
    assert study_standing(study.place).best is None


def test_a_mark_to_stop(study: RecordedStudy) -> None:
    """Each mark is another one: whoever noted the one before sees that there is a new one."""
    assert study_standing(study.place).stop_mark == ""
    first = put_stop_mark(study.place)
    assert study_standing(study.place).stop_mark == first
    assert put_stop_mark(study.place) != first
    assert study_standing(study.place).stop_mark != first


def test_another_look_reads_what_has_changed(study: RecordedStudy) -> None:
    """One listing, one list of jobs, and the objects that are others now."""
    cells = [cell_of(seed) for seed in range(5)]
    study.record(*cells)
    for cell in cells[1:]:
        study.begin(cell)
        study.say(said_of(cell))
    watch = StudyWatch(study.place)
    assert [one.state for one in watch.look().cells] == ["waiting", *["running"] * 4]
    study.say(said_of(cells[2], reports=41))
    before = study.cloud.call_counts()
    assert [one.reports for one in watch.look().cells] == [0, 40, 41, 40, 40]
    after = study.cloud.call_counts()
    made = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert made == {"s3:ListObjectsV2": 1, "s3:GetObject": 1, "sagemaker:ListTrainingJobs": 1}


def test_many_cells_take_few_lists(study: RecordedStudy) -> None:
    """A hundred, some of which have had two jobs, beside the jobs of other studies: five lists at the most."""
    cells = [cell_of(seed, method) for method in ("RS", "ASHA") for seed in range(50)]
    study.record(*cells)
    for seed in range(30):
        study.begin(cell_of(seed, tag="another"))
    for cell in cells[1:]:
        study.begin(cell)
    for cell in cells[1:40]:
        study.end(cell, "Stopped")
        study.begin(cell, attempt=1)
        study.say(said_of(cell, job=job_of(cell, 1)))
    before = study.cloud.call_counts()
    standing = study_standing(study.place)
    after = study.cloud.call_counts()
    assert standing.counts == {"running": 39, "starting": 60, "waiting": 1}
    lists = {name: after[name] - before.get(name, 0) for name in after if ":List" in name or ":Search" in name}
    assert sum(lists.values()) <= 5
