"""The same tests as an ordinary user, and on a machine that has an /opt/ml of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(os.geteuid() != 0, reason="run by an ordinary user, all tests here are an ordinary user's already")
@pytest.mark.parametrize("how", ["nobody", "opt-ml"])
@pytest.mark.timeout(900)
def test_containers_keep_their_promises_elsewhere(how: str, tmp_path: Path) -> None:
    """Nobody gets the same containers as root; a machine's own /opt/ml is covered, not shown."""
    tests = [f"tests/localcloud/{name}.py" for name in ("sandbox/test_namespaces", "sandbox/test_killed_server")]
    if how == "nobody":  # root may read and remove all that a job has locked
        tests.append("tests/localcloud/jobs/test_job_files.py")
    command = [sys.executable, str(HERE / "as_another_user.py"), how, str(tmp_path), *tests]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
