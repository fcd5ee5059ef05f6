"""What is asked before a study is launched, and where there is nobody to ask."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from benchmarking.definitions import BENCHMARKS
from cloudtune.cli.study_approval import approve_size, approve_spending
from cloudtune.studies.catalogue import Catalogue
from cloudtune.studies.options import StudyRequest, study_request


def _request(**values: Any) -> StudyRequest:
    return study_request(Catalogue(BENCHMARKS), {"experiment_tag": "t", "benchmark": ("digits_mlp",), **values})


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Has a terminal for standard input, at which somebody types."""
    ours, theirs = pty.openpty()

    def type_(text: str) -> None:
        os.write(ours, f"{text}\n".encode())

    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield type_
    os.close(ours)


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


@pytest.mark.usefixtures("no_terminal")
def test_nothing_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing costs, where yes was said before, and of plans of usual size."""
    approve_spending(_request(), costs=False)
    approve_spending(_request(yes=True), costs=True)
    approve_size(_request(num_seeds=250))  # four methods
    approve_size(_request(num_seeds=2500, yes=True))
    approve_size(_request(num_seeds=2500, dry_run=True))
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("no_terminal")
def test_nobody_to_ask() -> None:
    """No terminal and no --yes: refused, with what to add."""
    with pytest.raises(click.ClickException, match=r"launching costs money, and there is no terminal.*: add --yes"):
        approve_spending(_request(), costs=True)
    with pytest.raises(click.ClickException, match=r"has 10,000 experiments.*, and there is no terminal.*: add --yes"):
        approve_size(_request(num_seeds=2500))


def test_an_answer_at_the_terminal(answer: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Yes goes on; no, and an empty line, do not. A large plan is told with what makes it so large."""
    answer("y")
    approve_spending(_request(), costs=True)
    assert "Launch? [y/N]" in capsys.readouterr().err
    for refusal in ("n", ""):
        answer(refusal)
        with pytest.raises(click.Abort):
            approve_spending(_request(), costs=True)
    answer("y")
    approve_size(_request(num_seeds=2500))
    expected = "The plan has 10,000 experiments (4 methods x 2,500 seeds); is that meant?"
    assert expected in capsys.readouterr().err
