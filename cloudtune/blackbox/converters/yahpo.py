"""YAHPO Gym: learning curves as neural networks predict them, for any configuration (Pfisterer et al. 2022).

Published are, in a folder per scenario, ``config_space.json``, ``encoding.json`` and a surrogate ``new_model.onnx``;
the runs that it was fitted to are not. So nothing here is a recorded run: :class:`YahpoSurrogate` asks the network for
whatever is wanted, and a table holds its answers for configurations drawn at random. Predicted times that do not
increase from one epoch to the next are lifted to a millisecond after the one before. Needs onnxruntime; a model file is
a graph of arithmetic, and reading it executes nothing else. The scenarios ``lcbench`` and ``nb301`` have learning
curves; see :mod:`~cloudtune.blackbox.converters.yahpo_scenarios`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cloudtune.blackbox.blackbox import Blackbox, Curve, NotInTable
from cloudtune.blackbox.converters.published import Source, chosen, library
from cloudtune.blackbox.converters.yahpo_scenarios import FIDELITY, SCENARIOS, conditions, domain
from cloudtune.blackbox.table import TabularBlackbox
from cloudtune.config_space import ConfigSampler

SOURCE = Source(
    "YAHPO Gym (Pfisterer et al. 2022, AutoML Conference)",
    "the folder of a scenario in release 1.0 of yahpo_data, with config_space.json, encoding.json and new_model.onnx,",
    "https://github.com/slds-lmu/yahpo_data/releases",
    "Apache-2.0",
)
CONFIGURATIONS = 1000

_SPACE, _ENCODING, _MODEL = "config_space.json", "encoding.json", "new_model.onnx"
_NOT_THERE = "#na#"
_LEAST_SECONDS = 1e-3
#: Of the inputs of a model: one of whole numbers takes the categories, one of others the numbers.
_KINDS: dict[str, type[np.number[Any]]] = {
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


class YahpoSurrogate(Blackbox):
    """What a surrogate of YAHPO Gym predicts, for any configuration of its space.

    Parameters that another one makes ineffective are passed over, as YAHPO Gym does.

    Args:
        folder: Of the scenario, named ``lcbench`` or ``nb301`` as it is published.
        instance: Which data set (of ``lcbench`` an OpenML task, ``"3945"``). None where a scenario has only one.

    Raises:
        NoPublishedFile: A file is missing.
        UnknownForm: A file is something else, such as one of another release.
        MissingLibrary: onnxruntime is not installed.
        ValueError: The scenario or the instance is not known.
    """

    resource_attr = FIDELITY

    def __init__(self, folder: str | Path, instance: str | None = None) -> None:
        folder = Path(folder)
        self._scenario = _scenario(folder)
        published = _read(folder / _SPACE)
        try:
            domains = {each["name"]: domain(each) for each in published["hyperparameters"]}
            epochs = domains[FIDELITY]
            self._resources = list(range(int(epochs.lower), int(epochs.upper) + 1))  # type: ignore[attr-defined]
            self._conditions = conditions(published)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SOURCE.unknown(folder / _SPACE, error) from error
        if self._scenario.instance is not None and instance not in instances(folder):
            raise ValueError(f"there is no instance {instance!r}; choose one of {', '.join(instances(folder))}")
        self._instance = instance
        wanted = {*self._scenario.numbers, *self._scenario.categories} - {FIDELITY, self._scenario.instance}
        self.config_space = {name: domains[name] for name in domains if name in wanted}
        self.metrics = tuple(name for name in self._scenario.targets if name != self._scenario.runtime)
        self.min_resource, self.max_resource = self._resources[0], self._resources[-1]
        self._encoding = _read(folder / _ENCODING)
        self._session = _session(folder / _MODEL)

    def identity(self) -> dict[str, Any]:
        """See :meth:`Blackbox.identity`: also the instance."""
        return {**super().identity(), "instance": self._instance}

    def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
        """See :meth:`Blackbox.curve`. There is one seed: predictions have no noise.

        Raises:
            NotInTable: The configuration lacks a parameter, or has a category that the surrogate does not know.
        """
        predicted = self._predict(config)
        elapsed = np.maximum(predicted.pop(self._scenario.runtime), _LEAST_SECONDS).tolist()
        for report in range(1, len(elapsed)):
            elapsed[report] = max(elapsed[report], elapsed[report - 1] + _LEAST_SECONDS)
        metrics = {name: values.tolist() for name, values in predicted.items()}
        return Curve(self._resources, metrics, elapsed)

    def _predict(self, config: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float64]]:
        """Targets, by name, after each epoch."""
        scenario, effective = self._scenario, self._effective(config)
        try:
            categories = [self._encoding[name][effective.get(name, _NOT_THERE)] for name in scenario.categories]
            numbers = [float(effective.get(name, 0.0)) for name in scenario.numbers]
        except (KeyError, ValueError, TypeError) as error:
            raise NotInTable(f"the surrogate does not know the value {error} in the configuration {config}") from None
        rows = len(self._resources)
        inputs = {}
        for each in self._session.get_inputs():
            kind = _KINDS[each.type]
            whole = issubclass(kind, np.integer)
            inputs[each.name] = np.tile(np.array(categories if whole else numbers, dtype=kind), (rows, 1))
            if not whole:
                inputs[each.name][:, scenario.numbers.index(FIDELITY)] = self._resources
        answer = np.asarray(self._session.run(None, inputs)[0], dtype=np.float64)
        if answer.shape != (rows, len(scenario.targets)):
            raise SOURCE.unknown(Path(_MODEL), f"it predicts {answer.shape[1:]} targets, not {len(scenario.targets)}")
        return dict(zip(scenario.targets, answer.T, strict=True))

    def _effective(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with its instance, without parameters that have no effect."""
        for name in self.config_space:
            if name not in config:
                raise NotInTable(f"the configuration has no parameter {name!r}, which the surrogate needs")
        effective = {name: config[name] for name in self.config_space}
        for name, (parent, values) in self._conditions.items():
            if config.get(parent) not in values:
                effective.pop(name, None)
        if self._scenario.instance is not None:
            effective[self._scenario.instance] = self._instance
        return effective


def convert(
    path: str | Path,
    datasets: Collection[str] | None = None,
    *,
    configurations: int = CONFIGURATIONS,
    random_seed: int = 0,
) -> Iterator[tuple[str, TabularBlackbox]]:
    """A table for each instance, of what the surrogate predicts.

    Args:
        path: The folder of a scenario.
        datasets: Names of instances, such as ``"lcbench-3945"``. None: all.
        configurations: How many are drawn at random from the space.
        random_seed: Of the draw.

    Raises:
        NoPublishedFile, UnknownForm, MissingLibrary: See :class:`YahpoSurrogate`.
        ValueError: An instance that is wanted, or the scenario, is not known.
    """
    folder = Path(path)
    scenario = _scenario(folder)
    named: dict[str, str | None] = {folder.name: None}
    if scenario.instance is not None:
        named = {f"{folder.name}-{instance}": instance for instance in instances(folder)}
    for name in chosen(named, datasets):
        yield name, _table(name, YahpoSurrogate(folder, named[name]), configurations, random_seed)


def instances(folder: Path) -> list[str]:
    """The data sets of a scenario; none where it has a single one."""
    scenario = _scenario(folder)
    parameters = _read(folder / _SPACE)["hyperparameters"]
    found = [each["choices"] for each in parameters if each["name"] == scenario.instance]
    return [str(instance) for instance in found[0]] if found else []


def _table(name: str, surrogate: YahpoSurrogate, count: int, random_seed: int) -> TabularBlackbox:
    sampler, generator = ConfigSampler(surrogate.config_space), np.random.default_rng(random_seed)
    drawn: dict[Hashable, dict[str, Any]] = {}
    while len(drawn) < count:
        config = sampler.from_uniform(generator.random(sampler.dimension).tolist())
        drawn[sampler.key(config)] = config
    configs = list(drawn.values())
    curves = [surrogate.curve(config) for config in configs]
    return TabularBlackbox(
        surrogate.config_space,
        {parameter: [config[parameter] for config in configs] for parameter in surrogate.config_space},
        np.array([[list(curve.metrics.values())] for curve in curves], dtype=np.float32).transpose(0, 1, 3, 2),
        list(surrogate.metrics),
        curves[0].resources,
        surrogate.resource_attr,
        elapsed=np.array([[curve.elapsed] for curve in curves]),
        about=SOURCE.about(f"Instance {name}. Predictions of a surrogate, not recorded runs; seed {random_seed}."),
    )


def _scenario(folder: Path) -> Any:
    if folder.name not in SCENARIOS:
        raise ValueError(
            f"{folder} is not the folder of a scenario with learning curves; these are {', '.join(SCENARIOS)}"
        )
    return SCENARIOS[folder.name]


def _read(file: Path) -> Any:
    if not file.is_file():
        raise SOURCE.missing(file.parent, file.name)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SOURCE.unknown(file, error) from error


def _session(file: Path) -> Any:
    """The model, run on one thread: predictions are then the same everywhere."""
    if not file.is_file():
        raise SOURCE.missing(file.parent, file.name)
    runtime = library("onnxruntime", "asking a surrogate of YAHPO Gym")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: published models hold initialisers that nothing uses, each a warning
    try:
        return runtime.InferenceSession(str(file), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base
        raise SOURCE.unknown(file, error) from error
