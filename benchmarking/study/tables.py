"""The tables that the study searches, and how good a value is among all that a table has."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cloudtune.backend.simulator_backend import SimulatedDelays
from cloudtune.blackbox import ConstantTime, TabularBlackbox, load_blackbox
from cloudtune.blackbox.converters import taskset
from cloudtune.config_space import uniform

#: Where the learning curves of TaskSet are, unless this variable of the environment names another folder.
TASKSET_VARIABLE = "CLOUDTUNE_TASKSET"
_TASKSET = Path(__file__).parents[2] / ".." / "shared" / "data" / "taskset"
#: Trials of TaskSet are as jobs in a cloud: two minutes to start, a minute a step, ten seconds to be stopped.
CLOUD = SimulatedDelays(start=120.0, stop=10.0)

TASKSET = (
    "imdb_patch128_LSTM128_avg_bs64",
    "imdb_patch128_LSTM128_embed128_bs64",
    "imdb_patch32_GRU64_avg_bs128",
    "imdb_patch32_IRNN64_relu_last_bs128",
    "imdb_patch32_LSTM128_bs128",
    "imdb_patch32_VRNN64_relu_avg_bs128",
)
DIGITS = "digits_mlp"
LONG = "power_laws_200"


@dataclass(frozen=True)
class Ground:
    """A table ready to be searched.

    Args:
        table: As recorded. The first metric is the one to be minimised.
        delays: Around training.
        whole_trial: Virtual seconds of a trial of median length, with its delays.
        digest: Of the table's content.
    """

    table: TabularBlackbox
    delays: SimulatedDelays
    whole_trial: float
    digest: str

    @functools.cached_property
    def _ordered(self) -> dict[bool, list[npt.NDArray[np.float64]]]:
        values = self.table.values[..., 0].astype(np.float64)
        values = np.where(np.isfinite(values), values, np.inf)
        return {
            at_end: [
                np.sort(values[:, seed, -1] if at_end else values[:, seed].min(1)) for seed in range(len(values[0]))
            ]
            for at_end in (False, True)
        }

    def rank(self, value: float, seed: int, at_end: bool = False) -> int:
        """Place of a value among the configurations of the table, 1 for the best; equal values share their place.

        Args:
            value: What a trial has reported; not finite: the last place.
            seed: Which repetition of the curves.
            at_end: Compare with where curves end. Otherwise with the best value of each curve.
        """
        ordered = self._ordered[at_end][seed % self.table.num_seeds]
        if not np.isfinite(value):
            return len(ordered)
        return min(int(np.searchsorted(ordered, value, side="left")) + 1, len(ordered))


def taskset_folder() -> Path:
    """Where the learning curves of TaskSet are looked for."""
    named = os.environ.get(TASKSET_VARIABLE)
    return Path(named) if named else _TASKSET


def is_there(name: str) -> bool:
    """Whether a table can be had here: those of TaskSet are not part of the project."""
    return name in (DIGITS, LONG) or (taskset_folder() / f"{name}.npz").is_file()


@functools.lru_cache(maxsize=16)
def ground(name: str) -> Ground:
    """A table by its name.

    Raises:
        NoPublishedFile: It is a task of TaskSet, and its file is not there.
    """
    if name == DIGITS:
        table, delays = _shipped(), SimulatedDelays()
    elif name == LONG:
        table, delays = power_laws(), CLOUD
    else:
        ((_, table),) = taskset.convert(taskset_folder(), [name])
        delays = CLOUD
    whole = float(np.median(table.elapsed[:, :, -1])) + delays.start
    return Ground(table, delays, whole, _digest(table))


def _shipped() -> TabularBlackbox:
    table = load_blackbox(DIGITS)
    assert isinstance(table, TabularBlackbox)
    return table


def _digest(table: TabularBlackbox) -> str:
    content = hashlib.sha256(np.ascontiguousarray(table.values).tobytes())
    content.update(np.ascontiguousarray(table.elapsed).tobytes())
    return content.hexdigest()[:16]


def power_laws(num_configs: int = 1000, num_steps: int = 200) -> TabularBlackbox:
    """Curves that nobody recorded: power laws with noise, for a maximum resource that no recorded table has.

    Where a curve ends depends on three of four parameters, how fast it falls on two of them; the noise is a hundredth.
    """
    drawn = np.random.default_rng(0)
    points = drawn.random((num_configs, 4))
    steps = np.arange(1, num_steps + 1)
    level = 0.1 + ((points[:, :3] - [0.3, 0.6, 0.5]) ** 2 * [2.0, 1.0, 0.5]).sum(1)
    pace = 0.3 + points[:, 3] * (0.3 + points[:, 0])
    noise = 0.01 * drawn.standard_normal((num_configs, num_steps))
    values = level[:, None] + steps[None] ** -pace[:, None] + noise
    names = ["a", "b", "c", "d"]
    return TabularBlackbox(
        {name: uniform(0.0, 1.0) for name in names},
        {name: points[:, number].tolist() for number, name in enumerate(names)},
        values[:, None, :, None],
        ["loss"],
        steps,
        "step",
        time_model=ConstantTime(60.0),
    )
