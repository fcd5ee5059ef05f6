"""Checkpoints in an old image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.agent.checkpoint_folders import task_of
from tests.old_python import python38

ROOT = Path(__file__).parents[2]

CODE = """
import os
from cloudtune.agent.checkpoints import Checkpoints

class S3:
    def __init__(self): self.objects = {}
    def list(self, prefix):
        return sorted((k, len(v), str(hash(v))) for k, v in self.objects.items() if k.startswith(prefix))
    def put(self, key, body): self.objects[key] = body
    def get(self, key):
        class Got: body = self.objects.get(key)
        return Got if key in self.objects else None
    def upload_file(self, path, key): self.objects[key] = open(path, "rb").read()
    def download_file(self, key, path): open(path, "wb").write(self.objects[key])
    def delete(self, keys): [self.objects.pop(key, None) for key in keys]

s3 = S3()
os.makedirs("a/f")
open("a/f/m", "w").write("1")
os.symlink("f", "a/latest")
first = Checkpoints(s3, TASK, 1, "a", lambda: 3, settle=0.0)
assert first.save_if_due(lambda: 3) == "000000-000001-000001"
open("a/f/m", "w").write("22")
assert first.save_final(lambda: 3) == "000000-000001-000002"
assert Checkpoints(s3, TASK, 2, "b").restore() == "000000-000001-000002"
assert open("b/latest/m").read() == "22"
"""


def test_python_3_8_saves_and_restores(tmp_path: Path) -> None:
    """Nothing in it needs a newer Python, nor boto3; without such a Python, the one at hand tries."""
    code = CODE.replace("TASK", repr(task_of()))
    python = python38() or sys.executable
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
