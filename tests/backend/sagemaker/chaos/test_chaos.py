"""A tuner of training jobs under all faults at once, killed again and again: nothing is lost, doubled or left.

Faults come in pairs, which a seed draws: two for the jobs of each trial, two for each stretch of time, and each of them
now and then besides. The seed, the pairs and what has struck are printed; ``CLOUDTUNE_CHAOS_SEED`` repeats a plan.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudtune.localcloud import LocalCloud
from tests.backend.sagemaker.chaos import program
from tests.backend.sagemaker.chaos.chaos import Chaos, cloud_settings, draw_seed
from tests.backend.sagemaker.chaos.ordered import Ordered
from tests.backend.sagemaker.chaos.plan import draw


@dataclass(frozen=True)
class Outcome:
    """Of a run without problems.

    Args:
        configs: What each trial began with.
        struck: How often each trouble has struck.
        met: Where both troubles of a pair have struck.
    """

    configs: dict[int, float]
    struck: dict[str, int]
    met: set[str]


def _chaos(tmp_path: Path, trials: int, workers: int, kind: str, kills: int, patience: float) -> Outcome:
    seed = draw_seed()
    print(f"CLOUDTUNE_CHAOS_SEED={seed}")
    plan = draw(seed, kind, trials)
    with LocalCloud(cloud_settings(tmp_path / "jobs"), seed=seed) as cloud:
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        ordered = Ordered(cloud, plan)
        chaos = Chaos(cloud, tmp_path / "run", trials, workers, kind, ordered.next_stretch)
        chaos.run(kills, random.Random(seed), patience)
        fired = cloud.faults.fired()
        cloud.faults.clear()
        print(ordered.account(fired))
        problems = chaos.problems()
        assert not problems, f"seed {seed}, {len(problems)} problems:\n" + "\n".join(problems)
        return Outcome(chaos.configs(), ordered.struck(fired), ordered.met(fired))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["pool"])
def test_thirty_trials_under_all_faults_and_two_kills(tmp_path: Path, kind: str) -> None:
    """Every report once and in order, no job twice, none left, costs as billed; on machines that are kept warm."""
    outcome = _chaos(tmp_path, trials=30, workers=8, kind=kind, kills=2, patience=400)
    assert sorted(outcome.configs) == list(range(30))
    assert outcome.met


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["spot", pytest.param("pool", marks=pytest.mark.long)])
def test_hundred_trials_under_all_faults_and_five_kills(tmp_path: Path, kind: str) -> None:
    """The same with 100 trials of up to 20 reports and 16 workers; and the trials are those of a run without faults."""
    outcome = _chaos(tmp_path / "faults", trials=100, workers=16, kind=kind, kills=5, patience=2000)
    assert outcome.met
    assert all(outcome.struck.values()), f"never struck: {[name for name, n in outcome.struck.items() if not n]}"
    with LocalCloud(cloud_settings(tmp_path / "jobs")) as cloud:
        cloud.client("s3").create_bucket(Bucket=program.BUCKET)
        calm = Chaos(cloud, tmp_path / "calm", 100, 16, kind)
        calm.run(0, random.Random(0), 2000)
        assert calm.problems() == []
        assert calm.configs() == outcome.configs
