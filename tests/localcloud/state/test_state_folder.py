"""The folder that a cloud's state lies in, under any sequence of writes, ends and deaths."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cloudtune.localcloud.state.state_folder import StateFolder, StateUnusable


class StateFolders(RuleBasedStateMachine):
    """A folder beside a model of it: what was written last, with the pieces that it uses."""

    def __init__(self) -> None:
        super().__init__()
        self._place = tempfile.TemporaryDirectory()
        self.folder = StateFolder(self._place.name)
        self.written: dict[str, bytes] | None = None
        self.put: dict[str, bytes] = {}

    @rule(content=st.binary(max_size=8))
    def put_piece(self, content: bytes) -> None:
        """A piece that no state uses yet."""
        self.put[self.folder.put_piece(content)] = content

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """A state that uses some of the pieces; the others are forgotten."""
        known = {**(self.written or {}), **self.put}
        used = data.draw(st.sets(st.sampled_from(sorted(known)))) if known else set()
        self.folder.write({"used": sorted(used)}, used)
        self.written = {digest: known[digest] for digest in used}
        self.put = {}

    @rule()
    def come_up_again(self) -> None:
        """An end and a death are the same to the folder: what was written last counts."""
        self.folder.close()
        self.folder = StateFolder(self._place.name)

    @invariant()
    def what_was_written_is_there(self) -> None:
        """State and pieces are as they were written, and two clouds never share the folder."""
        state: dict[str, Any] | None = self.folder.read()
        assert (state is None) == (self.written is None)
        for digest, content in {**(self.written or {}), **self.put}.items():
            assert self.folder.piece(digest) == content
        if state is not None:
            assert state["used"] == sorted(self.written or {})
        with pytest.raises(StateUnusable, match="Another local cloud uses"):
            StateFolder(self._place.name)

    def teardown(self) -> None:
        self.folder.close()
        self._place.cleanup()


TestStateFolders = StateFolders.TestCase


def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is replaced as a whole, or not at all."""
    folder = StateFolder(tmp_path)
    folder.write({"turn": 1}, ())

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        folder.write({"turn": 2}, ())
    assert folder.read() == {"format": 1, "turn": 1}
    folder.close()


def test_a_process_that_dies_lets_the_folder_go(tmp_path: Path) -> None:
    """The lock is the process's: SIGKILL frees it."""
    program = f"""
import os, signal
from cloudtune.localcloud.state.state_folder import StateFolder
folder = StateFolder({str(tmp_path)!r})
folder.write({{"turn": 1}}, ())
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    folder = StateFolder(tmp_path)
    assert folder.read() == {"format": 1, "turn": 1}
    folder.close()


def test_pieces_that_were_left_by_a_death_are_forgotten_with_the_next_write(tmp_path: Path) -> None:
    """A cloud that died between pieces and state leaves no garbage for ever."""
    folder = StateFolder(tmp_path)
    folder.put_piece(b"unused")
    folder.close()
    folder = StateFolder(tmp_path)
    folder.write({}, ())
    assert list((tmp_path / "pieces").iterdir()) == []
    folder.close()


def test_a_piece_that_there_is_no_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it stays, so that a full disk can be written to once there is room again."""
    folder = StateFolder(tmp_path)
    kept = folder.put_piece(b"kept")
    folder.write({}, [kept])
    write = io.BufferedWriter.write

    class Full(io.BufferedWriter):
        def write(self, content: Any, /) -> int:
            write(self, bytes(content)[:3])
            self.flush()
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: Full(io.FileIO(path, mode)))
        with pytest.raises(OSError, match="No space left"):
            folder.put_piece(b"too large")
    assert [piece.name for piece in (tmp_path / "pieces").iterdir()] == [kept]
    assert not folder.holds(hashlib.sha256(b"too large").hexdigest())
    folder.piece(folder.put_piece(b"too large"))
    folder.close()


def test_what_a_death_left_half_written_is_removed(tmp_path: Path) -> None:
    """As soon as another cloud uses the folder: it may be what fills the disk."""
    (tmp_path / "pieces").mkdir()
    for name in ("state.json.new", f"pieces/{'0' * 64}.new"):
        (tmp_path / name).write_bytes(b"half")
    folder = StateFolder(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["lock", "pieces"]
    folder.close()


def test_pieces_that_no_state_uses_give_their_room_to_the_next(tmp_path: Path) -> None:
    """Those of a write that failed; what the state on the disk uses stays, also where it was read and not written."""
    folder = StateFolder(tmp_path)
    used = folder.put_piece(b"used")
    folder.write({}, [used])
    folder.close()
    folder = StateFolder(tmp_path)
    folder.piece(used)
    unused = folder.put_piece(b"unused")
    folder.free()
    assert (folder.holds(used), folder.holds(unused)) == (True, False)
    assert [piece.name for piece in (tmp_path / "pieces").iterdir()] == [used]
    folder.close()


def test_a_state_that_names_other_files(tmp_path: Path) -> None:
    """Nothing outside the folder is read."""
    folder = StateFolder(tmp_path)
    with pytest.raises(StateUnusable, match="no name of a piece"):
        folder.piece("../../etc/passwd")
    folder.close()
