"""Checkpoints of a job: what is restored is exactly what one generation held."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.agent.checkpoints import Checkpoints
from cloudtune.agent.s3_errors import S3Denied, S3NotFound, S3Unreachable
from cloudtune.checkpoint import UNFINISHED_PREFIX, save_checkpoint
from tests.agent.checkpoint_folders import (
    KEYS,
    checkpoints_of,
    kept,
    none_shipped,
    read_tree,
    task_of,
    trees,
    write_in_place,
    write_tree,
)
from tests.agent.memory_s3 import Crash, MemoryS3


def restored(s3: MemoryS3, folder: Path, attempt: int = 1, run: int = 1) -> dict[str, bytes | None]:
    """What a later job finds in its checkpoint directory."""
    checkpoints_of(MemoryS3(s3.objects), folder, attempt=attempt, run=run).restore()
    return read_tree(folder)


@given(tree=trees, leftovers=trees)
def test_any_tree_comes_back_and_nothing_else(
    tree: dict[str, bytes | None], leftovers: dict[str, bytes | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Files, contents and empty folders are restored; unfinished files and what lay in the folder before are not."""
    tmp_path = tmp_path_factory.mktemp("tree")
    s3 = MemoryS3()
    write_tree(tmp_path / "saved", tree)
    name = checkpoints_of(s3, tmp_path / "saved").save_final(none_shipped)
    assert (name is None) == (kept(tree) == {})
    write_tree(tmp_path / "restored", leftovers)
    assert restored(s3, tmp_path / "restored") == kept(tree)


@given(states=st.lists(trees, min_size=1, max_size=4), moment=st.integers(0, 40), data=st.data())
def test_a_job_may_die_between_any_two_calls(
    states: list[dict[str, bytes | None]],
    moment: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Wherever a job dies, the next one finds one of the trees that were saved, whole, never older than promised."""
    tmp_path = tmp_path_factory.mktemp("crash")
    s3 = MemoryS3()
    s3.crash_at(moment)
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    promised: dict[str, bytes | None] = {}
    saving: dict[str, bytes | None] = {}
    try:
        for tree in states:
            if data.draw(st.booleans(), "leave what was there"):
                free = {path for path in tree if not (tmp_path / "a" / path.partition("/")[0]).exists()}
                tree = {path: content for path, content in tree.items() if path in free}
            else:
                shutil.rmtree(tmp_path / "a", ignore_errors=True)
            write_tree(tmp_path / "a", tree)
            saving = kept(read_tree(tmp_path / "a"))
            checkpoints.save_if_due(none_shipped, now=True)
            promised = saving
    except Crash:
        pass
    assert restored(s3, tmp_path / "b") in (promised, saving)


@given(tree=trees, lost=st.integers(0, 4))
def test_writes_that_s3_confirms_and_loses_are_repeated(
    tree: dict[str, bytes | None], lost: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A generation is there as a whole although S3 lost some of its first writes without a word."""
    tmp_path = tmp_path_factory.mktemp("lost")
    s3 = MemoryS3()
    s3.lose_writes = lost
    write_tree(tmp_path / "a", tree)
    name = checkpoints_of(s3, tmp_path / "a").save_if_due(none_shipped, now=True)
    assert (name is None) == (kept(tree) == {})
    assert restored(s3, tmp_path / "b") == kept(tree)


def test_unchanged_files_are_not_uploaded_again(tmp_path: Path) -> None:
    """A generation refers to the objects of earlier ones, of earlier jobs too; a file with two names is one object."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"big": b"x" * 1000, "epoch": b"1"})
    os.link(tmp_path / "a" / "big", tmp_path / "a" / "same")
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    checkpoints.save_if_due(none_shipped, now=True)
    assert len(s3.counted("upload")) == 2
    write_in_place(tmp_path / "a" / "epoch", b"2")
    checkpoints.save_if_due(none_shipped, now=True)
    assert len(s3.counted("upload")) == 3
    later = checkpoints_of(s3, tmp_path / "b", attempt=1)
    later.restore()
    write_in_place(tmp_path / "b" / "epoch", b"3")
    later.save_final(none_shipped)
    assert len(s3.counted("upload")) == 4
    assert restored(s3, tmp_path / "c", attempt=2) == {"big": b"x" * 1000, "same": b"x" * 1000, "epoch": b"3"}


def test_a_change_behind_a_restored_date_is_seen(tmp_path: Path) -> None:
    """A file written in place whose size and date are as before (cp -p, touch -r) is not taken for the old one."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"m": b"old"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    checkpoints.save_if_due(none_shipped, now=True)
    before = (tmp_path / "a" / "m").stat()
    while (tmp_path / "a" / "m").stat().st_ctime_ns == before.st_ctime_ns:
        (tmp_path / "a" / "m").write_bytes(b"new")
        os.utime(tmp_path / "a" / "m", ns=(before.st_mtime_ns, before.st_mtime_ns))
    checkpoints.save_if_due(none_shipped, now=True)
    assert restored(s3, tmp_path / "b") == {"m": b"new"}


def test_without_a_change_there_is_no_generation(tmp_path: Path) -> None:
    """Neither an empty folder, nor a restored one, nor one saved a moment ago costs a single write."""
    s3 = MemoryS3()
    empty = checkpoints_of(s3, tmp_path / "a")
    assert empty.save_if_due(none_shipped, now=True) is None
    assert empty.save_final(none_shipped) is None
    write_tree(tmp_path / "a", {"m": b"1", "d": None})
    first = empty.save_if_due(none_shipped, now=True)
    assert first is not None
    later = checkpoints_of(s3, tmp_path / "b", attempt=1)
    assert later.restore() == first
    calls = len(s3.calls)
    assert later.save_if_due(none_shipped, now=True) is None
    assert later.save_final(none_shipped) == empty.save_final(none_shipped) == first
    assert len(s3.calls) == calls


def test_permissions_and_emptiness_are_changes(tmp_path: Path) -> None:
    """A file made executable, and a folder in which nothing is left, come back as they were."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"run.sh": b"echo"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    checkpoints.save_if_due(none_shipped, now=True)
    (tmp_path / "a" / "run.sh").chmod(0o750)
    checkpoints.save_if_due(none_shipped, now=True)
    restored(s3, tmp_path / "b")
    assert (tmp_path / "b" / "run.sh").stat().st_mode & 0o777 == 0o750
    (tmp_path / "a" / "run.sh").unlink()
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {}


@pytest.mark.parametrize("damage", [b"changed!!", b"cut", None], ids=["changed", "cut", "gone"])
def test_a_generation_with_a_lost_object_is_passed_over(damage: bytes | None, tmp_path: Path) -> None:
    """The newest generation that is whole is restored; one with a damaged file is not, nor half of it."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"m": b"epoch one"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    first = checkpoints.save_if_due(none_shipped, now=True)
    write_tree(tmp_path / "a", {"m": b"epoch two", "n": b"more"})
    second = checkpoints.save_if_due(none_shipped, now=True)
    assert second is not None
    key = next(key for key, body in s3.objects.items() if body == b"epoch two")
    if damage is None:
        del s3.objects[key]
    else:
        s3.objects[key] = damage
    notes: list[str] = []
    later = checkpoints_of(MemoryS3(s3.objects), tmp_path / "b", attempt=1, notes=notes)
    assert later.restore() == first
    assert read_tree(tmp_path / "b") == {"m": b"epoch one"}
    assert second in notes[0]


def test_an_object_that_vanishes_during_the_restore_leaves_no_half(tmp_path: Path) -> None:
    """An object that is deleted between listing and download: the generation before it is restored, and only that."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"a": b"1", "z": b"1"})
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    checkpoints.save_if_due(none_shipped, now=True)
    write_tree(tmp_path / "a", {"a": b"22", "b": b"22", "z": b"22"})
    checkpoints.save_if_due(none_shipped, now=True)

    class Vanishing(MemoryS3):
        def download_file(self, key: str, path: str) -> None:
            if self.objects[key] == b"22" and path.endswith("z"):
                raise S3NotFound(key)
            super().download_file(key, path)

    checkpoints_of(Vanishing(s3.objects), tmp_path / "b", attempt=1).restore()
    assert read_tree(tmp_path / "b") == {"a": b"1", "z": b"1"}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"format": 1}', b'{"format": 99, "files": []}', b"\xff"],
    ids=["empty", "list", "null", "no files", "newer format", "no text"],
)
def test_a_damaged_manifest_is_passed_over(body: bytes, tmp_path: Path) -> None:
    """A manifest that cannot be used never keeps a job from the generation before."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"m": b"good"})
    checkpoints_of(s3, tmp_path / "a").save_final(none_shipped)
    s3.objects[KEYS.manifest(7, "000000-000001-000009")] = body
    assert restored(s3, tmp_path / "b") == {"m": b"good"}


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", "a//b", ".", "", "m/below", "x\0y"])
def test_no_manifest_leads_out_of_the_folder(path: str, tmp_path: Path) -> None:
    """A path that is not plainly inside the folder, or lies below a file, voids its manifest."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"m": b"good"})
    name = checkpoints_of(s3, tmp_path / "a").save_final(none_shipped)
    assert name is not None
    body = s3.objects[KEYS.manifest(7, name)].decode()
    bad = body.replace('"folders":[]', f'"folders":["{path.replace(chr(0), chr(92) + "u0000")}"]')
    assert bad != body
    s3.objects[KEYS.manifest(7, "000000-000001-000009")] = bad.encode()
    assert restored(s3, tmp_path / "b" / "c") == {"m": b"good"}
    assert sorted(entry.name for entry in (tmp_path / "b").iterdir()) == ["c"]


def test_two_generations_stay_and_nothing_else(tmp_path: Path) -> None:
    """What neither of the two newest generations needs is deleted; what sorts behind, being another's, never."""
    s3 = MemoryS3()
    copied = KEYS.files(7, "000001-000000-000000") + "3-x/0"
    s3.objects[copied] = b"being copied for the next attempt"
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    write_tree(tmp_path / "a", {"always": b"here"})
    for epoch in range(5):
        write_tree(tmp_path / "a", {"epoch": f"{epoch}".encode(), f"only {epoch}": f"now {epoch}".encode()})
        checkpoints.save_if_due(none_shipped, now=True)
        (tmp_path / "a" / f"only {epoch}").unlink()
    del s3.objects[copied]
    assert len([key for key in s3.objects if "/manifests/" in key]) == 2
    bodies = sorted(body for key, body in s3.objects.items() if "/files/" in key)
    assert bodies == [b"3", b"4", b"here", b"now 3", b"now 4"]


def test_what_a_failed_manifest_put_has_left_is_no_trap(tmp_path: Path) -> None:
    """The answer to a manifest's put was lost: the generation counts, and those after it sort behind it."""
    s3 = MemoryS3()
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    write_tree(tmp_path / "a", {"epoch": b"1"})

    class AnswerLost(MemoryS3):
        def put(self, key: str, body: bytes) -> str:
            super().put(key, body)
            raise S3Unreachable("connection reset")

    unlucky = checkpoints_of(AnswerLost(s3.objects), tmp_path / "a")
    assert unlucky.save_if_due(none_shipped, now=True) is None
    assert restored(s3, tmp_path / "b") == {"epoch": b"1"}
    unlucky._s3 = unlucky._writer._s3 = s3
    write_tree(tmp_path / "a", {"epoch": b"2"})
    assert unlucky.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"epoch": b"2"}
    assert checkpoints.restore() is not None


def test_a_lost_object_of_an_unchanged_file_is_uploaded_again(tmp_path: Path) -> None:
    """Somebody deletes the object of a file that has not changed: the next generations do not go without it."""
    s3 = MemoryS3()
    checkpoints = checkpoints_of(s3, tmp_path / "a")
    write_tree(tmp_path / "a", {"always": b"here", "epoch": b"1"})
    checkpoints.save_if_due(none_shipped, now=True)
    del s3.objects[next(key for key, body in s3.objects.items() if body == b"here")]
    write_tree(tmp_path / "a", {"epoch": b"2"})
    assert checkpoints.save_final(none_shipped) is not None
    assert restored(s3, tmp_path / "b") == {"always": b"here", "epoch": b"2"}


def test_a_denied_restore_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    """No right to list, or S3 down for good: an error, never a start from scratch."""
    for error in (S3Denied("no"), S3Unreachable("down")):

        def fault(number: int, error: Exception = error) -> None:
            raise error

        s3 = MemoryS3()
        s3.fault = fault
        with pytest.raises(type(error)):
            checkpoints_of(s3, tmp_path / "a").restore()


def test_patience_outlasts_an_s3_that_is_down(tmp_path: Path) -> None:
    """A restore and a final save get along with calls that fail for a while."""
    s3 = MemoryS3()
    write_tree(tmp_path / "a", {"m": b"1"})
    failing = 1

    def fault(number: int) -> None:
        nonlocal failing
        if failing:
            failing -= 1
            raise S3Unreachable("down")

    s3.fault = fault
    Checkpoints(s3, task_of(), 1, str(tmp_path / "a"), patience=60).save_final(none_shipped)
    failing = 1
    Checkpoints(s3, task_of(attempt=1), 1, str(tmp_path / "b"), patience=60).restore()
    assert read_tree(tmp_path / "b") == {"m": b"1"}


def test_a_save_while_s3_is_down_is_said_and_tried_again(tmp_path: Path) -> None:
    """The script goes on; the trouble is told once, and the next save succeeds."""
    s3 = MemoryS3()
    notes: list[str] = []
    checkpoints = checkpoints_of(s3, tmp_path / "a", notes=notes)
    write_tree(tmp_path / "a", {"m": b"1"})

    def fault(number: int) -> None:
        raise S3Unreachable("down")

    s3.fault = fault
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert checkpoints.save_if_due(none_shipped, now=True) is None
    assert notes == ["the checkpoint could not be saved, it is tried again: down"]
    s3.fine()
    assert checkpoints.save_if_due(none_shipped, now=True) is not None


def test_save_checkpoint_and_the_agent_agree_on_unfinished_files(tmp_path: Path) -> None:
    """While cloudtune's own save_checkpoint writes, a generation holds the complete file from before."""
    s3 = MemoryS3()
    folder = tmp_path / "a"
    checkpoints = checkpoints_of(s3, folder)
    write_tree(folder, {"model.pt": b"whole"})

    def write(path: str) -> None:
        Path(path).write_bytes(b"half")
        assert (folder / (UNFINISHED_PREFIX + "model.pt")).exists()
        assert checkpoints.save_if_due(none_shipped, now=True) is not None
        assert restored(s3, tmp_path / "b") == {"model.pt": b"whole"}

    save_checkpoint(folder, write, "model.pt")
    assert checkpoints.save_if_due(none_shipped, now=True) is not None
    assert restored(s3, tmp_path / "b") == {"model.pt": b"half"}
