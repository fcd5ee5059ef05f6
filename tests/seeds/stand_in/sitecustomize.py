"""Loaded by Python at start because this folder is on PYTHONPATH: two things that a chapter run as a test needs.

It works only in the process that runs the script named by CLOUDTUNE_CHAPTER, not in the processes of its trials:

* The chapters tune for twelve minutes. Their cells stay as they are; instead every ``StoppingCriterion`` made in this
  process gets the limits in CLOUDTUNE_CHAPTER_LIMITS (JSON) in place of the wall-clock limit it asks for.
* A notebook shows the figures that are open when a cell ends; here they are saved beside the script when it ends.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def _shorten_limits() -> None:
    import functools
    import json

    from cloudtune.stopping_criterion import StoppingCriterion

    limits = json.loads(os.environ["CLOUDTUNE_CHAPTER_LIMITS"])
    make = StoppingCriterion.__init__

    @functools.wraps(make)
    def make_shorter(self: StoppingCriterion, max_wallclock_time: float) -> None:
        assert max_wallclock_time == 12 * 60, "a chapter asks for another limit than the one this test knows"
        make(self, **limits)

    StoppingCriterion.__init__ = make_shorter  # type: ignore[assignment, method-assign]


def _pyplot() -> Any:
    """Imported before the saving is registered: pyplot closes all figures at exit, and what came last runs first."""
    from matplotlib import pyplot as plt

    return plt


def _save_figures(plt: Any, script: str) -> None:
    import json
    from pathlib import Path

    import numpy as np

    drawn = []
    for number in plt.get_fignums():
        figure = plt.figure(number)
        figure.savefig(Path(script).with_name(f"figure-{number}.png"))
        drawn.append([np.size(line.get_xdata()) for axes in figure.axes for line in axes.get_lines()])
    Path(script).with_name("figures.json").write_text(json.dumps(drawn), encoding="utf-8")


if sys.orig_argv[-1] == os.environ.get("CLOUDTUNE_CHAPTER"):
    import atexit

    _shorten_limits()
    atexit.register(_save_figures, _pyplot(), sys.orig_argv[-1])
