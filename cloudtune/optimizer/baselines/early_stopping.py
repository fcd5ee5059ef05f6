"""Methods that train the better ones of random configurations further than others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtune.optimizer.baselines.whole_trials import RandomSearch
from cloudtune.optimizer.former_names import explain_former_names
from cloudtune.optimizer.schedulers.hyperband import HyperbandScheduler
from cloudtune.optimizer.schedulers.median_rule import MedianStoppingRule
from cloudtune.optimizer.schedulers.moasha import ParetoHyperbandScheduler
from cloudtune.optimizer.schedulers.synchronous import SynchronousHyperbandScheduler


class ASHA(HyperbandScheduler):
    """Asynchronous successive halving with random configurations (Li et al. 2020, MLSys).

    Args:
        config_space: Hyperparameter domains and constants.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far, from 1.
        max_resource_attr, max_t, grace_period, reduction_factor, brackets, type, rung_levels, max_num_checkpoints: See
            :class:`~cloudtune.optimizer.schedulers.hyperband.HyperbandScheduler`.
        points_to_evaluate, random_seed, allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
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
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "random",
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
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )


class PASHA(HyperbandScheduler):
    """ASHA with promotion whose maximum grows only while rankings have not settled (Bohdal et al. 2023, ICLR).

    Scripts should report at every epoch: how far rankings are noise is judged from learning curves.

    Args:
        config_space: Hyperparameter domains and constants.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far, from 1.
        max_resource_attr, max_t, grace_period, reduction_factor, rung_levels, max_num_checkpoints: See
            :class:`~cloudtune.optimizer.schedulers.hyperband.HyperbandScheduler`; the maximum is that of a trial if
            rankings never settle.
        points_to_evaluate, random_seed, allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
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
        rung_levels: Sequence[int] | None = None,
        max_num_checkpoints: int | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "random",
            metric=metric,
            mode=mode,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            max_t=max_t,
            grace_period=grace_period,
            reduction_factor=reduction_factor,
            type="pasha",
            rung_levels=rung_levels,
            max_num_checkpoints=max_num_checkpoints,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            search_options={
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )


class SyncHyperband(SynchronousHyperbandScheduler):
    """Hyperband as it was first, in batches, with random configurations (Li et al. 2017, JMLR 18).

    With ``brackets=1`` it is synchronous successive halving.

    Args:
        config_space: Hyperparameter domains and constants.
        metric: What scripts report and what is to be optimised.
        mode: ``"min"`` or ``"max"``.
        resource_attr: Key of a report that counts the resource (epochs) used so far, from 1.
        max_resource_attr, max_t, grace_period, reduction_factor, brackets, rung_levels: See
            :class:`~cloudtune.optimizer.schedulers.synchronous.SynchronousHyperbandScheduler`.
        points_to_evaluate, random_seed, allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
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
        brackets: int | None = None,
        rung_levels: Sequence[int] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "random",
            metric=metric,
            mode=mode,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            max_t=max_t,
            grace_period=grace_period,
            reduction_factor=reduction_factor,
            brackets=brackets,
            rung_levels=rung_levels,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            search_options={
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )


class MOASHA(ParetoHyperbandScheduler):
    """Asynchronous successive halving for several metrics, with random configurations (Schmucker et al. 2021).

    Args:
        config_space: Hyperparameter domains and constants.
        metric: What scripts report and what is to be optimised, a list.
        mode: ``"min"`` or ``"max"``: one for all metrics, or a list of one for each.
        resource_attr: Key of a report that counts the resource (epochs) used so far, from 1.
        max_resource_attr, max_t, grace_period, reduction_factor, brackets, type, rung_levels: See
            :class:`~cloudtune.optimizer.schedulers.hyperband.HyperbandScheduler`.
        points_to_evaluate, random_seed, allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str | Sequence[str],
        mode: str | Sequence[str] = "min",
        resource_attr: str = "epoch",
        max_resource_attr: str | None = None,
        max_t: int | None = None,
        grace_period: int = 1,
        reduction_factor: float = 3,
        type: str = "stopping",  # noqa: A002 - the name the field knows
        brackets: int = 1,
        rung_levels: Sequence[int] | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            config_space,
            "random",
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
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            search_options={
                "allow_duplicates": allow_duplicates,
                "restrict_configurations": restrict_configurations,
            },
        )


class MedianStopping(MedianStoppingRule):
    """Random configurations, stopped when worse than the median of the others (Golovin et al. 2017, KDD).

    Args:
        config_space, metric, mode, points_to_evaluate, random_seed, max_resource_attr: See :class:`RandomSearch`; with
            several metrics, the first decides.
        allow_duplicates, restrict_configurations: See :class:`RandomSearch`.
        resource_attr: Key of a report that counts the resource (epochs) used so far.
        running_average, grace_time, grace_population, rank_cutoff: See
            :class:`~cloudtune.optimizer.schedulers.median_rule.MedianStoppingRule`.
    """

    @explain_former_names
    def __init__(
        self,
        config_space: Mapping[str, Any],
        *,
        metric: str | Sequence[str],
        mode: str | Sequence[str] = "min",
        resource_attr: str = "epoch",
        max_resource_attr: str | None = None,
        running_average: bool = True,
        grace_time: float = 1,
        grace_population: int = 5,
        rank_cutoff: float = 0.5,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        random_seed: int | None = None,
        allow_duplicates: bool = False,
        restrict_configurations: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        scheduler = RandomSearch(
            config_space,
            metric=metric,
            mode=mode,
            points_to_evaluate=points_to_evaluate,
            random_seed=random_seed,
            resource_attr=resource_attr,
            max_resource_attr=max_resource_attr,
            allow_duplicates=allow_duplicates,
            restrict_configurations=restrict_configurations,
        )
        super().__init__(scheduler, resource_attr, running_average, grace_time, grace_population, rank_cutoff)
