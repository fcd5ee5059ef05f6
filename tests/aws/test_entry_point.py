"""What a job begins with: the archive's program, if the archive is what its name says."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from cloudtune.agent.protocol import BUNDLE, CHANNEL_CODE
from cloudtune.aws import packaging
from cloudtune.aws.entry_point import DIGITS, agent_entry_point
from cloudtune.aws.packaging import Bundle, build_bundle

PROGRAM = b"import json, sys\nprint(json.dumps([sys.argv, sys.path[0], __name__]))\nsys.exit(7)\n"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """A small one, which tells how it was started."""
    monkeypatch.setattr(packaging, "_package_files", lambda **_: [("cloudtune/agent.py", b"")])
    monkeypatch.setattr(packaging, "_MAIN", PROGRAM)
    (tmp_path / "train.py").write_text("pass\n" * 1000)
    return build_bundle(None, str(tmp_path / "train.py"))


class Container:
    """A folder that stands for /opt/ml."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.archive = base / "input" / "data" / CHANNEL_CODE / BUNDLE
        self.archive.parent.mkdir(parents=True)
        (base / "output").mkdir()

    def start(self, code: str) -> subprocess.CompletedProcess[str]:
        """Runs the command of a job whose archive lies below ``code``."""
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(self.base)}
        return subprocess.run(
            agent_entry_point(f"s3://bucket/cloudtune/code/{code}/"),
            cwd=self.base,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def failure(self) -> str:
        """What SageMaker would show."""
        return (self.base / "output" / "failure").read_text()


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path / "ml")


def test_the_archives_program_runs_as_if_python_had_been_given_it(bundle: Bundle, container: Container) -> None:
    """Its arguments, its search path, its exit status; what lies in the image's working directory is not imported."""
    container.archive.write_bytes(bundle.body)
    for name in ("zipfile", "hashlib", "json"):
        (container.base / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    done = container.start(bundle.digest[:DIGITS])
    assert (done.returncode, done.stderr) == (7, "")
    path = str(container.archive)
    assert done.stdout == f'[["{path}"], "{path}", "__main__"]\n'
    assert not (container.base / "output" / "failure").exists()


def _with_another_file(body: bytes) -> bytes:
    longer = io.BytesIO(body)
    with zipfile.ZipFile(longer, "a") as archive:
        archive.writestr("source/more.py", "")
    return longer.getvalue()


def test_an_archive_that_is_not_what_its_name_says(bundle: Bundle, container: Container) -> None:
    """Truncated, garbage, empty, gone, damaged in its middle, changed with care: one sentence, nothing of it runs."""
    body = bundle.body
    middle = body.index(b"train.py") + 12
    wrong = {
        "truncated": body[: len(body) // 2],
        "garbage": b"garbage" * 1000,
        "empty": b"",
        "damaged": body[:middle] + b"\0\xff\0\xff" + body[middle + 4 :],
        "changed": _with_another_file(body),
    }
    name = bundle.digest[:DIGITS]
    for how, content in [*wrong.items(), ("gone", None)]:
        container.archive.unlink(missing_ok=True)
        if content is not None:
            container.archive.write_bytes(content)
        done = container.start(name)
        assert (done.returncode, done.stdout) == (1, ""), how
        assert done.stderr == container.failure + "\n", how
        assert container.failure.startswith(
            f"the archive cloudtune/code/{name}/bundle.zip was changed or damaged after it was uploaded ("
        )
        assert container.failure.endswith("): launch again, which replaces it")
        assert len(container.failure.splitlines()) == 1


def test_an_archive_whose_name_says_nothing_has_to_be_whole(bundle: Bundle, container: Container) -> None:
    """As somebody's own folder, whose name is no digest."""
    container.archive.write_bytes(bundle.body)
    assert container.start("mine").returncode == 7
    container.archive.write_bytes(bundle.body[:-30])
    assert "damaged" in container.start("mine").stderr


def test_the_command_is_one_that_aws_takes() -> None:
    """No part is longer than 256 characters or holds a line end, and there are at most a hundred."""
    command = agent_entry_point("s3://b/" + "p" * 500 + "/cloudtune/code/" + "0" * DIGITS)
    assert len(command) <= 100
    assert all(len(part) <= 256 and "\n" not in part for part in command)
