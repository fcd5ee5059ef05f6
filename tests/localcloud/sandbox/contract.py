"""What every sandbox keeps, whatever it keeps containers apart with."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudtune.localcloud.sandbox.open_sandbox import open_sandbox
from cloudtune.localcloud.sandbox.sandbox import CommandNotRunnable, ContainerStartFailed
from tests.chaos.leftovers import descriptors, threads
from tests.localcloud.sandbox.place import DAEMON, ENDLESS, Place, children, marked, until

HANDLER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print("ready", flush=True)
while True: signal.pause()
"""


class SandboxContract:
    kind: str

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        sandbox = open_sandbox(self.kind)
        yield Place(sandbox, tmp_path)
        sandbox.close()

    def test_the_exit_code_is_that_of_the_first_process(self, place: Place) -> None:
        """Codes come as they are, signals negative, as subprocess has them."""
        assert place.run("raise SystemExit(0)") == (0, "")
        assert place.run("raise SystemExit(7)") == (7, "")
        with place.start(ENDLESS) as running:
            running.line()
            running.container.kill()
            assert running.end() == -signal.SIGKILL
            assert running.container.exit_code() == -signal.SIGKILL

    def test_the_job_gets_exactly_its_environment(self, place: Place) -> None:
        """Nothing of the server's environment is there, and odd values arrive as they are."""
        text = 'Grüße "=" \udc80 \n'
        code, out = place.run(
            "import os, json; print(json.dumps(dict(os.environ)))", environment={"A": text, "B": "", "PYTHONUTF8": "1"}
        )
        seen = json.loads(out)
        extra = {"SAGEMAKER_BASE_DIR", "SM_STUDIO_LOCAL_MODE", "CLOUDTUNE_ML_FOLDER", "CLOUDTUNE_CONTAINER", "LC_CTYPE"}
        assert code == 0
        assert {name: value for name, value in seen.items() if name not in extra} == {
            "A": text,
            "B": "",
            "PYTHONUTF8": "1",
            "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
        }

    def test_large_commands_arrive(self, place: Place) -> None:
        """A request larger than a socket's buffer comes whole."""
        values = {f"V{i}": "x" * 10_000 for i in range(100)}
        assert place.run("import os; print(sum(len(v) for v in os.environ.values()) > 10**6)", environment=values) == (
            0,
            "True\n",
        )

    def test_the_job_starts_with_plain_signals_and_descriptors(self, place: Place) -> None:
        """Signals, mask, umask, stdin and open files are those of a process that docker starts."""
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            code, out = place.run(
                "import os\n"
                "for line in open('/proc/self/status'):\n"
                "    if line[:6] in ('SigIgn', 'SigBlk', 'SigCgt', 'Umask:'): print(*line.split())\n"
                "print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], os.readlink('/proc/self/fd/0'))",
            )
        finally:
            signal.signal(signal.SIGUSR1, before)
        shown = dict(line.split() for line in out.splitlines()[:-1])
        # Python itself ignores SIGPIPE and SIGXFSZ, and catches SIGINT. Two signals are the C library's own: nobody
        # can set them, and its posix_spawn, which subprocess uses from Python 3.13 on, leaves one of them ignored.
        assert code == 0
        known = sum(1 << number - 1 for number in signal.valid_signals())
        assert int(shown["SigIgn:"], 16) & known == 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1, out
        assert int(shown["SigBlk:"], 16) == 0, out
        assert shown["Umask:"] == "0022"
        assert out.splitlines()[-1].startswith("[0, 1, 2] /dev/null")

    def test_concurrent_jobs_see_their_own_folders(self, place: Place) -> None:
        """What stands for /opt/ml is the job's own, also in the working directory, checked from inside."""
        folders = [place.ml_folder() for _ in range(2)]
        for number, folder in enumerate(folders):
            Path(folder, "who").write_text(f"job {number}")
        program = (
            "import os, sys\nprint(open(sys.argv[1]).read(), os.path.samefile('..', os.path.dirname(sys.argv[1])))\n"
            "sys.stdout.flush()\nopen('made', 'w').write('x')\nos.kill(os.getpid(), 19)"
        )
        command = [sys.executable, "-S", "-c", program, f"{place.sandbox.ml_path('/opt/ml')}/who"]
        started = [place.start([*command[:4], "/opt/ml/who"], ml_folder=folder) for folder in folders]
        try:
            assert [running.line() for running in started] == ["job 0 True", "job 1 True"]
            until(lambda: all(Path(folder, "code", "made").exists() for folder in folders))
        finally:
            for running in started:
                running.__exit__()

    def test_sigterm_reaches_the_first_process_alone(self, place: Place) -> None:
        """A child that would die of SIGTERM outlives the signal for as long as the first process wants."""
        program = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True: signal.pause()
got = []
signal.signal(signal.SIGTERM, lambda *_: got.append(1))
print("ready", flush=True)
while not got: signal.pause()
print(os.waitpid(child, os.WNOHANG), flush=True)
"""
        with place.start(program) as running:
            running.line()
            running.container.terminate()
            assert running.end() == 0
            assert running.rest() == "(0, 0)\n"

    def test_a_handler_ends_the_job_by_itself(self, place: Place) -> None:
        """SIGTERM is a request: the code is the handler's."""
        with place.start(HANDLER) as running:
            running.line()
            running.container.terminate()
            assert running.end() == 5

    def test_daemons_die_at_the_end(self, place: Place) -> None:
        """A double fork with a session of its own does not outlive the first process by a moment."""
        assert place.run(DAEMON, environment={"MARK": str(place.folder)})[0] == 0
        assert marked(str(place.folder)) == []

    def test_daemons_die_with_a_killed_job(self, place: Place) -> None:
        """kill ends all of the container; the exit code is not told before."""
        with place.start(DAEMON + ENDLESS, environment={"MARK": str(place.folder)}) as running:
            running.line()
            assert len(marked(str(place.folder))) == 2
            running.container.kill()
            running.end()
            assert marked(str(place.folder)) == []

    def test_a_closed_container_is_dead(self, place: Place) -> None:
        """close ends what lives, may be called twice, and keeps the exit code; later signals do nothing."""
        running = place.start(DAEMON + ENDLESS, environment={"MARK": str(place.folder)})
        running.line()
        running.container.close()
        assert marked(str(place.folder)) == []
        running.__exit__()
        running.container.kill()
        running.container.terminate()
        assert running.container.exit_code() == -signal.SIGKILL

    def test_the_end_stays_readable(self, place: Place) -> None:
        """Whoever polls after the exit code was taken still sees the end."""
        with place.start("pass") as running:
            for _ in range(3):
                assert running.end() == 0

    def test_the_pid_is_the_machines(self, place: Place) -> None:
        """It can be looked up in /proc from outside."""
        with place.start(ENDLESS, environment={"MARK": str(place.folder)}) as running:
            assert marked(str(place.folder)) == [running.container.pid]

    @pytest.mark.parametrize(
        ("command", "text"),
        [
            ([], "is empty"),
            (["no-such-program"], r"'no-such-program' was not found in the container's PATH \(/nowhere:/bin\)"),
            (["/no/such/program"], "'/no/such/program' was not found"),
            (["/etc/passwd"], "'/etc/passwd' may not be executed: Permission denied"),
            (["/etc"], "'/etc' may not be executed: it is a folder"),
            (["/bin/sh", "-c", "a\0b"], "null"),
            (["/bin/sh", "x" * 5_000_000], "longer than this system allows"),
        ],
    )
    def test_a_command_that_cannot_run_is_named(self, place: Place, command: list[str], text: str) -> None:
        """It is told apart from a sandbox that does not work, by its class, and says what to mend."""
        with pytest.raises(CommandNotRunnable, match=text):
            place.start(command, environment={"PATH": "/nowhere:/bin"})

    def test_scripts_without_interpreter_are_named(self, place: Place) -> None:
        """A first line that leads nowhere, or none at all, is the script's fault, and not said to be a missing file."""
        for name, content in (("lost", "#!/no/such/interpreter\n"), ("plain", "echo\n")):
            (place.folder / name).write_text(content)
            (place.folder / name).chmod(0o755)
        with pytest.raises(CommandNotRunnable, match=r"lost' needs an interpreter that is not there"):
            place.start([str(place.folder / "lost")])
        with pytest.raises(CommandNotRunnable, match=r"plain' is nothing that this machine can run"):
            place.start([str(place.folder / "plain")])

    def test_a_missing_working_directory_is_named(self, place: Place) -> None:
        """It is part of the command."""
        with pytest.raises(CommandNotRunnable, match=r"/missing' cannot be entered: No such file or directory"):
            place.start("pass", cwd="/opt/ml/missing")

    def test_containers_leave_nothing(self, place: Place) -> None:
        """Two hundred ends and failed starts later, server and spawner have what they had before."""
        place.run("pass")
        spawner = next(pid for pid in map(children, children(os.getpid())) if pid)[0]

        def held() -> list[object]:
            return [descriptors(), threads(), children(spawner)]

        def spawner_has() -> int:
            return len(os.listdir(f"/proc/{spawner}/fd"))

        had = spawner_has()  # perhaps with the channel of a container that has just ended
        before = held()
        for number in range(200):
            if number % 10:
                assert place.run(["/bin/sh", "-c", f"exit {number % 3}"]) == (number % 3, "")
            else:
                with pytest.raises(CommandNotRunnable):
                    place.start(["nope"])
        until(lambda: held() == before and spawner_has() <= had)

    def test_starts_from_many_threads_do_not_mix(self, place: Place) -> None:
        """Sixteen threads start jobs at once; each gets its own job's output and code."""

        def one(number: int) -> tuple[int, str]:
            return place.run(["/bin/sh", "-c", f"echo {number}; exit {number % 100}"])

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(one, range(160))) == [(n % 100, f"{n}\n") for n in range(160)]

    def test_a_hundred_run_at_once(self, place: Place) -> None:
        """None of them waits for another, and all end at a word."""
        started = [place.start(["/bin/sh", "-c", "echo up; exec sleep 1000"]) for _ in range(100)]
        assert [running.line() for running in started] == ["up"] * 100
        for running in started:
            running.container.kill()
        assert [running.end() for running in started] == [-signal.SIGKILL] * 100
        for running in started:
            running.__exit__()

    def test_close_kill_and_the_end_may_race(self, place: Place) -> None:
        """Whichever comes first, nobody hangs or raises, and all see the same code."""
        for _ in range(30):
            running = place.start(["/bin/sh", "-c", "exit 3"])
            container, barrier = running.container, threading.Barrier(4)

            def act(method: str, container: object = container, barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                getattr(container, method)()

            with ThreadPoolExecutor(4) as pool:
                methods = ["close", "kill", "terminate", "close"]
                for done in [pool.submit(act, method) for method in methods]:
                    done.result()
            assert container.exit_code() in (3, -signal.SIGKILL, -signal.SIGTERM)
            running.__exit__()

    def test_closing_the_sandbox_ends_all(self, tmp_path: Path) -> None:
        """No container and no process of ours is left, containers still tell their end, and nothing starts any more."""
        before, had = descriptors(), children(os.getpid())
        sandbox = open_sandbox(self.kind)
        place = Place(sandbox, tmp_path)
        running = place.start(DAEMON + ENDLESS, environment={"MARK": str(tmp_path)})
        running.line()
        sandbox.close()
        assert marked(str(tmp_path)) == []
        assert children(os.getpid()) == had
        assert running.end() == -signal.SIGKILL
        running.__exit__()
        with pytest.raises(ContainerStartFailed, match="closed"):
            place.start("pass")
        sandbox.close()
        assert descriptors() == before

    @pytest.mark.parametrize("victim", ["guard", "spawner"])
    def test_a_killed_spawner_takes_its_containers_along(self, tmp_path: Path, victim: str) -> None:
        """Whichever of our two processes is killed; the next start has a new one."""
        had = set(children(os.getpid()))
        sandbox = open_sandbox(self.kind)
        place = Place(sandbox, tmp_path)
        try:
            with place.start(DAEMON + ENDLESS, environment={"MARK": str(tmp_path)}) as running:
                running.line()
                (guard,) = set(children(os.getpid())) - had
                (spawner,) = children(guard)
                os.kill(guard if victim == "guard" else spawner, signal.SIGKILL)
                assert running.end() == -signal.SIGKILL
                assert marked(str(tmp_path)) == []
            assert place.run("print('again')") == (0, "again\n")
        finally:
            sandbox.close()
        assert set(children(os.getpid())) == had
