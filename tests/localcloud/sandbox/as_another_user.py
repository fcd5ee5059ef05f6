"""Runs the tests of containers as another user, or on a machine with another /opt, without changing this one.

To be run by root: ``python as_another_user.py (nobody | opt-ml) FOLDER PYTEST-ARGUMENTS``. In mounts of its own, what
the user may not reach (the interpreter, its packages, the checkout) is bound to places below /mnt that all may read.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))


def main(how: str, folder: str, *arguments: str) -> None:
    from cloudtune.localcloud.sandbox import linux

    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("mnt", "/mnt", "tmpfs", 0, "mode=755")
    bound = {"python": sys.base_prefix, "packages": sysconfig.get_path("purelib"), "checkout": ROOT, "tmp": folder}
    for name, source in bound.items():
        os.mkdir(f"/mnt/{name}")
        linux.mount(str(source), f"/mnt/{name}", None, linux.MS_BIND | linux.MS_REC)
    linux.mount("opt", "/opt", "tmpfs", 0, "mode=755")
    os.makedirs("/opt/folder/below")
    Path("/opt/file").write_text("file")
    os.symlink("folder/below", "/opt/link")
    os.symlink("/nowhere", "/opt/dangling")
    if how == "opt-ml":
        os.makedirs("/opt/ml/of-the-machine")
    else:
        os.chown("/mnt/tmp", 65534, 65534)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    os.chdir("/mnt/checkout")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": "/mnt/packages:/mnt/checkout",
        "LD_LIBRARY_PATH": "/mnt/python/lib",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": "/mnt/tmp",
        "HOME": "/mnt/tmp",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/mnt/tmp/hypothesis",
    }
    python = f"/mnt/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp=/mnt/tmp/pytest", *arguments]
    os.execve(python, pytest, environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
