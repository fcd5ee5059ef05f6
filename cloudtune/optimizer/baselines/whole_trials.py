"""Methods that train each configuration to its end, whatever searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.schedulers.fifo import FIFOScheduler


class RandomSearch(FIFOScheduler):
    """Random configurations, each trained to its end (Bergstra and Bengio 2012, JMLR 13).

    Args:
        config_space: Hyperparameter domains and constants.
        metric: What scripts report and what is to be optimised; a list for several objectives.
        mode: ``"min"`` or ``"max"``: one for all metrics, or a list of one for each.
        points_to_evaluate: Configurations to try first, in this order. Missing parameters get their defaults, and
            duplicates are dropped. None: one configuration, of all defaults. ``[]``: none.
        random_seed: Seed of all randomness. Drawn from the operating system if None.
        resource_attr: Key of a report that counts what a trial has used (epochs). Where it is known, reports that a
            trial repeats after an interruption do not count twice.
        max_resource_attr: Key of the config space that tells the script how far to train.
        allow_duplicates: True: a configuration of a finite space may come again.
        restrict_configurations: Only these configurations are proposed, such as those of a table; see
            :class:`~cloudtune.optimizer.searchers.random_searcher.RandomSearcher`. None: no restriction.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str | Sequence[str],
        mode: str | Sequence[str] = "min",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        resource_attr: str | None = None,
        max_resource_attr: str | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "random",
            metric=metric,
            mode=mode,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            search_options={
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )


class GridSearch(FIFOScheduler):
    """The points of a grid, each trained to its end.

    Args:
        config_space, metric, mode, points_to_evaluate, random_seed, resource_attr, max_resource_attr: See
            :class:`RandomSearch`.
        num_samples: Values per continuous or integer parameter: a number for all, or a number for some by name.
        shuffle: True: the grid in random order. False: in the order of the config space.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str | Sequence[str],
        mode: str | Sequence[str] = "min",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        resource_attr: str | None = None,
        max_resource_attr: str | None = None,
        num_samples: int | Mapping[str, int] = 5,
        shuffle: bool = True,
    ) -> None:
        super().__init__(
            config_space,
            "grid",
            metric=metric,
            mode=mode,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            search_options={"num_samples": num_samples, "shuffle": shuffle},
        )


class BORE(FIFOScheduler):
    """Configurations that a classifier takes for some of the best (Tiao et al. 2021, ICML), each trained to its end.

    For BORE with early stopping: ``HyperbandScheduler(config_space, "bore", ...)``.

    Args:
        config_space, metric, mode, points_to_evaluate, random_seed, resource_attr, max_resource_attr: See
            :class:`RandomSearch`; there must be one metric.
        allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
        classifier, gamma, random_share, num_init_random, num_candidates: See
            :class:`~cloudtune.optimizer.searchers.bore.BoreSearcher`.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str,
        mode: str = "min",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        resource_attr: str | None = None,
        max_resource_attr: str | None = None,
        classifier: str = "svm",
        gamma: float = 0.25,
        random_share: float = 0.1,
        num_init_random: int = 6,
        num_candidates: int = 500,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "bore",
            metric=metric,
            mode=mode,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            search_options={
                "classifier": classifier,
                "gamma": gamma,
                "random_share": random_share,
                "num_init_random": num_init_random,
                "num_candidates": num_candidates,
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )


class BayesianOptimization(FIFOScheduler):
    """Configurations of the greatest expected improvement by a Gaussian process, each trained to its end.

    Needs the extra ``bo`` (Garnett 2023, "Bayesian Optimization", and the sources of
    :class:`~cloudtune.optimizer.searchers.bayesian.searcher.BayesianSearcher`).

    Args:
        config_space, points_to_evaluate, random_seed, resource_attr, max_resource_attr: See :class:`RandomSearch`.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        num_init_random, max_size_data_for_model, input_warping, constraint_attr, cost_attr, cost_budget: See
            :class:`~cloudtune.optimizer.searchers.bayesian.searcher.BayesianSearcher`.
        allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str,
        mode: str = "min",
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        resource_attr: str | None = None,
        max_resource_attr: str | None = None,
        num_init_random: int = 5,
        max_size_data_for_model: int = 500,
        input_warping: bool = False,
        constraint_attr: str | None = None,
        cost_attr: str | None = None,
        cost_budget: float | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "bayesopt",
            metric=metric,
            mode=mode,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            search_options={
                "num_init_random": num_init_random,
                "max_size_data_for_model": max_size_data_for_model,
                "input_warping": input_warping,
                "constraint_attr": constraint_attr,
                "cost_attr": cost_attr,
                "cost_budget": cost_budget,
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )
