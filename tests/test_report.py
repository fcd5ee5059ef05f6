"""The Reporter, as a training script uses it."""

from __future__ import annotations

import ast
import json
import math
import os
import pickle
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cloudtune.report
from cloudtune import constants
from cloudtune.report import Reporter
from tests.old_python import python38

ROOT = Path(__file__).parents[1]
TAG = constants.TUNE_METRIC_TAG


@pytest.fixture
def report_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trial's report file, announced in the environment."""
    path = tmp_path / "reports-0.jsonl"
    monkeypatch.setenv(constants.ENV_REPORT_FILE, str(path))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line[len(TAG) :]) for line in capsys.readouterr().out.splitlines() if line.startswith(TAG)]


def run_script(code: str, python: str = sys.executable, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDTUNE_", "PYTHON"))}
    return subprocess.run(
        [python, "-W", "error", "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_report_reaches_the_file_and_stdout_alike(report_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON line in the report file, and the same behind the tag on stdout; the user's metrics come first."""
    report = Reporter()
    report(epoch=1, validation_error=0.12)
    report(epoch=2, validation_error=0.1, note="ü")
    first, second = lines(report_file)
    assert list(first) == [
        "epoch",
        "validation_error",
        "st_worker_iter",
        "st_worker_timestamp",
        "st_worker_time",
    ]
    assert (first["epoch"], first["validation_error"], first["st_worker_iter"]) == (1, 0.12, 0)
    assert (second["note"], second["st_worker_iter"]) == ("ü", 1)
    assert 0 <= first["st_worker_time"] <= second["st_worker_time"]
    assert first["st_worker_timestamp"] > 1.6e9
    assert printed(capsys) == [first, second]


def test_without_a_tuner_reports_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that is started by hand works, and shows what it would report."""
    Reporter()(loss=1.5)
    assert printed(capsys)[0]["loss"] == 1.5


@pytest.mark.defect("C8")
def test_times_can_be_left_out(report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without times nothing crashes: the count stays, and so does the cost, which needs the time all the same."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "0.5")
    Reporter(add_time=False)(loss=1)
    Reporter(add_time=False, add_cost=False)(loss=1)
    first, second = lines(report_file)
    assert set(first) == {"loss", "st_worker_iter", "st_worker_cost"}
    assert set(second) == {"loss", "st_worker_iter"}


def test_cost_is_price_times_time(report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the price of the instance is known, a report says what the trial has cost so far."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "2.5")
    Reporter()(loss=1)
    (row,) = lines(report_file)
    assert row["st_worker_cost"] == pytest.approx(2.5 * row["st_worker_time"])


def test_a_price_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the environment variable."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "cheap")
    with pytest.raises(
        ValueError, match="CLOUDTUNE_PRICE_PER_SECOND must be a number of dollars, got 'cheap'; unset it"
    ):
        Reporter()
    Reporter(add_cost=False)


metric_values = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("abc"), inner, max_size=3)),
    max_leaves=6,
)


@given(metrics=st.dictionaries(st.text("abcü _-'\"\\\n", min_size=1), metric_values, min_size=1, max_size=5))
@settings(max_examples=50)
def test_what_json_carries_arrives_unchanged(metrics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any name (``self`` too), any text, NaN and infinities; always exactly one line."""
    path = tmp_path_factory.mktemp("trial") / "reports.jsonl"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(constants.ENV_REPORT_FILE, str(path))
        Reporter(add_time=False)(**metrics, self=1)
    text = path.read_bytes()
    assert text.count(b"\n") == 1
    assert text.isascii()
    arrived = json.loads(text)
    assert arrived.pop("self") == 1
    assert arrived.pop("st_worker_iter") == 0
    assert repr(arrived) == repr(metrics)


def test_scalars_of_numpy_arrive_as_numbers(report_file: Path) -> None:
    """Nobody has to write float(...) around a metric."""
    Reporter(add_time=False)(
        a=np.float32(0.5), b=np.int64(3), c=np.bool_(True), d=np.array(1.5), e=[np.float64(2)], f=np.float32("nan")
    )
    (row,) = lines(report_file)
    assert math.isnan(row.pop("f"))
    assert row == {"a": 0.5, "b": 3, "c": True, "d": 1.5, "e": [2.0], "st_worker_iter": 0}
    assert type(row["c"]) is bool


def _loop() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(200_000):
        nested = [nested]
    return nested


@pytest.mark.defect("C9")
@pytest.mark.parametrize(
    "value",
    [
        np.zeros(2),
        np.zeros(1),
        {1, 2},
        object(),
        b"x",
        1j,
        np.complex64(1),
        np.datetime64("2020-01-01"),
        {(1, 2): 3},
        [print],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_carry_is_refused(value: Any, report_file: Path) -> None:
    """It never becomes null: the call fails, names the key and the type, and says what to report."""
    with pytest.raises(TypeError) as caught:
        Reporter()(epoch=1, weights=value)
    assert str(caught.value) == (
        f"the value of 'weights' in a report, of type {type(value).__name__}, cannot be written as JSON; report a "
        "number, a string, or a list or dictionary of them (of an array with one element: value.item())"
    )
    assert not report_file.exists()


@pytest.mark.parametrize("make", [_loop, _deep])
def test_endless_values_are_refused(make: Any, report_file: Path) -> None:
    """A list that holds itself, or is nested without end, is told like any other value that JSON cannot carry."""
    with pytest.raises(ValueError, match="the value of 'weights' in a report, of type list, cannot be written as JSON"):
        Reporter()(epoch=1, weights=make())
    assert not report_file.exists()


def test_deep_values_are_refused(report_file: Path) -> None:
    """50 lists and dictionaries in one another may be reported, 51 not: programs that read them have a limit."""
    deep: Any = "[{" * 50  # brackets in text do not count
    flat = [[[brackets] for brackets in "[{[{"] for _ in range(50)]
    for _ in range(25):
        deep = {"inner": [deep, 1]}
    Reporter()(flat=flat, deep=deep)
    with pytest.raises(ValueError) as caught:
        Reporter()(flat=flat, deep=(deep,))
    assert str(caught.value) == (
        "the value of 'deep' in a report has 51 lists or dictionaries in one another; the limit is 50: flatten it"
    )
    assert [row["deep"] for row in lines(report_file)] == [deep]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({}, "a report needs at least one metric, as in report(epoch=3, validation_error=0.12)"),
        ({"epoch": 1, "loss": None}, "the value of 'loss' in a report is None; report a number, or leave the key out"),
        ({"st_x": 1}, "the key 'st_x' in a report begins with 'st_', which is reserved for cloudtune; rename it"),
        (
            {"loss": 1, "trial_id": 7},
            "the key 'trial_id' in a report names a column that cloudtune adds to the results; rename it",
        ),
        (
            {"loss": 1, "config_x": 3},
            "the key 'config_x' in a report begins with 'config_', as the hyperparameters do in the results; rename it",
        ),
        (
            {"loss": 1, "text": "\ud800"},
            "'text' in a report holds text that is not valid Unicode; repair it or leave it out",
        ),
        (
            {"loss": 1, "text": "x" * 60_000},
            (
                "a report has 60020 bytes as JSON, 60002 of them for 'text'; the limit is 49800: save large values to "
                "a file in the checkpoint directory and report its name"
            ),
        ),
    ],
)
def test_a_wrong_report_is_refused_and_the_next_one_counts(
    metrics: dict[str, Any], message: str, report_file: Path
) -> None:
    """Each mistake raises at the call, in one sentence with the remedy, writes nothing and takes no number."""
    report = Reporter()
    with pytest.raises(ValueError) as caught:
        report(**metrics)
    assert str(caught.value) == message
    assert not report_file.exists()
    report(loss=1)
    assert [row["st_worker_iter"] for row in lines(report_file)] == [0]


def test_the_largest_report_stays_within_the_limit(report_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit leaves room for all fields that the Reporter adds, with their longest numbers."""
    monkeypatch.setenv(constants.ENV_PRICE_PER_SECOND, "1.2345678901234567e-300")
    report = Reporter()
    report(x="x" * (49_800 - len('{"x":""}')))
    assert report_file.stat().st_size <= constants.MAX_REPORT_BYTES


def test_reports_of_threads_never_mix(report_file: Path) -> None:
    """Lines are whole and none is lost or counted twice, however many threads report."""
    report = Reporter()

    def work(thread: int) -> None:
        for i in range(200):
            report(thread=thread, i=i, padding="x" * 500)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = lines(report_file)
    assert sorted(row["st_worker_iter"] for row in rows) == list(range(800))
    for number in range(4):
        assert [row["i"] for row in rows if row["thread"] == number] == list(range(200))


def test_forked_processes_report_whole_lines(report_file: Path) -> None:
    """Workers that a script forks share its report file, line by line."""
    code = """
import os
from cloudtune import Reporter
report = Reporter()
report(worker=-1, i=0)
children = []
for worker in range(3):
    child = os.fork()
    if child == 0:
        for i in range(100):
            report(worker=worker, i=i, padding="x" * 300)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
    done = run_script(code, CLOUDTUNE_REPORT_FILE=str(report_file))
    assert done.returncode == 0, done.stderr
    rows = lines(report_file)
    assert len(rows) == 301
    for worker in range(3):
        assert [row["i"] for row in rows if row["worker"] == worker] == list(range(100))


@pytest.mark.parametrize(
    "how", ["sys.stdout.close()", "os.close(1)", "sys.stdout = None", "sys.stdout = open('/dev/full', 'w')"]
)
def test_a_broken_stdout_loses_no_report(how: str, report_file: Path) -> None:
    """The report file has every report even if nobody can read the console any more."""
    code = f"""
import os, sys
from cloudtune import Reporter
report = Reporter()
report(i=0)
{how}
report(i=1)
os._exit(7)
"""
    done = run_script(code, CLOUDTUNE_REPORT_FILE=str(report_file))
    assert done.returncode == 7, done.stderr
    assert [row["i"] for row in lines(report_file)] == [0, 1]


def test_a_broken_stdout_is_told_where_it_is_all_there_is() -> None:
    """Without a report file a report that cannot be printed would be lost, so the call fails."""
    code = "import sys\nfrom cloudtune import Reporter\nreport = Reporter()\nsys.stdout.close()\nreport(i=1)"
    done = run_script(code)
    assert done.returncode == 1
    assert "ValueError: I/O operation on closed file" in done.stderr


def test_a_full_disk_is_told_and_tears_no_later_report(report_file: Path) -> None:
    """A report that was written in part raises, naming the file; the next one starts on a line of its own.

    The limit on the size of a file stands in for a full disk: a write that crosses it is short, a later one fails.
    """
    code = """
import resource, signal
from cloudtune import Reporter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
report = Reporter()
report(i=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
for i in (1, 2):
    try:
        report(i=i, padding="x" * 300)
    except OSError as error:
        print(error)
    else:
        raise SystemExit("no error")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
report(i=3)
report(i=4)
"""
    done = run_script(code, CLOUDTUNE_REPORT_FILE=str(report_file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"the report could not be written to {report_file} (") == 2
    assert done.stdout.count("; free space on its disk, or make it writable") == 2
    first, torn, *rest = report_file.read_text().splitlines()
    assert json.loads(first)["i"] == 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(torn)
    assert [json.loads(line)["i"] for line in rest] == [3, 4]


def test_a_full_device_is_told() -> None:
    """The message says which file, why, and what to do."""
    done = run_script("from cloudtune import Reporter; Reporter()(i=1)", CLOUDTUNE_REPORT_FILE="/dev/full")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "OSError: [Errno 28] the report could not be written to /dev/full (No space left on device); free space on its "
        "disk, or make it writable"
    )


def test_an_unwritable_report_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that has gone is told at the first report, by name."""
    monkeypatch.setenv(constants.ENV_REPORT_FILE, str(tmp_path / "gone" / "reports.jsonl"))
    with pytest.raises(
        OSError, match=r"could not be written to .*reports\.jsonl \(No such file or directory\); free space"
    ):
        Reporter()(i=1)


def test_a_script_that_closes_all_its_files_still_reports(report_file: Path, fifo: int) -> None:
    """Daemons do that; the report file and the pipe are opened again, and no report goes unnoticed."""
    report = Reporter()
    report(i=0)
    assert report._file is not None
    assert report._fifo is not None
    os.close(report._file)
    os.close(report._fifo)
    report(i=1)
    assert [row["i"] for row in lines(report_file)] == [0, 1]
    assert os.read(fifo, 100) == b"17\n17\n"


def test_children_of_a_script_do_not_inherit_its_files(report_file: Path, fifo: int) -> None:
    """A program started by the script holds neither the report file nor the pipe open."""
    report = Reporter()
    report(i=0)
    assert report._file is not None
    assert report._fifo is not None
    assert not os.get_inheritable(report._file)
    assert not os.get_inheritable(report._fifo)


@pytest.fixture
def fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The reading end of the pipe that wakes the tuner."""
    path = tmp_path / "wake.fifo"
    os.mkfifo(path)
    monkeypatch.setenv(constants.ENV_WAKE_FIFO, str(path))
    monkeypatch.setenv(constants.ENV_TRIAL, "17")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)


def test_the_tuner_is_woken_after_the_line_is_written(report_file: Path, fifo: int) -> None:
    """Whoever reads the trial's number from the pipe finds the report in the file."""
    report = Reporter()
    report(i=0)
    assert os.read(fifo, 100) == b"17\n"
    assert len(lines(report_file)) == 1
    report(i=1)
    report(i=2)
    assert os.read(fifo, 100) == b"17\n17\n"


def test_nobody_listening_is_no_error(report_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pipe, no reader, a reader that has gone, and one that comes later: reports go on, and wake whoever reads."""
    path = tmp_path / "wake.fifo"
    monkeypatch.setenv(constants.ENV_WAKE_FIFO, str(path))
    monkeypatch.setenv(constants.ENV_TRIAL, "3")
    report = Reporter()
    report(i=0)
    os.mkfifo(path)
    report(i=1)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    report(i=2)
    assert os.read(reader, 100) == b"3\n"
    os.close(reader)
    report(i=3)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    before = len(os.listdir("/dev/fd"))
    report(i=4)
    assert os.read(reader, 100) == b"3\n"
    os.close(reader)
    report(i=5)
    assert len(os.listdir("/dev/fd")) == before - 1
    assert [row["i"] for row in lines(report_file)] == [0, 1, 2, 3, 4, 5]


def test_a_full_pipe_is_no_error_and_blocks_nobody(report_file: Path, fifo: int, tmp_path: Path) -> None:
    """A tuner that is busy is awake anyway; a script never waits for it."""
    writer = os.open(tmp_path / "wake.fifo", os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x")
    report = Reporter()
    report(i=0)
    report(i=1)
    os.close(writer)
    assert len(lines(report_file)) == 2


def test_a_wake_name_that_is_no_pipe_is_told(
    report_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mistake in the arrangement is not taken for a tuner that is away; the report is written all the same."""
    monkeypatch.setenv(constants.ENV_WAKE_FIFO, str(tmp_path))
    monkeypatch.setenv(constants.ENV_TRIAL, "3")
    with pytest.raises(IsADirectoryError):
        Reporter()(i=0)
    assert len(lines(report_file)) == 1


def test_a_reporter_sent_to_a_trial_reports_for_that_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A function may refer to a Reporter made in a notebook: in the trial it takes the trial's environment."""
    sent = pickle.dumps(Reporter(add_time=False))
    monkeypatch.setenv(constants.ENV_REPORT_FILE, str(tmp_path / "reports.jsonl"))
    pickle.loads(sent)(i=1)
    assert lines(tmp_path / "reports.jsonl") == [{"i": 1, "st_worker_iter": 0}]


def test_a_reporter_keeps_no_descriptor_per_report(report_file: Path, fifo: int) -> None:
    """Long trainings do not run out of file descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    report = Reporter()
    report(i=0)
    before = len(os.listdir("/dev/fd"))
    for i in range(1, 50):
        report(i=i)
    assert len(os.listdir("/dev/fd")) == before
    assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.mark.defect("E9")
def test_the_reporter_imports_four_modules_of_the_standard_library() -> None:
    """Importing it is the price that every trial pays."""
    tree = ast.parse(Path(cloudtune.report.__file__).read_text())
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    assert names == ["json", "os", "sys", "time"]
    others = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert others == ["cloudtune.constants"]


def test_the_reporter_works_in_python_3_8(report_file: Path) -> None:
    """In an old image reports arrive as in a new one. Without such a Python here, its syntax is checked."""
    python = python38()
    if python is None:
        ast.parse(Path(cloudtune.report.__file__).read_text(), feature_version=(3, 8))
        return
    code = """
import sys
from cloudtune import Reporter
report = Reporter()
report(epoch=1, loss=0.5)
for wrong in ({}, {"a": None}, {"st_a": 1}, {"a": object()}, {"a": "x" * 60000}):
    try:
        report(**wrong)
    except (TypeError, ValueError):
        continue
    sys.exit("no error")
report(epoch=2, loss=float("nan"))
"""
    done = run_script(code, python, CLOUDTUNE_REPORT_FILE=str(report_file), CLOUDTUNE_PRICE_PER_SECOND="1")
    assert done.returncode == 0, done.stderr
    first, second = lines(report_file)
    assert (first["epoch"], first["loss"], second["epoch"]) == (1, 0.5, 2)
    assert math.isnan(second["loss"])
    assert len(done.stdout.splitlines()) == 2
