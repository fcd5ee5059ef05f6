"""The same scripts, functions and calls of ASHA through Optuna, Syne Tune and Ray Tune, where they are installed.

Nothing here has a limit: the rows tell how far the others are from the same floor, in the same run.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarking.overhead import (
    asha_calls,
    function_trials,
    peer_optuna,
    peer_ray,
    peer_syne_tune,
    script_trials,
)
from benchmarking.overhead.measurement import Row

PEERS: tuple[Any, ...] = (peer_optuna, peer_syne_tune, peer_ray)
SIZES = (1_000, 10_000)
#: Seconds after which a peer's ASHA is measured no further: some calls take the longer the more trials there are.
BUDGET = 90.0


def installed(peer: ModuleType) -> bool:
    """Whether the toolkit can be imported."""
    top, _, rest = str(peer.MODULE).partition(".")
    return importlib.util.find_spec(top) is not None and (not rest or importlib.util.find_spec(peer.MODULE) is not None)


def measure(_repeats: int) -> list[Row]:
    """Rows for each peer that is installed; one run of each, for some take minutes."""
    rows = []
    ours: dict[int, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bare, forks = Path(folder, "bare.py"), Path(folder, "forks.py")
        bare.write_text(script_trials.BARE)
        forks.write_text(function_trials.FLOOR_PROGRAM)
        for peer in PEERS:
            if not installed(peer):
                continue
            floor = script_trials.bare_popen(bare, 0.0)
            work = f"{peer.NAME}: {script_trials.NUM_TRIALS} scripts that end at once"
            rows.append(Row(f"{work} ({peer.SCRIPTS})", peer.scripts(bare), floor, "s", None, "bare Popen, no report"))
            floor = function_trials.bare_forks(forks)
            work = f"{peer.NAME}: {function_trials.NUM_TRIALS} functions x {function_trials.NUM_REPORTS} reports"
            rows.append(Row(f"{work} ({peer.FUNCTIONS})", peer.functions(), floor, "s", None, "bare fork, pipe"))
            ours = ours or asha_calls.costs(asha_calls.OurASHA(), SIZES, BUDGET)
            rows.extend(asha_rows(peer, ours))
    return rows


def asha_rows(peer: Any, ours: dict[int, tuple[float, float]]) -> list[Row]:
    """Two rows for each size that the peer reached, against ours."""
    found = asha_calls.costs(peer.SuccessiveHalving(), SIZES, BUDGET)
    return [
        Row(
            f"{peer.NAME}: {peer.ASHA}: {call} at {size:,} trials",
            costs[position],
            ours[size][position],
            "µs",
            None,
            "cloudtune's ASHA",
        )
        for size, costs in found.items()
        for position, call in enumerate(("report", "suggest"))
    ]
