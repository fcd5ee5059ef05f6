"""Functions whose minimum is known, over config spaces.

Branin, Hartmann and Ackley as in Surjanovic and Bingham, "Virtual Library of Simulation Experiments". The box of Ackley
is moved, so that its minimum does not lie in the middle, where many an optimizer begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cloudtune.config_space import choice, loguniform, randint, uniform
from cloudtune.trial import Config


@dataclass(frozen=True)
class Problem:
    """A function to be minimised.

    Args:
        space: Its config space.
        function: Of a configuration.
        minimum: Its least value.
    """

    space: Mapping[str, Any]
    function: Callable[[Config], float]
    minimum: float

    def regret(self, config: Config) -> float:
        """How far the value of a configuration is above the minimum."""
        return self.function(config) - self.minimum


def _branin_of(x: float, y: float) -> float:
    bent = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bent * bent + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def branin(config: Config) -> float:
    """Three equal minima."""
    return _branin_of(config["x"], config["y"])


_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_STEEPNESS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_PLACES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _numbers(config: Config) -> Any:
    return np.array([value for name, value in config.items() if name.startswith("x")])


def hartmann(config: Config) -> float:
    """Six minima, four dimensions of which matter at each."""
    return -float(_WEIGHTS @ np.exp(-(_STEEPNESS * (_numbers(config) - _PLACES) ** 2).sum(1)))


def ackley(config: Config) -> float:
    """Almost flat and full of ripples, with a deep hole."""
    x = _numbers(config)
    return float(20 + math.e - 20 * np.exp(-0.2 * np.sqrt((x * x).mean())) - np.exp(np.cos(2 * math.pi * x).mean()))


#: What a category adds, and where in x it has its minimum.
_KINDS = {"a": (0.6, 0.1), "b": (0.3, 0.8), "c": (0.0, 0.35), "d": (0.4, 0.5), "e": (0.8, 0.9)}


def categorical(config: Config) -> float:
    """Two categories, an integer and two numbers, one of them on a logarithmic scale."""
    base, place = _KINDS[config["kind"]]
    rate = (math.log10(config["rate"]) + 2.5) ** 2
    width = ((config["width"] - 11) / 8) ** 2
    switch = {"on": 0.0, "off": 0.5, "auto": 0.2}[config["switch"]]
    return float(base + 4 * (config["x"] - place) ** 2 + 0.5 * rate + width + switch * (1 + config["x"]))


def conditional(config: Config) -> float:
    """Which numbers matter depends on a category: Branin for one, a bowl that is a little higher for the other."""
    if config["kind"] == "branin":
        return _branin_of(config["branin_x"], config["branin_y"])
    return float(2.0 + 10 * ((config["bowl_x"] - 0.7) ** 2 + (config["bowl_y"] - 0.2) ** 2))


PROBLEMS: Mapping[str, Problem] = {
    "branin": Problem({"x": uniform(-5, 10), "y": uniform(0, 15)}, branin, 0.39788735772973816),
    "hartmann6": Problem({f"x{i}": uniform(0, 1) for i in range(6)}, hartmann, -3.322368011391339),
    "ackley10": Problem({f"x{i}": uniform(-25, 40) for i in range(10)}, ackley, 0.0),
    "categorical": Problem(
        {
            "kind": choice(list(_KINDS)),
            "switch": choice(["off", "on", "auto"]),
            "width": randint(1, 32),
            "rate": loguniform(1e-5, 1),
            "x": uniform(0, 1),
        },
        categorical,
        0.0,
    ),
    "conditional": Problem(
        {
            "kind": choice(["bowl", "branin"]),
            "bowl_x": uniform(0, 1),
            "bowl_y": uniform(0, 1),
            "branin_x": uniform(-5, 10),
            "branin_y": uniform(0, 15),
        },
        conditional,
        0.39788735772973816,
    ),
}
