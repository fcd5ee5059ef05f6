"""Samplers of Optuna: by name or as objects, with random numbers that are keyed like ours."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from cloudtune.config_space import plain_config_space
from cloudtune.optimizer.class_options import check_options
from cloudtune.optimizer.extras import need_extra

#: Name -> Optuna's class, and what it needs besides: (package, extra).
SAMPLERS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "tpe": ("TPESampler", ()),
    "cmaes": ("CmaEsSampler", (("cmaes", "optuna"),)),
    "nsgaii": ("NSGAIISampler", ()),
    "nsgaiii": ("NSGAIIISampler", ()),
    "gp": ("GPSampler", (("scipy", "optuna"), ("torch", "bo"))),
    "qmc": ("QMCSampler", (("scipy", "optuna"),)),
    "random": ("RandomSampler", ()),
}

#: What we do not pass on, by the class's name.
_REFUSED = {
    "GridSampler": "use cloudtune's GridSearcher",
    "BruteForceSampler": "use cloudtune's GridSearcher",
}

#: Samplers, and what samplers of one's own derive from, that keep generations.
_GENETIC = ("BaseGASampler", "NSGAIISampler", "NSGAIIISampler")

#: Where nothing else is asked for.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "tpe": {"constant_liar": True},
    "cmaes": {"warn_independent_sampling": False},
    "gp": {"warn_independent_sampling": False},
    "qmc": {"warn_independent_sampling": False},
}


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna's warnings and what it logs below errors are not shown inside; afterwards all is as before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna  # noqa: F401 - sets the level of its logger

        logger = logging.getLogger("optuna")
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


class SamplerSource:
    """Gives a fresh sampler for each suggestion.

    Args:
        sampler: A name of :data:`SAMPLERS` or an Optuna sampler, which is never used itself but copied.
        options: Keyword arguments, for a name.

    Raises:
        ValueError: The sampler is not known or cannot be used.
        MissingExtra: Optuna, or what the sampler needs, is not installed.
        TypeError: ``sampler`` is neither, or it does not know one of the options.
    """

    def __init__(self, sampler: Any, options: Mapping[str, Any] | None) -> None:
        need_extra("optuna", "optuna", "OptunaSearcher")
        with quiet():
            if isinstance(sampler, str):
                self._original = _by_name(sampler, options)
            else:
                self._original = _checked(sampler, options)
        self.name = type(self._original).__name__
        further = [package for one, needed in SAMPLERS.values() if one == self.name for package, _ in needed]
        #: What it imports, at once or later.
        self.libraries = ("optuna", *further)
        #: Whether it chooses parents among trials that have ended, and goes back to them later.
        self.keeps_generations = any(base.__name__ in _GENETIC for base in type(self._original).__mro__)
        #: Whether what it notes of trials is pickled, and must not come from a log.
        self.notes_are_pickles = self.name == "CmaEsSampler"

    def make(self, seed: int, seed_of_all: int) -> Any:
        """A sampler as it was given, but for its random numbers.

        Args:
            seed: Of this suggestion.
            seed_of_all: The same for all suggestions: of what is drawn once, such as the scrambling of a sequence.
        """
        sampler = copy.deepcopy(self._original)
        _reseed(sampler, seed, seed_of_all, set())
        return sampler


def described(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options as JSON values, for the metadata; what is none goes by its name."""
    plain = plain_config_space(options or {})
    return {
        name: value if value is None or isinstance(value, bool | int | float | str | list | dict) else _name_of(value)
        for name, value in plain.items()
    }


def _name_of(value: Any) -> str:
    return str(getattr(value, "__qualname__", type(value).__qualname__))


def _by_name(name: str, options: Mapping[str, Any] | None) -> Any:
    import optuna

    if name not in SAMPLERS:
        raise ValueError(
            f"sampler {name!r} is not known; use one of {', '.join(map(repr, SAMPLERS))}, or an Optuna sampler object"
        )
    class_name, needed = SAMPLERS[name]
    for package, extra in needed:
        need_extra(package, extra, f"Optuna's {class_name}")
    given = {**_DEFAULTS.get(name, {}), **(options or {})}
    if "seed" in given:
        raise ValueError("sampler_options must not have a seed; give random_seed to the scheduler")
    made = getattr(optuna.samplers, class_name)
    check_options("sampler_options", options or {}, made, "Optuna", ours=("seed",))
    return _checked(made(**given), None)


def _checked(sampler: Any, options: Mapping[str, Any] | None) -> Any:
    import optuna

    if not isinstance(sampler, optuna.samplers.BaseSampler):
        raise TypeError(f"sampler must be a name or an Optuna sampler object, got {sampler!r}")
    if options:
        raise ValueError(
            f"sampler_options cannot be given together with a sampler object; give them to {type(sampler).__name__}"
        )
    name = type(sampler).__name__
    if name in _REFUSED:
        raise ValueError(f"Optuna's {name} lists its values in advance, which cannot be continued; {_REFUSED[name]}")
    if getattr(sampler, "_constraints_func", None) is not None:
        raise ValueError(
            f"Optuna's {name} has a constraints_func, which would be asked about trials that Optuna has not run; "
            "leave it out"
        )
    return sampler


def _reseed(part: Any, seed: int, seed_of_all: int, seen: set[int]) -> None:
    """Seeds every generator that a sampler, or a part of it, holds."""
    if id(part) in seen:
        return
    seen.add(id(part))
    # Optuna makes its generators when they are first asked for.
    generator = part if isinstance(part, np.random.RandomState) else getattr(part, "rng", None)
    if isinstance(generator, np.random.RandomState):
        generator.seed(seed)
        return
    held = getattr(part, "__dict__", {})
    if isinstance(held.get("_seed"), int):
        part._seed = seed_of_all
    for value in held.values():
        if isinstance(value, np.random.RandomState) or type(value).__module__.startswith("optuna."):
            _reseed(value, seed, seed_of_all, seen)
