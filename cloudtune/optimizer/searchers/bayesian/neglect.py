"""Which category was tried so seldom that nothing is known of it.

A model that has seen a category in a few places, and all of them bad, expects no improvement there, and an acquisition
that trusts it never looks again. What such a belief is worth is a question of bandits whose arms become better the more
often they are tried, since what is best within a category must be found first. So ``n`` trials are not shared as they
are among arms that stay as they are, ``sqrt(n / k)`` for each of ``k`` (Auer et al. 2002, "The Nonstochastic Multiarmed
Bandit Problem", SIAM Journal on Computing 32), but each category is tried ``(n / k) ** (2 / 3)`` times at least, which
is what exploring before choosing needs (Lattimore and Szepesvári 2020, "Bandit Algorithms", chapter 6). What of it is
proposed, a model of its own trials decides: beside the best of all others, nothing in it would promise anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cloudtune.optimizer.searchers.bayesian.encoder import Array, Encoder

#: Of so many suggestions one at most is for a category that was neglected.
_ONE_IN = 3
_RATE = 2 / 3


def neglected(
    encoder: Encoder, tried: Iterable[Array], number: int, among: Array | None = None
) -> tuple[int, int] | None:
    """Number of the domain, and of its category, that a suggestion is to have; None if it is free.

    Args:
        encoder: Of the configurations.
        tried: Rows of the configurations so far; those of one trial at several levels count once.
        number: Of the suggestion.
        among: Rows that there are to choose from, one at least: other categories than theirs do not count. None: any.
    """
    if not encoder.categories or number % _ONE_IN:
        return None
    rows = np.stack(list({row.tobytes(): row for row in tried}.values()))
    worst: tuple[float, int, int] | None = None
    for domain in encoder.categories:
        counts = encoder.counts(rows, domain)
        there = np.arange(len(counts)) if among is None else np.flatnonzero(encoder.counts(among, domain))
        category = int(there[counts[there].argmin()])
        share = float(counts[category]) / (len(rows) / len(there)) ** _RATE
        if share < 1.0 and (worst is None or share < worst[0]):
            worst = share, domain, category
    return None if worst is None else worst[1:]
