"""The same cell with other settings: refused before anything is launched, with the differences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cloudtune.localcloud.fault import Fault
from cloudtune.studies.cell_record import DamagedRecord
from cloudtune.studies.launching import CellConflict, NotAllLaunched
from cloudtune.studies.settings import CellSettings
from tests.studies.launch_world import ACCOUNT, PLAN, LaunchWorld, cells_of, names_of


def test_other_settings_are_refused(world: LaunchWorld) -> None:
    """What was and what is now; also for those cells of the plan that are missing, nothing is launched."""
    plan = replace(PLAN, methods=("ASHA", "ASHA-STOP"))
    world.launch(plan)
    before = len(world.cloud.calls("s3:PutObject"))
    other = replace(plan, num_seeds=2, settings=CellSettings(max_wallclock_time=900, extra={"brackets": 2}))
    with pytest.raises(CellConflict) as caught:
        world.launch(other)
    first, second = names_of(plan)
    assert caught.value.differences == {
        name: {"max_wallclock_time": (600, 900), "brackets": (None, 2)} for name in (first, second)
    }
    assert str(caught.value) == (
        f"the study 'heights' has these experiments with other settings: {first}, {second} began with "
        "max_wallclock_time = 600, which is 900 now, brackets = null, which is 2 now; launch with the settings that "
        "they began with, or under another tag (a limit of one of them alone is changed by `cloudtune resume "
        "heights/NAME --max-wallclock-time SECONDS`)"
    )
    assert len(world.jobs()) == 2
    assert len(world.cloud.calls("s3:PutObject")) == before


def test_those_that_are_done_count_too(world: LaunchWorld) -> None:
    """A finished cell is not taken for one with other settings."""
    world.launch()
    for cell in cells_of():
        world.end(cell)
    with pytest.raises(CellConflict, match="use_spot = false, which is true now"):
        world.launch(replace(PLAN, settings=replace(PLAN.settings, use_spot=True)))


def test_another_config_space_is_refused(world: LaunchWorld) -> None:
    """The benchmark has changed since: the message names the key, and not what follows from it."""
    world.launch()
    world.epochs = 27
    with pytest.raises(CellConflict, match=r"config_space\['epochs'\] = 9, which is 27 now") as caught:
        world.launch()
    assert len(caught.value.differences) == 2
    assert len(world.jobs()) == 2


def test_another_cell_of_the_same_name(world: LaunchWorld) -> None:
    """Names leave out what names may not hold: a cell that only looks the same is told as another one."""
    world.launch()
    catalogue = world.catalogue
    methods = {**catalogue.methods, "R-S": catalogue.methods["RS"], "R S": catalogue.methods["RS"]}
    assert catalogue.methods.keys() != methods.keys()
    from cloudtune.studies.launching import launch_study

    wider = replace(catalogue, methods=methods)
    launch_study(wider, replace(PLAN, methods=("R-S",)), ACCOUNT)
    with pytest.raises(CellConflict, match='method = "R-S", which is "R S" now'):
        launch_study(wider, replace(PLAN, methods=("R S",)), ACCOUNT)


def test_what_was_never_launched_may_be_launched_otherwise(world: LaunchWorld) -> None:
    """AWS has refused all launches, say for a mistyped instance type: with the right one the record is replaced."""
    world.cloud.faults.add(Fault("access_denied", operation="sagemaker:CreateTrainingJob"))
    with pytest.raises(NotAllLaunched):
        world.launch()
    world.cloud.faults.clear()
    other = replace(PLAN, settings=CellSettings(max_wallclock_time=900))
    assert world.launch(other).launched == names_of()
    with pytest.raises(CellConflict):
        world.launch()
    assert world.launch(other).running == names_of()


def test_somebody_else_was_quicker(world: LaunchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another launcher records the same cells in another way right after ours has looked: ours is refused."""
    from cloudtune.studies import launching
    from cloudtune.studies.study_money import open_study_budget

    def meanwhile(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(launching, "open_study_budget", open_study_budget)
        world.launch(replace(PLAN, settings=CellSettings(max_wallclock_time=900)))
        return open_study_budget(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(launching, "open_study_budget", meanwhile)
    with pytest.raises(CellConflict, match="max_wallclock_time = 900, which is 600 now"):
        world.launch()
    assert len(world.jobs()) == 2


@pytest.mark.parametrize("body", [b"", b"{}", b'{"format": 1, "cell": 3}', b"[]"])
def test_a_damaged_record(world: LaunchWorld, body: bytes) -> None:
    """It is named, with what to do; nothing is launched."""
    world.launch()
    cell, _ = cells_of()
    key = world.place().cell(cell.name)
    world.bucket.put(key, body)
    with pytest.raises(DamagedRecord, match=f"{cell.name}.json, which says .* is damaged .* restore it, or delete it"):
        world.launch()
    world.bucket.delete([key])
    assert world.launch().running == names_of()


def test_a_record_of_a_newer_version(world: LaunchWorld) -> None:
    """It is not read."""
    cell, _ = cells_of()
    world.bucket.put(world.place().cell(cell.name), b'{"format": 2}')
    with pytest.raises(DamagedRecord, match=r"a newer cloudtune has written .* upgrade"):
        world.launch()
    assert world.jobs() == []
