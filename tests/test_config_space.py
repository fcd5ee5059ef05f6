"""Config spaces: validation, configurations drawn from them, keys, digests, sizes, encodings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.config_space import (
    ConfigSampler,
    ConfigSpaceError,
    choice,
    complete_config,
    config_digest,
    config_from_uniform,
    config_key,
    config_space_from_json,
    config_space_size,
    config_space_to_json,
    constants,
    decode,
    default_config,
    dimension,
    encode,
    encoded_ranges,
    finrange,
    loguniform,
    ordinal,
    plain_config_space,
    randint,
    sample_config,
    search_space,
    uniform,
    validate_config_space,
)
from tests.config_space_strategies import spaces

SPACE = {
    "lr": loguniform(1e-4, 1),
    "epochs": 9,
    "layers": randint(1, 4),
    "activation": choice(["relu", "tanh", "elu"]),
    "widths": choice([[64, 64], [128]]),
    "augment": {"flip": True},
}


@given(space=spaces, seed=st.integers(0, 2**32 - 1))
def test_a_sampled_configuration_is_complete_and_in_order(space: dict[str, Any], seed: int) -> None:
    """Every parameter is there, in the order of the space: domains with a value of theirs, constants as they are."""
    config = sample_config(space, np.random.default_rng(seed))
    assert list(config) == list(space)
    assert all(domain.contains(config[name]) for name, domain in search_space(space).items())
    assert {name: config[name] for name in constants(space)} == constants(space)
    assert config == sample_config(space, np.random.default_rng(seed))
    assert complete_config(space, config) == config


@given(space=spaces, data=st.data())
def test_encoding_a_configuration_loses_nothing(space: dict[str, Any], data: st.DataObject) -> None:
    """Decoding gives the configuration again, constants included; real numbers up to rounding."""
    u = st.floats(0, 1, exclude_max=True)
    size = len(search_space(space))
    config = config_from_uniform(space, data.draw(st.lists(u, min_size=size, max_size=size)))
    vector = encode(space, config)
    assert vector.shape == (dimension(space),)
    assert vector.dtype == np.float64
    assert ((vector >= 0) & (vector <= 1)).all()
    again = decode(space, vector)
    assert list(again) == list(space)
    for name, value in space.items():
        if name in search_space(space) and value.size() is None:
            assert value.contains(again[name])
        else:
            assert again[name] == config[name]


def test_each_domain_has_its_place_in_the_vector() -> None:
    """One number for a number, one for each of three categories, one for two, none for a constant."""
    assert encoded_ranges(SPACE) == {"lr": (0, 1), "layers": (1, 2), "activation": (2, 5), "widths": (5, 6)}
    config = {"lr": 1.0, "layers": 1, "activation": "tanh", "widths": [128]}
    assert encode(SPACE, config).tolist() == [1.0, 0.125, 0.0, 1.0, 0.0, 0.75]


def test_encoding_names_the_parameter_that_is_wrong() -> None:
    """A configuration of another space is not encoded as something else."""
    with pytest.raises(ConfigSpaceError, match="parameter 'layers' is missing; complete_config fills in defaults"):
        encode(SPACE, {"lr": 0.1})
    with pytest.raises(ConfigSpaceError, match="parameter 'lr': 2 is not in loguniform"):
        encode(SPACE, {**default_config(SPACE), "lr": 2})
    with pytest.raises(ValueError, match=r"has shape \(6,\), got \(3,\)"):
        decode(SPACE, np.zeros(3))


@given(space=spaces)
def test_defaults_are_values_and_constants(space: dict[str, Any]) -> None:
    """The default configuration is valid."""
    config = default_config(space)
    assert list(config) == list(space)
    assert complete_config(space, config) == config


def test_completing_fills_in_defaults_and_casts() -> None:
    """A partial configuration keeps its values, in the domain's own type, and gets the rest."""
    config = complete_config(SPACE, {"layers": 3.0, "epochs": 9})
    assert config == {**default_config(SPACE), "layers": 3}
    assert type(config["layers"]) is int


@pytest.mark.parametrize(
    ("partial", "message"),
    [
        (
            {"lrr": 0.1},
            "parameter 'lrr' is not in the config space; it has lr, epochs, layers, activation, widths, augment",
        ),
        ({"lr": 3}, "parameter 'lr': 3 is not in loguniform(0.0001, 1.0); use a number between 0.0001 and 1.0"),
        ({"layers": 2.5}, "parameter 'layers': 2.5 is not in randint(1, 4); use an integer between 1 and 4"),
        (
            {"activation": "gelu"},
            "parameter 'activation': 'gelu' is not in choice(['relu', 'tanh', 'elu']); use one of",
        ),
        ({"epochs": 10}, "parameter 'epochs' is the constant 9 in the config space, not 10; leave it out, or make it"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(partial: dict[str, Any], message: str) -> None:
    """The message names the parameter, what is wrong with its value, and what to write instead."""
    with pytest.raises(ConfigSpaceError) as caught:
        complete_config(SPACE, partial)
    assert message in str(caught.value)


@given(space=spaces, seed=st.integers(0, 2**32 - 1))
def test_a_key_tells_configurations_apart(space: dict[str, Any], seed: int) -> None:
    """Equal configurations have equal hashable keys, others do not; the sampler's key is the same one."""
    rng = np.random.default_rng(seed)
    one, two = sample_config(space, rng), sample_config(space, rng)
    assert (config_key(space, one) == config_key(space, two)) == (one == two)
    assert len({config_key(space, one), config_key(space, dict(one))}) == 1
    assert ConfigSampler(space).key(one) == config_key(space, one)


def test_a_key_ignores_constants_and_order() -> None:
    """Only what is searched makes a configuration a duplicate."""
    space = {"a": uniform(0, 1), "b": uniform(0, 1), "c": 3}
    assert config_key(space, {"b": 0.5, "a": 0.1, "c": 4}) == config_key(space, {"a": 0.1, "b": 0.5})
    assert config_key(space, {"a": 0.1, "b": 0.5}) != config_key(space, {"a": 0.1, "b": 0.5000000000000001})


def test_a_digest_is_the_same_in_every_process_and_order() -> None:
    """Digests are compared between machines and years: they are pinned here, and hash randomisation plays no part."""
    config = {"lr": 0.1, "name": "ü", "widths": [64, 64], "flag": True}
    assert config_digest(config) == config_digest(dict(reversed(config.items()))) == "c41a1a8fe88da5d1"
    assert config_digest(config) != config_digest({**config, "lr": 0.10000000000000002})


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ({}, 1),
        ({"epochs": 9}, 1),
        ({"a": randint(0, 9), "b": choice([1, 2, 3]), "c": ordinal([1, 2]), "d": finrange(0, 1, 5)}, 300),
        ({"a": randint(0, 9), "b": uniform(0, 1)}, None),
    ],
)
def test_the_size_is_the_product_over_finite_domains(space: dict[str, Any], size: int | None) -> None:
    """How many configurations there are, so that a search knows when it has tried them all."""
    assert config_space_size(space) == size


def test_rows_of_another_length_are_refused() -> None:
    """A row of a wrong length would shift values to other parameters."""
    with pytest.raises(ValueError, match="a row needs 4 numbers, one for each domain, got 3"):
        config_from_uniform(SPACE, [0.1, 0.2, 0.3])


def test_configurations_share_nothing_with_the_space() -> None:
    """Who changes a configuration changes neither the space nor other configurations."""
    sampler = ConfigSampler(SPACE)
    row = [0.0] * sampler.dimension
    for config in (
        sampler.from_uniform(row),
        default_config(SPACE),
        decode(SPACE, encode(SPACE, sampler.from_uniform(row))),
    ):
        config["augment"]["flip"] = False
        config["widths"].append(1)
    assert sampler.from_uniform(row)["augment"] == {"flip": True}
    assert sampler.from_uniform(row)["widths"] == [64, 64]
    assert SPACE["augment"] == {"flip": True}


@given(space=spaces)
def test_a_space_of_domains_and_json_values_is_valid(space: dict[str, Any]) -> None:
    """Validation refuses nothing that works."""
    validate_config_space(space)


def test_a_space_may_choose_the_machine() -> None:
    """Of the reserved names two are meant for spaces: those that choose a trial's machine."""
    validate_config_space({"st_instance_type": choice(["ml.m5.large", "ml.m5.xlarge"]), "st_instance_count": 2})


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ([1], "config space: it is of type list; use a dictionary of names to domains and constants"),
        ({1: 2}, "config space: the parameter name 1 must be a non-empty string; rename it"),
        ({"": 2}, "config space: the parameter name '' must be a non-empty string; rename it"),
        ({"a b": 2}, "the parameter name 'a b' cannot be a command-line argument; rename it, without spaces and '='"),
        ({"a=b": 2}, "the parameter name 'a=b' cannot be a command-line argument"),
        (
            {"-a": 2},
            "the parameter name '-a' cannot be a command-line argument; rename it, without spaces and '=', and not",
        ),
        ({"a\n": 2}, "the parameter name 'a\\n' cannot be a command-line argument"),
        ({"a\x00": 2}, "the parameter name 'a\\x00' cannot be a command-line argument"),
        ({"st_x": 2}, "the parameter name 'st_x' begins with 'st_', which is reserved for cloudtune; rename it"),
        (
            {"lr": range(3)},
            (
                "config space: parameter 'lr' has type <class 'range'>, which is neither a domain nor a JSON value; "
                "use one of uniform, loguniform, reverseloguniform, randint, lograndint, choice, ordinal, logordinal, "
                "finrange, logfinrange, or a plain number, string, list or dict"
            ),
        ),
        ({"lr": uniform}, "parameter 'lr' has type <class 'function'>, which is neither a domain nor a JSON value"),
        ({"lr": np.zeros(2)}, "parameter 'lr' has type <class 'numpy.ndarray'>, which is neither a domain nor a JSON"),
        ({"lr": np.float32("nan")}, "parameter 'lr' is nan, which is not finite; use a finite number or a string"),
        (
            {"lr": (1, {2})},
            "config space: parameter 'lr' is (1, {2}), which holds something that JSON cannot carry; use",
        ),
        (
            {"lr": float("nan")},
            "config space: parameter 'lr' is nan, which is not finite; use a finite number or a string",
        ),
        (
            {"lr": float("-inf")},
            "config space: parameter 'lr' is -inf, which is not finite; use a finite number or a string",
        ),
        (
            {"lr": [1, object]},
            "config space: parameter 'lr' is [1, <class 'object'>], which holds something that JSON cannot carry; use",
        ),
        ({"lr": {1: 2}}, "config space: parameter 'lr' is {1: 2}, which holds something that JSON cannot carry; use"),
    ],
)
def test_a_wrong_space_is_refused_naming_the_parameter(space: Any, message: str) -> None:
    """One sentence that names the parameter and the remedy."""
    with pytest.raises(ConfigSpaceError) as caught:
        validate_config_space(space)
    assert message in str(caught.value)


#: Constants as users have them, and what a trial receives.
NOT_PLAIN = {
    "count": (np.int64(3), 3),
    "rate": (np.float32(0.5), 0.5),
    "flag": (np.bool_(True), True),
    "scalar": (np.array(2.0), 2.0),
    "widths": ((64, 32), [64, 32]),
    "nested": ({"a": [(1, np.int32(2))], "b": ()}, {"a": [[1, 2]], "b": []}),
}


def test_scalars_of_numpy_and_tuples_become_plain_constants() -> None:
    """Whatever makes a configuration of the space, its constants are the plain values that JSON carries."""
    space: dict[str, Any] = {"x": uniform(0, 1), **{name: given for name, (given, _) in NOT_PLAIN.items()}}
    wanted = {"x": 0.5, **{name: plain for name, (_, plain) in NOT_PLAIN.items()}}
    validate_config_space(space)
    made = [
        complete_config(space, {"x": 0.5}),
        complete_config(space, {**space, "x": 0.5}),
        config_from_uniform(space, [0.5]),
        decode(space, np.array([0.5])),
        {**plain_config_space(space), "x": 0.5},
        {**config_space_from_json(config_space_to_json(space)), "x": 0.5},
    ]
    for config in made:
        assert config == wanted
        assert json.loads(json.dumps(config)) == config
        assert [type(value) for value in config.values()] == [type(value) for value in wanted.values()]
    assert space["widths"] == (64, 32), "the user's own dictionary stays as it is"


def test_constants_and_categories_are_made_plain_alike() -> None:
    """A tuple within a list, or a numpy number within a tuple, is no less welcome as a category than as a constant."""
    domain = choice([(3, (4, np.int64(5))), {"a": (1,)}])
    assert [domain.from_uniform(u) for u in (0.0, 0.9)] == [[3, [4, 5]], {"a": [1]}]
    assert domain.contains((3, (4, 5)))


def test_importing_it_loads_no_slow_package() -> None:
    """A tuner's start does not pay for tables or figures it may never need."""
    code = "import sys, cloudtune.config_space; print([m for m in ('pandas', 'scipy', 'torch') if m in sys.modules])"
    root = Path(__file__).parents[1]
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
