"""The archive that jobs run: the same for the same content, with all that is needed and nothing that must stay home."""

from __future__ import annotations

import io
import logging
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cloudtune
from cloudtune.aws import packaging, source_files
from cloudtune.aws.packaging import (
    Bundle,
    BundleError,
    build_bundle,
    build_program_bundle,
    content_digest,
)
from cloudtune.aws.source_files import SourceFile, read_folder
from tests.aws.source_folders import source
from tests.old_python import python38


def packed(bundle: Bundle) -> dict[str, bytes]:
    """Contents of the user's files in an archive."""
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as archive:
        assert archive.testzip() is None
        return {name[7:]: archive.read(name) for name in archive.namelist() if name.startswith("source/")}


def names(bundle: Bundle) -> set[str]:
    assert set(bundle.files) == set(packed(bundle))
    return set(bundle.files)


@pytest.mark.usefixtures("small_package")
def test_the_same_content_has_the_same_archive(tmp_path: Path) -> None:
    """Dates, the order in which files were made, where they lie and odd permission bits do not count; content does."""
    files = {"train.py": "pass", "lib/model.py": "x = 1", "run.sh": "echo"}
    first = source(tmp_path / "a", files)
    second = source(tmp_path / "elsewhere" / "b", dict(reversed(files.items())))
    (first / "run.sh").chmod(0o700)
    (second / "run.sh").chmod(0o775)
    (second / "train.py").chmod(0o600)
    os.utime(second / "train.py", (1, 1))
    one, other = build_bundle(first, "train.py"), build_bundle(second, "train.py")
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one.body)) as archive:
        assert archive.namelist()[0] == "__main__.py"
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert modes["source/run.sh"] == 0o755
    assert modes["source/train.py"] == 0o644
    (second / "run.sh").chmod(0o644)
    assert build_bundle(second, "train.py").digest != one.digest
    (second / "run.sh").chmod(0o755)
    assert build_bundle(second, "train.py").digest == one.digest
    (second / "lib" / "model.py").rename(second / "lib" / "models.py")
    assert build_bundle(second, "train.py").digest != one.digest


@pytest.mark.usefixtures("small_package")
def test_the_digest_does_not_hang_on_how_well_a_machine_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another zlib writes other bytes for the same content: the address stays the same."""
    folder = source(tmp_path, {"train.py": "pass\n" * 1000})
    here = build_bundle(folder, "train.py")
    monkeypatch.setattr(zipfile, "ZIP_DEFLATED", zipfile.ZIP_STORED)
    there = build_bundle(folder, "train.py")
    assert there.body != here.body
    assert there.digest == here.digest


def test_what_nobody_wants_stays_at_home(tmp_path: Path) -> None:
    """Caches, version control, environments by whatever name, without any ignore file."""
    folder = source(
        tmp_path,
        {
            "train.py": "",
            "lib/a.py": "",
            "lib/__pycache__/a.cpython-311.pyc": "",
            "old.pyc": "",
            ".git/config": "",
            "sub/.git": "gitdir: ..",
            ".venv/bin/python": "",
            "venv/x": "",
            "my environment/pyvenv.cfg": "",
            "my environment/lib/x.py": "",
            "node_modules/x/index.js": "",
            ".ipynb_checkpoints/a.ipynb": "",
            ".DS_Store": "",
            "sub/.DS_Store": "",
            ".cloudtuneignore": "",
            ".hidden": "",
        },
    )
    assert names(build_bundle(folder, "train.py")) == {"train.py", "lib/a.py", ".hidden"}


def test_an_ignore_file_adds_and_takes_back(tmp_path: Path) -> None:
    """``.cloudtuneignore`` counts in place of ``.gitignore``; what it names with "!" goes along, whatever we think."""
    folder = source(
        tmp_path,
        {
            "train.py": "",
            "data/big.bin": "",
            "data/small.txt": "",
            "build.pyc": "",
            "ca.pem": "",
            "notes.md": "",
            ".gitignore": "notes.md\n",
        },
    )
    assert names(build_bundle(folder, "train.py")) == {"train.py", "data/big.bin", "data/small.txt"}
    (folder / ".cloudtuneignore").write_bytes(b"\xef\xbb\xbfdata/*\r\n!data/small.txt\r\n!build.pyc\r\n!ca.pem\r\n")
    assert names(build_bundle(folder, "train.py")) == {
        "train.py",
        "data/small.txt",
        "build.pyc",
        "ca.pem",
        "notes.md",
    }


def test_a_list_of_what_is_wanted_brings_no_secrets(tmp_path: Path) -> None:
    """An ignore file of the form "nothing but ..." opens all folders: environments and keys stay out nevertheless."""
    folder = source(
        tmp_path,
        {
            ".cloudtuneignore": "*\n!*/\n!*.py\n",
            "train.py": "",
            "lib/a.py": "",
            "lib/a.txt": "",
            ".venv/x.py": "",
            ".aws/x.py": "",
            ".git/x.py": "",
        },
    )
    assert names(build_bundle(folder, "train.py")) == {"train.py", "lib/a.py"}


def test_secrets_are_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys and passwords never reach a bucket by accident, and the user hears of it; ignored ones are no news."""
    secrets = [".aws/credentials", ".env", "deep/.env.local", "server.pem", "id_rsa", "id_rsa.pub", ".netrc"]
    folder = source(tmp_path, dict.fromkeys(secrets, "hunter2") | {"train.py": "", ".gitignore": ".netrc\n"})
    assert names(build_bundle(folder, "train.py")) == {"train.py"}
    warning = next(record for record in caplog.records if record.levelno == logging.WARNING).getMessage()
    for name in [".aws", ".env", "deep/.env.local", "server.pem", "id_rsa", "id_rsa.pub"]:
        assert name in re.split(r"[ ,]+", warning)
    assert ".netrc" not in warning
    assert not any(b"hunter2" in content for content in packed(build_bundle(folder, "train.py")).values())


def test_links_inside_are_content_and_those_outside_are_refused(tmp_path: Path) -> None:
    """What a link inside the folder leads to is packed under its name; one that leads out is named with the remedy."""
    folder = source(tmp_path / "src", {"train.py": "1", "lib/a.py": "2"})
    outside = source(tmp_path / "outside", {"b.py": "3"})
    (folder / "main.py").symlink_to("train.py")
    (folder / "library").symlink_to("lib")
    assert packed(build_bundle(folder, "main.py")) == {
        "train.py": b"1",
        "main.py": b"1",
        "lib/a.py": b"2",
        "library/a.py": b"2",
    }
    (folder / "library").unlink()
    for name, target, why in [
        ("out.py", str(outside / "b.py"), "leads out of the source folder"),
        ("outs", str(outside), "leads out of the source folder"),
        ("nowhere", "missing", "leads to .*missing, which does not exist"),
        ("lib/circle", "..", "leads to a folder that holds it"),
    ]:
        (folder / name).symlink_to(target)
        with pytest.raises(BundleError, match=rf"{name} {why}.*\.cloudtuneignore"):
            build_bundle(folder, "train.py")
        (folder / ".cloudtuneignore").write_text(name)
        build_bundle(folder, "train.py")
        (folder / name).unlink()


def test_a_source_folder_may_be_reached_through_a_link(tmp_path: Path) -> None:
    """Where the folder itself lies does not matter."""
    source(tmp_path / "src", {"train.py": "1", "lib/a.py": "2"})
    (tmp_path / "link").symlink_to("src")
    assert names(build_bundle(tmp_path / "link", "train.py")) == {"train.py", "lib/a.py"}


def test_without_a_folder_only_the_script_goes(tmp_path: Path) -> None:
    """The default for a script without source_dir: its neighbours stay where they are."""
    folder = source(tmp_path, {"train.py": "1", "secret.txt": "2"})
    assert packed(build_bundle(None, str(folder / "train.py"))) == {"train.py": b"1"}


def test_dependencies_lie_beside_the_source(tmp_path: Path) -> None:
    """Folders and files named as dependencies go along under their own names, sifted as the source is."""
    folder = source(tmp_path / "src", {"train.py": ""})
    library = source(tmp_path / "library", {"__init__.py": "", "x.tmp": "", ".env": "", ".gitignore": "*.tmp"})
    single = source(tmp_path / "more", {"helper.py": ""}) / "helper.py"
    assert names(build_bundle(folder, "train.py", [library, single])) == {
        "train.py",
        "library/__init__.py",
        "helper.py",
    }
    with pytest.raises(BundleError, match=r"dependency .*train\.py has the name of something in the source"):
        build_bundle(folder, "train.py", [source(tmp_path / "other", {"train.py": ""}) / "train.py"])


@pytest.mark.parametrize(
    ("folder", "script", "why"),
    [
        ("src", "", "There is no entry point"),
        ("src", "missing.py", "no file in the source folder"),
        ("src", "../outside.py", "no file in the source folder"),
        ("src", "lib", "no file in the source folder"),
        ("src", "ignored.py", r"left out of the source by \.gitignore"),
        ("missing", "train.py", "source folder .*missing does not exist"),
        (None, "missing.py", "missing.py cannot be packed for the jobs: No such file"),
        (None, "src", "src is not a file"),
    ],
)
def test_a_wrong_entry_point_is_refused(
    folder: str | None, script: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence says what is wrong with the script or the folder."""
    source(tmp_path / "src", {"train.py": "", "lib/x": "", "ignored.py": "", ".gitignore": "ignored.py"})
    source(tmp_path, {"outside.py": ""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=why):
        build_bundle(None if folder is None else Path(folder), script)


def test_what_cannot_be_packed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without permission, or with a name that is no text, ends in one sentence; a pipe is only left out."""
    folder = source(tmp_path, {"train.py": "", "private.txt": ""})
    os.mkfifo(folder / "pipe")
    assert "pipe" not in names(build_bundle(folder, "train.py"))
    real = open

    def refusing(path: object, *arguments: object, **options: object) -> object:
        if str(path).endswith("private.txt"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    # Tests may run as root, whom no permission bits stop.
    monkeypatch.setattr("builtins.open", refusing)
    with pytest.raises(BundleError, match=r"private\.txt cannot be packed for the jobs: Permission denied"):
        build_bundle(folder, "train.py")
    monkeypatch.undo()
    (folder / "private.txt").unlink()
    with open(os.fsencode(folder) + b"/\xff.txt", "wb"):
        pass
    with pytest.raises(BundleError, match="no valid text"):
        build_bundle(folder, "train.py")


def test_a_source_over_the_limit_is_refused_with_what_is_large(tmp_path: Path) -> None:
    """The message names what makes it large and where to list it; nothing is packed to the end first."""
    folder = source(
        tmp_path,
        {
            "train.py": "x",
            "data/train/a.bin": os.urandom(400_000),
            "data/train/b.bin": os.urandom(400_000),
            "data/test.bin": os.urandom(100_000),
            "model.bin": os.urandom(700_000),
        },
    )
    with pytest.raises(BundleError) as refused:
        build_bundle(folder, "train.py", limit=1_000_000)
    assert "holds 1.6 MB in 5 files, which is more than 1 MB when packed" in str(refused.value)
    assert "the largest: data/train/ (800 kB), model.bin (700 kB), data/test.bin (100 kB)" in str(refused.value)
    assert ".cloudtuneignore" in str(refused.value)
    build_bundle(folder, "train.py", limit=3_000_000)


def test_the_size_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line says how many files of what were packed, and how large the archive is."""
    caplog.set_level(logging.INFO)
    folder = source(tmp_path, {"train.py": "", "a.txt": ""})
    build_bundle(folder, "train.py")
    assert re.search(rf"packed 2 files of {re.escape(str(folder))} for the jobs: [\d.]+ [kM]B", caplog.text)


@pytest.mark.parametrize("old", [False, True], ids=["this Python", "Python 3.8"])
def test_the_archive_runs_where_cloudtune_is_not_installed(old: bool, tmp_path: Path) -> None:
    """The package in it can be imported from the archive alone, by this Python and by an old one."""
    python = python38() if old else sys.executable
    bundle = build_bundle(source(tmp_path / "src", {"train.py": ""}), "train.py")
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as archive:
        inside = archive.namelist()
    assert {"__main__.py", "cloudtune/__init__.py", "cloudtune/report.py", "cloudtune/agent/checkpoints.py"} <= {
        *inside
    }
    assert not [
        name for name in inside if name.startswith(("cloudtune/localcloud", "cloudtune/cli")) or "cache" in name
    ]
    assert not [name for name in inside if not name.startswith("source/") and not name.endswith(".py")]
    if python is None:  # the archive's content was looked at all the same
        return
    (tmp_path / "bundle.zip").write_bytes(bundle.body)
    code = "import cloudtune.agent.main, cloudtune.report, cloudtune.checkpoint; print(cloudtune.agent.main.__file__)"
    done = subprocess.run(
        [python, "-S", "-E", "-c", f"import sys; sys.path.insert(0, 'bundle.zip'); {code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(Path("bundle.zip", "cloudtune", "agent", "main.py"))


def test_a_tuner_that_runs_from_an_archive_can_pack_one(tmp_path: Path) -> None:
    """A tuner that is itself a job has cloudtune from such an archive: it packs the same modules."""
    folder = source(tmp_path / "src", {"train.py": ""})
    root = Path(cloudtune.__file__).parent
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in root.rglob("*.py"):
            archive.write(path, path.relative_to(root.parent))
    code = (
        "import sys; sys.path.insert(0, 'all.zip')\n"
        "from pathlib import Path\nfrom cloudtune.aws.packaging import build_bundle\n"
        "print(build_bundle(Path('src'), 'train.py').digest)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == build_bundle(folder, "train.py").digest


def test_an_old_python_is_told_what_is_wrong(tmp_path: Path) -> None:
    """The first thing the archive does is to look at the version of the Python that runs it, in words all know."""
    bundle = build_bundle(source(tmp_path / "src", {"train.py": ""}), "train.py")
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as archive:
        main = archive.read("__main__.py").decode()
    code = f"import sys; sys.version_info = (3, 7); exec({main!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cloudtune needs Python 3.8 or newer in the image" in done.stderr


def test_what_does_not_get_smaller_is_stored(tmp_path: Path) -> None:
    """Trying takes longer than sending it; text is packed."""
    noise = random.Random(0).randbytes(300_000)
    bundle = build_bundle(source(tmp_path, {"train.py": "pass\n" * 50_000, "weights.bin": noise}), "train.py")
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as archive:
        assert archive.getinfo("source/weights.bin").compress_type == zipfile.ZIP_STORED
        assert archive.read("source/weights.bin") == noise
        assert archive.getinfo("source/train.py").compress_size < 10_000
    assert content_digest(io.BytesIO(bundle.body)) == bundle.digest


def test_permission_bits_survive_the_zip(tmp_path: Path) -> None:
    """An executable of the user's is executable where the archive is unpacked by what knows of permission bits."""
    folder = source(tmp_path / "src", {"train.py": "", "tool": "#!/bin/sh\necho works"})
    (folder / "tool").chmod(0o755)
    (tmp_path / "bundle.zip").write_bytes(build_bundle(folder, "train.py").body)
    unzip = shutil.which("unzip")
    if unzip is None:
        with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
            assert archive.getinfo("source/tool").external_attr >> 16 == 0o100755
        return
    subprocess.run([unzip, "-q", "bundle.zip", "-d", "out"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "out" / "source" / "tool"], capture_output=True, text=True, check=True)
    assert done.stdout == "works\n"


def test_a_huge_file_is_refused_before_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 GB of zeros would pack well, after a minute: the size alone is reason enough, and the file is named."""
    folder = source(tmp_path, {"train.py": "", "data/weights.bin": ""})
    os.truncate(folder / "data" / "weights.bin", 5 * 10**9)
    monkeypatch.setattr(packaging, "_Writer", None)  # packing it would fail
    with pytest.raises(BundleError, match=r"weights\.bin \(5 GB\).*\.cloudtuneignore .*input channel"):
        build_bundle(folder, "train.py")


@pytest.mark.usefixtures("small_package")
def test_reading_ends_when_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's whole home directory is not read to its end, only to be refused."""
    files = {f"{number:03}.bin": bytes(1000) for number in range(50)}
    folder = source(tmp_path, {"train.py": "", **files})
    looked_at: list[str] = []
    read = source_files.read_file

    def watched(path: Path, name: str) -> SourceFile:
        looked_at.append(name)
        return read(path, name)

    monkeypatch.setattr(source_files, "read_file", watched)
    with pytest.raises(BundleError, match="goes on, which is more than 1 kB"):
        build_bundle(folder, "train.py", limit=1000)
    assert len(looked_at) == 21  # twenty times the limit, and the one that went over it


def test_the_digest_can_be_found_from_the_archive(tmp_path: Path) -> None:
    """What was uploaded can be compared with its address; a changed file, bit or name shows."""
    folder = source(tmp_path / "source", {"train.py": "pass", "run.sh": "echo"})
    (folder / "run.sh").chmod(0o755)
    bundle = build_bundle(folder, "train.py")
    assert content_digest(io.BytesIO(bundle.body)) == bundle.digest
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
        new.writestr("cloudtune/report.pyc", b"")
    assert content_digest(changed) != bundle.digest


def test_only_a_program_gets_the_tables_of_the_package(tmp_path: Path) -> None:
    """Prices and images are for tuners; the archive that every trial downloads does without."""
    folder = source(tmp_path, {"train.py": "pass"})
    program = build_program_bundle("it", read_folder(folder), {"start.py": b"go"})
    with zipfile.ZipFile(io.BytesIO(program.body)) as archive:
        inside = set(archive.namelist())
        assert archive.read("source/start.py") == b"go"
    assert {"cloudtune/aws/data/prices.json", "cloudtune/aws/data/images.json", "source/train.py"} <= inside
    assert "cloudtune/blackbox/tables/digits_mlp.npz" in inside
    with zipfile.ZipFile(io.BytesIO(build_bundle(folder, "train.py").body)) as archive:
        assert inside - set(archive.namelist()) >= {"cloudtune/aws/data/prices.json"}
        assert not any(name.endswith(".json") for name in archive.namelist())
