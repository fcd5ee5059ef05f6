"""A slot that becomes free at the worst moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudtune.localcloud.jobs.job_life import JobLife
from tests.localcloud.jobs.place import cloud


def test_a_slot_granted_just_before_the_job_looks_at_its_orders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wake that came with the slot is forgotten with the orders: the job must have seen the slot nevertheless."""
    check = JobLife._check
    seen: list[str] = []
    with cloud(tmp_path / "c", max_running_jobs=1, stop_grace=0.1) as place:
        first = place.create("sleep", "600", name="first")
        place.wait_for(lambda: first.state.secondary == "Training")

        def late_check(life: JobLife) -> None:
            if life.job.name == "second" and not seen:
                seen.append(life.job.name)
                place.stop(first)
                place.wait_for(lambda: not place.executor.slots._waiting)
            check(life)

        monkeypatch.setattr(JobLife, "_check", late_check)
        second = place.run("true", name="second")
        assert seen
        assert second.status == "Completed"
