"""Requests drawn from the API model's own constraints, and the same with one constraint broken."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import strategies as st

from cloudtune.localcloud.java_regex import compile_java
from cloudtune.localcloud.services.validation import sagemaker_model

#: How long strings, lists and maps are drawn beyond their least length: the model's limits are often in the thousands.
SPARE = 3


def good_requests(operation: str) -> st.SearchStrategy[dict[str, Any]]:
    """Requests that keep all constraints of the model."""
    requests: st.SearchStrategy[dict[str, Any]] = _values(sagemaker_model().operation_model(operation).input_shape, 0)
    return requests


def _values(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    spare = SPARE if most is None else min(SPARE, most - least)
    if shape.type_name == "structure":
        required = {name: _values(shape.members[name], depth + 1) for name in shape.required_members}
        optional = sorted(set(shape.members) - set(required))
        if not optional or depth == 5:  # search expressions hold each other without end
            return st.fixed_dictionaries(required)
        return st.lists(st.sampled_from(optional), unique=True, max_size=SPARE).flatmap(
            lambda names: st.fixed_dictionaries(
                {**required, **{name: _values(shape.members[name], depth + 1) for name in names}}
            )
        )
    if shape.type_name == "list":
        return st.lists(_values(shape.member, depth + 1), min_size=least, max_size=least + spare)
    if shape.type_name == "map":
        entries = _values(shape.value, depth + 1)
        return st.dictionaries(_values(shape.key, depth + 1), entries, min_size=least, max_size=least + spare)
    if shape.type_name == "string":
        return _strings(shape, least, most)
    if shape.type_name in {"integer", "long"}:
        return st.integers(least, most if most is not None else 2**31 - 1)
    if shape.type_name == "boolean":
        return st.booleans()
    return st.floats(0, 2e9)


def _strings(shape: Any, least: int, most: int | None) -> st.SearchStrategy[str]:
    if shape.metadata.get("enum"):
        return st.sampled_from(shape.metadata["enum"])
    pattern = shape.metadata.get("pattern")
    if pattern in {None, ".*", ".+", r"[\S\s]*"}:
        characters = st.characters(codec="utf-8", exclude_characters="\n\r\x85\u2028\u2029")
        return st.text(characters, min_size=least, max_size=least + SPARE)
    compiled = compile_java(pattern)
    strings = st.from_regex(compiled, fullmatch=True, alphabet=st.characters(codec="utf-8"))
    return strings.filter(lambda text: least <= len(text) <= (most or 10**9))


@dataclass(frozen=True)
class Breakage:
    """A way to break one constraint: what the error must name, and what does it to a request."""

    label: str
    constraint: str
    apply: Callable[[dict[str, Any]], None]


def breakages(operation: str, request: dict[str, Any]) -> list[Breakage]:
    """All the ways that we know for a request."""
    return list(_of_structure(sagemaker_model().operation_model(operation).input_shape, request, ()))


def broken_by(breakage: Breakage, request: dict[str, Any]) -> dict[str, Any]:
    """The request with the constraint broken."""
    wrong = copy.deepcopy(request)
    breakage.apply(wrong)
    return wrong


Place = tuple[Any, ...]


def _of_structure(shape: Any, value: dict[str, Any], place: Place) -> Iterator[Breakage]:
    for name in shape.required_members:
        yield Breakage(_camel(name), "Member must not be null", partial(_without, place, name))
    for name, entry in value.items():
        yield from _of_member(shape.members[name], entry, (*place, name), _camel(name))


def _of_member(shape: Any, value: Any, place: Place, label: str) -> Iterator[Breakage]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "structure":
        yield from _of_structure(shape, value, place)
    elif shape.type_name == "list":
        if most is not None and value:
            yield _set(place, label, f"length less than or equal to {most}", (value * (most + 1))[: most + 1])
        if least:
            yield _set(place, label, f"length greater than or equal to {least}", value[: least - 1])
        for number, entry in enumerate(value):
            yield from _of_member(shape.member, entry, (*place, number), label)
    elif shape.type_name == "map":
        if most is not None and most < 200:
            many = {f"k{number}": next(iter(value.values()), "") for number in range(most + 1)}
            yield _set(place, label, f"length less than or equal to {most}", many)
        for key, entry in value.items():
            yield from _of_member(shape.value, entry, (*place, key), label)
    elif shape.type_name == "string":
        if shape.metadata.get("enum"):
            yield _set(place, label, "enum value set", "none of these")
        if shape.metadata.get("pattern") and not compile_java(shape.metadata["pattern"]).fullmatch("\n"):
            yield _set(place, label, "regular expression pattern", "\n")
        if most is not None:
            yield _set(place, label, f"length less than or equal to {most}", "a" * (most + 1))
        if least:
            yield _set(place, label, f"length greater than or equal to {least}", "")
    elif shape.type_name in {"integer", "long"}:
        if most is not None:
            yield _set(place, label, f"value less than or equal to {most}", most + 1)
        if least is not None:
            yield _set(place, label, f"value greater than or equal to {least}", least - 1)


def _set(place: Place, label: str, constraint: str, value: Any) -> Breakage:
    def apply(wrong: dict[str, Any]) -> None:
        _at(wrong, place[:-1])[place[-1]] = value

    return Breakage(label, constraint, apply)


def _without(place: Place, name: str, wrong: dict[str, Any]) -> None:
    del _at(wrong, place)[name]


def _at(value: Any, place: Place) -> Any:
    for part in place:
        value = value[part]
    return value


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
