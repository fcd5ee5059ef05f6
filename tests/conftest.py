"""What every test gets: a folder of its own for experiments, no credentials, and hypothesis without deadlines."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The contract suites are imported by the test modules; their asserts deserve the same failure messages.
pytest.register_assert_rewrite("tests.contracts", "tests.backend.sagemaker.harness")

# No test asserts a time, and a loaded machine may be slow: examples have no deadline.
settings.register_profile("cloudtune", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cloudtune")

#: Names of threads that end with whatever has begun them.
_ENDING = ("cloudtune ", "cloudtune-lease", "cloudtune-last")

_DEFECTS = pytest.StashKey[dict[str, list[str]]]()


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments go below ``tmp_path``; no cloud settings of the machine reach a test; figures need no screen."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "CLOUDTUNE_", "SM_")) and name != "CLOUDTUNE_SEEDS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDTUNE_FOLDER", str(tmp_path / "experiments"))
    monkeypatch.setenv("CLOUDTUNE_SETTINGS", str(tmp_path / "settings"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    # What is shown depends on the terminal that a test makes, not on the one that the tests are run in.
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """What botocore knows of AWS's services, many megabytes of JSON: else each session of boto3 would read it again."""
    from botocore import session

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(session, "create_loader", functools.cache(session.create_loader))
        yield


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """What a command says about the library's logs, which it may do for good, counts for its test alone."""
    library = logging.getLogger("cloudtune")
    handlers, propagate = list(library.handlers), library.propagate
    levels = {name: logger.level for name, logger in _logs_of_the_library()}
    yield
    library.handlers[:] = handlers
    library.propagate = propagate
    for name, logger in _logs_of_the_library():
        logger.setLevel(levels.get(name, logging.NOTSET))


def _logs_of_the_library() -> list[tuple[str, logging.Logger]]:
    known = logging.root.manager.loggerDict.items()
    return [
        (name, logger)
        for name, logger in known
        if isinstance(logger, logging.Logger) and (name + ".").startswith("cloudtune.")
    ]


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """What a test has begun in the background ends with it: a lease renewed on would reach the next one's cloud."""
    before = set(threading.enumerate())
    yield
    left = [one for one in threading.enumerate() if one not in before and one.name.startswith(_ENDING)]
    until = time.monotonic() + 20.0
    for one in left:
        one.join(max(0.0, until - time.monotonic()))
    assert [one.name for one in left if one.is_alive()] == [], "threads of this test go on"


def pytest_configure(config: pytest.Config) -> None:
    """Signals mean what they mean by default, also where the tests run in the background of a shell script.

    There SIGINT and SIGQUIT are ignored, every process that a test starts inherits that, and a tuner respects it.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Notes which tests are about which defects of the predecessor."""
    found: dict[str, list[str]] = defaultdict(list)
    for item in session.items:
        for marker in item.iter_markers("defect"):
            for defect in marker.args:
                found[defect].append(item.nodeid)
    session.config.stash[_DEFECTS] = found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Lists the defects and their tests for ``pytest -m defect --collect-only -q``."""
    found = config.stash.get(_DEFECTS, {})
    if config.option.collectonly and "defect" in config.option.markexpr and found:
        terminalreporter.section("defects of the predecessor")
        for defect in sorted(found, key=lambda name: (name[:1], int(name[1:]))):
            for nodeid in found[defect]:
                terminalreporter.write_line(f"{defect:<4} {nodeid}")
