"""A generation taken while a script writes is of one moment, and what a killed script leaves is not trusted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudtune.agent import folder_scan
from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.checkpoint import UNFINISHED_PREFIX
from tests.agent.checkpoint_folders import (
    checkpoints_of,
    none_shipped,
    read_tree,
    task_of,
    write_in_place,
    write_tree,
)
from tests.agent.memory_s3 import MemoryS3


class Meddling(MemoryS3):
    """Does something to the folder at the first upload, after the file was read or before."""

    def __init__(self, meddle: Callable[[], None], before: bool = True) -> None:
        super().__init__()
        self._meddle: Callable[[], None] | None = meddle
        self._before = before

    def upload_file(self, path: str, key: str) -> None:
        meddle, self._meddle = self._meddle, None
        if meddle is not None and self._before:
            meddle()
        super().upload_file(path, key)
        if meddle is not None and not self._before:
            meddle()


def restored(s3: MemoryS3, folder: Path) -> dict[str, bytes | None]:
    checkpoints_of(MemoryS3(s3.objects), folder, attempt=9).restore()
    return read_tree(folder)


def replace(path: Path, content: bytes) -> None:
    unfinished = path.with_name(UNFINISHED_PREFIX + path.name)
    write_in_place(unfinished, content)
    unfinished.replace(path)


@pytest.mark.parametrize("before", [True, False])
def test_files_replaced_during_the_upload_are_saved_as_they_were(before: bool, tmp_path: Path) -> None:
    """Hard links keep the moment of the scan: the script may replace and remove files, no old one meets a new one."""
    folder = tmp_path / "a"

    def meddle() -> None:
        for name in ("a", "b"):
            replace(folder / name, b"new")
        (folder / "c").unlink()

    s3 = Meddling(meddle, before)
    write_tree(folder, {"a": b"old", "b": b"old", "c": b"old"})
    checkpoints = checkpoints_of(s3, folder)
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"a": b"old", "b": b"old", "c": b"old"}
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"a": b"new", "b": b"new"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]  # no links are left


def test_files_replaced_during_the_scan_void_the_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script replaces two files between the looks at them: an old one, known from before, never meets a new one."""
    folder = tmp_path / "a"
    state_of = folder_scan.state_of

    def late(path: str) -> folder_scan.FileState:
        if path.endswith("b"):
            monkeypatch.undo()
            for name in ("a", "b"):
                replace(folder / name, b"new")
        return state_of(path)

    s3 = MemoryS3()
    write_tree(folder, {"a": b"old", "b": b"old"})
    checkpoints = checkpoints_of(s3, folder)
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    monkeypatch.setattr(folder_scan, "state_of", late)
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert restored(s3, tmp_path / "b") == {"a": b"old", "b": b"old"}
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"a": b"new", "b": b"new"}


@pytest.mark.parametrize("before", [True, False])
def test_a_file_written_in_place_during_the_upload_voids_the_generation(before: bool, tmp_path: Path) -> None:
    """No manifest is put for a file that may be half old and half new; the next save is as good as any."""
    folder = tmp_path / "a"
    s3 = Meddling(lambda: write_in_place(folder / "a", b"new"), before)
    write_tree(folder, {"a": b"old", "b": b"old"})
    checkpoints = checkpoints_of(s3, folder)
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert not [key for key in s3.objects if "/manifests/" in key]
    uploads = len(s3.counted("upload"))
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"a": b"new", "b": b"old"}
    assert len(s3.counted("upload")) == uploads + 1  # what was whole need not go up again


@pytest.mark.parametrize("replaced", [True, False])
def test_without_hard_links_a_touched_file_voids_the_generation(
    replaced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where links cannot be made, a replaced file counts as written: never a mixture, though later a checkpoint."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    folder = tmp_path / "a"
    s3 = Meddling(lambda: (replace if replaced else write_in_place)(folder / "b", b"new"))
    write_tree(folder, {"a": b"old", "b": b"old"})
    checkpoints = checkpoints_of(s3, folder)
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert restored(s3, tmp_path / "b") == {}
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"a": b"old", "b": b"new"}


def test_a_file_that_is_cut_while_it_is_read_is_no_trouble_of_s3(tmp_path: Path) -> None:
    """Whatever the upload of a shrinking file fails with, the save counts as void and nobody is told that S3 is ill."""
    folder = tmp_path / "a"

    def cut() -> None:
        write_in_place(folder / "a", b"")
        raise OSError("cannot read so many bytes")

    notes: list[str] = []
    checkpoints = checkpoints_of(Meddling(cut), folder, notes=notes)
    write_tree(folder, {"a": b"old"})
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert notes == []


def test_a_file_must_rest_before_it_is_saved(tmp_path: Path) -> None:
    """A file that the script goes on writing within the time of rest is not even uploaded; later it is."""
    folder = tmp_path / "a"
    s3 = MemoryS3()
    writing = threading.Event()
    write_tree(folder, {"a": b"0"})

    def script() -> None:
        for number in range(10_000):
            if writing.wait(0.02):
                return
            write_in_place(folder / "a", b"%d" % number)

    thread = threading.Thread(target=script)
    thread.start()
    try:
        checkpoints = Checkpoints(s3, task_of(), 1, str(folder), settle=0.5)
        assert checkpoints.save_if_due(none_shipped, now=True) is None
        assert s3.counted("upload") == []
    finally:
        writing.set()
        thread.join()
    assert checkpoints.save_if_due(none_shipped, now=True) is not None


def test_a_script_that_never_rests_is_told(tmp_path: Path) -> None:
    """After many saves in vain people hear of it, once, with the file's name and what to use instead."""
    folder = tmp_path / "a"
    count = 0

    class Restless(MemoryS3):
        def upload_file(self, path: str, key: str) -> None:
            nonlocal count
            count += 1
            super().upload_file(path, key)
            write_in_place(folder / "log", b"%d" % count)

    notes: list[str] = []
    checkpoints = checkpoints_of(Restless(), folder, notes=notes)
    write_tree(folder, {"log": b""})
    for _ in range(30):
        assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert len(notes) == 1
    assert "log was written" in notes[0]
    assert "save_checkpoint" in notes[0]


def test_a_final_save_waits_for_what_still_writes(tmp_path: Path) -> None:
    """A process that the script has left behind writes on for a moment: the final save tries again."""
    folder = tmp_path / "a"
    s3 = Meddling(lambda: write_in_place(folder / "a", b"new"))
    write_tree(folder, {"a": b"old"})
    assert checkpoints_of(s3, folder).save_final(none_shipped) is not None
    assert restored(s3, tmp_path / "b") == {"a": b"new"}


def test_what_a_killed_script_has_just_written_is_not_trusted(tmp_path: Path) -> None:
    """A file modified within the second before the kill may be half: the last good generation stays the newest."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"model": b"whole"})
    good = checkpoints_of(s3, tmp_path / "a").save_final(none_shipped)
    notes: list[str] = []
    checkpoints = checkpoints_of(s3, tmp_path / "b", attempt=1, notes=notes)
    assert checkpoints.restore() == good
    (tmp_path / "b" / "model").write_bytes(b"half of the n")
    assert checkpoints.save_final(none_shipped, killed=True) == good
    assert restored(s3, tmp_path / "c") == {"model": b"whole"}
    assert "model was written when the script was killed" in notes[0]


def test_what_a_killed_script_has_left_alone_is_saved(tmp_path: Path) -> None:
    """Files that rested for a second before the kill count as written, however late the save comes."""
    s3 = MemoryS3()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model").write_bytes(b"whole")
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    assert checkpoints.save_final(none_shipped, killed=True, ended=time.time() + 0.5) is None
    assert checkpoints.save_final(none_shipped, killed=True, ended=time.time() + 1.5) is not None
    assert restored(s3, tmp_path / "b") == {"model": b"whole"}


def test_a_killed_script_that_was_removing_files_is_not_trusted(tmp_path: Path) -> None:
    """Half of a checkpoint is also what a removal leaves that was cut short."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"epoch-3/a": b"1", "epoch-3/b": b"1", "kept": b"1"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    good = checkpoints.save_if_due(none_shipped, now=True)
    (tmp_path / "a" / "epoch-3" / "a").unlink()
    assert checkpoints.save_final(none_shipped, killed=True) == good
    assert checkpoints.save_final(none_shipped) != good


def test_reports_made_before_are_shipped_before_the_manifest(tmp_path: Path) -> None:
    """Who resumes from a generation never skips a report: the manifest waits until they are in S3."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"m": b"1"})
    asked: list[bool] = []

    def shipped() -> int:
        asked.append(any("/manifests/" in key for key in s3.objects))
        return min(len(asked), 3) + 1

    checkpoints = Checkpoints(s3, task_of(), 1, str(tmp_path / "a"), lambda: 4, settle=0.0)
    assert checkpoints.save_if_due(shipped, now=True) is not None
    assert asked == [False] * len(asked)
    assert len(asked) >= 3
    body = next(body for key, body in s3.objects.items() if "/manifests/" in key)
    assert b'"reports":2' in body  # what was shipped before the files were read


def test_saves_keep_their_interval_and_a_tenth_of_the_time(tmp_path: Path) -> None:
    """Between two generations lies the interval; after a slow one ten times what it took; a look in vain costs none."""
    now = 1000.0
    took = 1.0

    class Slow(MemoryS3):
        def upload_file(self, path: str, key: str) -> None:
            nonlocal now
            now += took
            super().upload_file(path, key)

    s3 = Slow()
    checkpoints = Checkpoints(
        s3, task_of(interval=30), 1, str(tmp_path / "a"), clock=lambda: now, settle=0.0, patience=0.0
    )
    assert checkpoints.save_if_due(none_shipped) is None
    write_tree(tmp_path / "a", {"m": b"1"})
    assert checkpoints.save_if_due(none_shipped) is not None  # an empty look delays nothing
    write_tree(tmp_path / "a", {"m": b"2"})
    now = 1029.9
    assert checkpoints.save_if_due(none_shipped) is None
    now, took = 1030.1, 20.0
    assert checkpoints.save_if_due(none_shipped) is not None  # ends at 1050.1
    write_tree(tmp_path / "a", {"m": b"3"})
    now = 1250.0
    assert checkpoints.save_if_due(none_shipped) is None
    now = 1250.2
    assert checkpoints.save_if_due(none_shipped) is not None


def test_the_final_save_ends_one_that_is_under_way(tmp_path: Path) -> None:
    """The thread that saves while the script runs gives up at its next step; what it has uploaded is used."""
    folder = tmp_path / "a"
    write_tree(folder, {str(number): b"%d" % number for number in range(40)})
    uploading, go_on = threading.Event(), threading.Event()

    class Held(MemoryS3):
        def upload_file(self, path: str, key: str) -> None:
            uploading.set()
            assert go_on.wait(60)
            super().upload_file(path, key)

    s3 = Held()
    checkpoints = checkpoints_of(s3, folder)
    results: list[str | None] = []
    background = threading.Thread(target=lambda: results.append(checkpoints.save_if_due(none_shipped, now=True)))
    background.start()
    assert uploading.wait(60)
    final = threading.Thread(target=lambda: results.append(checkpoints.save_final(none_shipped)))
    final.start()
    while not checkpoints._hurry.is_set():
        assert final.is_alive()
    go_on.set()
    background.join()
    final.join()
    assert results[0] is None
    assert results[1] is not None
    assert len(s3.counted("upload")) == 40  # each file once
    assert len(read_tree(folder)) == 40
    assert len(restored(s3, tmp_path / "b")) == 40


def test_links_stand_for_copies_of_what_lies_inside(tmp_path: Path) -> None:
    """Links to files and folders inside are followed; what leads out, in a circle or nowhere is left out and told."""
    folder = tmp_path / "a"
    write_tree(tmp_path, {"secret": b"not yours", "secrets/key": b"not yours"})
    write_tree(folder, {"epoch-3/model": b"3", "epoch-3/deep/x": b"x"})
    (folder / "latest").symlink_to("epoch-3")
    (folder / "best").symlink_to(folder / "epoch-3" / "model")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "outs").symlink_to("../secrets")
    (folder / "nowhere").symlink_to("missing")
    (folder / "epoch-3" / "circle").symlink_to("..")
    (folder / "pipes").mkdir()
    os.mkfifo(folder / "pipes" / "pipe")
    write_in_place(folder / (UNFINISHED_PREFIX + "next"), b"half")
    (folder / "next").symlink_to(UNFINISHED_PREFIX + "next")
    notes: list[str] = []
    s3 = MemoryS3()
    checkpoints_of(s3, folder, notes=notes).save_final(none_shipped)
    assert restored(s3, tmp_path / "b") == {
        "epoch-3/model": b"3",
        "epoch-3/deep/x": b"x",
        "latest/model": b"3",
        "latest/deep/x": b"x",
        "best": b"3",
        "pipes": None,
    }
    assert len(s3.counted("upload")) == 2  # a copy in name only
    assert {note.split(" ")[0] for note in notes} == {
        "out",
        "outs",
        "nowhere",
        "epoch-3/circle",
        "latest/circle",
        "pipes/pipe",
    }
    assert len(notes) == len(set(notes))


def test_a_folder_from_the_image_that_is_a_link_is_used_where_it_leads(tmp_path: Path) -> None:
    """A checkpoint directory that is a link stays one; leftovers behind it go, links among them are not followed."""
    write_tree(tmp_path / "volume", {"leftover": b"1", "old/x": b"1"})
    write_tree(tmp_path / "elsewhere", {"precious": b"1"})
    (tmp_path / "volume" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "checkpoints").symlink_to(tmp_path / "volume")
    s3 = MemoryS3()
    checkpoints = checkpoints_of(s3, tmp_path / "checkpoints")
    assert checkpoints.restore() is None
    assert read_tree(tmp_path / "volume") == {}
    assert read_tree(tmp_path / "elsewhere") == {"precious": b"1"}
    write_tree(tmp_path / "checkpoints", {"m": b"1"})
    checkpoints.save_final(none_shipped)
    assert restored(s3, tmp_path / "b") == {"m": b"1"}
