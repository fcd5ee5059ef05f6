"""The small parts of the executor, each by itself."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.jobs import job_files
from cloudtune.localcloud.jobs.billing import BillingMeter
from cloudtune.localcloud.jobs.failure_reasons import MAX_CHARACTERS, JobFailed, of_os_error
from cloudtune.localcloud.jobs.image_environments import ImageEnvironment, behind_links
from cloudtune.localcloud.jobs.s3_location import S3Location
from cloudtune.localcloud.jobs.slots import Slot, Slots
from cloudtune.localcloud.jobs.timers import Timers
from cloudtune.localcloud.jobs.volume_guard import VolumeGuard, volume_limit
from cloudtune.localcloud.jobs.wakeup import Wakeup


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5)), max_size=5), st.floats(0, 0.99))
def test_bills(spans: list[tuple[float, float]], discount: float) -> None:
    """Whole seconds over all runs, at least one; never more than was used; nothing for what never began."""
    meter = BillingMeter()
    now = used = 0.0
    for pause, run in spans:
        now += pause
        meter.begin(now)
        now += run
        meter.pause(now)
        used += run
    bill = meter.bill(now + 1000, discount)
    if not spans:
        assert bill == {}
        return
    assert used <= bill["training_seconds"] + 1e-3
    assert bill["training_seconds"] <= max(1.0, used + 1.001)
    assert 1 <= bill["billable_seconds"] <= bill["training_seconds"]


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://b", "b", ""),
        ("s3://b/", "b", ""),
        ("s3://b/a/b/", "b", "a/b/"),
        ("https://s3.eu-west-1.amazonaws.com/b/a", "b", "a"),
        ("https://b.c.s3-eu-west-1.amazonaws.com/a", "b.c", "a"),
    ],
)
def test_locations(uri: str, bucket: str, key: str) -> None:
    """S3's ways to write a place."""
    assert S3Location.parse(uri) == (bucket, key)


def test_no_location() -> None:
    """What is no place in S3 fails the job, naming it."""
    with pytest.raises(JobFailed, match="file:///x"):
        S3Location.parse("file:///x")


@given(limit=st.integers(1, 3), steps=st.lists(st.integers(0, 5), max_size=30))
def test_slots(limit: int, steps: list[int]) -> None:
    """Never more are granted than there are; nobody waits while one is free; first come, first served."""
    slots = Slots(limit)
    held: list[Slot] = []
    woken: list[int] = []
    for number, step in enumerate(steps):
        if step < 3 or not held:
            held.append(slots.ask(lambda number=number: woken.append(number)))  # type: ignore[misc]
        else:
            slots.give_back(held.pop(step % len(held)))
        granted = [slot.is_granted for slot in held]
        assert sum(granted) == min(limit, len(held))
        assert granted == sorted(granted, reverse=True)
    assert woken == sorted(woken)


def test_timers() -> None:
    """Due is what was set and not dropped, in order; each once."""
    timers = Timers()
    assert timers.timeout() is None
    timers.set("late", 1000)
    timers.set("now", 0)
    timers.set("never", 0)
    timers.set_unless("late", 0)
    timers.drop("never")
    assert timers.timeout() == 0
    assert timers.due() == ["now"]
    assert timers.due() == []
    assert 0 < (timers.timeout() or 0) <= 1000


def test_wakeup() -> None:
    """A wake before the wait counts, many are one, and after the close none does harm."""
    wakeup = Wakeup()
    for _ in range(100_000):
        wakeup.wake()
    readable = select.select([wakeup], [], [], 0)[0]
    assert readable == [wakeup]
    wakeup.wait(None)
    assert select.select([wakeup], [], [], 0)[0] == []
    wakeup.close()
    wakeup.wake()
    wakeup.close()


def test_images(tmp_path: Path) -> None:
    """An image is the interpreter or the environment that the first pattern gives; else the cloud's own."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    os.symlink(sys.executable, venv / "bin" / "python")
    (venv / "pyvenv.cfg").touch()
    lonely = tmp_path / "lonely" / "python3.99"
    lonely.parent.mkdir()
    os.symlink(sys.executable, lonely)
    images = {"*pytorch*": str(venv), "*old*": str(lonely), "*": "/nowhere"}
    variables = ImageEnvironment.of(images, "x/pytorch:2").variables(str(tmp_path / "w"))
    assert variables["PATH"].startswith(f"{venv}/bin:")
    assert "PYTHONUSERBASE" not in variables
    variables = ImageEnvironment.of(images, "old").variables(str(tmp_path / "w"))
    assert variables["PATH"].startswith(f"{tmp_path}/w:{lonely.parent}:")
    assert os.access(tmp_path / "w" / "python", os.X_OK)
    assert "PYTHONUSERBASE" in variables
    with pytest.raises(JobFailed, match="/nowhere"):
        ImageEnvironment.of(images, "else")
    assert ImageEnvironment.of({}, "anything").interpreter == sys.executable


def test_the_guard_looks_oftener_where_less_is_left(tmp_path: Path) -> None:
    """A large volume is measured every half minute, a small one every second, none never."""
    assert VolumeGuard(str(tmp_path), None).pause is None
    assert VolumeGuard(str(tmp_path), 1_000_000).pause == 1.0
    assert VolumeGuard(str(tmp_path), 10**12).pause == 30.0
    assert volume_limit(None, 2) == 2 * 1024**3
    assert volume_limit(5, 2) == 5
    assert volume_limit(None, None) is None


def test_walking_where_files_vanish(tmp_path: Path) -> None:
    """A file that is gone when its turn comes is left out, as is one that became something else."""
    for name in ("a", "b", "c"):
        (tmp_path / "top" / name).mkdir(parents=True)
        (tmp_path / "top" / name / "x").write_text(name)
    found = []
    for file in job_files.walk(str(tmp_path), "top"):
        found.append(file.path)
        if file.path == "a/x":
            (tmp_path / "top" / "b" / "x").unlink()
            (tmp_path / "top" / "c" / "x").unlink()
            os.symlink("/etc/passwd", tmp_path / "top" / "c" / "x")
    assert found == ["a/x"]
    assert list(job_files.walk(str(tmp_path), "nothing")) == []


def test_what_is_told_of_errors_of_files() -> None:
    """What went wrong, but not where this machine keeps files; never more than AWS tells."""
    assert of_os_error(PermissionError(13, "Permission denied", "/tmp/private/path")) == (
        "ClientError: The files of the job cannot be handled: Permission denied"
    )
    assert "No space left on device" in of_os_error(OSError(28, "No space left on device", "/tmp/private/path"))
    assert len(of_os_error(OSError("x" * 5000))) == MAX_CHARACTERS


def test_an_environment_behind_a_link(tmp_path: Path) -> None:
    """A container has to see the environment where it really is, and the interpreter that it links to."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "python3").touch()
    (tmp_path / "real" / "bin").mkdir(parents=True)
    (tmp_path / "real" / "bin" / "python").symlink_to(tmp_path / "base" / "python3")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = behind_links(f"{tmp_path}/link/bin:/usr/bin")
    assert {str(tmp_path / "real" / "bin"), str(tmp_path / "base" / "python3")} <= set(found)
