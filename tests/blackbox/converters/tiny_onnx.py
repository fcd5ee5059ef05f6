"""A tiny model in ONNX's format, written byte by byte: the package ``onnx`` is not needed for it.

The format is that of protocol buffers; the numbers below are the fields of ``onnx.proto``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_FLOAT, _INT32 = 1, 6


def linear_model(
    categories: npt.NDArray[np.float32], numbers: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> bytes:
    """A model with the inputs and the output of a surrogate: ``x_cat @ categories + x_cont @ numbers + bias``.

    Args:
        categories: Of shape ``(n_categories, n_targets)``.
        numbers: Of shape ``(n_numbers, n_targets)``.
        bias: Of shape ``(n_targets,)``.
    """
    graph = (
        _node("Cast", ["x_cat"], "cat", _text(1, "to") + _number(3, _FLOAT) + _number(20, 2))
        + _node("MatMul", ["cat", "categories"], "a")
        + _node("MatMul", ["x_cont", "numbers"], "b")
        + _node("Add", ["a", "b"], "ab")
        + _node("Add", ["ab", "bias"], "y")
        + _text(2, "linear")
        + _constant("categories", categories)
        + _constant("numbers", numbers)
        + _constant("bias", bias)
        + _value(11, "x_cat", _INT32, len(categories))
        + _value(11, "x_cont", _FLOAT, len(numbers))
        + _value(12, "y", _FLOAT, len(bias))
    )
    operations = _bytes(8, _text(1, "") + _number(2, 13))
    return _number(1, 8) + operations + _bytes(7, graph)


def _node(operation: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    body = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, operation)
    return _bytes(1, body + (_bytes(5, attribute) if attribute else b""))


def _constant(name: str, array: npt.NDArray[np.float32]) -> bytes:
    shape = b"".join(_number(1, size) for size in array.shape)
    return _bytes(5, shape + _number(2, _FLOAT) + _text(8, name) + _bytes(9, array.astype("<f4").tobytes()))


def _value(field: int, name: str, kind: int, columns: int) -> bytes:
    shape = _bytes(1, _text(2, "rows")) + _bytes(1, _number(1, columns))
    return _bytes(field, _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, shape))))


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
