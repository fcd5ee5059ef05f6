"""Writes ``requirements/3.12.txt`` and its like anew: the newest packages that cloudtune's core allows, with hashes.

Run it with any Python that has a recent pip: ``python container/pin_requirements.py``. pip resolves for each Python
that cloudtune supports, for wheels that run in the image, and downloads nothing that it need not.
"""  # noqa: INP001 - a folder of files for images, no package

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: Debian 12, on which the bases stand, has glibc 2.36.
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")
_HEAD = """\
# What cloudtune's core needs under Python {python}, for linux/amd64. Written by pin_requirements.py; do not edit.
"""


def core_requirements() -> list[str]:
    """The ``dependencies`` of pyproject.toml."""
    lines = iter((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line == "dependencies = [":
            break
    found: list[str] = []
    for line in lines:
        if line == "]":
            return found
        found.append(line.strip().strip(",").strip('"'))
    raise SystemExit("pyproject.toml has no list of dependencies")


def pinned(python: str, requirements: Sequence[str]) -> str:
    """The text of a requirements file in which every package has a version and a hash."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--report", str(report), "--target", folder, "--only-binary=:all:", "--python-version", python]
        for platform in PLATFORMS:
            command += ["--platform", platform]
        subprocess.run([*command, *requirements], check=True)
        rows = json.loads(report.read_text(encoding="utf-8"))["install"]
    text = _HEAD.format(python=python)
    for row in sorted(rows, key=lambda row: str(row["metadata"]["name"]).lower()):
        digest = row["download_info"]["archive_info"]["hashes"]["sha256"]
        text += f"{row['metadata']['name'].lower()}=={row['metadata']['version']} \\\n    --hash=sha256:{digest}\n"
    return text


def main() -> None:
    """Writes one file for each Python."""
    requirements = core_requirements()
    for python in PYTHONS:
        path = FOLDER / "requirements" / f"{python}.txt"
        path.write_text(pinned(python, requirements), encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
