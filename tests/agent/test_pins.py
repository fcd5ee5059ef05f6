"""Requirements that are installed already start no pip."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from cloudtune.agent.pins import are_installed

DILL = f"dill=={version('dill')}"


@pytest.mark.parametrize(
    "lines",
    [[], ["", "  # only remarks"], [DILL], [f"  {DILL}  # pinned", ""], [DILL.replace("==", " == ")]],
)
def test_exact_versions_that_are_there(lines: list[str]) -> None:
    """Nothing is to be installed."""
    assert are_installed(lines)


@pytest.mark.parametrize(
    "line",
    [
        "dill==0.0.1",
        "no-such-distribution==1.0",
        "dill",
        "dill>=0.1",
        "dill[graph]==0.4",
        f"{DILL}; python_version < '4'",
        "-r more.txt",
        "--index-url https://example.org",
        "./local",
        "git+https://example.org/x.git",
        f"{DILL} --hash=sha256:00",
    ],
)
def test_whatever_pip_has_to_judge(line: str) -> None:
    """Another version, a range, an extra, a marker, an option or a path: pip is started."""
    assert not are_installed([DILL, line])
