"""Heads and end marks as agents put them, for tests that play the agents."""

from __future__ import annotations

from typing import Any, cast

from cloudtune.agent import protocol
from cloudtune.agent.forms import EndForm, Head


def end_mark(outcome: str, code: int | None = 0, reason: str = "", output: str = "") -> EndForm:
    """How a script has ended."""
    return {"outcome": outcome, "exit_code": code, "signal": None, "reason": reason, "output": output}


def head_of(trial: int, attempt: int = 0, **told: Any) -> Head:
    """The head of an attempt in its first run, which runs and has nothing to tell but what is ``told``.

    Args:
        trial: The attempt's trial.
        attempt: Its number.
        told: Fields of the head. With an ``end`` the state is that of a run that has ended.
    """
    head: Head = {
        "format": protocol.FORMAT,
        "trial": trial,
        "attempt": attempt,
        "run": 0,
        "state": protocol.ENDED if told.get("end") else protocol.RUNNING,
        "beat": 1,
        "chunks": [],
        "first": 0,
        "reports": [],
        "checkpoint": None,
        "ended_runs": {},
        "end": None,
        "host": "algo-1",
        "job": f"job-{trial}-{attempt}",
        "unix": 0.0,
    }
    unknown = set(told) - set(head)
    assert not unknown, f"no head tells {unknown}"
    return cast("Head", {**head, **told})
