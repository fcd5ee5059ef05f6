"""Which experiments of a study are compared."""

from __future__ import annotations

from cloudtune.experiments.comparison.selection import of_benchmark
from tests.experiments.comparison.made import made


def test_winners_that_were_run_again_are_no_method() -> None:
    """They lie under the tag of the study, and would be one run too many beside those that they repeat."""
    method, again = (
        made(name, [(1.0, 0.5)], benchmark="b", rerun_of=of) for name, of in (("one", None), ("two", "one"))
    )
    assert of_benchmark([method, again], None, "benchmark") == ([method], "b")
    assert of_benchmark([method, again], "b", "benchmark") == ([method], "b")
