"""What a pickled tuner needs: distributions pinned to what is installed, and files of the user's own."""

from __future__ import annotations

import importlib
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import dill
import numpy as np
import pytest

from cloudtune.backend.function_transport import pack_function
from cloudtune.remote import installed, needs
from cloudtune.remote.code_imports import imports_of_source
from cloudtune.remote.installed import Distribution, LocalModule
from cloudtune.remote.needs import Needs, needs_of, requirements
from cloudtune.remote.pickle_needs import modules_of_pickle
from cloudtune.remote.pickling import CannotShip
from tests.remote.journey import write

Importing = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Importing]:
    """Writes files into a folder on the search path; what was imported from them is forgotten afterwards."""
    before = set(sys.modules)
    installed._distribution.cache_clear()

    def written(files: Mapping[str, str]) -> Path:
        folder = write(tmp_path / "project", files)
        monkeypatch.syspath_prepend(folder)
        return folder

    yield written
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)) or name.partition(".")[0].startswith("mine"):
            del sys.modules[name]
    installed._distribution.cache_clear()


@pytest.fixture
def site(on_path: Importing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip would install into."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(folder: Path, name: str, version: str, files: Mapping[str, str], **information: str) -> None:
    """As pip would: files, and a folder with their list."""
    write(folder, files)
    told = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    write(told, {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **information})
    (told / "RECORD").write_text("".join(f"{file},,\n" for file in files))


# ---- reading a pickle


def test_modules_are_found_without_unpickling() -> None:
    """By the names of classes and functions, also where a later reference comes from the memo."""
    data = pickle.dumps([Path("a"), np.float64(1), re.compile("x"), np.arange(3), Distribution("a", "1")])
    top = {name.partition(".")[0] for name in modules_of_pickle(data)}
    assert {"pathlib", "numpy", "re", "cloudtune"} <= top
    assert "copyreg" not in top or "copyreg" in sys.stdlib_module_names


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_protocol_is_understood(protocol: int) -> None:
    """Protocols differ in how they write strings, memo and names."""
    data = pickle.dumps([Distribution("a", "1"), Distribution("b", "2"), LocalModule("c", ())], protocol)
    assert "cloudtune.remote.installed" in modules_of_pickle(data)


def test_the_function_of_a_backend_is_looked_into() -> None:
    """It is a pickle inside the tuner's; what it imports when it runs stands in marshalled code."""

    def outer(x: float) -> object:
        import colorsys

        def inner() -> None:
            import wave  # noqa: F401

        return colorsys, inner, np.float64(x), json

    outer.__module__ = "__main__"
    packed = pack_function(outer)
    assert not packed.by_dill
    for written in (pickle.dumps({"tune_function": packed}), dill.dumps({"tune_function": packed})):
        assert {"colorsys", "wave", "numpy", "json"} <= modules_of_pickle(written)


@pytest.mark.parametrize("data", [b"\x80no pickle at all.", b"", b"\x80\x04.", b"\x80\x05\x95" + bytes(20) + b"."])
def test_bytes_that_are_no_pickle_are_just_bytes(data: bytes) -> None:
    """A user's bytes may look like one at both ends."""
    assert modules_of_pickle(pickle.dumps({"mine": data})) == set()


# ---- imports in source


def test_imports_are_found_wherever_they_stand() -> None:
    """Guarded and late ones, lists and aliases; relative ones are part of the same package."""
    source = """
import a, b.c as d, e;  x = 1
from f.g import (h,
    i)
try:
    import j # why
except ImportError:
    from .k import l
def late():
    from m import *
    import n
y = "import o"
"""
    assert imports_of_source(source) == {"a", "b.c", "e", "f.g", "j", "m", "n"}


# ---- where modules come from


@pytest.mark.defect("R7")
def test_what_is_installed_is_pinned_to_its_version() -> None:
    """The name is the distribution's, which need not be the module's, and the version is that of this machine."""
    found = needs_of([pickle.dumps(np.float64(1))], imports=["dateutil.parser", "boto3"])
    assert found.distributions == {
        "boto3": metadata.version("boto3"),
        "numpy": metadata.version("numpy"),
        "python-dateutil": metadata.version("python-dateutil"),
    }
    assert not found.local


def test_the_builder_s_part_of_a_version_is_left_out(site: Path) -> None:
    """``2.8.0+cu126`` was made for some machine; an index has it as ``2.8.0``, and pip takes that for the same."""
    install(site, "mine-torch", "2.8.0+cu126", {"minetorch/__init__.py": ""})
    assert installed.origin("minetorch") == Distribution("mine-torch", "2.8.0")


def test_modules_of_one_namespace_come_from_several_distributions(site: Path) -> None:
    """``minecloud.storage`` and ``minecloud.batch`` share a top-level name and nothing else."""
    install(site, "mine-storage", "1.0", {"minecloud/storage/__init__.py": ""})
    install(site, "mine-batch", "2.0", {"minecloud/batch/__init__.py": ""})
    for name in ("minecloud.storage", "minecloud.batch"):
        importlib.import_module(name)
    found = needs_of([pickle.dumps(None)], imports=["minecloud.batch", "minecloud.storage"])
    assert found.distributions == {"mine-storage": "1.0", "mine-batch": "2.0"}


def test_pip_may_have_installed_anywhere(on_path: Importing, tmp_path: Path) -> None:
    """Into a folder of any name on the search path, as ``pip install --target`` does; a system's lists may lack."""
    folder = on_path({"mine_own.py": ""})
    install(folder, "mine-target", "1.0", {"minetarget/__init__.py": ""})
    assert installed.origin("minetarget") == Distribution("mine-target", "1.0")
    assert installed.origin("mine_own") == LocalModule("mine_own", (folder / "mine_own.py",))
    install(folder, "mineplain", "2.0", {"mineplain/__init__.py": ""})
    (folder / "mineplain-2.0.dist-info" / "RECORD").unlink()
    assert installed.origin("mineplain") == Distribution("mineplain", "2.0")


@pytest.mark.parametrize(
    "told", [{"dir_info": {"editable": True}}, {"dir_info": {}}, {"vcs_info": {"vcs": "git"}}], ids=str
)
def test_what_was_installed_from_a_folder_travels_as_files(site: Path, told: dict[str, Any]) -> None:
    """No index has it, or has another thing under its name."""
    url = json.dumps({"url": "file:///somewhere", **told})
    install(site, "mine", "1.0", {"mine/__init__.py": ""}, **{"direct_url.json": url})
    assert installed.origin("mine") == LocalModule("mine", (site / "mine",))


def test_a_local_module_brings_what_it_imports(on_path: Importing) -> None:
    """Modules beside the script, packages, what those import in turn; but not a package's tests."""
    folder = on_path(
        {
            "mine_one.py": "import mine_two\nimport boto3\n",
            "mine_two.py": "def late():\n    import mine_package.deep\n",
            "mine_package/__init__.py": "",
            "mine_package/deep.py": "import dateutil\ntry:\n    import no_such_module\nexcept ImportError: pass\n",
            "mine_package/test_deep.py": "import pytest\n",
        }
    )
    for name in ("mine_one", "mine_package.deep"):
        importlib.import_module(name)
    found = needs_of([pickle.dumps(None)], imports=["mine_one"])
    assert found.local == {
        "mine_one": (folder / "mine_one.py",),
        "mine_two": (folder / "mine_two.py",),
        "mine_package": (folder / "mine_package",),
    }
    assert set(found.distributions) == {"boto3", "python-dateutil"}


class Reduced:
    """Pickled as a call of a function in some module."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return self.function, ()


def test_a_module_without_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it and the way out; a module given as a dependency is there already."""
    module = ModuleType("made_by_hand")
    exec("def made(): return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    data = pickle.dumps(Reduced(module.made))
    with pytest.raises(CannotShip, match=r"module 'made_by_hand'.*dependencies=\[\.\.\.\]"):
        needs_of([data])
    assert needs_of([data], given=["made_by_hand"]).local == {}


def test_a_script_needs_what_it_and_its_neighbours_import(on_path: Importing) -> None:
    """A local trial's script is run beside the tuner. Its neighbours travel with it, the rest is installed."""
    folder = on_path(
        {
            "train.py": "import neighbour, boto3\nfrom inner.part import x\nimport cloudtune, os\n",
            "neighbour.py": "import train\nimport dateutil\n",
            "inner/part.py": "import rich.table\n",
            "run.sh": "import nothing",
        }
    )
    found = needs_of(
        [pickle.dumps(None)], scripts=[folder / "train.py", folder / "run.sh", folder / "inner" / "part.py"]
    )
    assert set(found.distributions) == {"boto3", "python-dateutil", "rich"}
    assert found.local == {}


# ---- requirements


@pytest.mark.defect("R7")
def test_requirements_are_pinned_and_always_in_the_same_order() -> None:
    """The order in which a pickle names things must not change the archive."""
    one = requirements(Needs({"zlib-ng": "1.0", "Attrs": "2.0"}))
    assert one == requirements(Needs({"Attrs": "2.0", "zlib-ng": "1.0"}))
    assert one == [
        "Attrs==2.0",
        *(f"{name}=={metadata.version(name)}" for name in ("boto3", "dill", "numpy", "rich")),
        "zlib-ng==1.0",
    ]


def test_what_the_user_s_own_list_says_of_a_version_counts() -> None:
    """However the name is spelt: pip would refuse two different wishes. A bare name leaves ours, which it allows."""
    text = (
        "Scikit_Learn[extra] >= 1.3\n-r other.txt\nnumpy\n# boto3==1\n  dill~=0.3 ; python_version > '3'\nrich @ git+x"
    )
    lines = requirements(Needs({"scikit-learn": "1.7.0"}), {"shipped/0/a/requirements.txt": text})
    assert lines[-1] == "-r shipped/0/a/requirements.txt"
    assert [line.partition("==")[0] for line in lines[:-1]] == ["boto3", "numpy"]


def test_what_cloudtune_itself_needs_is_what_it_declares() -> None:
    """A new dependency is needed by the remote tuner too, unless somebody says here that it is not."""
    declared = [line for line in metadata.requires("cloudtune") or () if "extra ==" not in line]
    names = {re.split(r"[<>=!~ ]", line)[0] for line in declared}
    only_for_people = {"click", "pandas"}
    assert set(needs.OWN_REQUIREMENTS) == names - only_for_people
