"""Blackboxes by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudtune.backend import SimulatorBackend
from cloudtune.blackbox import TabularBlackbox, add_blackbox, load_blackbox, registry, table
from cloudtune.blackbox.blackbox import Blackbox
from cloudtune.blackbox.table_file import DamagedTable, read_table
from tests.blackbox.small_tables import small_table


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without blackboxes, and no shipped ones."""
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path / "home"))
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(registry, "_added", {})
    return tmp_path


def about(blackbox: Blackbox) -> str:
    assert isinstance(blackbox, TabularBlackbox)
    return blackbox.about


def test_table_is_kept_for_later_processes(own_folder: Path) -> None:
    """A table that was added, as an object or a file, is found in the user's folder, where the newest counts."""
    add_blackbox("mine", small_table(about="first"))
    assert (own_folder / "home" / "blackboxes" / "mine.npz").is_file()
    assert about(load_blackbox("mine")) == "first"
    small_table(about="second").save(own_folder / "elsewhere.npz")
    add_blackbox("mine", own_folder / "elsewhere.npz")
    (own_folder / "elsewhere.npz").unlink()
    assert about(load_blackbox("mine")) == "second"


def test_file_is_read_again_only_if_it_has_changed(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells of a study load one large table after the other; only the last one is kept, never a former version."""
    read: list[str] = []

    def counting(path: Path) -> Any:
        read.append(path.name)
        return read_table(path)

    monkeypatch.setattr(table, "read_table", counting)
    add_blackbox("mine", small_table(about="first"))
    for _ in range(3):
        assert about(load_blackbox("mine")) == "first"
    assert read == ["mine.npz"]
    add_blackbox("mine", small_table(about="other"))
    assert about(load_blackbox("mine")) == "other"
    assert read == ["mine.npz"] * 2
    add_blackbox("second", small_table(about="second"))
    assert [about(load_blackbox(name)) for name in ("second", "mine", "mine")] == ["second", "other", "other"]
    assert read == ["mine.npz"] * 2 + ["second.npz", "mine.npz"]
    (own_folder / "home" / "blackboxes" / "mine.npz").unlink()
    with pytest.raises(registry.UnknownBlackbox):
        load_blackbox("mine")


def test_loaded_table_is_nobody_elses() -> None:
    """What one user of a table does to it reaches no later one: its numbers are read-only, the rest its own."""
    add_blackbox("mine", small_table(about="as added"))
    first = load_blackbox("mine")
    assert isinstance(first, TabularBlackbox)
    for array in (first.values, first.elapsed, first.resources):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    first.about, first.metrics = "changed", ("changed", "too")
    again = load_blackbox("mine")
    assert (about(again), again.metrics) == ("as added", ("loss", "accuracy"))


def test_shipped_tables_give_way_to_ones_own(own_folder: Path) -> None:
    """A table that comes with the package is found by its name, unless the user has one of that name."""
    small_table(about="shipped").save(own_folder / "shipped" / "digits.npz")
    assert about(load_blackbox("digits")) == "shipped"
    add_blackbox("digits", small_table(about="own"))
    assert about(load_blackbox("digits")) == "own"


def test_function_is_called_when_needed() -> None:
    """A function makes the blackbox at each load, in this process; the simulator takes names."""
    made: list[Any] = []

    def make() -> Blackbox:
        made.append(small_table(about="made"))
        return made[-1]  # type: ignore[no-any-return]

    add_blackbox("made", make)
    assert not made
    assert about(load_blackbox("made")) == "made"
    assert SimulatorBackend("made").blackbox is made[1]


def test_unknown_name_is_answered_with_those_there_are() -> None:
    """A misspelt name gets the nearest one and all others; a name is never taken for a path."""
    with pytest.raises(registry.UnknownBlackbox, match="nor any other; add one with"):
        load_blackbox("digits")
    add_blackbox("digits_mlp", small_table())
    add_blackbox("other", small_table)
    with pytest.raises(registry.UnknownBlackbox, match=r"did you mean 'digits_mlp'. known are digits_mlp, other;"):
        load_blackbox("digist_mlp")
    with pytest.raises(ValueError, match="known are digits_mlp, other"):
        SimulatorBackend("../blackboxes/digits_mlp")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "table.npz", "with space"])
def test_names_are_checked(name: str) -> None:
    """What cannot be the name of a file in one folder is refused."""
    with pytest.raises(ValueError, match="cannot be the name"):
        add_blackbox(name, small_table())


def test_what_is_no_blackbox_is_refused(own_folder: Path) -> None:
    """A file that is no table, and an object that is no blackbox, are not added."""
    (own_folder / "text.npz").write_text("no table")
    with pytest.raises(DamagedTable):
        add_blackbox("text", own_folder / "text.npz")
    with pytest.raises(FileNotFoundError):
        add_blackbox("absent", own_folder / "absent.npz")
    with pytest.raises(TypeError, match="got 7"):
        add_blackbox("seven", 7)  # type: ignore[arg-type]
    assert registry.known_blackboxes() == []
