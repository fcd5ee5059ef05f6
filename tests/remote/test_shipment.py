"""What a shipment holds: the source with its places, dependencies, requirements, and an address of its content."""

from __future__ import annotations

import io
import os
import random
import shutil
import threading
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtune import StoppingCriterion, Tuner
from cloudtune.agent.unpack import unpack
from cloudtune.aws import packaging
from cloudtune.aws.job_template import TrainingJob
from cloudtune.aws.packaging import BundleError, build_bundle
from cloudtune.backend import LocalBackend, SageMakerBackend
from cloudtune.backend.trial_backend import TrialBackend
from cloudtune.config_space import uniform
from cloudtune.optimizer.baselines import BORE, MOBSTER, BayesianOptimization, RandomSearch
from cloudtune.optimizer.scheduler import TrialScheduler
from cloudtune.optimizer.schedulers import FIFOScheduler, MedianStoppingRule
from cloudtune.optimizer.schedulers.raytune import RayTuneScheduler
from cloudtune.remote import shipment as shipment_module
from cloudtune.remote.pickling import CannotShip
from cloudtune.remote.shipment import Shipment, pack
from cloudtune.remote.unpacking import load
from tests.remote.journey import write

SECRET = "wJalrXUtnFEMIK7MDENG"


@pytest.fixture
def small_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that pack again and again do so without the package."""
    monkeypatch.setattr(packaging, "_package_files", lambda **_: [("cloudtune/__init__.py", b"")])


def tuner_of(backend: TrialBackend, seed: int = 1, **options: Any) -> Tuner:
    """A tuner without anything of this module in it."""
    scheduler = RandomSearch({"x": uniform(0, 1)}, metric="loss", random_seed=seed)
    return Tuner(backend, scheduler, StoppingCriterion(max_num_trials_finished=1), 1, tuner_name="ship", **options)


def tuner_with(scheduler: TrialScheduler) -> Tuner:
    """A tuner with this scheduler, which has no trials yet."""
    job = TrainingJob(entry_point=Path(__file__).name, source_dir=Path(__file__).parent, instance_type="ml.m5.large")
    return Tuner(SageMakerBackend(job), scheduler, StoppingCriterion(max_num_trials_finished=1), 1, tuner_name="ship")


def contents(shipment: Shipment) -> dict[str, bytes]:
    """Files below ``source/``."""
    with zipfile.ZipFile(io.BytesIO(shipment.bundle.body)) as archive:
        return {name[7:]: archive.read(name) for name in archive.namelist() if name.startswith("source/")}


def arrive(shipment: Shipment, folder: Path) -> Tuner:
    """Unpacks as the agent does, and makes the tuner."""
    folder.mkdir(parents=True)
    (folder / "bundle.zip").write_bytes(shipment.bundle.body)
    unpack(str(folder / "bundle.zip"), str(folder / "code"), str(folder / "package"))
    return load(folder / "code", shipment.manifest, shipment.tuner_pickle, folder / "bundle.zip")


@pytest.fixture(autouse=True)
def _search_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading extends it."""
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.mark.usefixtures("small_package")
@pytest.mark.defect("C17")
def test_a_backend_can_be_shipped_twice_and_used_here_afterwards(tmp_path: Path) -> None:
    """Launching leaves the user's objects as they were: same paths, same template, same profile, same archive."""
    folder = write(tmp_path / "source", {"train.py": "pass", "lib/a.py": ""})
    extra = write(tmp_path / "extra", {"more.py": ""})
    job = TrainingJob("train.py", source_dir=folder, dependencies=[extra / "more.py"])
    backend = SageMakerBackend(job, profile="mine")
    before, template = dict(vars(backend)), backend.template
    shipments = [pack(tuner_of(backend, seed)) for seed in range(2)]
    assert vars(backend) == before
    assert backend.template is template
    assert Path(template.source_dir or "").is_dir()
    assert shipments[0].bundle == shipments[1].bundle
    for number, shipment in enumerate(shipments):
        there = arrive(shipment, tmp_path / f"there-{number}").trial_backend
        assert isinstance(there, SageMakerBackend)
        code = tmp_path / f"there-{number}" / "code"
        assert there.template.source_dir == str(code / "shipped" / "0" / "source")
        assert there.template.dependencies == (str(code / "shipped" / "1" / "more.py"),)
        assert there.template.entry_point == "train.py"
        assert there.profile is None


def test_the_trials_archive_is_the_same_from_there(tmp_path: Path) -> None:
    """What a SageMakerBackend packs in the cloud is what it packs here, down to files that were taken back."""
    files = {
        "train.py": "pass",
        "keep.pyc": "kept",
        "data/big.bin": "left out",
        ".env": "kept too",
        ".aws/[x] * ": "kept too",
        "lib/a.py": "x = 1",
    }
    folder = write(tmp_path / "source", files | {".cloudtuneignore": "*.bin\n!keep.pyc\n!.env\n!.aws/\n"})
    extra = write(tmp_path / "extra", {"more.py": "", "drop.pyc": ""})
    here = SageMakerBackend(TrainingJob("train.py", source_dir=folder, dependencies=[extra]))
    there = arrive(pack(tuner_of(here)), tmp_path / "there").trial_backend
    assert isinstance(there, SageMakerBackend)
    bundles = [
        build_bundle(
            Path(one.template.source_dir or ""), "train.py", [Path(path) for path in one.template.dependencies]
        )
        for one in (here, there)
    ]
    assert bundles[0].digest == bundles[1].digest
    assert set(bundles[1].files) == {
        "train.py",
        "keep.pyc",
        ".env",
        ".aws/[x] * ",
        "lib/a.py",
        "extra/more.py",
    }


@pytest.mark.usefixtures("small_package")
def test_a_script_without_a_folder_travels_alone(tmp_path: Path) -> None:
    """As it does to the trials' jobs."""
    folder = write(tmp_path, {"train.py": "pass", "other.py": ""})
    shipment = pack(tuner_of(SageMakerBackend(TrainingJob(folder / "train.py"))))
    assert {name for name in contents(shipment) if name.startswith("shipped")} == {"shipped/0/train.py"}
    there = arrive(shipment, tmp_path / "there").trial_backend
    assert isinstance(there, SageMakerBackend)
    assert there.template.entry_point == str(tmp_path / "there" / "code" / "shipped" / "0" / "train.py")


@pytest.mark.usefixtures("small_package")
def test_dependencies_stand_where_they_can_be_imported(tmp_path: Path) -> None:
    """Files and folders, by their own names; two of one name are refused, and so are those of our own files."""
    folder = write(
        tmp_path, {"source/train.py": "", "a/tool.py": "", "b/tool.py": "", "pack/in.py": "", "cloudtune_tuner.py": ""}
    )
    tuner = tuner_of(LocalBackend(folder / "source" / "train.py"))
    shipment = pack(tuner, [folder / "a" / "tool.py", folder / "pack", str(folder / "pack")])
    assert {"tool.py", "pack/in.py"} <= contents(shipment).keys()
    for wrong in (folder / "b" / "tool.py", folder / "cloudtune_tuner.py"):
        with pytest.raises(BundleError, match=f"{wrong} has the name of something else"):
            pack(tuner, [folder / "a" / "tool.py", wrong])
    with pytest.raises(BundleError, match="nowhere"):
        pack(tuner, [folder / "nowhere"])


@pytest.mark.usefixtures("small_package")
def test_requirements_of_a_local_script_are_installed(tmp_path: Path) -> None:
    """Its folder's own list counts where there is one; else what it imports, as it is installed here."""
    write(tmp_path, {"with/train.py": "import boto3", "with/requirements.txt": "x", "without/train.py": "import click"})
    lines = pack(tuner_of(LocalBackend(tmp_path / "with" / "train.py"))).manifest["requirements"]
    assert lines[-1] == "-r shipped/0/with/requirements.txt"
    assert not [line for line in lines if line.startswith("click")]
    tuner = tuner_of(LocalBackend(tmp_path / "without" / "train.py"))
    shipment = pack(tuner)
    lines = contents(shipment)["requirements.txt"].decode().splitlines()
    assert lines == shipment.manifest["requirements"]
    assert [line.partition("==")[0] for line in lines] == ["boto3", "click", "dill", "numpy", "rich"]
    assert contents(pack(tuner, requirements=["else==2", "more"]))["requirements.txt"] == b"else==2\nmore\n"
    assert "requirements.txt" not in contents(pack(tuner, requirements=[]))


@pytest.mark.usefixtures("small_package")
@pytest.mark.parametrize(
    ("make", "needed"),
    [
        (BayesianOptimization, {"botorch"}),
        (partial(MOBSTER, max_t=9), {"botorch"}),
        (BORE, {"scikit-learn"}),
        (partial(FIFOScheduler, searcher="optuna", search_options={"sampler": "cmaes"}), {"optuna", "cmaes"}),
        (partial(RayTuneScheduler, resource_attr="epoch"), {"ray", "pyarrow"}),
        (lambda space, **given: MedianStoppingRule(BORE(space, **given), "epoch"), {"scikit-learn"}),
    ],
)
def test_libraries_of_methods_are_installed(make: Callable[..., TrialScheduler], needed: set[str]) -> None:
    """Also those that a method imports only when it needs them, and its pickle does not name."""
    scheduler = make({"x": uniform(0, 1)}, metric="loss", random_seed=1)
    lines = pack(tuner_with(scheduler)).manifest["requirements"]
    assert needed <= {line.partition("==")[0] for line in lines}


@pytest.mark.usefixtures("small_package")
def test_a_huge_file_is_refused_before_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 GB beside the script: named, with what to do about it, and at once."""
    folder = write(tmp_path / "source", {"train.py": "", "weights.bin": ""})
    os.truncate(folder / "weights.bin", 5 * 10**9)
    monkeypatch.setattr(packaging, "_Writer", None)  # packing would fail
    monkeypatch.setattr(shipment_module, "check_files", None)  # as would reading it
    with pytest.raises(BundleError, match=r"weights\.bin \(5 GB\).*\.cloudtuneignore.*input channel"):
        pack(tuner_of(LocalBackend(folder / "train.py")))


@pytest.mark.usefixtures("small_package")
def test_secrets_in_source_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that the environment has, in any file that would travel; the message does not show it."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    folder = write(tmp_path / "source", {"train.py": "", "deep/settings.yaml": f"key: {SECRET}"})
    tuner = tuner_of(LocalBackend(folder / "train.py"))
    with pytest.raises(CannotShip, match=r"deep/settings\.yaml holds the value of AWS_SECRET_ACCESS_KEY") as caught:
        pack(tuner)
    assert SECRET not in str(caught.value)
    (folder / ".cloudtuneignore").write_text("settings.yaml\n")
    shipment = pack(tuner)
    assert SECRET not in str(shipment.manifest)


@pytest.mark.usefixtures("small_package")
def test_many_may_pack_at_once(tmp_path: Path) -> None:
    """Threads that launch a study's cells get the same archive, and each its own tuner."""
    folder = write(tmp_path / "source", {"train.py": "", **{f"{number}.txt": str(number) for number in range(20)}})
    tuners = [tuner_of(LocalBackend(folder / "train.py"), seed) for seed in range(8)]
    shipments: list[Shipment | None] = [None] * len(tuners)

    def do(number: int) -> None:
        shipments[number] = pack(tuners[number])

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(tuners))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [one for one in shipments if one is not None]
    assert len(done) == len(tuners)
    assert len({one.bundle.digest for one in done}) == 1
    assert len({one.manifest["tuner"] for one in done}) == len(tuners)


names = st.text("abcXYZ_", min_size=1, max_size=5)
trees = st.dictionaries(
    st.tuples(names, names).map(lambda parts: f"{parts[0]}.d/{parts[1]}.txt"), st.binary(max_size=20)
)


@settings(max_examples=15)
@given(files=trees, seed=st.integers(0, 99))
def test_the_address_hangs_on_content_alone(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], seed: int
) -> None:
    """Not on dates, nor on the order in which files were made, nor on where the folder lies."""
    order = random.Random(seed)
    digests = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaging, "_package_files", lambda **_: [])
        for place in ("one", "elsewhere/two"):
            shuffled = list(files.items())
            order.shuffle(shuffled)
            folder = tmp_path_factory.mktemp("source") / place / "same"
            for name, content in [*shuffled, ("train.py", b"")]:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            for path in folder.rglob("*"):
                os.utime(path, (order.randrange(10**9), order.randrange(10**9)))
            shipment = pack(tuner_of(LocalBackend(folder / "train.py")))
            digests.add(shipment.bundle.digest)
            assert dict(shipment.manifest["paths"]) == {folder.as_posix(): "shipped/0/same"}
            there = arrive(shipment, folder.parent / "there")
            assert isinstance(there.trial_backend, LocalBackend)
            copied = there.trial_backend.entry_point.parent
            assert {name: (copied / name).read_bytes() for name in files} == files
            shutil.rmtree(folder)
    assert len(digests) == 1
