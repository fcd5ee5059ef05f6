"""Classes by value: those of a script or a function arrive with all that is in them."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import (
    Any,
    ClassVar,
    Generic,
    NamedTuple,
    NewType,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    runtime_checkable,
)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.backend.function_transport import pack_function


def there_and_back(function: Callable[..., Any]) -> Callable[..., Any]:
    packed = pack_function(function)
    assert not packed.by_dill
    return packed.load()


def test_enum() -> None:
    """Members, aliases, values, methods, and what __init__ has given the members; the class is another one."""

    class Planet(enum.Enum):
        EARTH = (5.9, 6.3)
        MARS = (0.6, 3.3)
        TERRA = EARTH

        def __init__(self, mass: float, radius: float) -> None:
            self.mass = mass
            self._radius = radius

        @classmethod
        def _missing_(cls, value: object) -> Planet:
            return cls.MARS

        def neighbour(self) -> Planet:
            return Planet.MARS if self is Planet.EARTH else Planet.EARTH

    def function() -> Any:
        by_value: Any = Planet
        same = [by_value((5.9, 6.3)) is Planet.EARTH, Planet["TERRA"] is Planet.EARTH, by_value("no") is Planet.MARS]
        return same, list(Planet), Planet.EARTH.neighbour() is Planet["MARS"], Planet.MARS.mass, Planet.MARS._radius

    same, members, neighbours, mass, radius = there_and_back(function)()
    assert all(same)
    assert [member.name for member in members] == ["EARTH", "MARS"]
    assert members[0] is not Planet.EARTH
    assert (neighbours, mass, radius) == (True, 0.6, 3.3)


def test_enums_of_other_types() -> None:
    """Members of an IntEnum are numbers, those of a Flag combine, those of a string Enum are strings."""

    class Level(enum.IntEnum):
        LOW = 1
        HIGH = enum.auto()

    class Right(enum.Flag):
        READ = 4
        WRITE = 2
        BOTH = 6

    class Word(str, enum.Enum):
        A = "a"

    def function() -> Any:
        return (
            Level.HIGH + 1,
            f"{Level.LOW:d}",
            Right.READ | Right.WRITE is Right.BOTH,
            ~Right.READ & Right.BOTH,
            Word.A,
        )

    number, text, combined, without, word = there_and_back(function)()
    assert (number, text, combined, without.name, word) == (3, "1", function()[2], "WRITE", "a")


@given(
    st.dictionaries(
        st.from_regex("[A-Z][a-zA-Z]{0,5}", fullmatch=True), st.integers() | st.text() | st.tuples(st.integers())
    )
)
def test_any_enum(values: dict[str, Any]) -> None:
    """Whatever the members, they come back with their values, aliases as aliases."""
    made: Any = enum.Enum("made", values)  # type: ignore[misc]

    def function() -> Any:
        return {name: (member.name, member.value) for name, member in made.__members__.items()}

    assert there_and_back(function)() == function()


def test_enum_that_cannot_be_made_again() -> None:
    """An Enum with a __new__ of its own does not tell what its members were made of: it is refused by name."""

    class Odd(int, enum.Enum):
        A = ("x", 1)

        def __new__(cls, text: str, number: int) -> Any:
            made = int.__new__(cls, number)
            made._value_ = text
            return made

    def function() -> Any:
        return Odd.A

    with pytest.raises(
        ValueError, match=r"'function' refers to the enclosing function's variable 'Odd'.* inside the fun"
    ):
        pack_function(function)


def test_cached_functions() -> None:
    """A function with a cache has an empty one of the same size on the other side, also if it calls itself."""

    @functools.lru_cache(maxsize=50, typed=True)
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    def function() -> Any:
        return fibonacci(30), fibonacci.cache_info().hits, fibonacci.cache_parameters()

    fibonacci(3)
    assert there_and_back(function)() == (832040, 28, {"maxsize": 50, "typed": True})


T = TypeVar("T")


def test_generic_classes() -> None:
    """Classes with type variables, and the variables, NewTypes and forward references themselves."""
    Number = TypeVar("Number", int, float)
    Bound = TypeVar("Bound", bound="Box[Any]")
    UserId = NewType("UserId", int)

    class Box(Generic[Number]):
        def __init__(self, item: Number) -> None:
            self.item: Any = item

        def twice(self) -> Box[Number]:
            return Box[Number](self.item + self.item)

    class IntBox(Box[int]):
        def twice(self) -> Box[int]:
            return super().twice().twice()

    def function() -> Any:
        return IntBox(UserId(3)).twice().item, Box.__parameters__ == (Number,), Number, Bound, UserId  # type: ignore[attr-defined]

    item, parameters, number, bound, user_id = there_and_back(function)()
    assert (item, parameters) == (12, True)
    assert (number.__name__, number.__constraints__, number.__module__) == ("Number", (int, float), __name__)
    assert bound.__bound__ == Bound.__bound__
    assert (user_id.__name__, user_id.__supertype__, user_id.__module__) == ("UserId", int, __name__)


def test_what_can_be_imported_goes_by_name() -> None:
    """A type variable or class of a module is the module's, not a copy."""

    def function() -> Any:
        return T, Importable

    assert there_and_back(function)() == (T, Importable)


class Importable:
    """Other processes find it."""


def test_dataclasses() -> None:
    """Defaults and factories, comparison, frozen and slotted ones, and one derived from one that has travelled."""

    @dataclasses.dataclass
    class Point:
        x: int
        y: list[int] = dataclasses.field(default_factory=list, metadata={"unit": "m"})
        up: Optional["Point"] = None  # noqa: UP037, UP045 - an old way to write it, which makes a ForwardRef

    @dataclasses.dataclass(frozen=True, order=True)
    class Frozen:
        a: int = 3

    @dataclasses.dataclass(slots=True)
    class Slotted:
        a: int = 3

    def function() -> Any:
        @dataclasses.dataclass
        class Derived(Point):
            w: int = dataclasses.field(default=7, kw_only=True)

        with pytest.raises(dataclasses.FrozenInstanceError):
            Frozen().a = 4  # type: ignore[misc]
        unit = dataclasses.fields(Point)[1].metadata["unit"]
        required = [field.default is dataclasses.MISSING for field in dataclasses.fields(Derived)]
        return (
            dataclasses.asdict(Derived(1, up=Point(2))),
            (unit, required, Point(1).y is Point(1).y),
            (Frozen() == Frozen(3), hash(Frozen()) == hash(Frozen()), Frozen(1) < Frozen(2)),
            (Slotted(4), hasattr(Slotted(), "__dict__")),
        )

    back = there_and_back(function)()
    assert back[0] == {"x": 1, "y": [], "up": {"x": 2, "y": [], "up": None}, "w": 7}
    assert back[1] == ("m", [True, True, False, False], False)
    assert back[2] == (True, True, True)
    assert (back[3][0].a, back[3][1]) == (4, False)


def test_tuples_dicts_and_protocols() -> None:
    """NamedTuples with methods, TypedDicts, and protocols that are checked at run time."""

    class Pair(NamedTuple):
        a: int
        b: int = 2

        def total(self) -> int:
            return self.a + self.b

    class Movie(TypedDict, total=False):
        name: str

    @runtime_checkable
    class HasTotal(Protocol):
        def total(self) -> int: ...

    def function() -> Any:
        pair = Pair(1)._replace(b=5)
        return pair.total(), repr(pair), Movie(name="x"), isinstance(pair, HasTotal), isinstance(3, HasTotal)

    assert there_and_back(function)() == (6, "Pair(a=1, b=5)", {"name": "x"}, True, False)


def test_abstract_classes() -> None:
    """Abstract methods, properties, virtual subclasses, super(), slots; __init_subclass__ acts on new classes only."""

    class Shape(abc.ABC):
        kinds: ClassVar[dict[str, type]] = {}

        def __init_subclass__(cls, /, kind: str, **rest: Any) -> None:
            super().__init_subclass__(**rest)
            Shape.kinds[kind] = cls

        @abc.abstractmethod
        def area(self) -> float: ...

        @property
        def double(self) -> float:
            return 2 * self.area()

        @functools.cached_property
        def half(self) -> float:
            return self.area() / 2

        @classmethod
        def unit(cls) -> Shape:
            return cls(1)  # type: ignore[call-arg]

    class Square(Shape, kind="square"):
        __slots__ = ("__side",)

        def __init__(self, side: float) -> None:
            super().__init__()
            self.__side = side

        def area(self) -> float:
            return self.__side**2

    class Stranger:
        pass

    Shape.register(Stranger)
    square = Square(3)

    def function() -> Any:
        class Circle(Shape, kind="circle"):
            def area(self) -> float:
                return 3.0

        with pytest.raises(TypeError):
            Shape()  # type: ignore[abstract]
        known = list(Shape.kinds), Shape.kinds["square"] is Square, issubclass(Stranger, Shape)
        return square.double, square.half, Square.unit().area(), Circle().double, known

    back = there_and_back(function)
    assert back() == (18, 4.5, 1, 6, (["square", "circle"], True, True))
    assert list(Shape.kinds) == ["square"]


def test_metaclass_with_arguments() -> None:
    """A class is made without calling its metaclass again, whatever that wants to be told."""

    class Counted(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], *, length: int) -> Any:
            return super().__new__(cls, name, bases, body | {"length": length})

        def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], *, length: int) -> None:
            super().__init__(name, bases, body)

        def __len__(cls) -> int:
            return cls.length  # type: ignore[attr-defined, no-any-return]

    class Four(metaclass=Counted, length=4):
        pass

    assert there_and_back(lambda: len(Four))() == 4


def test_base_with_a_hook_that_wants_arguments() -> None:
    """A class is made without calling its base's __init_subclass__ again; for new classes the base has it."""

    class Named:
        name = ""

        def __init_subclass__(cls, /, name: str) -> None:
            cls.name = name

    class First(Named, name="first"):
        pass

    def function() -> Any:
        class Second(First, name="second"):
            pass

        return First.name, Second.name

    assert there_and_back(function)() == ("first", "second")


def test_classes_beside_what_only_dill_knows() -> None:
    """A lock makes the function need dill, and the classes go with it unharmed."""
    lock = threading.Lock()

    class Color(enum.Enum):
        RED = "red"

    def function() -> Any:
        with lock:
            return Color("red") is Color.RED

    packed = pack_function(function)
    assert packed.by_dill
    assert packed.load()() is True


def test_method_that_refers_to_what_cannot_be_sent() -> None:
    """What is wrong is named, even if it is only a method of a class that needs it."""
    generator = (i for i in range(3))

    class Source:
        def read(self) -> int:
            return next(generator)

    def function() -> int:
        return Source().read()

    with pytest.raises(ValueError, match="'read' refers to the enclosing function's variable 'generator' of type gen"):
        pack_function(function)


SCRIPT = """
import dataclasses, enum, functools, multiprocessing, pickle, sys
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from cloudtune.backend import PythonBackend
from cloudtune.backend.trial_backend import ExperimentPlace
from cloudtune.trial import End, Outcome, Trial


class Color(enum.Enum):
    RED = "red"

T = TypeVar("T")

class Box(Generic[T]):
    color = Color.RED

@dataclasses.dataclass
class Point:
    x: int = 1

class Pair(NamedTuple):
    a: int = 2

class Error(Exception):
    pass

@functools.lru_cache
def cached(n):
    return n + 1

def square(n):
    return n * n

def cube(n):
    return n ** 3

table = {"third power": cube}
points = [Point(), Point(5)]

class ByName:
    def __reduce__(self):
        return "BY_NAME"

BY_NAME = ByName()


def tune(x):
    assert Color("red") is Box.color and cached(2) == 3 and cached.cache_info().misses == 1
    for value in (Color.RED, Point(3), Pair(4), T, square, cached, Box, Error):
        assert pickle.loads(pickle.dumps(value)) == value, value
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(square, [1, 2, 3]) == [1, 4, 9]
        assert pool.map(table["third power"], [2]) == [8]
        assert pool.map(dataclasses.asdict, points) == [{"x": 1}, {"x": 5}]
    assert "PythonBackend" not in vars(sys.modules["__main__"])


def by_name(x):
    return BY_NAME


backend = PythonBackend(tune, reuse_processes=sys.argv[1] == "reuse")
backend.open(ExperimentPlace("script", "abcdef", Path(sys.argv[2]), 1))
backend.attach([])
for trial_id in range(2):
    backend.start_trial(Trial(trial_id, {"x": 1}))
    events = []
    while not events or not isinstance(events[-1], End):
        events += backend.poll(None)
    print(events[-1].outcome.value, events[-1].reason)
backend.close(stop_running=True)
try:
    PythonBackend(by_name)
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("processes", ["one-each", "reuse"])
def test_everything_in_a_script(tmp_path: Path, processes: str) -> None:
    """A trial finds the script's classes and functions in __main__: it can pickle them, and give them to a Pool.

    What is known by nothing but its name in the script is refused when the backend is made.
    """
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), processes, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    first, second, refusal = done.stdout.splitlines()
    assert (first, second) == ("completed ", "completed ")
    assert refusal.startswith("function 'by_name' refers to global 'BY_NAME' of type ByName, which cannot be sent to")
