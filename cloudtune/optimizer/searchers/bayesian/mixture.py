"""The covariance of configurations with categories: what a category adds, beside what it changes.

A product of covariances alone says of two categories that they are alike in everything or in nothing. Then what is
learned of the numbers with one category tells nothing of another that is only better or worse by as much everywhere,
and a search stays with the category that it knows. So there are sums as well, as in BoTorch's ``MixedSingleTaskGP``
(Ru et al. 2020, "Bayesian Optimisation over Multiple Continuous and Categorical Inputs", ICML).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch

from cloudtune.optimizer.searchers.bayesian.matern import matern


class Mixture:
    """A weighted mean of what numbers contribute alone, each hyperparameter of categories alone, and all together.

    Args:
        numbers: Columns of numbers, perhaps none.
        categories: For each hyperparameter of categories its columns.
    """

    def __init__(self, numbers: Sequence[int], categories: Sequence[Sequence[int]]) -> None:
        self._numbers = torch.tensor(list(numbers), dtype=torch.long)
        self._categories = [torch.tensor(list(columns), dtype=torch.long) for columns in categories]
        self._all_categories = torch.cat(self._categories)
        #: Length of a vector of logarithms of weights: the weight of all together is what the others are relative to.
        self.num_weights = 1 + bool(numbers)

    @classmethod
    def of(cls, owners: Sequence[int], categories: Collection[int]) -> Mixture | None:
        """For columns of these hyperparameters; None where all together is all there is to tell apart.

        Args:
            owners: For each column the number of its hyperparameter.
            categories: Numbers of those whose values have no order.
        """
        numbers = [column for column, owner in enumerate(owners) if owner not in categories]
        columns = [[column for column, owner in enumerate(owners) if owner == one] for one in sorted(categories)]
        return cls(numbers, columns) if columns and len(columns) + bool(numbers) > 1 else None

    def matrix(self, logarithms: Any, a: Any, b: Any) -> Any:
        """Covariances of scaled rows, shape ``(n, m)``, given the logarithms of the weights."""
        each = [matern(a[:, columns], b[:, columns]) for columns in self._categories]
        together = each[0]
        if len(each) > 1:
            together = matern(a[:, self._all_categories], b[:, self._all_categories])
        weights = torch.softmax(torch.cat([logarithms.new_zeros(1), logarithms]), 0)
        alone = sum(each) / len(each) * weights[1]
        if len(self._numbers):
            numbers = matern(a[:, self._numbers], b[:, self._numbers])
            return alone + numbers * (weights[0] * together + weights[2])
        return alone + weights[0] * together
