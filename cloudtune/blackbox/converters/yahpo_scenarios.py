"""YAHPO's scenarios: what the networks of release 1.0 take and give, and their search spaces as published.

Facts of YAHPO Gym 1.0 (Pfisterer et al. 2022) that its data files do not hold. Only scenarios whose fidelity is the
number of epochs are here. In the others it is the share of the training data, where a trial does not get from one level
to the next by going on: they have no learning curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudtune.config_space import Domain, choice, lograndint, loguniform, randint, uniform

#: Parameter -> which other decides whether it has an effect, and at which values.
Conditions = dict[str, tuple[str, list[Any]]]


@dataclass(frozen=True)
class Scenario:
    """What a surrogate takes and gives, in order.

    Args:
        targets: What the network predicts.
        runtime: That among them which is the seconds of training so far.
        numbers: Inputs that are numbers.
        categories: Inputs that are categories.
        instance: That among the categories which tells data sets apart, if there are several.
    """

    targets: tuple[str, ...]
    runtime: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    instance: str | None = None


#: Of every scenario here: the number among the inputs that counts what a trial has used.
FIDELITY = "epoch"

_CELL = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
_EDGES = tuple(f"{_CELL}edge_{kind}_{number}" for kind in ("normal", "reduce") for number in range(14))
_NODES = tuple(f"{_CELL}inputs_node_{kind}_{number}" for kind in ("normal", "reduce") for number in (3, 4, 5))

SCENARIOS = {
    "lcbench": Scenario(
        targets=(
            "time",
            "val_accuracy",
            "val_cross_entropy",
            "val_balanced_accuracy",
            "test_cross_entropy",
            "test_balanced_accuracy",
        ),
        runtime="time",
        numbers=(
            FIDELITY,
            *("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout"),
        ),
        categories=("OpenML_task_id",),
        instance="OpenML_task_id",
    ),
    "nb301": Scenario(
        targets=("val_accuracy", "runtime"), runtime="runtime", numbers=(FIDELITY,), categories=(*_EDGES, *_NODES)
    ),
}


def domain(parameter: Mapping[str, Any]) -> Domain:
    """The domain of a parameter in a file ``config_space.json``.

    Raises:
        ValueError: Its type is none that the scenarios have.
    """
    kind = parameter["type"]
    if kind == "categorical":
        return choice(parameter["choices"])
    if kind == "uniform_float":
        return (loguniform if parameter["log"] else uniform)(parameter["lower"], parameter["upper"])
    if kind == "uniform_int":
        return (lograndint if parameter["log"] else randint)(parameter["lower"], parameter["upper"])
    raise ValueError(f"parameter {parameter['name']!r} has the unknown type {kind!r}")


def conditions(published: Mapping[str, Any]) -> Conditions:
    """Which parameters of a file ``config_space.json`` have an effect only at some values of another.

    Raises:
        ValueError: A condition is of a type that the scenarios do not have.
    """
    found: Conditions = {}
    for condition in published.get("conditions", []):
        if condition["type"] not in ("EQ", "IN") or condition["child"] in found:
            raise ValueError(f"the condition of {condition['child']!r} is of an unknown type")
        values = condition["values"] if condition["type"] == "IN" else [condition["value"]]
        found[condition["child"]] = (condition["parent"], values)
    return found
