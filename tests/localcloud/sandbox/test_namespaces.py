"""Containers in namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtune.localcloud.sandbox.covered_folder import MANY
from cloudtune.localcloud.sandbox.sandbox import ContainerStartFailed
from tests.localcloud.sandbox.contract import SandboxContract
from tests.localcloud.sandbox.place import ENDLESS, Place

CONNECT = """
import socket, sys
with socket.socket() as s:
    print(s.connect_ex(("127.0.0.1", int(sys.argv[1]))) == 0)
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as s:
    print("loopback works")
"""

LIST_OPT = """
import os
for entry in sorted(os.scandir("/opt"), key=lambda entry: entry.name):
    if entry.name != "ml":  # owners are other numbers in a user namespace
        seen = os.lstat(entry.path)
        print(entry.name, os.readlink(entry.path) if entry.is_symlink() else (seen.st_mode, seen.st_ino, seen.st_size))
"""


class TestNamespaces(SandboxContract):
    kind = "namespaces"

    def test_opt_ml_is_the_jobs_folder(self, place: Place) -> None:
        """The path itself is real, and all else that is in /opt stays in sight."""
        folder = place.ml_folder()
        Path(folder, "file").write_text("mine")
        program = "import os; print(open('/opt/ml/file').read(), os.getcwd(), sorted(os.listdir('/opt')))"
        there = sorted({*os.listdir("/opt"), "ml"})
        assert place.run(program, ml_folder=folder) == (0, f"mine /opt/ml/code {there}\n")
        assert place.sandbox.ml_path(folder) == "/opt/ml"

    def test_what_is_in_opt_stays_what_it_is(self, place: Place) -> None:
        """Folders, files and links in /opt look the same from inside as from outside."""
        code, out = place.run(LIST_OPT)
        here = subprocess.run([sys.executable, "-S", "-c", LIST_OPT], capture_output=True, text=True, check=True)
        assert (code, out) == (0, here.stdout)

    def test_the_machine_is_not_changed(self, place: Place) -> None:
        """Neither its /opt, nor its mounts, host name and hosts file, while a job runs and afterwards."""

        def machine() -> list[object]:
            mounts = Path("/proc/self/mountinfo").read_text()
            return [sorted(os.listdir("/opt")), mounts, socket.gethostname(), Path("/etc/hosts").read_bytes()]

        before = machine()
        with place.start(ENDLESS) as running:
            running.line()
            assert machine() == before
        assert machine() == before

    def test_the_job_is_alone(self, place: Place) -> None:
        """It has pid 1, a session of its own, and /proc shows nobody else."""
        program = "import os; print(os.getpid(), os.getsid(0), [n for n in os.listdir('/proc') if n.isdigit()])"
        assert place.run(program) == (0, "1 1 ['1']\n")

    def test_host_names_resolve(self, place: Place) -> None:
        """The job's own name and its peers' lead to loopback addresses, the machine's own entries are kept."""
        program = (
            "import socket; print(socket.gethostname(), *map(socket.gethostbyname, ['algo-1', 'algo-2']));"
            "print(open('/etc/hosts').read())"
        )
        code, out = place.run(program, hosts={"algo-1": "127.0.0.1", "algo-2": "127.0.0.2"})
        assert code == 0
        assert out.startswith("algo-1 127.0.0.1 127.0.0.2\n")
        assert Path("/etc/hosts").read_text() in out

    def test_the_network_can_be_taken_away(self, place: Place) -> None:
        """Not even the machine's loopback is reached then; the job's own works."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            command = [sys.executable, "-S", "-c", CONNECT, str(server.getsockname()[1])]
            assert place.run(command, network=True) == (0, "True\nloopback works\n")
            assert place.run(command, network=False) == (0, "False\nloopback works\n")

    def test_sigterm_is_ignored_by_a_first_process_without_handler(self, place: Place) -> None:
        """As in docker: it is process 1, to which the kernel gives no signal it has no handler for."""
        program = "import os, sys; print('ready', flush=True); sys.stdin.close(); os.read(os.open('/opt/ml/go', 0), 1)"
        folder = place.ml_folder()
        os.mkfifo(f"{folder}/go")
        with place.start(program, ml_folder=folder) as running:
            running.line()
            running.container.terminate()
            with open(f"{folder}/go", "w") as go:
                go.write("x")
            assert running.end() == 0

    def test_shared_memory_stays_inside(self, place: Place) -> None:
        """What a job forgets in /dev/shm goes with it, unless the machine's temporary folders are there."""
        name = f"left-{os.urandom(8).hex()}"
        assert place.run(f"open('/dev/shm/{name}', 'w')")[0] == 0
        if str(place.folder).startswith("/dev/shm/"):
            os.unlink(f"/dev/shm/{name}")
        assert not os.path.exists(f"/dev/shm/{name}")

    def test_a_missing_folder_is_the_sandboxes_fault(self, place: Place) -> None:
        """The message names the folder that cannot become /opt/ml."""
        with pytest.raises(ContainerStartFailed, match=r"'/no/such/folder' cannot become /opt/ml: No such file"):
            place.start("pass", ml_folder="/no/such/folder")

    def test_a_temporary_folder_of_its_own(self, place: Place, machines_tmp: Path) -> None:
        """What a job makes in /tmp lands in its folder, not on the machine; what was there, of any kind, stays."""
        own = place.folder / "own"
        own.mkdir()
        (machines_tmp / "file").write_text("machine's")
        os.symlink("file", machines_tmp / "link")
        os.symlink("/nowhere", machines_tmp / "dangling")
        os.mkfifo(machines_tmp / "pipe")
        (machines_tmp / "locked").mkdir(mode=0)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(machines_tmp / "s"))
            server.listen()
            program = (
                "import os, socket, sys\nos.chdir(sys.argv[1])\n"
                "print(open('link').read(), sorted(os.listdir()))\n"
                "socket.socket(socket.AF_UNIX).connect('s')\nopen('new', 'w').write('x')"
            )
            command = [sys.executable, "-S", "-c", program, str(machines_tmp)]
            code, out = place.run(command, temporary={str(machines_tmp): str(own)})
        names = ["dangling", "file", "link", "locked", "pipe", "s"]
        assert (code, out) == (0, f"machine's {names}\n")
        assert (own / "new").read_text() == "x"
        assert sorted(os.listdir(machines_tmp)) == names

    def test_of_very_many_entries_those_needed_stay(self, place: Place, machines_tmp: Path) -> None:
        """A start does not take long because /tmp is full: only what command and environment name is bound back."""
        own = place.folder / "own"
        own.mkdir()
        for number in range(MANY + 1):
            (machines_tmp / f"f{number}").write_text("")
        program = "import os, sys; print(sorted(os.listdir(sys.argv[1])))"
        command = [sys.executable, "-S", "-c", program, str(machines_tmp), f"--data={machines_tmp}/f7"]
        environment = {"A": f"/x:{machines_tmp}/f8/y:z"}
        code, out = place.run(command, environment=environment, temporary={str(machines_tmp): str(own)})
        assert (code, out) == (0, "['f7', 'f8']\n")

    @pytest.fixture
    def machines_tmp(self, tmp_path: Path) -> Path:
        """Stands for the machine's /tmp."""
        folder = tmp_path / "t"
        folder.mkdir()
        return folder
