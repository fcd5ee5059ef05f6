"""What the metadata of an experiment say of its end."""

from __future__ import annotations

from typing import Any

import pytest

from cloudtune.optimizer.schedulers.fifo import FIFOScheduler
from cloudtune.optimizer.searchers import RandomSearcher
from cloudtune.store.entries import FAILED, FINISH, FINISHED, INTERRUPTED
from cloudtune.tuner_metadata import metadata_at_end
from cloudtune.tuning_status import TuningStatus
from tests.virtual import Machine, Program
from tests.virtual_tuner import SPACE, curve, make_tuner


class _Telling(RandomSearcher):
    def outcome(self) -> dict[str, Any]:
        return {"suggestions": self.num_suggestions}


def test_metadata_tell_how_an_experiment_ended() -> None:
    """A tuner that runs to its end writes that it did, and why; comparisons read it there."""
    machine = Machine(Program(curve, levels=2))
    make_tuner(machine).run()
    assert machine.metadata["st_finished_state"] == FINISHED
    assert machine.metadata["st_finished_why"] == "stopping criterion reached"


def test_metadata_tell_in_the_end_what_the_searcher_tells() -> None:
    """What has not ended the experiment, and should not stay hidden; nothing where there is nothing to tell."""
    machine = Machine(Program(curve, levels=2))
    make_tuner(machine, FIFOScheduler(SPACE, _Telling, metric="loss", resource_attr="epoch")).run()
    assert machine.metadata["st_scheduler_outcome"] == {"suggestions": 6}
    machine = Machine(Program(curve, levels=2))
    make_tuner(machine).run()
    assert "st_scheduler_outcome" not in machine.metadata


@pytest.mark.parametrize("state", [FINISHED, FAILED, INTERRUPTED])
def test_the_state_is_that_of_the_log(state: str) -> None:
    """Each of the words that the log has for an end."""
    status = TuningStatus(metrics=["loss"])
    status.apply({"event": FINISH, "why": "it was so", "state": state, "time": 3.0})
    assert metadata_at_end(status, 9.0) == {
        "st_tuner_end_timestamp": 9.0,
        "st_finished_why": "it was so",
        "st_finished_state": state,
    }
