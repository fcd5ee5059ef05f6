"""Holds the files of a checkpoint as they are at one moment, while the script goes on replacing them."""

from __future__ import annotations

import os
import shutil

from cloudtune.agent.folder_scan import FileState, state_of


class Staging:
    """Hard links to files, in a folder beside the checkpoint directory; to be used in a ``with`` block.

    A script that writes a new file and renames it over the old one (as :func:`cloudtune.checkpoint.save_checkpoint`
    does) leaves the linked file as it was. One that is written in place is not protected: :meth:`touched` finds it.
    Nor is any where hard links cannot be made (another file system, no right to): then the file itself stands for its
    link, and replacing it counts as touching it.

    Args:
        folder: The checkpoint directory.
    """

    def __init__(self, folder: str) -> None:
        above, name = os.path.split(os.path.realpath(folder))
        self._folder = os.path.join(above, ".cloudtune-" + (name or "root"))
        self._states: dict[str, FileState] = {}  # by path to read

    def __enter__(self) -> Staging:  # noqa: PYI034 - Self came with 3.11
        self._remove()
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def hold(self, source: str, state: FileState) -> str:
        """The path from which to read a file that was in ``state`` when it was scanned."""
        link = os.path.join(self._folder, str(len(self._states)))
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            os.link(source, link, follow_symlinks=False)
        except (OSError, NotImplementedError):
            link = source
        self._states[link] = state
        return link

    def touched(self, held: str) -> bool:
        """Whether a file that is held is not any more as it was scanned."""
        try:
            return state_of(held).content != self._states[held].content
        except OSError:
            return True

    def _remove(self) -> None:
        # What cannot be removed is removed by the next save, or goes with the container.
        shutil.rmtree(self._folder, ignore_errors=True)
