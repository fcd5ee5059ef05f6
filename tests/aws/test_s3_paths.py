"""Where downloads may be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudtune.aws.errors import InvalidRequest
from cloudtune.aws.s3_paths import path_inside

parts = st.one_of(st.sampled_from(["..", ".", "", "a", "link", "b" * 10, "..."]), st.text(max_size=3))


@given(st.lists(parts, max_size=5).map("/".join))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, relative: str) -> None:
    """Either it is refused, or the real path is below the folder's."""
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    if not (folder / "link").is_symlink():
        (folder / "link").symlink_to(tmp_path)
    try:
        path = path_inside(folder, relative)
    except InvalidRequest:
        return
    assert os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)


@pytest.mark.parametrize("relative", ["a", "a/b", "...", "a b/c", "-", "~", "C:"])
def test_plain_names_are_taken(tmp_path: Path, relative: str) -> None:
    """The folder need not exist."""
    assert path_inside(tmp_path / "none", relative) == os.path.join(tmp_path, "none", relative)


@pytest.mark.parametrize("relative", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a", "a\0b"])
def test_other_names_are_refused(tmp_path: Path, relative: str) -> None:
    """With the name, and what to do."""
    with pytest.raises(InvalidRequest, match="no plain path"):
        path_inside(tmp_path, relative)


def test_links_within_the_folder_are_refused(tmp_path: Path) -> None:
    """As a folder on the way, and in the file's own place; the folder itself may be reached through one."""
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "way").symlink_to(tmp_path)
    (folder / "file").symlink_to(tmp_path / "none")
    for relative in ("a/way/x", "a/way", "file"):
        with pytest.raises(InvalidRequest, match="is a link"):
            path_inside(folder, relative)
    (tmp_path / "short").symlink_to(folder)
    assert path_inside(tmp_path / "short", "a/x") == str(tmp_path / "short" / "a" / "x")
