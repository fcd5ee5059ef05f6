"""What has arrived is checked before any of it is used."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cloudtune import StoppingCriterion, Tuner
from cloudtune.agent.unpack import unpack
from cloudtune.backend import LocalBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import RandomSearch
from cloudtune.remote.shipment import Shipment, pack
from cloudtune.remote.unpacking import CannotLoad, check, load
from tests.remote.journey import write


@pytest.fixture(autouse=True)
def _search_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading extends it."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    """A small one."""
    script = write(tmp_path / "source", {"train.py": "pass\n"}) / "train.py"
    scheduler = RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=1)
    stop = StoppingCriterion(max_num_trials_finished=1)
    return pack(Tuner(LocalBackend(script), scheduler, stop, 1, tuner_name="sent", trial_backend_path=tmp_path))


@pytest.fixture
def archive(tmp_path: Path, shipment: Shipment) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(shipment.bundle.body)
    return path


class Poison:
    """Whoever unpickles it has lost."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return sys.exit, ("unpickled",)


def test_what_was_sent_is_taken(tmp_path: Path, shipment: Shipment, archive: Path) -> None:
    """The tuner has this machine's folders, those of the trials included, and its modules can be imported."""
    unpack(str(archive), str(tmp_path / "code"), str(tmp_path / "package"))
    tuner = load(tmp_path / "code", shipment.manifest, shipment.tuner_pickle, archive)
    assert isinstance(tuner.trial_backend, LocalBackend)
    assert tuner.trial_backend.entry_point == tmp_path / "code" / "shipped" / "0" / "source" / "train.py"
    assert tuner.trial_backend_path is None
    assert tuner.tuner_path == tmp_path / "experiments" / tuner.name
    assert str(tmp_path / "code") in sys.path


def rewritten(body: bytes, name: str, content: bytes) -> bytes:
    """An archive with one file changed, and nothing compressed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, content if entry.filename == name else old.read(entry), zipfile.ZIP_STORED)
    return changed.getvalue()


def test_an_archive_that_was_changed_is_refused(shipment: Shipment, archive: Path) -> None:
    """A changed file, an added one, a truncated or damaged archive: one sentence, with the remedy."""
    body = shipment.bundle.body
    added = io.BytesIO(body)
    with zipfile.ZipFile(added, "a") as more:
        more.writestr("source/added.py", "")
    middle = len(body) // 2
    damaged = body[:middle] + bytes(64) + body[middle + 64 :]
    for changed in (
        rewritten(body, "source/shipped/0/source/train.py", b"evil"),
        rewritten(body, "cloudtune/tuner.py", b""),
        added.getvalue(),
        body[:-1000],
        damaged,
        b"",
    ):
        archive.write_bytes(changed)
        with pytest.raises(CannotLoad, match=r"archive .* changed after it was uploaded.*launch again"):
            check(shipment.manifest, shipment.tuner_pickle, archive)


def test_an_archive_packed_by_another_zlib_is_the_same(shipment: Shipment, archive: Path) -> None:
    """Whoever was first has uploaded it; the content counts, not how well it was packed."""
    archive.write_bytes(rewritten(shipment.bundle.body, "", b""))
    assert archive.read_bytes() != shipment.bundle.body
    check(shipment.manifest, shipment.tuner_pickle, archive)


@pytest.mark.defect("R8")
def test_a_pickle_that_was_changed_is_not_unpickled(tmp_path: Path, shipment: Shipment) -> None:
    """Unpickling runs code: only what the launcher has sent is."""
    with pytest.raises(CannotLoad, match="pickle was changed after it was uploaded"):
        load(tmp_path, shipment.manifest, pickle.dumps(Poison()))


@pytest.mark.defect("R7")
def test_versions_are_compared_before_anything_is_unpickled(tmp_path: Path, shipment: Shipment) -> None:
    """A pickle of another Python may do anything, a crash included: the sentence comes first."""
    import hashlib

    poison = pickle.dumps(Poison())
    versions = {**shipment.manifest["versions"], "python": "3.9"}
    manifest = {**shipment.manifest, "versions": versions, "tuner": hashlib.sha256(poison).hexdigest()}
    with pytest.raises(
        CannotLoad, match=r"^the tuner was sent from Python 3\.9, and this machine has Python 3\.\d+; choose"
    ):
        load(tmp_path, manifest, poison)


def test_a_manifest_of_another_format_is_refused(tmp_path: Path, shipment: Shipment) -> None:
    """Its members may mean something else."""
    for wrong in ({**shipment.manifest, "format": 2}, {}):
        with pytest.raises(CannotLoad, match=r"has the format .* launch again"):
            load(tmp_path, wrong, shipment.tuner_pickle)


def sent(shipment: Shipment, data: bytes) -> dict[str, Any]:
    """A manifest for another pickle."""
    import hashlib

    return {**shipment.manifest, "tuner": hashlib.sha256(data).hexdigest()}


def test_what_is_no_tuner_is_refused(tmp_path: Path, shipment: Shipment) -> None:
    """As is what cannot be unpickled: the sentence says what to pass along."""
    other = pickle.dumps([1, 2])
    with pytest.raises(CannotLoad, match="no tuner"):
        load(tmp_path, sent(shipment, other), other)
    missing = b"cno_such_module\nname\n."
    with pytest.raises(CannotLoad, match=r"No module named 'no_such_module'.*dependencies=\[\.\.\.\]"):
        load(tmp_path, sent(shipment, missing), missing)


def test_a_folder_without_the_source_is_refused(tmp_path: Path, shipment: Shipment) -> None:
    """Rather than in the first trial."""
    with pytest.raises(CannotLoad, match=r"shipped/0/source is missing"):
        load(tmp_path / "empty", shipment.manifest, shipment.tuner_pickle)
