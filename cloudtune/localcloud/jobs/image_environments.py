"""Images: which Python environment of this machine stands for which image URI."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from cloudtune.localcloud.jobs.failure_reasons import JobFailed

#: Where the programs of the system are.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class ImageEnvironment:
    """What an image brings along.

    Args:
        interpreter: Path of its Python.
    """

    interpreter: str

    @classmethod
    def of(cls, images: Mapping[str, str], image: str) -> ImageEnvironment:
        """The first that matches; raises JobFailed if it is not on this machine."""
        for pattern, path in images.items():
            if fnmatchcase(image, pattern):
                path = os.path.abspath(os.path.expanduser(path))
                interpreter = os.path.join(path, "bin", "python") if os.path.isdir(path) else path
                if not os.access(interpreter, os.X_OK):
                    raise JobFailed(
                        f"ClientError: Cannot pull image {image}: the setting images has {path} for {pattern}, where "
                        "there is no Python interpreter."
                    )
                return cls(interpreter)
        return cls(sys.executable)

    def variables(self, wrappers: str) -> dict[str, str]:
        """PATH and what else the interpreter needs.

        Args:
            wrappers: Folder that may be made for a program ``python``, where the environment has none of that name.
        """
        folder = os.path.dirname(self.interpreter)
        path = f"{folder}:{SYSTEM_PATH}"
        if not os.access(os.path.join(folder, "python"), os.X_OK):
            _wrap(wrappers, self.interpreter)
            path = f"{wrappers}:{path}"
        variables = {"PATH": path}
        if self.interpreter == sys.executable and "LD_LIBRARY_PATH" in os.environ:
            variables["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]  # it may not find its own library without
        if not os.path.exists(os.path.join(os.path.dirname(folder), "pyvenv.cfg")):
            # HOME is another one in the job; what the user installed for this interpreter is still to be found.
            variables["PYTHONUSERBASE"] = site.getuserbase()
        return variables


def behind_links(path: str) -> list[str]:
    """Where the folders of a PATH, and a Python in them, really are."""
    folders = path.split(":")
    return [os.path.realpath(place) for folder in folders for place in (folder, os.path.join(folder, "python"))]


def _wrap(folder: str, interpreter: str) -> None:
    """Not a link: through a link, Python would not find the virtual environment it belongs to."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "python")
    quoted = "'" + interpreter.replace("'", "'\\''") + "'"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {quoted} "$@"\n')
    os.chmod(path, 0o700)
