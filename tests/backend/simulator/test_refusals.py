"""What the simulator refuses: spaces, trials, curves and arguments that make no sense."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloudtune.backend.simulator_backend import SimulatedDelays, SimulatorBackend
from cloudtune.blackbox import Blackbox, Curve
from cloudtune.blackbox.curve_checks import WrongCurve
from cloudtune.config_space import ConfigSpaceError, randint
from tests.backend.simulator.driving import SPACE, Ramp, goes_on, happens, opened, trial


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"x": randint(1, 3), "epochs": 5}, "parameter 'width' of the blackbox is missing"),
        (SPACE, "max_resource_attr 'epochs' is missing; add it as a constant, for instance 'epochs': 5"),
        ({**SPACE, "epochs": 27}, "'epochs' .* is 27, but the curves of the blackbox end at epoch = 5"),
        ({**SPACE, "epochs": 1}, "'epochs' .* is 1, but the curves of the blackbox begin at epoch = 2; raise it"),
        ({**SPACE, "epochs": 0}, "a number of 1 or more, got 0"),
        ({**SPACE, "epochs": "five"}, "a number of 1 or more, got 'five'"),
    ],
)
def test_spaces_that_do_not_fit_are_refused(space: dict[str, Any], message: str) -> None:
    """An experiment whose configurations the blackbox cannot train is refused before it begins."""
    blackbox = Ramp()
    blackbox.min_resource = 2
    with pytest.raises(ConfigSpaceError, match=message):
        opened(SimulatorBackend(blackbox), space, max_resource_attr="epochs")


def test_trial_that_ends_before_its_first_report_is_refused() -> None:
    """A trial that gets to no report says what to change: the domain for how far to train, or the rung levels."""

    class Late(Ramp):
        def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
            return Curve([3, 5], {"loss": [2.0, 1.0]}, [30.0, 50.0])

    backend = opened(SimulatorBackend(Late()), {**SPACE, "epochs": randint(1, 5)}, max_resource_attr="epochs")
    backend.start_trial(trial(0, 1, epochs=3))
    message = (
        r"'width': 2.* trains to 'epochs' \(max_resource_attr\) = 2, but its curve begins at epoch = 3; raise the "
        r"lower end of 'epochs' in the config space, or, if the scheduler has set it, its grace_period \(or first of "
        r"its rung_levels\)"
    )
    with pytest.raises(ConfigSpaceError, match=message):
        backend.start_trial(trial(1, 2, epochs=2))
    assert goes_on(backend) == [(30, 0, 3), (30, 0, "completed")]


def test_trial_that_would_train_beyond_the_blackbox_is_refused() -> None:
    """A drawn value is refused as a constant is: the trial would end early, and look as if it had trained as asked."""
    backend = opened(SimulatorBackend(Ramp()), {**SPACE, "epochs": randint(1, 9)}, max_resource_attr="epochs")
    backend.start_trial(trial(0, 1, epochs=5))
    with pytest.raises(ConfigSpaceError, match=r"'width': 2.* trains to 'epochs' .* = 6, but the curves .* epoch = 5"):
        backend.start_trial(trial(1, 2, epochs=6))
    assert goes_on(backend)[-2:] == [(5, 0, 5), (5, 0, "completed")]


def test_curves_are_checked_once() -> None:
    """A curve that no training makes is refused as its trial starts; it is not looked at again when that resumes."""
    asked = []

    class Counting(Ramp):
        def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
            asked.append(config["width"])
            return Curve([1, 2, 3], {"loss": [1, 2, 3]}, [10, math.nan if config["width"] == 9 else 20, 30])

    backend = opened(SimulatorBackend(Counting()))
    backend.start_trial(trial(0, 1))
    happens(backend)
    backend.pause_trial(0)
    happens(backend)
    backend.resume_trial(trial(0, 1, attempt=1))
    with pytest.raises(WrongCurve, match=r"'width': 9.*time nan at report 1"):
        backend.start_trial(trial(1, 9))
    assert goes_on(backend) == [(20, 0, 2), (30, 0, 3), (30, 0, "completed")]
    assert asked == [1, 9]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "5", True])
def test_delays_and_prices_are_checked(seconds: Any) -> None:
    """Delays and prices are numbers, finite and not negative."""
    for name in ("start", "report", "stop", "end"):
        with pytest.raises(ValueError, match=f"{name} must be a number of seconds"):
            SimulatedDelays(**{name: seconds})
    with pytest.raises(ValueError, match="dollars_per_hour"):
        SimulatorBackend(Ramp(), dollars_per_hour=seconds)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": "a"}, "seed must be a whole number, .* got 'a'"),
        ({"seed": None}, "seed must be a whole number, .* got None"),
        ({"seed": 1.0}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"max_resource_attr": 27}, "max_resource_attr must be a key of the config space, or None, got 27"),
        ({"max_resource_attr": ""}, "max_resource_attr must be a key"),
        ({"delays": 5.0}, r"delays must be SimulatedDelays\(\.\.\.\), in virtual seconds, got 5.0"),
        ({"checkpoints": "no"}, "checkpoints must be True or False, got 'no'"),
        ({"count_scheduler_time": 1}, "count_scheduler_time must be True or False, got 1"),
        ({"delete_checkpoints": None}, "delete_checkpoints must be True or False, got None"),
        ({"blackbox": None}, r"blackbox must be a Blackbox or the name of one, got None; load a table with"),
        ({"blackbox": Path("table.npz")}, r"got .*table\.npz'\); load a table with .* TabularBlackbox.load\(path\)"),
        ({"blackbox": Ramp}, "blackbox must be a Blackbox or the name of one, got <class"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    """A wrong argument is refused where it is given, by name, not in the midst of an experiment."""
    with pytest.raises((TypeError, ValueError), match=message):
        SimulatorBackend(**{"blackbox": Ramp(), **arguments})


def test_numbers_of_numpy_are_numbers() -> None:
    """A seed or a price that comes from an array is taken as the plain number."""
    backend = SimulatorBackend(Ramp(), seed=np.int64(3), dollars_per_hour=np.float32(0.5))
    assert (type(backend.seed), backend.seed) == (int, 3)
    assert (type(backend.dollars_per_hour), backend.dollars_per_hour) == (float, 0.5)


def test_blackbox_of_ones_own_must_keep_the_contract() -> None:
    """One that does not say how its reports count the resource is refused at once."""

    class Silent(Blackbox):
        config_space = SPACE
        metrics = ("loss",)
        max_resource = 5

        def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
            return Ramp().curve(config, seed)

    with pytest.raises(TypeError, match="blackbox: Silent has no resource_attr; a Blackbox sets config_space, metrics"):
        SimulatorBackend(Silent())


def test_closed_backend_is_refused() -> None:
    """What needs an open backend says so; opening twice is refused."""
    backend = SimulatorBackend(Ramp())
    with pytest.raises(RuntimeError, match="not open"):
        backend.poll(0)
    opened(backend)
    with pytest.raises(RuntimeError, match="already"):
        opened(backend)
    assert backend.stdout(0) == backend.stderr(0) == ""
