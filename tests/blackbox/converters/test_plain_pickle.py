"""Pickles of plain data: what they hold is read, and whatever would be executed is refused."""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.blackbox.converters.plain_pickle import NotPlainData, read_plain_pickle

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(data=DATA, protocol=st.integers(3, pickle.HIGHEST_PROTOCOL))
def test_plain_data_comes_back(data: Any, protocol: int) -> None:
    """Whatever is made of Python's own values is read as it was, in every protocol of Python 3."""
    assert read_plain_pickle(io.BytesIO(pickle.dumps(data, protocol))) == data


@pytest.mark.parametrize("number", [np.float64(0.1), np.float32(0.5), np.int64(-3), np.uint8(7), np.bool_(True)])
def test_numpy_numbers_become_plain(number: np.generic) -> None:
    """Numbers of numpy and ordered dictionaries are data too."""
    (key, value), *rest = read_plain_pickle(io.BytesIO(pickle.dumps(collections.OrderedDict(a=number)))).items()
    assert (key, rest) == ("a", [])
    assert value == number.item()
    assert type(value) is type(number.item())


class Call:
    """Pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "hostile",
    [
        Call(Path.touch, Path("touched")),
        Call(eval, "open('touched', 'w')"),
        Call(getattr, "x", "upper"),
        np.array([Call(eval, "open('touched', 'w')")], dtype=object),
        {"fine": 1, "not": [pickle.loads]},
    ],
    ids=["method", "eval", "getattr", "array of objects", "function"],
)
def test_nothing_is_executed(hostile: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that names a function is refused before it is called; pickle itself would have called it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotPlainData, match="not plain data"):
        read_plain_pickle(io.BytesIO(pickle.dumps(hostile)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damaged", [b"", b"no pickle", pickle.dumps([1, 2, 3])[:-2], b"\x80\x04h\x05."])
def test_damaged_files_are_refused(damaged: bytes) -> None:
    """What is no whole pickle says so, whatever goes wrong inside."""
    with pytest.raises(NotPlainData, match="no whole pickle"):
        read_plain_pickle(io.BytesIO(damaged))


def test_object_scalars_are_refused() -> None:
    """A numpy scalar of Python objects could hide a pickle in a pickle."""
    written = pickle.dumps(np.dtype("O"))
    with pytest.raises(NotPlainData, match="of type 'O8'"):
        read_plain_pickle(io.BytesIO(written))
