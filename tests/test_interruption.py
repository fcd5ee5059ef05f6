"""Signals: who gets them, what they mean in a fork, and a standard error that nobody reads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudtune.interruption import SignalWatch, TuningInterrupted, reserve_standard_descriptors
from cloudtune.store.local_store import LocalStore


def test_the_first_signal_asks_to_end() -> None:
    """The handler tells once, remembers the signal, and the error has the exit code a shell expects."""
    told: list[str] = []
    with SignalWatch(told.append, "name") as watch:
        os.kill(os.getpid(), signal.SIGTERM)
    assert told == ["SIGTERM"]
    error = watch.error()
    assert isinstance(error, TuningInterrupted)
    assert error.code == 128 + signal.SIGTERM
    assert str(error) == "interrupted by SIGTERM"


def test_handlers_are_put_back() -> None:
    """After the watch the handlers are those from before."""
    before = signal.getsignal(signal.SIGINT)
    with SignalWatch(lambda _name: None, "name"):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_what_came_before_a_watch_counts_for_it() -> None:
    """One that is entered within another knows what that one has received, and tells it what itself receives."""
    with SignalWatch() as outer:
        with SignalWatch(outer=outer) as watch:
            assert watch.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        with SignalWatch(outer=outer) as watch:
            assert watch.received == signal.SIGTERM
            assert watch.received_at == outer.received_at
            with pytest.raises(TuningInterrupted):
                watch.raise_if_received()
    with SignalWatch() as outer:
        with SignalWatch(outer=outer):
            os.kill(os.getpid(), signal.SIGINT)
        assert outer.received == signal.SIGINT


@pytest.mark.parametrize(("resumed_as", "told"), [("", "name"), ("s3://b/name --here", "s3://b/name --here")])
def test_the_second_signal_tells_how_to_go_on(resumed_as: str, told: str) -> None:
    """By what the command takes, which is more than a name where the experiment does not lie on this machine."""
    code = (
        "import os, signal\n"
        "from cloudtune.interruption import SignalWatch\n"
        "with SignalWatch(name='name') as watch:\n"
        f"    watch.resumed_as = {resumed_as!r}\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert f"SIGTERM again: ending at once; continue with `cloudtune resume {told}`\n" in done.stderr


def test_an_ignored_signal_stays_ignored() -> None:
    """A background job of a shell script, or nohup, ignores SIGINT: the tuner leaves it so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with SignalWatch(lambda _name: None, "name"):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_fork_of_the_tuner_can_be_terminated() -> None:
    """A process that a callback forks (multiprocessing) dies by SIGTERM as it would without a tuner."""
    told: list[str] = []
    with SignalWatch(told.append, "name"):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, b"x")  # Python forgets signals that arrive during the fork itself
            for _ in range(600):  # not pause(): a signal that comes just before it would be slept through
                time.sleep(0.1)
            os._exit(0)
        assert os.read(read, 1) == b"x"
        os.close(read)
        os.close(write)
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
    assert told == []


def test_a_broken_standard_error_does_not_stop_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """If `tee` has died, the message cannot be written; the tuner is told all the same."""
    read, write = os.pipe()
    os.close(read)
    told: list[str] = []
    with os.fdopen(write, "w") as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        with SignalWatch(told.append, "name"):
            os.kill(os.getpid(), signal.SIGTERM)
    assert told == ["SIGTERM"]


def test_without_standard_streams_no_file_gets_their_numbers(tmp_path: Path) -> None:
    """A program started with descriptors 0 to 2 closed: stray output goes nowhere, not into the next opened file."""
    program = (
        "import os, sys\n"
        "from cloudtune.interruption import reserve_standard_descriptors\n"
        "reserve_standard_descriptors()\n"
        f"fd = os.open({str(tmp_path / 'log')!r}, os.O_WRONLY | os.O_CREAT)\n"
        "os.write(fd, str(fd).encode())\n"
        "os.write(2, b'stray')\n"
    )
    command = f'exec {sys.executable} -c "$PROGRAM" <&- >&- 2>&-'
    subprocess.run(["sh", "-c", command], check=True, env={**os.environ, "PROGRAM": program})
    assert int((tmp_path / "log").read_text()) >= 3
    before = os.listdir("/proc/self/fd")
    reserve_standard_descriptors()
    assert os.listdir("/proc/self/fd") == before, "nothing is opened where nothing is missing"


def test_a_fork_does_not_hold_the_lease(tmp_path: Path) -> None:
    """A process that a callback forked and that outlives the tuner keeps nobody from continuing the experiment."""
    program = (
        "import os, signal, sys\n"
        "from cloudtune.store.local_store import LocalStore\n"
        "store = LocalStore(sys.argv[1])\n"
        "store.open()\n"
        "if os.fork() == 0:\n"
        "    print(os.getpid(), flush=True)\n"
        "    signal.pause()\n"
        "os.read(0, 1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    place = tmp_path / "experiment"
    argv = [sys.executable, "-c", program, str(place)]
    done = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert done.stdin is not None
    assert done.stdout is not None
    child = int(done.stdout.readline())
    done.stdin.close()  # the child runs: now the parent may die
    try:
        assert done.wait(30) == -signal.SIGKILL
        store = LocalStore(place)
        store.open()
        assert store.epoch == 2
        store.close()
    finally:
        os.kill(child, signal.SIGKILL)
        done.stdout.close()


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative CLOUDTUNE_FOLDER means the folder it named when the tuner was made, wherever the program goes then."""
    from cloudtune.store.places import experiments_root

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDTUNE_FOLDER", "here")
    assert experiments_root() == tmp_path / "here"
    assert LocalStore("there").path == tmp_path / "there"


def test_no_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a home directory the message says which variable to set."""
    from cloudtune.store.places import experiments_root

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("CLOUDTUNE_FOLDER")
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ValueError, match="set CLOUDTUNE_FOLDER to a folder"):
        experiments_root()
