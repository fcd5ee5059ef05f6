"""Walking and removing what jobs leave, however deep, and whatever rights it has."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.jobs import job_files
from tests.localcloud.jobs.job_leftovers import descriptors
from tests.localcloud.jobs.place import BUCKET, cloud

#: More than Python's calls may be nested.
DEPTH = 3 * sys.getrecursionlimit()
NESTED = f"import os\nfor _ in range({DEPTH}):\n  os.mkdir('d')\n  os.chdir('d')\nopen('f', 'w').write('x')"


def nest(folder: Path) -> None:
    """Makes folders in folders; their whole path is longer than the system takes."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_folders_without_end(tmp_path: Path) -> None:
    """Thousands of nested folders are walked, measured and removed, with few descriptors."""
    (tmp_path / "top").mkdir()
    nest(tmp_path / "top")
    before = descriptors()
    assert [file.path for file in job_files.walk(str(tmp_path), "top")] == ["d/" * DEPTH + "f"]
    assert job_files.size_of(str(tmp_path), 10**12) >= DEPTH
    assert job_files.try_to_remove(str(tmp_path / "top")) is None
    assert os.listdir(tmp_path) == []
    assert descriptors() == before


@pytest.mark.parametrize("where", ['"${TMPDIR:-/tmp}"', "/opt/ml/code"])
def test_a_job_that_nests_without_end(tmp_path: Path, where: str) -> None:
    """Such a job completes as any other, and its folder goes away; cloud and later jobs do not notice."""
    with cloud(tmp_path / "c") as place:
        (tmp_path / "nest.py").write_text(NESTED)
        job = place.run("sh", "-c", f"cd {where}; exec python {tmp_path}/nest.py")
        assert job.status == "Completed", job.state
        assert place.run("true").status == "Completed"


def test_checkpoints_deeper_than_keys_are_long(tmp_path: Path) -> None:
    """S3 takes no such key: the job fails with S3's reason, and the other checkpoints are there."""
    with cloud(tmp_path / "c") as place:
        (tmp_path / "nest.py").write_text(NESTED)
        script = f"cd /opt/ml/checkpoints; echo 1 > z; cd .; exec python {tmp_path}/nest.py"
        job = place.run("sh", "-c", script, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/ck"})
        assert job.status == "Failed"
        assert "key is too long" in (job.state.failure_reason or "")
        assert len(job.state.failure_reason or "") < 1024
        assert place.get("ck/z") == b"1\n"


def test_rights_that_were_taken_away(tmp_path: Path) -> None:
    """The owner reads and removes what he has locked, and reading leaves the rights as they were."""
    inner = tmp_path / "top" / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (inner / "x").write_text("content")
    locked = [inner / "x", inner, inner.parent, inner.parent.parent, tmp_path / "top"]
    for path in locked:
        path.chmod(0)
    contents = []
    for file in job_files.walk(str(tmp_path), "top"):
        fd = job_files.open_file(file.folder, file.name)
        assert fd is not None
        with open(fd, encoding="utf-8") as opened:
            contents.append((file.path, opened.read()))
    assert contents == [("a/b/c/x", "content")]
    for path in reversed(locked[:-1]):
        at = job_files.open_folder(str(tmp_path), str(path.parent.relative_to(tmp_path)))
        assert at is not None
        assert stat.S_IMODE(os.stat(path.name, dir_fd=at).st_mode) in {0, 0o500}
        os.close(at)
    job_files.remove(str(tmp_path / "top"))
    assert os.listdir(tmp_path) == []


def test_outputs_that_were_locked(tmp_path: Path) -> None:
    """What a job made unreadable goes up all the same, as on AWS, where the platform is root; then it is removed."""
    script = """
for at in model output/data checkpoints; do
  mkdir -p /opt/ml/$at/a/b/c; echo $at > /opt/ml/$at/a/b/c/x; cd /opt/ml/$at; chmod 000 a/b/c/x a/b/c a/b a
done
mkdir -p /tmp/1/2/3/4/5; chmod 000 /tmp/1/2/3/4/5 /tmp/1/2/3/4 /tmp/1/2/3 /tmp/1/2 /tmp/1; chmod 000 /opt/ml
"""
    with cloud(tmp_path / "c") as place:
        job = place.run("sh", "-c", script, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/ck"})
        assert job.status == "Completed", job.state
        assert place.archive(f"out/{job.name}/output/model.tar.gz") == {"a/b/c/x": b"model\n"}
        assert place.archive(f"out/{job.name}/output/output.tar.gz") == {"a/b/c/x": b"output/data\n"}
        assert place.get("ck/a/b/c/x") == b"checkpoints\n"


def test_a_removal_never_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """What cannot be removed stays, is told to the log, and keeps nothing else."""
    for name in ("a", "b", "c"):
        (tmp_path / "top" / name).mkdir(parents=True)
        (tmp_path / "top" / name / "x").touch()
    unlink = os.unlink

    def fail_once(name: str, *, dir_fd: int | None = None) -> None:
        if not failed:
            failed.append(name)
            raise OSError(5, "Input/output error")
        unlink(name, dir_fd=dir_fd)

    failed: list[str] = []
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "unlink", fail_once)
        job_files.remove(str(tmp_path / "top"))
    assert "Input/output error" in caplog.text
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["top", "top/a", "top/a/x"]
    job_files.remove(str(tmp_path / "top"))
    job_files.remove(str(tmp_path / "top"))
    assert os.listdir(tmp_path) == []


def test_no_link_is_removed_through(tmp_path: Path) -> None:
    """Links go away, what they lead to stays, with its rights."""
    (tmp_path / "kept").mkdir(mode=0o500)
    (tmp_path / "top").mkdir()
    os.symlink("../kept", tmp_path / "top" / "link")
    job_files.remove(str(tmp_path / "top"))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o500


def test_a_hole_counts(tmp_path: Path) -> None:
    """A file that is all hole takes no place on the disk, but as much as any other in S3."""
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 40)
    assert job_files.size_of(str(tmp_path), 1 << 41) >= 1 << 40


TREES = st.recursive(st.just(None), lambda below: st.dictionaries(st.sampled_from("abcd"), below, max_size=4))


def plant(folder: Path, tree: Any) -> None:
    for name, below in tree.items():
        if below is None:
            (folder / name).touch()
        else:
            (folder / name).mkdir()
            plant(folder / name, below)


@given(tree=st.dictionaries(st.sampled_from("abcd"), TREES, max_size=4), data=st.data())
def test_trees_that_change_while_they_are_walked(tmp_path_factory: Any, tree: Any, data: st.DataObject) -> None:
    """Every file is met once; whatever is moved or removed meanwhile, the rest is still walked, and then removed."""
    folder = tmp_path_factory.mktemp("trees")
    (folder / "top").mkdir()
    plant(folder / "top", tree)
    files = {str(path.relative_to(folder / "top")) for path in (folder / "top").rglob("*") if path.is_file()}
    assert sorted(file.path for file in job_files.walk(str(folder), "top")) == sorted(files)
    disturb = data.draw(st.sampled_from(sorted(files))) if files else None
    met, touched = set(), set()
    for file in job_files.walk(str(folder), "top"):
        met.add(file.path)
        if file.path == disturb:
            top = file.path.split("/")[0]
            os.rename(folder / "top" / top, folder / "moved")
            touched = {path for path in files if path.split("/")[0] == top}
    assert files - touched <= met <= files
    before = descriptors()
    assert job_files.try_to_remove(str(folder / "top")) is None
    assert descriptors() == before
    assert not (folder / "top").exists()
