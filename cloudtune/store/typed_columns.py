"""Columns of values as they come from JSON, packed by type: read many times as fast as JSON, and exactly the same.

Numbers lie byte by byte (all first bytes, then all second bytes, ...), which makes what is alike in them stand together
for whoever compresses. Nothing here is ever unpickled or run: a packed column is numbers and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FLOAT, INT, BOOL, TEXT, JSON = "float", "int", "bool", "text", "json"
#: Kinds whose values are kept as numbers, and the type of these in memory.
_IN_MEMORY: dict[str, type[np.generic]] = {FLOAT: np.float64, INT: np.int64, BOOL: np.bool_, TEXT: np.intp}
_KINDS = {float: FLOAT, int: INT, bool: BOOL, str: TEXT}
_SIGNED = (np.int8, np.int16, np.int32, np.int64)


class NotPacked(ValueError):
    """Bytes are no packed column; the message says what is wrong, as a phrase that follows their name."""


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one type, or of any; some may be missing (None).

    Args:
        kind: One of the constants above.
        values: Without what is missing: numbers, for texts their positions in ``texts``; for JSON a list of anything.
        present: Which values are not missing; None: none is.
        texts: The different texts, in order of appearance.
    """

    kind: str
    values: npt.NDArray[Any] | list[Any]
    present: npt.NDArray[np.bool_] | None = None
    texts: Sequence[str] = ()

    @classmethod
    def of(cls, values: list[Any]) -> Column:
        """Packs a list. Values of other types than JSON has must have been turned into these."""
        kinds = set(map(type, values))
        present: npt.NDArray[np.bool_] | None = None
        kind = next((_KINDS[one] for one in kinds if one in _KINDS), JSON)
        if len(kinds - {type(None)}) != 1 or kind == JSON:
            return cls(JSON, values)
        if type(None) in kinds:
            present = np.array([value is not None for value in values])
            values = [value for value in values if value is not None]
        if kind == TEXT:
            texts = list(dict.fromkeys(values))
            positions = {text: position for position, text in enumerate(texts)}
            return cls(TEXT, np.array([positions[value] for value in values], dtype=np.intp), present, texts)
        try:
            return cls(kind, np.array(values, dtype=_IN_MEMORY[kind]), present)
        except OverflowError:  # an int that is larger than any processor's
            whole = values if present is None else _spread(values, present)
            return cls(JSON, whole)

    def __len__(self) -> int:
        return len(self.values) if self.present is None else len(self.present)

    def tolist(self) -> list[Any]:
        """The values as they were."""
        if isinstance(self.values, list):
            return self.values
        values: list[Any] = self.values.tolist()
        if self.kind == TEXT:
            values = [self.texts[position] for position in values]
        return values if self.present is None else _spread(values, self.present)

    def pack(self) -> tuple[list[Any], list[bytes]]:
        """What to know of the bytes that hold it (for JSON), and these."""
        parts = [b"" if self.present is None else np.packbits(self.present).tobytes()]
        if isinstance(self.values, list):
            parts.append(_json(self.values))
        else:
            stored = self.values.astype(np.uint8) if self.kind == BOOL else self.values
            if self.kind in (INT, TEXT):
                stored = stored.astype(_smallest(stored))
            parts.append(_by_byte(stored))
        parts.append(_json(list(self.texts)) if self.kind == TEXT else b"")
        return [self.kind, self.present is not None, *map(len, parts)], parts

    @classmethod
    def unpack(cls, count: int, described: Any, take: Callable[[int], memoryview]) -> Column:
        """The column that was packed.

        Args:
            count: How many values it has.
            described: What :meth:`pack` has said of it.
            take: Gives the next so many bytes.

        Raises:
            NotPacked: The bytes do not fit what is said of them.
        """
        try:
            kind, has_missing, *sizes = described
            flags, values, texts = (take(size) for size in sizes)
            present = None
            if has_missing:
                present = np.unpackbits(np.frombuffer(flags, np.uint8), count=count).astype(np.bool_)
            stored = count if present is None else int(present.sum())
            if kind == JSON:
                column = cls(JSON, json.loads(bytes(values)))
            else:
                numbers = _from_bytes(kind, values, stored)
                column = cls(kind, numbers, present, json.loads(bytes(texts)) if kind == TEXT else ())
                if kind == TEXT and stored and not 0 <= numbers.min() <= numbers.max() < len(column.texts):
                    raise NotPacked("names texts that it does not have")
        except (ValueError, TypeError, KeyError) as error:
            raise NotPacked(f"holds a column that cannot be read ({error})") from error
        if len(column) != count:
            raise NotPacked(f"holds a column of {len(column)} values, not {count}")
        return column


def _spread(values: Sequence[Any], present: npt.NDArray[np.bool_]) -> list[Any]:
    left = iter(values)
    return [next(left) if is_there else None for is_there in present.tolist()]


def _json(values: list[Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def _smallest(values: npt.NDArray[Any]) -> type[np.generic]:
    least, most = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    return next(one for one in _SIGNED if np.iinfo(one).min <= least and most <= np.iinfo(one).max)


def _by_byte(values: npt.NDArray[Any]) -> bytes:
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    by_byte: bytes = np.ascontiguousarray(little).view(np.uint8).reshape(-1, little.itemsize).T.tobytes()
    return by_byte


def _from_bytes(kind: str, data: memoryview, count: int) -> npt.NDArray[Any]:
    of = _IN_MEMORY[kind]
    if count == 0:
        return np.empty(0, dtype=of)
    width = len(data) // count
    letter = {FLOAT: "f", BOOL: "u"}.get(kind, "i")
    columns = np.frombuffer(data, np.uint8).reshape(width, count)
    return np.ascontiguousarray(columns.T).view(np.dtype(f"<{letter}{width}")).ravel().astype(of, copy=False)
