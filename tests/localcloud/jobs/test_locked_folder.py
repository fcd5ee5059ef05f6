"""Folders whose users may be killed: removed by the next one, and by nobody as long as they are in use."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cloudtune.localcloud.jobs.locked_folder import LockedFolder, remove_dead


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    """A locked folder stays; once it is let go of, it is left over."""
    folder = LockedFolder(str(tmp_path), "ours-")
    Path(folder.path, "file").touch()
    remove_dead(str(tmp_path), "ours-")
    assert os.listdir(folder.path) == ["file"]
    folder.close()
    remove_dead(str(tmp_path), "other-")
    assert os.listdir(folder.path) == ["file"]
    remove_dead(str(tmp_path), "ours-")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_was_passed_on(tmp_path: Path) -> None:
    """A process that was given the lock keeps the folder after its maker has let go."""
    folder = LockedFolder(str(tmp_path), "ours-")
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[folder.lock]) as heir:
        folder.close()
        remove_dead(str(tmp_path), "ours-")
        assert os.path.isdir(folder.path)
        heir.communicate(b"\n")
    remove_dead(str(tmp_path), "ours-")
    assert os.listdir(tmp_path) == []


def test_links_and_files_stay(tmp_path: Path) -> None:
    """A name alone makes nobody remove what a link leads to, or a file."""
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    (elsewhere / "below").mkdir(parents=True)
    place.mkdir()
    (place / "ours-link").symlink_to(elsewhere)
    (place / "ours-file").touch()
    remove_dead(str(place), "ours-")
    assert sorted(os.listdir(place)) == ["ours-file", "ours-link"]
    assert os.listdir(elsewhere) == ["below"]


def test_folders_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even root, who may open all of them, removes only its own."""
    (tmp_path / "ours-not-mine").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    remove_dead(str(tmp_path), "ours-")
    assert os.listdir(tmp_path) == ["ours-not-mine"]


@pytest.mark.parametrize("step", ["open", "flock", "rename"])
def test_a_folder_that_is_being_made_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whoever looks for left folders before any step of the making does not find one that is not locked yet."""
    module = {"open": os, "rename": os, "flock": fcntl}[step]
    original = getattr(module, step)
    swept = []

    def swept_before(*arguments: object) -> object:
        monkeypatch.setattr(module, step, original)
        remove_dead(str(tmp_path), "ours-")
        swept.append(step)
        return original(*arguments)

    monkeypatch.setattr(module, step, swept_before)
    folder = LockedFolder(str(tmp_path), "ours-")
    assert swept == [step]
    assert [str(path) for path in tmp_path.iterdir()] == [folder.path]
    folder.remove()
    folder.remove()
    assert os.listdir(tmp_path) == []


def test_making_and_removing_at_once(tmp_path: Path) -> None:
    """Of many that make and look at the same time, none loses a folder that it uses."""
    lost: list[str] = []

    def work() -> None:
        for _ in range(50):
            folder = LockedFolder(str(tmp_path), "ours-")
            remove_dead(str(tmp_path), "ours-")
            if not os.path.isdir(folder.path):
                lost.append(folder.path)
            folder.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    remove_dead(str(tmp_path), "ours-")
    assert lost == []
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of it, and the error comes through."""

    def refused(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(OSError, match="No locks"):
        LockedFolder(str(tmp_path), "ours-")
    assert os.listdir(tmp_path) == []


def test_a_place_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found there, and nobody is stopped by that."""

    def refused(_: str) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "ours-left").mkdir()
    monkeypatch.setattr(os, "listdir", refused)
    remove_dead(str(tmp_path), "ours-")
    assert (tmp_path / "ours-left").is_dir()
