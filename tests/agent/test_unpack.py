"""The archive: what is in it goes where it belongs, and nowhere else."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from cloudtune.agent.agent_errors import AgentError
from cloudtune.agent.unpack import archive_of_this_program, unpack


def archive(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> str:
    with zipfile.ZipFile(path / "bundle.zip", "w") as bundle:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            bundle.writestr(member, content)
    return str(path / "bundle.zip")


def test_source_and_package_go_to_their_folders(tmp_path: Path) -> None:
    """Empty folders and permission bits survive; what is neither source nor package stays in the archive."""
    bundle = archive(
        tmp_path,
        {"__main__.py": b"", "source/a/b.py": b"b", "source/run": b"r", "source/empty/": b"", "cloudtune/x.py": b"x"},
        {"source/run": stat.S_IFREG | 0o755, "source/a/b.py": stat.S_IFREG | 0o444, "source/empty/": 0o40755},
    )
    unpack(bundle, str(tmp_path / "code"), str(tmp_path / "package"))
    assert (tmp_path / "code/a/b.py").read_bytes() == b"b"
    assert (tmp_path / "code/empty").is_dir()
    assert stat.S_IMODE((tmp_path / "code/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "code/a/b.py").stat().st_mode) == 0o644  # its owner may write it
    assert (tmp_path / "package/cloudtune/x.py").read_bytes() == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.zip", "code", "package"]


@pytest.mark.parametrize(
    "name",
    ["source/../evil", "source/a/../../evil", "source//evil", "source/./evil", "cloudtune/../../evil", "source/a\\b"],
)
def test_paths_do_not_lead_out(tmp_path: Path, name: str) -> None:
    """An archive with such a path was not made by us: the trial fails, naming it, before the file is written."""
    bundle = archive(tmp_path, {name: b"x"})
    with pytest.raises(AgentError, match="leads out of its folder"):
        unpack(bundle, str(tmp_path / "w/code"), str(tmp_path / "w/package"))
    assert not list(tmp_path.rglob("*evil*"))


def test_links_are_refused(tmp_path: Path) -> None:
    """A link could point anywhere."""
    bundle = archive(tmp_path, {"source/link": b"/etc/passwd"}, {"source/link": stat.S_IFLNK | 0o777})
    with pytest.raises(AgentError, match="link"):
        unpack(bundle, str(tmp_path / "code"), str(tmp_path / "package"))


@pytest.mark.parametrize("content", [b"", b"PK garbage"])
def test_a_broken_archive_is_told_of(tmp_path: Path, content: bytes) -> None:
    """A sentence with a remedy, whatever zipfile says."""
    (tmp_path / "bundle.zip").write_bytes(content)
    with pytest.raises(AgentError, match="cannot be unpacked"):
        unpack(str(tmp_path / "bundle.zip"), str(tmp_path / "code"), str(tmp_path / "package"))


def test_the_archive_is_what_python_was_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the one in the channel."""
    bundle = archive(tmp_path, {"__main__.py": b""})
    monkeypatch.setattr("sys.argv", [bundle])
    assert archive_of_this_program("fallback") == bundle
    monkeypatch.setattr("sys.argv", ["train.py"])
    assert archive_of_this_program("fallback") == "fallback"
