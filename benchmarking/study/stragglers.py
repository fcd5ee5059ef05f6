"""A blackbox some of whose trials are slow, as jobs on a busy or ageing machine are."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudtune.blackbox import Blackbox, Curve


class WithStragglers(Blackbox):
    """The curves of another blackbox; a share of the configurations takes longer by a factor.

    Which configurations are slow depends on the seed alone, not on the method that proposes them, nor on when.

    Args:
        blackbox: Whose curves they are.
        share: Of configurations, from 0 to 1.
        factor: How many times longer a slow one takes, 1 or more.
        random_seed: Which are slow.

    Raises:
        ValueError: Share or factor are out of range.
    """

    def __init__(self, blackbox: Blackbox, share: float, factor: float, random_seed: int) -> None:
        if not 0 <= share <= 1 or not factor >= 1:
            raise ValueError(f"share must be from 0 to 1 and factor 1 or more, got {share!r} and {factor!r}")
        self.blackbox = blackbox
        self.share = share
        self.factor = factor
        self.random_seed = random_seed
        self.config_space = blackbox.config_space
        self.metrics = blackbox.metrics
        self.resource_attr = blackbox.resource_attr
        self.min_resource = blackbox.min_resource
        self.max_resource = blackbox.max_resource
        self.num_seeds = blackbox.num_seeds

    def is_slow(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration is one of the slow ones."""
        text = json.dumps([self.random_seed, [config[name] for name in self.config_space]])
        drawn = random.Random(hashlib.sha256(text.encode()).digest())
        return drawn.random() < self.share

    def curve(self, config: Mapping[str, Any], seed: int = 0) -> Curve:
        """See :meth:`Blackbox.curve`."""
        curve = self.blackbox.curve(config, seed)
        if not self.is_slow(config):
            return curve
        return replace(curve, elapsed=[self.factor * seconds for seconds in curve.elapsed])
