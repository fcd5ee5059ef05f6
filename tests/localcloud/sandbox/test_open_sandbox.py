"""The choice of a sandbox."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.localcloud.sandbox import open_sandbox as subject
from cloudtune.localcloud.sandbox.open_sandbox import SandboxUnavailable, open_sandbox
from cloudtune.localcloud.sandbox.sandbox import ContainerStartFailed
from cloudtune.localcloud.sandbox.spawner_link import SpawnerRefused
from tests.chaos.leftovers import descriptors

ROOT = Path(__file__).parents[3]


def test_auto_takes_namespaces_where_they_work() -> None:
    """A container really starts, and nothing of the attempt is left."""
    before = descriptors()
    sandbox = open_sandbox("auto")
    assert sandbox.kind == "namespaces"
    sandbox.close()
    assert descriptors() == before


def test_an_unknown_kind_is_refused() -> None:
    """The message lists the kinds."""
    with pytest.raises(ValueError, match="'docker': choose one of auto, namespaces, folders"):
        open_sandbox("docker")


def refuse(*_: object) -> None:
    raise ContainerStartFailed("A container cannot mount a /proc of its own: Operation not permitted.")


def test_auto_falls_back_to_folders(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One warning says why; asked for by name, namespaces raise the same."""
    monkeypatch.setattr(subject, "_try", refuse)
    with caplog.at_level(logging.WARNING):
        sandbox = open_sandbox("auto")
    assert sandbox.kind == "folders"
    sandbox.close()
    assert ["cannot mount a /proc" in record.message for record in caplog.records] == [True]
    with pytest.raises(SandboxUnavailable, match="cannot mount a /proc"):
        open_sandbox("namespaces")


def test_a_spawner_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the interpreter's name and the reason."""
    monkeypatch.setattr(sys, "executable", "/no/python")
    for kind in ("namespaces", "folders"):
        with pytest.raises(SandboxUnavailable, match="/no/python: No such file or directory"):
            open_sandbox(kind)


def test_a_refused_call_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel said comes with the settings that may be behind it."""

    def refused() -> None:
        raise SpawnerRefused("unshare", 1, "Operation not permitted")

    monkeypatch.setattr(subject, "NamespaceSandbox", refused)
    with pytest.raises(SandboxUnavailable, match="unshare: Operation not permitted"):
        open_sandbox("namespaces")


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    ],
)
def test_a_refusal_names_the_setting(
    name: str, value: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user learns which setting forbids it and what root is to type."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(f"{value}\n")
    assert remedy in subject._explained("No.", tmp_path)
    (tmp_path / name).write_text("9\n")
    assert "seccomp" in subject._explained("No.", tmp_path)


def test_the_spawner_imports_little() -> None:
    """Every container begins as a fork of it."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport cloudtune.localcloud.sandbox.spawner_main\n"
    program += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded <= {*sys.stdlib_module_names, "cloudtune", "__main__"}
    assert not loaded & {"subprocess", "threading", "logging", "asyncio", "boto3", "moto"}
