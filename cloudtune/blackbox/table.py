"""A blackbox that is a table: the recorded learning curves of a finite set of configurations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cloudtune.blackbox import table_checks as checks
from cloudtune.blackbox.blackbox import Blackbox, Curve, NotInTable
from cloudtune.blackbox.table_file import DamagedTable, read_table, write_table
from cloudtune.blackbox.time_model import ConstantTime
from cloudtune.config_space import ConfigSampler, config_space_from_json, config_space_to_json

if TYPE_CHECKING:
    import pandas as pd


class TabularBlackbox(Blackbox):
    """Recorded learning curves of ``n_configs`` configurations, ``n_seeds`` repetitions each.

    NaN and infinite metric values are what real runs give: they are kept, and reported by the trials of a simulator.
    The arrays of a table are read-only.

    Args:
        config_space: A domain for each parameter; no constants. The configurations of the table lie in it.
        configs: A data frame or a mapping, with a column of ``n_configs`` values for each parameter.
        values: Of shape ``(n_configs, n_seeds, n_resources, n_metrics)``; kept in single precision if they are.
        metrics: Names of the last axis.
        resources: Resource (epochs) at each report: whole numbers from 1 on, increasing.
        resource_attr: Key under which a report counts the resource.
        elapsed: Seconds from the start of training until each report, of shape ``(n_configs, n_seeds, n_resources)``:
            finite and increasing along the last axis.
        time_model: Instead of ``elapsed``, where no times are known.
        about: Where the curves come from, and under which licence; for people.

    Raises:
        ValueError: Shapes do not fit, resources or times are not finite or do not increase, numbers are complex, a
            configuration is there twice (repetitions belong on the axis of seeds), or not exactly one of ``elapsed``
            and ``time_model`` is given.
        ConfigSpaceError: A configuration is not in the space.
    """

    def __init__(
        self,
        config_space: Mapping[str, Any],
        configs: pd.DataFrame | Mapping[str, Sequence[Any]],
        values: npt.ArrayLike,
        metrics: Sequence[str],
        resources: Sequence[int] | npt.ArrayLike,
        resource_attr: str,
        elapsed: npt.ArrayLike | None = None,
        time_model: ConstantTime | None = None,
        about: str = "",
    ) -> None:
        self.config_space = checks.checked_space(config_space)
        self.metrics = checks.checked_names(metrics, resource_attr)
        self.resource_attr = resource_attr
        self.resources = checks.checked_resources(resources)
        self.columns = checks.checked_columns(self.config_space, configs)
        #: How many configurations there are.
        self.num_configs = len(next(iter(self.columns.values())))
        self.values = checks.checked_values(values, (self.num_configs, len(self.resources), len(self.metrics)))
        self.num_seeds = self.values.shape[1]
        self.min_resource, self.max_resource = int(self.resources[0]), int(self.resources[-1])
        self.about = about
        if (elapsed is None) == (time_model is None):
            raise ValueError(
                "a table needs either elapsed, the recorded times, or a time_model such as ConstantTime(30)"
            )
        self.time_model = time_model
        self._elapsed = None if elapsed is None else checks.checked_elapsed(elapsed, self.values.shape[:3])
        self._sampler = ConfigSampler(self.config_space)
        self._rows = self._index()
        self._steps: list[int] = self.resources.tolist()
        self._same_times = [] if time_model is None else checks.checked_times(time_model, self.resources)
        #: What was reckoned once for this table and all its copies.
        self._digests: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_rows"}  # made again as fast as read

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_digests": {}, **state})
        self._rows = self._index()

    def _index(self) -> dict[Hashable, int]:
        rows: dict[Hashable, int] = {}
        for row in range(self.num_configs):
            key = self._sampler.key(self.config_at(row))
            first = rows.setdefault(key, row)
            if first != row:
                raise ValueError(
                    f"configs: rows {first} and {row} are the same configuration {self.config_at(row)}; give "
                    "repetitions of one configuration as seeds, or keep one of them"
                )
        return rows

    def config_at(self, row: int) -> dict[str, Any]:
        """The configuration in a row, from 0."""
        return {name: column[row] for name, column in self.columns.items()}

    def configurations(self) -> list[dict[str, Any]]:
        """All of them, in the order of the table: what ``restrict_configurations`` of a method takes."""
        return [self.config_at(row) for row in range(self.num_configs)]

    @property
    def configs(self) -> pd.DataFrame:
        """The configurations, one per row, in the order of the table."""
        import pandas as pd

        frame: pd.DataFrame = pd.DataFrame(self.columns, columns=list(self.columns))
        return frame

    @property
    def elapsed(self) -> npt.NDArray[np.float64]:
        """Seconds until each report, of shape ``(n_configs, n_seeds, n_resources)``."""
        if self._elapsed is not None:
            return self._elapsed
        return np.broadcast_to(np.array(self._same_times), self.values.shape[:3])

    def row_of(self, config: Mapping[str, Any]) -> int | None:
        """Which row a configuration is, or None; further keys are ignored.

        Raises:
            NotInTable: The configuration lacks a parameter.
        """
        try:
            return self._rows.get(self._sampler.key(config))
        except KeyError as error:
            raise NotInTable(
                f"the configuration has no parameter {error.args[0]!r}, which the table needs; add it to the config "
                f"space of the experiment (parameters of the table: {', '.join(self.config_space)})"
            ) from None

    def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
        """See :meth:`Blackbox.curve`.

        Raises:
            NotInTable: The configuration is not in the table, or lacks a parameter.
        """
        row = self.row_of(config)
        if row is None:
            asked = {name: config[name] for name in self.config_space}
            raise NotInTable(
                f"the configuration {asked} is not among the {self.num_configs} of the table; choose among the table's "
                "own with restrict_configurations=blackbox.configurations() of the method, or let a surrogate stand in "
                "for others with add_surrogate(blackbox)"
            )
        return self.curve_at(row, seed)

    def curve_at(self, row: int, seed: int = 0) -> Curve:
        """The curve of the configuration in a row."""
        seed %= self.num_seeds
        values = self.values[row, seed].T.tolist()
        elapsed = self._same_times if self._elapsed is None else self._elapsed[row, seed].tolist()
        return Curve(self._steps, dict(zip(self.metrics, values, strict=True)), elapsed, "", True)

    def identity(self) -> dict[str, Any]:
        """See :meth:`Blackbox.identity`: also a digest of configurations, curves and times."""
        if not self._digests:
            self._digests["curves"] = self._digest()
        return {**super().identity(), **self._digests}

    def _digest(self) -> str:
        exact = [self.columns, self._steps, self.values.shape, str(self.values.dtype), self._same_times]
        content = hashlib.sha256(json.dumps(exact).encode())
        for array in (self.values, self._elapsed):
            if array is not None:
                content.update(np.ascontiguousarray(array).data.cast("B"))
        return content.hexdigest()[:16]

    def save(self, path: str | Path) -> None:
        """Writes the table into one ``.npz`` file, replacing what is there in one step."""
        description: dict[str, Any] = {
            "config_space": config_space_to_json(self.config_space),
            "metrics": list(self.metrics),
            "resource_attr": self.resource_attr,
            "about": self.about,
        }
        arrays: dict[str, npt.NDArray[Any]] = {"values": self.values, "resources": self.resources}
        if self.time_model is not None:
            model = self.time_model
            description["time_model"] = [model.seconds_per_resource, model.startup_seconds]
        else:
            arrays["elapsed"] = self.elapsed
        description["columns"] = {}
        for number, (name, column) in enumerate(self.columns.items()):
            # Tables are often grids: the few values of a parameter, and which of them each row has.
            keys = [json.dumps(value, sort_keys=True) for value in column]
            distinct = dict(zip(keys, column, strict=True))
            places = {key: place for place, key in enumerate(distinct)}
            description["columns"][name] = list(distinct.values())
            arrays[f"column{number}"] = np.array([places[key] for key in keys], dtype=np.int32)
        write_table(Path(path), description, arrays)

    @classmethod
    def load(cls, path: str | Path) -> TabularBlackbox:
        """Reads a file that :meth:`save` has written. Nothing in it is executed.

        Raises:
            FileNotFoundError: There is no such file.
            DamagedTable: It is no table, or a damaged one.
            NewerFormat: A newer cloudtune wrote it.
        """
        description, arrays = read_table(Path(path))
        try:
            columns = {
                name: [distinct[place] for place in arrays[f"column{number}"].tolist()]
                for number, (name, distinct) in enumerate(description["columns"].items())
            }
            model = description.get("time_model")
            return cls(
                config_space_from_json(description["config_space"]),
                columns,
                arrays["values"],
                description["metrics"],
                arrays["resources"],
                description["resource_attr"],
                elapsed=arrays.get("elapsed"),
                time_model=None if model is None else ConstantTime(*model),
                about=description["about"],
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DamagedTable(
                f"{path} does not hold a whole table of learning curves ({error}); convert or download it again"
            ) from error
