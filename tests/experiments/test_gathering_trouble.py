"""Gathering where something is wrong: damage, newer formats, refusals, programs that are killed or meet another."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudtune.aws.errors import AwsError, Throttled
from cloudtune.errors import CloudtuneError
from cloudtune.experiments import load_experiment, load_experiments, load_experiments_df, sync
from cloudtune.experiments.study_copy import COPIES_FOLDER, StudyCopy
from cloudtune.localcloud import LocalCloud
from cloudtune.localcloud.cloud import CloudFaults
from cloudtune.store.places import experiments_root
from cloudtune.store.results import read_results
from cloudtune.store.results_object import Heading, PackedTable, table_object
from tests.aws.conftest import wait_until
from tests.experiments.in_s3 import DEFAULT_BUCKET, account, header, opened_in_s3
from tests.experiments.recorded import row, trial
from tests.experiments.studies_in_s3 import Asked, ended, killed, of_older_version, place, running

__all__ = ["account"]

pytestmark = pytest.mark.usefixtures("account")


def copy() -> StudyCopy:
    return StudyCopy(experiments_root(), DEFAULT_BUCKET, "", "study")


def names() -> list[str]:
    return [one.name for one in load_experiments("study", download_from_s3=False)]


# ---------------------------------------------------------------------------------------------- what cannot be read


def spoil(key: str, how: Callable[[bytes], bytes]) -> None:
    """Changes an object in S3."""
    bucket = place().bucket
    got = bucket.get(key)
    assert got is not None
    bucket.put(key, how(got.body))


def newer(body: bytes, field: str) -> bytes:
    """The object as a later version would write it."""
    line, _, rest = body.partition(b"\n")
    first = {**json.loads(line), field: 99, "version": "99.0"}
    return json.dumps(first).encode() + b"\n" + rest


@pytest.mark.parametrize(
    "how",
    [lambda body: b"", lambda body: body[: len(body) // 2], lambda body: newer(body, "results_format")],
    ids=["empty", "half", "newer"],
)
def test_a_results_object_that_cannot_be_read(how: Callable[[bytes], bytes]) -> None:
    """The log of the experiment is read instead, and later only if it has grown."""
    ended("study-0")
    ended("study-1")
    spoil(place().results_of("study-1"), how)
    gathered = sync("study")
    assert (gathered.fetched, gathered.read, gathered.passed_over) == (["study-0"], ["study-1"], {})
    first, second = load_experiments("study")
    assert first.results.equals(second.results)
    assert sync("study").unchanged == ["study-0", "study-1"]


def forged(body: bytes, changed: dict[str, object]) -> bytes:
    """The object with another description of its table, and a digest that fits that."""
    line, _, rest = body.partition(b"\n")
    first = json.loads(line)
    size = first["sizes"][0]
    described = {**json.loads(zlib.decompress(rest[:size])), **changed}
    head = zlib.compress(json.dumps(described).encode())
    first["sizes"][0] = len(head)
    first["sha256"] = hashlib.sha256(head + rest[size:]).hexdigest()
    return json.dumps(first).encode() + b"\n" + head + rest[size:]


@pytest.mark.parametrize(
    "how",
    [
        lambda body: b"[" * 200_000,
        lambda body: forged(body, {"config_of_row": None}),
        lambda body: forged(body, {"columns": []}),
        lambda body: forged(body, {"columns": 7}),
        lambda body: forged(body, {"configs": 10**30}),
    ],
    ids=["deep", "no rows", "no columns", "a number", "huge"],
)
def test_a_results_object_that_fits_only_its_digest(how: Callable[[bytes], bytes]) -> None:
    """It is unpacked once before it is taken; the log is read instead, and every reader goes on."""
    ended("study-0")
    ended("study-1")
    spoil(place().results_of("study-1"), how)
    gathered = sync("study")
    assert (gathered.fetched, gathered.read, gathered.passed_over) == (["study-0"], ["study-1"], {})
    first, second = load_experiments("study")
    assert first.results.equals(second.results)


def test_a_copy_that_fits_only_its_digest(caplog: pytest.LogCaptureFixture) -> None:
    """One table of all experiments is made without it, by name; who looks at it is told which file to delete."""
    ended("study-0")
    ended("study-1")
    sync("study")
    file = copy().file("study-1")
    line, _, body = file.read_bytes().partition(b"\n")
    body = forged(body, {"columns": 7})
    file.write_bytes(json.dumps({**json.loads(line), "size": len(body)}).encode() + b"\n" + body)
    assert set(load_experiments_df("study")["experiment_name"]) == {"study-0"}
    assert f"experiment 'study-1' is passed over: {file} describes its table in a way" in caplog.text
    with pytest.raises(CloudtuneError, match=r"study-1.* delete it, and `cloudtune sync study` again"):
        _ = load_experiment("study-1").results


def test_a_log_that_does_not_say_what_is_tuned() -> None:
    """Its tuner has not begun, as far as anybody can tell; once it has, the experiment is read."""
    ended("study-0")
    store = opened_in_s3("study-1", tag="study")
    store.append([row(0, 1.0, loss=0.5)])
    store.flush()
    assert "its tuner has not begun" in sync("study").passed_over["study-1"]
    assert len(load_experiments("study", metadata_filter=lambda metadata: bool(metadata["tag"]))) == 1
    store.append([header("study-1")])
    store.flush()
    assert sync("study").read == ["study-1"]
    store.close()


def test_an_experiment_of_a_newer_version(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over with a warning that names it and the remedy, each time; nothing is fetched again for that."""
    ended("study-0")
    ended("study-1")
    spoil(place().results_of("study-1"), lambda body: newer(body, "results_format"))
    root = place().experiment("study-1")
    for listed in place().bucket.list(f"{root}log/"):
        spoil(listed.key, lambda body: newer(body, "format"))
    gathered = sync("study")
    assert gathered.fetched == ["study-0"]
    assert list(gathered.passed_over) == ["study-1"]
    assert "experiment 'study-1' is passed over" in caplog.text
    assert "pip install --upgrade cloudtune" in caplog.text
    caplog.clear()
    asked.new()
    assert sync("study").passed_over == gathered.passed_over
    assert asked.new() == {"ListObjectsV2": 3}, "the results, the folders, and what follows in the log"
    assert caplog.text.count("'study-1' is passed over") == 1
    caplog.clear()
    assert names() == ["study-0"]
    assert caplog.text.count("'study-1' is passed over") == 1


def test_it_is_tried_again_by_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this version could not read, the next one may."""
    ended("study-0")
    whole = place().bucket.get(place().results_of("study-0"))
    assert whole is not None
    spoil(place().results_of("study-0"), lambda body: newer(body, "results_format"))
    for listed in place().bucket.list(f"{place().experiment('study-0')}log/"):
        spoil(listed.key, lambda body: newer(body, "format"))
    sync("study")
    monkeypatch.setattr("cloudtune.store.results_object.RESULTS_FORMAT", 99)
    assert sync("study").fetched == []
    monkeypatch.setattr("cloudtune.experiments.gathering.__version__", "99.0")
    assert sync("study").fetched == ["study-0"]


def test_damaged_and_empty_logs(caplog: pytest.LogCaptureFixture) -> None:
    """What comes before the damage counts; where nothing does, or nothing is, the experiment is named with a reason."""
    ended("study-0")
    killed("study-1")
    killed("study-2")
    place().bucket.put(place().experiment("study-3") + "remote/tuner.dill", b"x")
    (first, *_) = place().bucket.list(f"{place().experiment('study-1')}log/")
    place().bucket.put(first.key, b"rubbish")
    last = place().bucket.list(f"{place().experiment('study-2')}log/")[-1]
    place().bucket.put(last.key, b"rubbish")
    gathered = sync("study")
    assert (gathered.fetched, gathered.read) == (["study-0"], ["study-2"])
    assert "damaged from its beginning on" in gathered.passed_over["study-1"]
    assert first.key in gathered.passed_over["study-1"]
    assert "has no event log: its tuner has not begun" in gathered.passed_over["study-3"]
    assert list(gathered.passed_over) == ["study-1", "study-3"]
    assert load_experiment("study/study-2").results.empty
    assert sync("study").passed_over == gathered.passed_over
    # It begins, and the folder that held nothing else goes.
    ended("study-3")
    place().bucket.delete_prefix(place().experiment("study-1"))
    place().bucket.delete([place().results_of("study-1")])
    gathered = sync("study")
    assert (gathered.fetched, gathered.passed_over) == (["study-3"], {})
    assert sorted(names()) == ["study-0", "study-2", "study-3"]


def test_an_experiment_that_is_gone_from_s3() -> None:
    """Its copy is kept, with a word that says which file to delete."""
    ended("study-0")
    ended("study-1")
    sync("study")
    place().bucket.delete_prefix(place().experiment("study-1"))
    place().bucket.delete([place().results_of("study-1")])
    gathered = sync("study")
    assert gathered.unchanged == ["study-0"]
    assert f"gone from S3; what was copied before is kept: delete {copy().file('study-1')}" in str(gathered.passed_over)
    assert sorted(names()) == ["study-0", "study-1"]
    copy().file("study-1").unlink()
    assert sync("study").passed_over == {}


def test_a_file_of_the_copy_that_was_damaged(caplog: pytest.LogCaptureFixture) -> None:
    """Cut off it is fetched again; changed otherwise it is passed over with the remedy, and the others are read."""
    for number in range(3):
        ended(f"study-{number}")
    sync("study")
    cut, changed = copy().file("study-0"), copy().file("study-1")
    cut.write_bytes(cut.read_bytes()[:-1])
    changed.write_bytes(changed.read_bytes()[:-1] + b"?")
    assert names() == ["study-2"]
    assert f"{changed} was cut off or changed; delete it, and `cloudtune sync study` again" in caplog.text
    assert sync("study").fetched == ["study-0"]
    changed.unlink()
    assert sync("study").fetched == ["study-1"]
    assert len(names()) == 3


# ---------------------------------------------------------------------------------------------- what S3 does


def test_one_object_that_s3_refuses(faults: CloudFaults, caplog: pytest.LogCaptureFixture) -> None:
    """The others are gathered; it is named, and tried again the next time."""
    for number in range(3):
        ended(f"study-{number}")
    rule = faults.add("access_denied", operation="s3:GetObject", resource="*/study-1.table")
    gathered = sync("study")
    assert gathered.fetched == ["study-0", "study-2"]
    assert "study-1.table" in gathered.passed_over["study-1"]
    assert "experiment 'study-1' is passed over" in caplog.text
    faults.remove(rule)
    assert sync("study").fetched == ["study-1"]


def test_one_log_that_s3_refuses(faults: CloudFaults) -> None:
    """It is named, and does not keep us from the others."""
    of_older_version("study-0")
    of_older_version("study-1")
    faults.add("access_denied", operation="s3:GetObject", resource="*/study-1/log/*")
    gathered = sync("study")
    assert gathered.read == ["study-0"]
    assert list(gathered.passed_over) == ["study-1"]


def test_no_right_to_list(faults: CloudFaults) -> None:
    """Nothing can be said without it: the error names what is refused."""
    ended("study-0")
    faults.add("access_denied", operation="s3:ListObjectsV2")
    with pytest.raises(AwsError, match="study/_study/results/"):
        sync("study")


def test_s3_gives_up_in_the_middle(faults: CloudFaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error; what was fetched before is kept, and is not fetched again."""
    for number in range(4):
        ended(f"study-{number}")
    monkeypatch.setattr("cloudtune.aws.patience.Patience.pause_after", lambda self, error: None)
    monkeypatch.setattr("cloudtune.aws.clients._ATTEMPTS", 1)  # botocore's own
    faults.add("throttle", operation="s3:GetObject", resource="*/study-2.table")
    with pytest.raises(Throttled):
        sync("study")
    kept = set(copy().known())
    assert "study-2" not in kept
    faults.clear()
    assert set(sync("study").fetched) == {f"study-{number}" for number in range(4)} - kept


# ---------------------------------------------------------------------------------------------- programs that meet


@pytest.fixture
def asked(account: LocalCloud) -> Asked:
    return Asked(account)


def test_a_program_that_is_killed_while_it_gathers(faults: CloudFaults, caplog: pytest.LogCaptureFixture) -> None:
    """What it has copied can be read, what it had begun is nowhere, and the next one fetches only the rest."""
    for number in range(4):
        ended(f"study-{number}")
    faults.add("slow_answer", operation="s3:GetObject", resource="*/study-3.table", seconds=600.0)
    program = "from cloudtune.experiments import gathering; gathering._WINDOW = 1; gathering.sync('study')"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as gathering:
        wait_until(lambda: len(copy().names()) == 3 or gathering.poll() is not None)
        gathering.kill()
    assert not copy().is_complete
    assert sorted(names()) == ["study-0", "study-1", "study-2"]
    assert "the copy of study 'study' was never completed" in caplog.text
    faults.clear()
    caplog.clear()
    gathered = sync("study")
    assert (gathered.fetched, gathered.unchanged) == (["study-3"], ["study-0", "study-1", "study-2"])
    assert copy().is_complete
    assert len(names()) == 4
    assert caplog.text == ""


def test_what_was_left_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts for nothing, and is deleted once nobody can be writing it any more."""
    ended("study-0")
    sync("study")
    partial = copy().path / ".partial-left"
    partial.write_bytes(b"half")
    sync("study")
    assert names() == ["study-0"]
    assert partial.exists()
    monkeypatch.setattr("cloudtune.experiments.study_copy._ABANDONED", -1.0)
    sync("study")
    assert not partial.exists()


def test_two_at_once_and_somebody_who_reads() -> None:
    """Each does its work; whoever reads meanwhile sees whole experiments, and in the end all are there."""
    for number in range(6):
        ended(f"study-{number}", trial(0, lr=0.5), *[row(0, float(one), loss=0.1) for one in range(50)])
    store = running("study-9")
    sync("study")
    done = threading.Event()

    def gather() -> None:
        for _ in range(3):
            for path in list(copy().path.glob("study-[0-5].table"))[::2]:  # one is always there to be read
                path.unlink(missing_ok=True)
            sync("study")

    def read() -> int:
        count = 0
        while not done.is_set():
            for one in load_experiments("study", download_from_s3=False):
                assert len(one.results) == (6 if one.name == "study-9" else 50)
                count += 1
        return count

    with ThreadPoolExecutor(3) as threads:
        reading = threads.submit(read)
        both = [threads.submit(gather) for _ in range(2)]
        for one in both:
            one.result()
        done.set()
        assert reading.result() > 0
    sync("study")
    assert len(names()) == 7
    assert list(copy().path.glob(".partial-*")) == []
    store.close()


# ---------------------------------------------------------------------------------------------- names


HOSTILE = [
    "../../escaped",
    "../study-0",
    "/etc/escaped",
    "a/b",
    "..",
    ".",
    "",
    "a\nb",
    "C:evil",
    "a\\..\\b",
    "sp ace",
    "x" * 200,
    "ünïcode",
]


def test_objects_that_are_called_to_lead_elsewhere(account: LocalCloud, tmp_path: Path) -> None:
    """They are named and passed over; nothing is written outside of the copy."""
    ended("study-0")
    s3 = account.client("s3")
    table = PackedTable.of(read_results([[trial(0, lr=0.5), row(0, 1.0, loss=0.1)]]))
    for name in HOSTILE:
        body = table_object(Heading(name, "finished", 1, 3, 1), table, {})
        s3.put_object(Bucket=DEFAULT_BUCKET, Key=place().results_of(name), Body=body)
    for name in ("..", "sp ace"):
        s3.put_object(Bucket=DEFAULT_BUCKET, Key=f"cloudtune/study/{name}/log/00000001.jsonl", Body=b"x")
    s3.put_object(Bucket=DEFAULT_BUCKET, Key=f"{place().results}no-results.txt", Body=b"x")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    gathered = sync("study")
    assert gathered.fetched == ["study-0"]
    assert {name for name in HOSTILE if name} <= gathered.passed_over.keys()
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert new == {copy().path / "study.json", copy().file("study-0")}
    assert names() == ["study-0"]


def test_results_under_the_name_of_another(account: LocalCloud) -> None:
    """They are not taken for that experiment's; its own log is read."""
    ended("study-0")
    ended("study-1", trial(0, lr=1.0), row(0, 1.0, loss=7.0))
    other = place().bucket.get(place().results_of("study-0"))
    assert other is not None
    place().bucket.put(place().results_of("study-1"), other.body)
    assert sync("study").read == ["study-1"]
    assert list(load_experiment("study-1").results["loss"]) == [7.0]


@pytest.mark.parametrize("prefix", ["", "team/a", "..", ".", "../../x", "a b/ü", "x" * 900, "_", "%2E%2E"])
def test_wherever_the_study_lies(tmp_path: Path, prefix: str) -> None:
    """The folder of its copy is below the others', and no other study's."""
    found = StudyCopy(tmp_path, "bucket", prefix, "study")
    assert found.path.resolve().parent.parent.parent == tmp_path.resolve() / COPIES_FOLDER
    plain = [
        StudyCopy(tmp_path, "bucket", other, "study").path for other in ("", "team/a", "..", "_") if other != prefix
    ]
    assert found.path not in plain
    found.begin()
    assert (found.path / "study.json").is_file()


def test_a_link_in_place_of_a_file(tmp_path: Path) -> None:
    """It is not followed: the error names it."""
    ended("study-0")
    sync("study")
    target = tmp_path / "precious"
    target.write_text("precious")
    copy_of = copy().file("study-0")
    copy_of.unlink()
    copy_of.symlink_to(target)
    with pytest.raises(AwsError, match="is a link; remove it"):
        sync("study")
    assert target.read_text() == "precious"


def test_names_that_differ_in_capitals_only() -> None:
    """Each has a file of its own, also where the file system does not tell them apart."""
    lower, upper = copy().file("study-a").name, copy().file("study-A").name
    assert lower.lower() != upper.lower()


def test_a_copy_that_is_another_studys(tmp_path: Path) -> None:
    """Where a file system takes two tags for one, the second is refused."""
    first = StudyCopy(tmp_path, "bucket", "", "study")
    first.begin()
    text = (first.path / "study.json").read_text()
    (first.path / "study.json").write_text(text.replace('"tag": "study"', '"tag": "Study"'))
    with pytest.raises(CloudtuneError, match=r"holds the copy of another study.*delete that folder"):
        first.begin()
