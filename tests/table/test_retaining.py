"""What is kept longer than it may be is taken away, once, and nothing else."""

from datetime import timedelta

import pytest

from chalicelib.kernel.ids import MemberId
from chalicelib.points.errors import MemberErased
from chalicelib.privacy.models import MaskedField, Unmask
from chalicelib.privacy.service import unmasking
from chalicelib.privacy.service.retaining import Retained, retain
from tests.makers import publish_texts
from tests.table.stand import Crashed, CrashingTable
from tests.table.test_erasing import World, world

__all__ = ["world"]

TWO_YEARS = timedelta(days=730)


def run(world: World, *, dry_run: bool = False) -> Retained:
    return retain(world.places(), closed_for=TWO_YEARS, dry_run=dry_run, now=world.clock())


def lived(world: World) -> tuple[str, str, str]:
    """Who closed long ago, who closed of late, and who is still there."""
    desk = world.desk
    consents = [{"purpose": "offers", "granted": True, "text_version": "1"}]
    publish_texts(desk.table, "offers")
    long_ago, of_late, here = (desk.enrol(name=name, consents=consents).member_id for name in ("A", "B", "C"))
    command = Unmask(fields=(MaskedField.NAME,), reason="calls back")
    unmasking.unmask(
        desk.table, desk.keyring, desk.book, MemberId(here), command, by="stf_a", draw=lambda: 7, now=world.clock()
    )
    desk.close(long_ago)
    world.clock.forward(days=365)
    desk.close(of_late)
    world.clock.forward(days=366)
    return long_ago, of_late, here


def test_who_closed_long_ago_is_erased_and_nobody_else(world: World) -> None:
    long_ago, of_late, here = lived(world)
    before = dict(world.core.items)
    expected = Retained(members=1, showings=1)
    assert run(world, dry_run=True) == expected
    assert world.core.items == before
    assert run(world) == expected
    with pytest.raises(MemberErased):
        world.desk.member(long_ago)
    assert [world.desk.member(each).name for each in (of_late, here)] == ["B", "C"]
    assert run(world) == Retained()
    assert world.books() == []


def test_the_history_of_consents_outlives_the_member_by_three_years(world: World) -> None:
    long_ago, _, _ = lived(world)
    run(world)
    world.clock.forward(days=3 * 366 - 1)
    history = [key for key in world.core.items if key.pk.startswith("CONSENT#") and long_ago[4:] in key.pk]
    assert history
    world.clock.forward(days=1)
    assert run(world).consent_changes == 1
    assert not [key for key in history if key in world.core.items]


def test_a_run_that_is_cut_short_is_completed_by_the_next(world: World) -> None:
    long_ago, _, _ = lived(world)
    start = world.copy(world.folder)
    for at in range(1, 40, 3):
        here = start.copy(world.folder.with_name(f"cut{at}"))
        with pytest.raises(Crashed):
            retain(
                here.places(lambda table, at=at: CrashingTable(table, at, after=True)),  # type: ignore[misc]
                closed_for=TWO_YEARS, dry_run=False, now=here.clock(),
            )  # fmt: skip
        run(here)
        assert run(here) == Retained()
        with pytest.raises(MemberErased):
            here.desk.member(long_ago)
