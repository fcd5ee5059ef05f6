"""Early stopping with configurations from a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.schedulers.hyperband import HyperbandScheduler


class MOBSTER(HyperbandScheduler):
    """Asynchronous successive halving with configurations of a Gaussian process over (configuration, resource).

    Needs the extra ``bo``. Source: Klein et al. 2020, "Model-based Asynchronous Hyperparameter and Neural Architecture
    Search" (arXiv:2003.10865).

    Args:
        config_space, metric, mode, resource_attr, max_resource_attr, max_t, grace_period: See :class:`ASHA`.
        reduction_factor, type, brackets, rung_levels, max_num_checkpoints: See :class:`ASHA`.
        points_to_evaluate, random_seed: See :class:`ASHA`.
        num_init_random, max_size_data_for_model, input_warping, allow_duplicates, restrict_configurations: See
            :class:`~cloudtune.optimizer.searchers.bayesian.searcher.BayesianSearcher`.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str,
        mode: str = "min",
        resource_attr: str = "epoch",
        max_resource_attr: str | None = None,
        max_t: int | None = None,
        grace_period: int = 1,
        reduction_factor: float = 3,
        type: str = "stopping",  # noqa: A002 - the name the field knows
        brackets: int = 1,
        rung_levels: Sequence[int] | None = None,
        max_num_checkpoints: int | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        num_init_random: int = 5,
        max_size_data_for_model: int = 500,
        input_warping: bool = False,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "bayesopt",
            metric=metric,
            mode=mode,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            max_t=max_t,
            grace_period=grace_period,
            reduction_factor=reduction_factor,
            brackets=brackets,
            type=type,
            rung_levels=rung_levels,
            max_num_checkpoints=max_num_checkpoints,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            search_options={
                "num_init_random": num_init_random,
                "max_size_data_for_model": max_size_data_for_model,
                "input_warping": input_warping,
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )
