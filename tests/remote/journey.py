"""A tuner's journey: a script packs it on one machine, a program makes it again on another.

Each is a process of its own. The other machine has the archive's cloudtune and nothing of the first one's folders.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudtune.agent.unpack import unpack

ROOT = Path(__file__).parents[2]

#: Begins a launching script: what most need.
IMPORTS = """
import sys
from cloudtune import StoppingCriterion, Tuner
from cloudtune.backend import LocalBackend, PythonBackend
from cloudtune.callbacks.tuner_callback import TunerCallback
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch

SPACE = {"x": uniform(0, 1)}

def tuner_of(backend, stop=StoppingCriterion(max_num_trials_finished=2), **options):
    scheduler = options.pop("scheduler", None) or RandomSearch(SPACE, metric="loss", random_seed=1)
    return Tuner(backend, scheduler, stop, 1, tuner_name="journey", suffix_tuner_name=False, **options)

"""
#: Packs the variable ``tuner`` of the launching script into the folder that its last argument names.
_PACK = """
if __name__ == "__main__":
    import json, pathlib
    from cloudtune.remote.shipment import pack

    shipment = pack(tuner, **globals().get("options", {}))
    to = pathlib.Path(sys.argv[-1])
    to.mkdir(parents=True)
    (to / "bundle.zip").write_bytes(shipment.bundle.body)
    (to / "tuner.dill").write_bytes(shipment.tuner_pickle)
    (to / "shipment.json").write_text(json.dumps(shipment.manifest))
"""
_LOAD = """
import json, pathlib, sys
sent = pathlib.Path(sys.argv[1])
manifest = json.loads((sent / "shipment.json").read_text())
from cloudtune.remote.unpacking import load

tuner = load(pathlib.Path.cwd(), manifest, (sent / "tuner.dill").read_bytes(), sent / "bundle.zip")
"""


@dataclass(frozen=True)
class Sent:
    """What a launching script has packed, and where it is unpacked."""

    folder: Path
    code: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """Of the shipment."""
        manifest: dict[str, Any] = json.loads((self.folder / "shipment.json").read_text())
        return manifest

    def names(self) -> set[str]:
        """Files below the archive's folder ``source``."""
        return {path.relative_to(self.code).as_posix() for path in self.code.rglob("*") if path.is_file()}

    def arrive(self, program: str) -> str:
        """Runs a program with the variable ``tuner`` on the other machine; what it prints."""
        paths = [str(self.folder / "package"), str(self.code)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "CLOUDTUNE_FOLDER": str(self.folder / "runs"),
        }
        return _run([sys.executable, "-c", _LOAD + program, str(self.folder)], self.code, environment)


def send(folder: Path, files: Mapping[str, str], name: str = "sent", installed: Path = ROOT) -> Sent:
    """Writes files, among them ``launch.py``, which makes a ``tuner``; runs it; and unpacks what it has packed.

    Args:
        folder: For the files, in ``project``, and what is packed and unpacked, in ``name``.
        files: By name.
        name: Of the folder for the result.
        installed: Folder that has cloudtune.
    """
    write(folder / "project", files)
    script = folder / "project" / "launch.py"
    script.write_text(IMPORTS + files["launch.py"] + _PACK)
    to = folder / name
    environment = {**os.environ, "PYTHONPATH": str(installed), "CLOUDTUNE_FOLDER": str(folder / "here")}
    _run([sys.executable, str(script), str(to)], folder, environment)
    unpack(str(to / "bundle.zip"), str(to / "code"), str(to / "package"))
    return Sent(to, to / "code")


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
