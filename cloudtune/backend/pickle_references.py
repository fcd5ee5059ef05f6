"""Finds what a pickle refers to by name in ``__main__``: another process has a ``__main__`` of its own."""

from __future__ import annotations

import pickletools

_MAIN = "__main__"


def reference_to_main(data: bytes) -> str | None:
    """Name of an object in ``__main__`` that a pickle refers to, None if there is none.

    Nothing is unpickled. The names of a reference are the two strings pushed last; a string may come from the memo.
    """
    if _MAIN.encode() not in data:
        return None
    memo: dict[int, object] = {}
    pushed: list[object] = [None, None]
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "MEMOIZE":
            memo[len(memo)] = pushed[-1]
        elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            assert isinstance(argument, int)
            memo[argument] = pushed[-1]
        elif opcode.name in ("GET", "BINGET", "LONG_BINGET"):
            assert isinstance(argument, int)
            pushed = [pushed[-1], memo.get(argument)]
        elif opcode.name == "GLOBAL":
            assert isinstance(argument, str)
            module, _, name = argument.partition(" ")
            if _MAIN in (module, name):  # dill writes the globals of __main__ as if they were a builtin
                return name
            pushed = [pushed[-1], None]
        elif opcode.name == "STACK_GLOBAL":
            if pushed[0] == _MAIN:
                return str(pushed[1])
            pushed = [pushed[-1], None]
        elif opcode.name != "FRAME":
            pushed = [pushed[-1], argument]
    return None
