"""Searchers: which configuration to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.optimizer.class_options import check_options
from cloudtune.optimizer.searchers.bayesian.searcher import BayesianSearcher
from cloudtune.optimizer.searchers.bore import BoreSearcher
from cloudtune.optimizer.searchers.grid_searcher import GridSearcher
from cloudtune.optimizer.searchers.optuna_searcher import OptunaSearcher
from cloudtune.optimizer.searchers.random_searcher import RandomSearcher
from cloudtune.optimizer.searchers.searcher import Searcher

__all__ = [
    "SEARCHERS",
    "BayesianSearcher",
    "BoreSearcher",
    "GridSearcher",
    "OptunaSearcher",
    "RandomSearcher",
    "Searcher",
    "make_searcher",
]

#: What ``searcher="..."`` may be.
SEARCHERS: dict[str, type[Searcher]] = {
    "random": RandomSearcher,
    "grid": GridSearcher,
    "bayesopt": BayesianSearcher,
    "bore": BoreSearcher,
    "optuna": OptunaSearcher,
}
#: What a scheduler passes to a searcher's class itself.
_FROM_THE_SCHEDULER = ("config_space", "points_to_evaluate", "random_seed")


def make_searcher(
    searcher: str | type[Searcher] | Searcher,
    config_space: Mapping[str, Any],
    points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
    random_seed: int | None = None,
    search_options: Mapping[str, Any] | None = None,
) -> Searcher:
    """The searcher that a scheduler's arguments describe.

    Args:
        searcher: A name of :data:`SEARCHERS`, a class, or an object, which is returned as it is.
        config_space: What a class is called with; an object must have been made with the same.
        points_to_evaluate: What a class is called with.
        random_seed: What a class is called with.
        search_options: Further keyword arguments for it.

    Raises:
        ValueError: The name is unknown, or an object comes with arguments that only a class can take.
        TypeError: ``searcher`` is none of these, ``search_options`` is no mapping, or the class does not know one of
            them.
    """
    if isinstance(searcher, Searcher):
        for name, value in [("points_to_evaluate", points_to_evaluate), ("search_options", search_options)]:
            if value is not None:
                raise ValueError(
                    f"{name} cannot be given together with a searcher object; "
                    f"give it to {type(searcher).__name__} itself"
                )
        _check_same_space(searcher, config_space)
        return searcher
    if isinstance(searcher, str):
        if searcher not in SEARCHERS:
            raise ValueError(
                f"searcher {searcher!r} is not known; use one of {', '.join(map(repr, SEARCHERS))}, "
                "or a Searcher of your own"
            )
        searcher = SEARCHERS[searcher]
    if not isinstance(searcher, type) or not issubclass(searcher, Searcher):
        raise TypeError(f"searcher must be a name, a Searcher object or a Searcher class, not {searcher!r}")
    if not isinstance(search_options, Mapping | None):
        raise TypeError(f"search_options must be a dictionary of names to values, got {search_options!r}")
    options = dict(search_options or {})
    for name in _FROM_THE_SCHEDULER:
        if name in options:
            raise TypeError(f"search_options must not have {name!r}; give it to the scheduler")
    check_options("search_options", options, searcher, ours=_FROM_THE_SCHEDULER)
    return searcher(config_space, points_to_evaluate=points_to_evaluate, random_seed=random_seed, **options)


def _check_same_space(searcher: Searcher, config_space: Mapping[str, Any]) -> None:
    if not hasattr(searcher, "config_space"):
        raise TypeError(
            f"{type(searcher).__name__} has no config_space; call super().__init__(config_space, ...) in its __init__"
        )
    other = searcher.config_space
    for name in [*config_space, *other]:
        if (name in config_space, config_space.get(name)) != (name in other, other.get(name)):
            raise ValueError(
                f"the searcher was made with another config space than the scheduler: parameter {name!r} differs; "
                "give both the same"
            )
