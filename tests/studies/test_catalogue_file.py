"""Where the catalogue of a command line comes from: a file, a module, or the place where launch scripts have theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudtune.studies.catalogue_file import NoCatalogue, load_catalogue
from tests.own_modules import own_modules

SOURCE = """
from beside import METHOD
from cloudtune.studies.catalogue import Catalogue

CATALOGUE = Catalogue({}, {METHOD: lambda arguments: None})
OTHER = Catalogue({}, {"OTHER": lambda arguments: None})
NUMBER = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a catalogue and a module beside it, which is the current one."""
    folder = tmp_path / "launchers"
    folder.mkdir()
    (folder / "catalogue.py").write_text(SOURCE)
    (folder / "beside.py").write_text("METHOD = 'MINE'\n")
    monkeypatch.chdir(tmp_path)
    with own_modules("launchers", "catalogue", "beside", "mine", "broken"):
        yield tmp_path


@pytest.mark.parametrize(
    ("named", "method"),
    [
        (None, "MINE"),
        ("launchers/catalogue.py", "MINE"),
        ("launchers/catalogue.py:OTHER", "OTHER"),
    ],
)
def test_a_file(named: str | None, method: str) -> None:
    """Named, or in the usual place; modules beside it are found."""
    assert load_catalogue(named).default_methods == (method,)


def test_a_module(folder: Path) -> None:
    """Of an installed package, or below the current folder; and one of its names."""
    (folder / "mine.py").write_text(SOURCE.replace("beside", "launchers.beside"))
    assert load_catalogue("mine").default_methods == ("MINE",)
    assert load_catalogue("mine:OTHER").default_methods == ("OTHER",)


def test_a_file_from_anywhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its whole path; a second time it is the same object."""
    monkeypatch.chdir("/")
    first = load_catalogue(str(folder / "launchers" / "catalogue.py"))
    assert load_catalogue(str(folder / "launchers" / "catalogue.py")) is first


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("absent.py", "there is no file absent.py; write one, as `from cloudtune.studies.catalogue import Catalogue; "),
        ("absent_module", "there is no module absent_module to take a catalogue from; name a file as --catalogue"),
        ("launchers.absent:X", "there is no module launchers.absent to"),
        ("launchers/catalogue.py:ABSENT", "launchers/catalogue.py has no Catalogue called ABSENT; write one"),
        ("launchers/catalogue.py:NUMBER", "launchers/catalogue.py has no Catalogue called NUMBER; write one"),
    ],
)
def test_there_is_none(named: str, message: str) -> None:
    """The message says where it looked and how to write one."""
    with pytest.raises(NoCatalogue) as raised:
        load_catalogue(named)
    assert message in str(raised.value)


def test_none_in_the_usual_place(folder: Path) -> None:
    """Nothing was named, and there is no file: the place is named."""
    (folder / "launchers" / "catalogue.py").unlink()
    with pytest.raises(
        NoCatalogue, match=r"there is no catalogue launchers/catalogue.py here; name a file that has one"
    ):
        load_catalogue()


def test_a_name_that_is_taken(folder: Path) -> None:
    """A file called like a module that is loaded already cannot be imported under its name: another is not taken."""
    (folder / "json.py").write_text(SOURCE)
    with pytest.raises(NoCatalogue, match=r"Python has another module called json; rename the file"):
        load_catalogue("json.py")


def test_what_goes_wrong_in_it_is_told(folder: Path) -> None:
    """A module that the catalogue itself lacks is not taken for the catalogue."""
    (folder / "broken.py").write_text("import there_is_no_such_module\n")
    for named in ("broken", "broken.py"):
        with pytest.raises(NoCatalogue, match=r"broken.* cannot be imported \(ModuleNotFoundError: No module"):
            load_catalogue(named)
