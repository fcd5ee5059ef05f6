"""Search expressions: filters joined by And and Or, to any depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudtune.localcloud.aws_error import validation_error
from cloudtune.localcloud.services.search_filter import Test, filter_test
from cloudtune.localcloud.services.search_property import elements, property_of_element, property_of_job

#: Conditions in one expression with all that is in it, by AWS's documentation.
MAX_CONDITIONS = 50
#: Contains operators in one expression; AWS's documentation allows more only for properties that jobs do not have.
MAX_CONTAINS = 1


def expression_test(expression: Mapping[str, Any] | None) -> Test:
    """What tells whether a job satisfies an expression; all do without one. Raises AwsError for a wrong expression."""
    if expression is None:
        return lambda _: True
    conditions = list(_conditions(expression))
    if len(conditions) > MAX_CONDITIONS:
        raise validation_error(f"A search expression can have at most {MAX_CONDITIONS} conditions.")
    if sum(condition.get("Operator") == "Contains" for condition in conditions) > MAX_CONTAINS:
        raise validation_error(f"'CONTAINS' operator usage limit of {MAX_CONTAINS} exceeded.")
    return _test(expression)


def _conditions(expression: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from expression.get("Filters", ())
    for nested in expression.get("NestedFilters", ()):
        yield from nested["Filters"]
    for inner in expression.get("SubExpressions", ()):
        yield inner
        yield from _conditions(inner)


def _test(expression: Mapping[str, Any]) -> Test:
    tests = [filter_test(wanted, property_of_job(wanted["Name"])) for wanted in expression.get("Filters", ())]
    tests += [_nested_test(nested) for nested in expression.get("NestedFilters", ())]
    tests += [_test(inner) for inner in expression.get("SubExpressions", ())]
    if not tests:
        raise validation_error("A search expression must have at least one filter, nested filter or subexpression.")
    if expression.get("Operator") == "Or":
        return lambda job: any(test(job) for test in tests)
    return lambda job: all(test(job) for test in tests)


def _nested_test(nested: Mapping[str, Any]) -> Test:
    """One element of the list must pass all the filters."""
    name = nested["NestedPropertyName"]
    entries = elements(name)
    tests = [filter_test(wanted, property_of_element(name, wanted["Name"])) for wanted in nested["Filters"]]
    return lambda job: any(all(test(entry) for test in tests) for entry in entries(job))
