"""Where a cloud's state lies: one JSON file, replaced as a whole, and the larger pieces beside it, named by digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: Of what :class:`StateFolder` writes. A cloud reads its own format and those before it.
FORMAT = 1
#: Ends the name of a file that is being written.
_BEGUN = ".new"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class StateUnusable(Exception):
    """The state cannot be read, or another cloud uses it; the message names the file and says what to do."""


class StateFolder:
    """A folder with ``state.json`` and ``pieces/``. Used by one cloud at a time.

    Args:
        path: Made if it does not exist.

    Raises:
        StateUnusable: Another cloud uses the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        try:
            self._pieces = self.path / "pieces"
            self._pieces.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnusable(f"The state folder {self.path} cannot be used: {error.strerror}.") from error
        if not _locked(self._lock):
            os.close(self._lock)
            raise StateUnusable(
                f"Another local cloud uses the state folder {self.path}; take it down first (cloudtune localcloud "
                "down), or choose another --state-folder."
            )
        try:
            _remove_begun(self.path)
            _remove_begun(self._pieces)
            self._known = {piece.name for piece in self._pieces.iterdir()}
        except OSError as error:
            os.close(self._lock)
            raise StateUnusable(f"The state folder {self.path} cannot be used: {error.strerror}.") from error
        # Of these, what the state uses that was written last.
        self._used: set[str] = set()

    def read(self) -> dict[str, Any] | None:
        """What was written last; None if nothing was. Raises StateUnusable."""
        file = self.path / "state.json"
        try:
            state = json.loads(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise StateUnusable(
                f"{file} cannot be read ({error}); move it away to begin with an empty cloud."
            ) from error
        if not isinstance(state, dict) or not isinstance(state.get("format"), int):
            raise StateUnusable(f"{file} is not the state of a local cloud; choose another state folder.")
        if state["format"] > FORMAT:
            raise StateUnusable(
                f"{file} was written by a newer version of cloudtune (format {state['format']}, this one reads up to "
                f"{FORMAT}); update cloudtune, or choose another state folder."
            )
        return state

    def write(self, state: dict[str, Any], pieces: Iterable[str]) -> None:
        """Replaces what was written before, and forgets the pieces that it alone used.

        Args:
            state: For JSON.
            pieces: The digests that ``state`` uses.
        """
        file = self.path / "state.json"
        self._replace(file, json.dumps({"format": FORMAT, **state}).encode(), durable=True)
        self._used = set(pieces)
        self.free()

    def free(self) -> None:
        """Forgets the pieces that the state as it was written last, or was read, does not use.

        A write that failed, or a death, has left them. To be called before pieces are put, so that there is room.
        """
        for digest in self._known - self._used:
            (self._pieces / digest).unlink(missing_ok=True)
            self._known.discard(digest)

    def holds(self, digest: str) -> bool:
        """Whether the piece is there."""
        return digest in self._known

    def put_piece(self, content: bytes) -> str:
        """Keeps bytes; returns their digest."""
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._known:
            self._replace(self._pieces / digest, content, durable=False)
            self._known.add(digest)
        return digest

    def piece(self, digest: str) -> bytes:
        """The bytes of that digest, for a state that was read. Raises StateUnusable if they are gone, or others."""
        if not _DIGEST.fullmatch(digest):
            raise StateUnusable(f"{self.path / 'state.json'} is damaged: {digest[:100]!r} is no name of a piece.")
        file = self._pieces / digest
        try:
            content = file.read_bytes()
        except OSError as error:
            raise StateUnusable(f"{file} cannot be read ({error.strerror}); the state is not complete.") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StateUnusable(f"{file} is damaged; the state is not complete.")
        self._used.add(digest)
        return content

    def close(self) -> None:
        """Lets another cloud use the folder."""
        os.close(self._lock)

    def _replace(self, file: Path, content: bytes, durable: bool) -> None:
        new = file.with_name(file.name + _BEGUN)
        try:
            with new.open("wb") as written:
                written.write(content)
                if durable:
                    written.flush()
                    os.fsync(written.fileno())
            os.replace(new, file)
        except BaseException:  # half a file would keep a full disk full
            new.unlink(missing_ok=True)
            raise


def _remove_begun(folder: Path) -> None:
    """What a cloud had begun to write when it died."""
    for file in folder.glob(f"*{_BEGUN}"):
        file.unlink(missing_ok=True)


def _locked(descriptor: int) -> bool:
    """Whether the lock could be had. It is let go when the process ends, however that happens."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; the cloud itself does not run there
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
