"""Finds the catalogue that a command line names: in a file, in a module, or where launch scripts have theirs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from cloudtune.errors import CloudtuneError
from cloudtune.studies.catalogue import Catalogue

#: Below the current directory.
USUAL_FILE = Path("launchers/catalogue.py")
_USUAL_NAME = "CATALOGUE"
_HOW_TO_WRITE = (
    "write one, as `from cloudtune.studies.catalogue import Catalogue; CATALOGUE = Catalogue({'mine': make_mine})`, "
    "where make_mine() makes a BenchmarkDefinition"
)


class NoCatalogue(CloudtuneError):
    """There is no catalogue where one was looked for."""


def load_catalogue(named: str | None = None) -> Catalogue:
    """The catalogue of this name.

    The current directory, and that of the file, are then among those that modules are imported from.

    Args:
        named: ``FILE.py`` or a module, with ``:NAME`` behind it where it is not called ``CATALOGUE``. Default:
            ``launchers/catalogue.py`` below the current directory.

    Raises:
        NoCatalogue: There is none; the message says how to write one.
    """
    if named is None:
        if not USUAL_FILE.is_file():
            raise NoCatalogue(
                f"there is no catalogue {USUAL_FILE} here; name a file that has one with --catalogue FILE.py, or "
                f"{_HOW_TO_WRITE}"
            )
        named = str(USUAL_FILE)
    place, _, name = named.partition(":")
    _look_in(Path.cwd())
    module = _from_file(Path(place)) if place.endswith(".py") else _imported(place, place)
    found = getattr(module, name or _USUAL_NAME, None)
    if not isinstance(found, Catalogue):
        raise NoCatalogue(f"{place} has no Catalogue called {name or _USUAL_NAME}; {_HOW_TO_WRITE}")
    return found


def _from_file(path: Path) -> ModuleType:
    """The module in a file, under the name that it has for launch scripts: ``launchers.catalogue``."""
    if not path.is_file():
        raise NoCatalogue(f"there is no file {path}; {_HOW_TO_WRITE}")
    path = path.resolve()
    _look_in(path.parent)
    within = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    parts = within.with_suffix("").parts
    name = ".".join(parts) if all(part.isidentifier() for part in parts) else path.stem
    module = _imported(name, str(path))
    if Path(str(getattr(module, "__file__", ""))).resolve() != path:
        raise NoCatalogue(f"Python has another module called {name}; rename the file {path}")
    return module


def _imported(name: str, place: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise NoCatalogue(
                f"there is no module {place} to take a catalogue from; name a file as --catalogue FILE.py, or "
                f"{_HOW_TO_WRITE}"
            ) from error
        raise NoCatalogue(
            f"the catalogue {place} cannot be imported ({type(error).__name__}: {error}); mend it, or see with --debug "
            "where that comes from"
        ) from error


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
