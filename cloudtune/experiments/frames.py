"""Tables of results as data frames: of one experiment, and of many in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cloudtune.store.results import ResultsTable
from cloudtune.store.results_object import PackedTable
from cloudtune.store.typed_columns import FLOAT, INT, TEXT, Column

if TYPE_CHECKING:
    import pandas as pd

_MAX_INT = 2**63 - 1
_NUMBERS = (FLOAT, INT)


def results_frame(table: ResultsTable | PackedTable) -> pd.DataFrame:
    """The table of results as a data frame.

    A metric that some reports lack is NaN there. Configurations of which some are None keep their types: their column
    holds Python objects.
    """
    import pandas as pd

    if isinstance(table, ResultsTable):
        table = PackedTable.of(table)
    columns = {name: _array(column, keep_none=False) for name, column in table.columns.items()}
    config_of_row = _positions(table)
    for name, column in table.config.items():
        columns[name] = _array(column, keep_none=True).take(config_of_row)
    # Copied, so that it can be changed.
    frame: pd.DataFrame = pd.DataFrame({name: _kept(values) for name, values in columns.items()}, copy=True)
    return frame


def _positions(table: PackedTable) -> npt.NDArray[np.intp]:
    return np.asarray(table.config_of_row.values, dtype=np.intp)


def _array(column: Column, keep_none: bool) -> Any:
    """A column as pandas keeps it; ``keep_none``: what is missing is None, not NaN."""
    import pandas as pd

    if column.present is None and column.kind in _NUMBERS:
        # Several times as fast as letting pandas look at every value.
        return np.asarray(column.values)
    if column.present is None and column.kind == TEXT:
        return _plain(pd.Series(list(column.texts))).take(np.asarray(column.values))
    values = column.tolist()
    kinds = set(map(type, values))
    if kinds == {int} and max(map(abs, values)) <= _MAX_INT:
        return np.array(values)
    return _plain(pd.Series(values, dtype=object if keep_none and type(None) in kinds else None))


def _plain(series: pd.Series[Any]) -> Any:
    return series.to_numpy() if isinstance(series.dtype, np.dtype) else series.array


def _kept(values: Any, index: Any = None) -> Any:
    """The values for pandas, which would look for another type of its own in an array of objects."""
    import pandas as pd

    if values.dtype == object or index is not None:
        return pd.Series(values, dtype=values.dtype, index=index)
    return values


# ---------------------------------------------------------------------------------------------- many in one


@dataclass(frozen=True)
class Part:
    """The rows of one experiment.

    Args:
        table: Its results.
        added: What is the same in each of its rows, by the names of the columns. A column of the results is not
            replaced by what is added.
    """

    table: PackedTable
    added: Mapping[str, Any]

    def has(self, name: str) -> bool:
        """Whether it has such a column."""
        return name in self.table.columns or name in self.table.config or name in self.added

    def values(self, name: str) -> Any:
        """A column of the results; None if it is none."""
        if name in self.table.config:
            return _array(self.table.config[name], keep_none=True).take(_positions(self.table))
        column = self.table.columns.get(name)
        return None if column is None else _array(column, keep_none=False)


def stacked_frame(parts: Sequence[Part]) -> pd.DataFrame:
    """The rows of many experiments, one below the other; each column is made once, as a whole.

    What an experiment has no column for is missing in its rows.
    """
    import pandas as pd

    # An empty table has no types, and would cost the others' columns theirs.
    chosen = [part for part in parts if part.table.rows] or parts[:1]
    names: dict[str, None] = {}
    for part in chosen:
        for some in (part.table.columns, part.table.config, part.added):
            names.update(dict.fromkeys(some))
    ends = np.cumsum([part.table.rows for part in chosen])
    columns = {name: _kept(_stacked(chosen, name, ends)) for name in names}
    frame: pd.DataFrame = pd.DataFrame(columns, index=pd.RangeIndex(int(ends[-1])), copy=False)
    return frame


def _stacked(parts: Sequence[Part], name: str, ends: npt.NDArray[Any]) -> Any:
    """One column over all parts."""
    having = [number for number, part in enumerate(parts) if part.has(name)]
    of_rows = [parts[number] for number in having]
    own = [part.table.columns[name] for part in of_rows if name in part.table.columns]
    configs = [part.table.config[name] for part in of_rows if name in part.table.config]
    if len(own) == len(having):
        values = _concatenated(own, keep_none=False)
    elif len(configs) == len(having):
        values = _of_configs(of_rows, configs)
    elif not own and not configs:
        values = _repeated(of_rows, name)
    else:
        values = _mixed(of_rows, name)
    if len(having) == len(parts):
        return values
    return _with_gaps(values, parts, having, ends)


def _concatenated(columns: Sequence[Column], keep_none: bool) -> Any:
    import pandas as pd

    if all(column.kind in _NUMBERS and column.present is None for column in columns):
        return np.concatenate([np.asarray(column.values) for column in columns])
    if all(column.kind == TEXT and column.present is None for column in columns):
        texts: dict[str, int] = {}
        codes = []
        for column in columns:
            numbers = np.array([texts.setdefault(text, len(texts)) for text in column.texts], dtype=np.intp)
            codes.append(numbers[np.asarray(column.values)])
        return _plain(pd.Series(list(texts))).take(np.concatenate(codes))
    return _joined([_array(column, keep_none) for column in columns])


def _of_configs(parts: Sequence[Part], columns: Sequence[Column]) -> Any:
    first = np.cumsum([0, *map(len, columns)])
    rows = [_positions(part.table) + start for part, start in zip(parts, first, strict=False)]
    return _concatenated(columns, keep_none=True).take(np.concatenate(rows))


def _repeated(parts: Sequence[Part], name: str) -> Any:
    import pandas as pd

    of_parts = _plain(pd.Series([part.added[name] for part in parts]))
    return of_parts.repeat([part.table.rows for part in parts])


def _mixed(parts: Sequence[Part], name: str) -> Any:
    """A column of the results here, and something that is added there."""
    import pandas as pd

    arrays = []
    for part in parts:
        values = part.values(name)
        if values is None:
            values = _plain(pd.Series([part.added[name]])).repeat(part.table.rows)
        arrays.append(values)
    return _joined(arrays)


def _joined(arrays: Sequence[Any]) -> Any:
    import pandas as pd

    types = {array.dtype for array in arrays}
    if len(types) == 1 and isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays)
    return _plain(pd.concat([pd.Series(array, dtype=array.dtype) for array in arrays], ignore_index=True))


def _with_gaps(values: Any, parts: Sequence[Part], having: Sequence[int], ends: npt.NDArray[Any]) -> Any:
    """The values where their rows are, and nothing in the rows between."""
    rows = np.concatenate([np.arange(ends[number] - parts[number].table.rows, ends[number]) for number in having])
    return _plain(_kept(values, rows).reindex(range(int(ends[-1]))))


class LazyFrame:
    """A data frame that is made when it is asked for.

    Args:
        make: Gives the table, the same each time.
    """

    def __init__(self, make: Callable[[], PackedTable]) -> None:
        self.table = make

    def __call__(self) -> pd.DataFrame:
        """The data frame."""
        return results_frame(self.table())
