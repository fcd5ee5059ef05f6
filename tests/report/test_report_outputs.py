"""Reports where much is written at once, and where it cannot be written: threads, forks, closed and full outputs."""

from __future__ import annotations

import json
import os
import resource
import threading
from pathlib import Path

import pytest

from cloudtune import constants
from cloudtune.report import Reporter
from tests.report.reported import lines, run_script


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
