"""Pickles of plain data, read without executing anything in them.

A pickle names functions that the reader is to import and call, so that reading a foreign one runs whatever its author
liked. Here no name in the file is imported. Dictionaries, lists, tuples, sets, numbers, strings and None need none; the
few that data from Python and numpy do need are answered by the functions below; every other is refused.
"""

from __future__ import annotations

import pickle
import re
from typing import IO, Any

import numpy as np

_NUMBER = re.compile(r"[fiub][1248]")


class NotPlainData(ValueError):
    """A pickle holds something other than plain data; it was not read further."""


class _NumberType:
    """Stands for a numpy dtype of numbers."""

    def __init__(self, code: str, *_: object) -> None:
        if not isinstance(code, str) or not _NUMBER.fullmatch(code):
            raise NotPlainData(f"it holds a numpy array or scalar of type {code!r}")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.code = ("" if state[1] == "|" else str(state[1])) + self.code


def _scalar(kind: _NumberType, data: bytes) -> Any:
    return np.frombuffer(data, dtype=kind.code)[0].item()


#: By module and name: numpy moved its modules in version 2.
_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): dict,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise NotPlainData(f"it names {module}.{name}, which is not plain data")
        return _KNOWN[module, name]


def read_plain_pickle(file: IO[bytes]) -> Any:
    """The data in a pickle; numpy numbers become Python's.

    Raises:
        NotPlainData: It holds anything else, or is no pickle.
    """
    try:
        return _PlainUnpickler(file).load()
    except NotPlainData:
        raise
    # What a damaged or hostile file makes the unpickler raise is not limited to its own error.
    except (pickle.UnpicklingError, ValueError, TypeError, AttributeError, LookupError, EOFError, OSError) as error:
        raise NotPlainData(f"it is no whole pickle ({error})") from error
