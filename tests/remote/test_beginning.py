"""The first lines of the tuner's program: signals while the rest is imported, and an end that waits for nobody."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

#: Stands for the program: takes its time to be imported, and leaves a thread that does not end.
_PROGRAM = """
import os, signal, sys, threading, types

def main(signals):
    threading.Thread(target=threading.Event().wait).start()
    print("received", signals.received, flush=True)
    {end}

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "cloudtune.remote.program":
            return None
        os.kill(os.getpid(), signal.SIGTERM)
        module = sys.modules[name] = types.ModuleType(name)
        module.main = main
        import importlib.machinery
        class Loader:
            @staticmethod
            def create_module(spec):
                return module
            @staticmethod
            def exec_module(module):
                pass
        return importlib.machinery.ModuleSpec(name, Loader)

sys.meta_path.insert(0, Finder)
from cloudtune.remote.beginning import main as begin
begin()
"""


def run(folder: Path, end: str) -> subprocess.CompletedProcess[str]:
    """Runs it, with a program that ends so."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(_PROGRAM).format(end=end))
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)


def test_a_signal_while_the_program_is_imported(tmp_path: Path) -> None:
    """The program is told when it begins; its end is the process's, whatever threads still wait for AWS."""
    done = run(tmp_path, "signals.raise_if_received()")
    assert (done.returncode, done.stdout) == (143, "received 15\n")


def test_an_error_after_a_signal(tmp_path: Path) -> None:
    """Its sentence is the last line of the output, and the process has failed."""
    done = run(tmp_path, "sys.exit('the quota is used up')")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "the quota is used up")


def test_an_end_after_a_signal(tmp_path: Path) -> None:
    """A program that has done its work, such as to hand over, has not failed."""
    assert run(tmp_path, "pass").returncode == 0
