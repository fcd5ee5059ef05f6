"""Functions by value: what they refer to travels along, and nothing else."""

from __future__ import annotations

import concurrent.futures
import os.path
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.function_transport import PackedFunction, pack_function

A_SOCKET = socket.socket()
A_SOCKET.close()
LIMIT = 5
UNUSED = A_SOCKET
calls = 0


class Local:
    """Has an attribute named like a global that cannot be sent."""

    A_SOCKET = 7


def there_and_back(function: Callable[..., Any]) -> Callable[..., Any]:
    packed = pack_function(function)
    assert not packed.by_dill
    return packed.load()


def even(n: int) -> bool:
    return True if n == 0 else odd(n - 1)


def odd(n: int) -> bool:
    return False if n == 0 else even(n - 1)


def test_functions_that_call_each_other() -> None:
    """Mutually recursive functions travel together."""
    assert [there_and_back(even)(n) for n in range(4)] == [True, False, True, False]


def test_recursive_closure_shared_cells_and_defaults() -> None:
    """A nested function that calls itself, cells shared by two functions, defaults and keyword defaults."""
    count = 0

    def factorial(n: int, one: int = 1, *, minus: int = 1) -> int:
        nonlocal count
        count += 1
        return one if n == 0 else n * factorial(n - minus)

    def both(n: int) -> tuple[int, int]:
        return factorial(n), count

    assert there_and_back(both)(4) == (24, 5)
    assert count == 0


def count_up() -> int:
    global calls  # noqa: PLW0603 - this is what the test is about
    calls += 1
    return read_count()


def read_count() -> int:
    return calls


def test_functions_of_a_module_share_its_globals() -> None:
    """What one function assigns to a global, another sees; the sender's globals stay as they are."""
    function = there_and_back(count_up)
    assert [function(), function()] == [1, 2]
    assert calls == 0


def test_only_what_is_referred_to() -> None:
    """A global of the module that the function does not use is not sent, even if an attribute has its name."""

    def function() -> Any:
        class Inner:
            value = LIMIT

        return Inner.value, [LIMIT for _ in range(1)], Local.A_SOCKET

    assert there_and_back(function)() == (5, [5], 7)


def test_modules_travel_by_name() -> None:
    """Modules are imported on the other side, submodules that are reached through a package too."""

    def function() -> Any:
        return os.path.join("a", "b"), concurrent.futures.Future.__name__

    packed = pack_function(function)
    (source,) = ["import sys; from cloudtune.backend.function_transport import PackedFunction as P"]
    source += f"; assert 'concurrent.futures' not in sys.modules; print(P({packed.data!r}, False).load()())"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "('a/b', 'Future')", done.stderr


def test_functions_in_containers_and_attributes() -> None:
    """Functions in lists and dicts, wrapped ones, and attributes of functions travel."""
    import functools

    table = {"double": [lambda x: 2 * x]}

    def decorate(inner: Callable[[int], Any]) -> Callable[[int], Any]:
        @functools.wraps(inner)
        def wrapper(x: int) -> Any:
            return inner(x) + 1

        wrapper.tag = "tagged"  # type: ignore[attr-defined]
        return wrapper

    @decorate
    def function(x: int) -> Any:
        return table["double"][0](x)

    back = there_and_back(function)
    assert (back(3), back.__name__, back.tag) == (7, "function", "tagged")  # type: ignore[attr-defined]


def test_other_callables() -> None:
    """A functools.partial of a function is a function, too."""
    import functools

    def function(a: int, b: int) -> int:
        return 10 * a + b

    assert there_and_back(functools.partial(function, 1))(b=2) == 12


def test_what_pickle_does_not_know_goes_by_dill() -> None:
    """A lock is left to dill; the function, and what else it refers to, are packed as ever."""
    lock = threading.Lock()

    def function() -> int:
        with lock:
            return odd(3) + LIMIT

    packed = pack_function(function)
    assert packed.by_dill
    assert packed.load()() == 6


def test_module_that_only_this_process_has() -> None:
    """A function of a module made at run time is sent by value: nobody else could import it."""
    module = types.ModuleType("made_at_run_time")
    exec("def triple(x): return 3 * x", module.__dict__)
    sys.modules["made_at_run_time"] = module
    try:
        triple = module.triple

        def function(x: int) -> Any:
            return triple(x)

        packed = pack_function(function)
    finally:
        del sys.modules["made_at_run_time"]
    assert packed.load()(2) == 6


def opened_elsewhere() -> None:
    A_SOCKET.fileno()


def test_what_cannot_be_sent_is_named() -> None:
    """A global, a closure or a default that no process can be sent is named, with its type and the remedy."""
    generator = (i for i in range(3))

    def by_global() -> Any:
        return opened_elsewhere()

    def by_closure() -> Any:
        return next(generator)

    def by_default(source: Any = generator) -> Any:
        return next(source)

    remedy = "which cannot be sent to another process; create it inside the function"
    with pytest.raises(ValueError, match=rf"'opened_elsewhere' refers to global 'A_SOCKET' of type socket, {remedy}"):
        pack_function(by_global)
    with pytest.raises(
        ValueError, match="'by_closure' refers to the enclosing function's variable 'generator' of type gen"
    ):
        pack_function(by_closure)
    with pytest.raises(ValueError, match="'by_default' refers to the default of parameter 'source'"):
        pack_function(by_default)


def test_loading_needs_no_dill() -> None:
    """Neither sending nor receiving an ordinary function imports dill: it would make every trial dearer."""
    source = (
        "import sys; from cloudtune.backend.function_transport import pack_function\n"
        "def f(x): return x + 1\n"
        "assert pack_function(f).load()(1) == 2\n"
        "print('dill' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr


def test_forking_process_stays_small() -> None:
    """What the supervisor imports is few: a fork costs what its parent's memory costs."""
    source = (
        "import sys; before = set(sys.modules)\n"
        "import cloudtune.backend.supervisor_main, cloudtune.backend.function_trial\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {_root()!r})\n{source}"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"typing", "dill", "pickle", "subprocess", "logging", "threading", "ctypes", "inspect", "numpy", "pathlib"}
    heavy.add("cloudtune.backend.class_loader")
    assert heavy.isdisjoint(__import__("json").loads(done.stdout))


def _root() -> str:
    return str(Path(__file__).parents[2])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(values, values, values)
def test_any_values(closed_over: Any, default: Any, keyword: Any) -> None:
    """Whatever plain values a function has around it, it has them on the other side."""

    def function(a: Any = default, *, b: Any = keyword) -> Any:
        return [closed_over, a, b]

    packed = pack_function(function)
    assert PackedFunction(packed.data, packed.by_dill).load()() == [closed_over, default, keyword]
