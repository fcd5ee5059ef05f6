"""Runs small Python programs in containers, and looks for what they may leave."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cloudtune.localcloud.sandbox.sandbox import Container, ContainerSpec, Sandbox

#: Loops until it is killed; says when it is there.
ENDLESS = "import signal; print('ready', flush=True)\nwhile True: signal.pause()"

#: Leaves a daemon in a session of its own that keeps the environment, and goes on.
DAEMON = """
import os, signal, sys
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.write(write, b"x")
        os.close(write)
        while True:
            signal.pause()
    os._exit(0)
os.wait()
os.read(read, 1)
"""


def until(happened: Callable[[], object], seconds: float = 60.0) -> None:
    """Returns once ``happened`` is true; fails when it does not come true."""
    deadline, nothing = time.monotonic() + seconds, select.poll()
    while not happened():
        assert time.monotonic() < deadline, f"in vain waited for {happened}"
        nothing.poll(10)


def marked(mark: str) -> list[int]:
    """Living processes that have ``MARK=<mark>`` in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if f"MARK={mark}".encode() in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    found.append(int(name))
            except OSError:
                continue
    return found


def children(pid: int) -> list[int]:
    """Of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


class Running:
    """A container whose output can be read. Leaving it closes both."""

    def __init__(self, container: Container, output: int) -> None:
        self.container = container
        self._output = output

    def __enter__(self) -> Running:  # noqa: PYI034  # Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()
        os.close(self._output)

    def line(self) -> str:
        """The next line of the output; what there is of it where the output ends."""
        text = b""
        while not text.endswith(b"\n") and (byte := os.read(self._output, 1)):
            text += byte
        return text.decode().strip()

    def rest(self) -> str:
        """All output until nobody has it open any more."""
        text = b""
        while data := os.read(self._output, 1 << 16):
            text += data
        return text.decode()

    def end(self) -> int:
        """Waits for the end as an executor would; the exit code."""
        poll = select.poll()
        poll.register(self.container.fileno(), select.POLLIN)
        assert poll.poll(60_000), "the container did not end"
        code = self.container.exit_code()
        assert code is not None
        return code


class Place:
    """A sandbox with folders for its containers."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self._made = 0

    def ml_folder(self) -> str:
        """A new one, with a ``code`` folder."""
        self._made += 1
        folder = self.folder / f"ml{self._made}-{os.urandom(4).hex()}"
        (folder / "code").mkdir(parents=True)
        return str(folder)

    def start(
        self,
        program: str | Sequence[str],
        environment: Mapping[str, str] | None = None,
        ml_folder: str | None = None,
        cwd: str = "/opt/ml/code",
        hosts: Mapping[str, str] | None = None,
        network: bool = True,
        temporary: Mapping[str, str] | None = None,
    ) -> Running:
        """Starts Python code, or a command."""
        command = [sys.executable, "-S", "-c", program] if isinstance(program, str) else program
        read, write = os.pipe()
        try:
            spec = ContainerSpec(
                command,
                {"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""), **(environment or {})},
                ml_folder or self.ml_folder(),
                write,
                cwd,
                "algo-1",
                {"algo-1": "127.0.0.1"} if hosts is None else hosts,
                network,
                temporary or {},
            )
            return Running(self.sandbox.start(spec), read)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)

    def run(self, program: str | Sequence[str], **options: object) -> tuple[int, str]:
        """Runs it to its end: exit code and output."""
        with self.start(program, **options) as running:  # type: ignore[arg-type]
            code = running.end()
            return code, running.rest()
