"""How much may travel with a tuner."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.aws.source_files import BundleError
from cloudtune.localcloud import Fault
from cloudtune.remote import remote_launcher
from tests.remote.remote_experiment import RemoteTuning

SPACE = {"epochs": 1}
#: Cloudtune itself takes more than the one, and these tests' source no more than the other.
SMALL, LARGE = 10_000, 50_000_000


@pytest.mark.parametrize(
    ("of_backend", "of_launcher", "travels"),
    [(None, None, False), (None, LARGE, True), (LARGE, None, True), (LARGE, SMALL, False), (SMALL, LARGE, True)],
)
def test_the_limit_of_the_source(
    tuning: RemoteTuning,
    monkeypatch: pytest.MonkeyPatch,
    of_backend: int | None,
    of_launcher: int | None,
    travels: bool,
) -> None:
    """That of the launcher counts, else that of the backend, which takes the same source for its trials."""
    monkeypatch.setattr(remote_launcher, "DEFAULT_LIMIT", SMALL)
    tuning.cloud.faults.add(Fault("slow_start", seconds=10_000.0))
    tuner: Any = tuning.tuner(True, SPACE, trials=1)
    tuner.trial_backend.source_limit = of_backend
    if travels:
        tuning.launch(tuner, source_limit=of_launcher)
    else:
        with pytest.raises(BundleError, match=r"more than 10 kB when packed.* source_limit allows more\."):
            tuning.launch(tuner, source_limit=of_launcher)
    assert len(tuning.cloud.jobs()) == travels


@pytest.mark.parametrize("limit", [0, -1, 2.5, "50MB", True])
def test_what_is_no_limit(tuning: RemoteTuning, limit: Any) -> None:
    """It is refused before anything is packed."""
    with pytest.raises(ValueError, match="source_limit must be a whole number of bytes"):
        tuning.launch(tuning.tuner(False, SPACE, trials=1), source_limit=limit)
