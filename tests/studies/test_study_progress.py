"""How far the experiments of a launch are, while lists of jobs lag behind."""

from __future__ import annotations

import pytest

from cloudtune.aws.errors import Unreachable
from cloudtune.studies import study_progress
from cloudtune.studies.cell_standing import CellStanding, StudyStanding
from cloudtune.studies.status import StudyWatch
from cloudtune.studies.study_progress import Progress, driven_names, wait_until_ended
from tests.studies.launch_world import LaunchWorld


def _standing(*cells: CellStanding) -> StudyStanding:
    return StudyStanding("heights", list(cells))


def test_a_job_that_is_on_no_list_yet() -> None:
    """Right after it was created, what is known is of before; once its job, or a later one, is seen, that counts."""
    launched = {"a": "a-tuning-0-1", "b": "b-tuning-0-0"}
    before = _standing(CellStanding("a", None, "interrupted", tuner_job="a-tuning-0-0"))
    assert driven_names(before, launched) == {"a", "b"}
    seen = _standing(
        CellStanding("a", None, "interrupted", tuner_job="a-tuning-0-1"),
        CellStanding("b", None, "unfinished", tuner_job="b-tuning-0-2"),
        CellStanding("c", None, "starting", tuner_job="c-tuning-0-0"),
    )
    assert driven_names(seen, launched) == {"c"}


def test_each_line_is_news() -> None:
    """What was told is told again only once it has changed."""
    told: list[str] = []
    progress = Progress(["a", "b"], told.append)
    running = _standing(CellStanding("a", None, "running"))
    for _ in range(2):
        progress.see(running, {"a"})
    progress.see(_standing(CellStanding("a", None, "finished")), set())
    assert told == ["heights: of 2 experiments 1 running, 1 waiting", "heights: of 2 experiments 1 finished, 1 waiting"]


def test_aws_that_does_not_answer(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again for long, and in the end the failure is told."""
    monkeypatch.setattr(study_progress, "LONGEST_PAUSE", 0.01)
    failures = 0

    def failing(_watch: StudyWatch) -> StudyStanding:
        nonlocal failures
        failures += 1
        if failures % 11:
            raise Unreachable("No answer from S3; try again.", "ConnectTimeoutError")
        return _standing(CellStanding("a", None, "finished"))

    monkeypatch.setattr(StudyWatch, "look", failing)
    watch = StudyWatch(world.place())
    assert wait_until_ended(watch, ["a"], {}, world.told.append).counts == {"finished": 1}
    monkeypatch.setattr(study_progress, "_FAILURES", 5)
    with pytest.raises(Unreachable):
        wait_until_ended(watch, ["a"], {}, world.told.append)
