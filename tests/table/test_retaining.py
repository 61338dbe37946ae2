"""What is kept longer than it may be is taken away, once, and nothing else."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from chalicelib.jobs import service
from chalicelib.jobs.models import Job, Part, Run, RunState
from chalicelib.jobs.service import Yard
from chalicelib.kernel.ids import MemberId, SessionId
from chalicelib.members import service as members
from chalicelib.points.errors import MemberErased
from chalicelib.privacy.jobs import ByProgram
from chalicelib.privacy.models import MaskedField, Unmask
from chalicelib.privacy.service import unmasking
from chalicelib.privacy.service.retaining import Retained, Terms, retain, terms_of
from chalicelib.signin import store as signin_store
from chalicelib.signin.models import Session
from tests.fakes import KeptQueues
from tests.makers import Tray, a_draw, a_purchase, publish_texts
from tests.table.stand import Crashed, CrashingTable
from tests.table.test_cards import a_top_up
from tests.table.test_erasing import World, world

__all__ = ["world"]

TWO_YEARS = timedelta(days=730)


def run(world: World, *, dry_run: bool = False) -> Retained:
    return retain(world.places(), Terms(closed_for=TWO_YEARS), dry_run=dry_run, now=world.clock())


def lived(world: World) -> tuple[str, str, str]:
    """Who closed long ago, who closed of late, and who is still there."""
    desk = world.desk
    consents = [{"purpose": "offers", "granted": True, "text_version": "1"}]
    publish_texts(desk.table, "offers")
    long_ago, of_late, here = (desk.enrol(name=name, consents=consents).member_id for name in ("A", "B", "C"))
    command = Unmask(fields=(MaskedField.NAME,), reason="calls back")
    unmasking.unmask(
        desk.table, desk.keyring, desk.book, MemberId(here), command, by="stf_a", draw=a_draw, now=world.clock()
    )
    desk.close(long_ago)
    world.clock.forward(days=365)
    desk.close(of_late)
    world.clock.forward(days=366)
    return long_ago, of_late, here


def test_who_closed_long_ago_is_erased_and_nobody_else(world: World) -> None:
    long_ago, of_late, here = lived(world)
    before = dict(world.core.items)
    expected = Retained(members=1, showings=1, reach_changes=1)
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
                Terms(closed_for=TWO_YEARS), dry_run=False, now=here.clock(),
            )  # fmt: skip
        run(here)
        assert run(here) == Retained()
        with pytest.raises(MemberErased):
            here.desk.member(long_ago)


def inactive(world: World, *, dry_run: bool = False) -> Retained:
    """A run by a program that knows nobody for longer than two years of doing nothing."""
    return retain(world.places(), Terms(inactive_for=TWO_YEARS), dry_run=dry_run, now=world.clock())


def test_who_did_nothing_for_long_is_erased_and_who_did_anything_is_not(world: World) -> None:
    """What comes by itself (a gift, an expiry, a review of the tier) is nothing that they did."""
    desk = world.desk
    names = ("nothing", "bought", "edited", "card", "merged", "gifted")
    ids = {name: desk.enrol(name=name, birthday="1990-03-15").member_id for name in names}
    desk.buy(a_purchase(ids["gifted"]))
    desk.publish(2, expiry={"mode": "rolling", "months": 1})
    world.clock.forward(days=400)
    desk.buy(a_purchase(ids["bought"]))
    desk.edit(ids["edited"], 1, name="Edited")
    desk.on_card(desk.open_card(ids["card"], key="c").value.card_id, a_top_up(50_00, 0), key="t")
    other = desk.enrol(name="other").member_id
    desk.merge(ids["merged"], other, key="m")
    world.clock.forward(days=350)
    desk.expire(ids["gifted"])
    given = members.give_birthday_gift(
        desk.table, desk.book, MemberId(ids["gifted"]), on=world.clock().date().replace(month=3, day=15),
        now=world.clock(),
    )  # fmt: skip
    assert given is not None

    before = dict(world.core.items)
    assert inactive(world, dry_run=True) == Retained(members=2, reach_changes=2)
    assert world.core.items == before
    assert inactive(world) == Retained(members=2, reach_changes=2)
    assert inactive(world) == Retained()
    for name in ("nothing", "gifted"):
        with pytest.raises(MemberErased):
            desk.member(ids[name])
    assert {desk.member(each).name for each in (ids["bought"], ids["edited"], ids["card"], other)} == {
        "bought", "Edited", "card", "other",
    }  # fmt: skip
    assert world.books() == []


def test_who_signed_in_of_late_or_has_money_on_a_card_stays(world: World) -> None:
    desk = world.desk
    signed_in, rich = desk.enrol(name="A").member_id, desk.enrol(name="B").member_id
    desk.on_card(desk.open_card(rich, key="c").value.card_id, a_top_up(50_00, 0), key="t")
    world.clock.forward(days=800)
    now = world.clock()
    session = Session(SessionId("ses_" + "a" * 26), MemberId(signed_in), b"d", now - timedelta(days=9), now)
    world.ops.commit([signin_store.open_session(session)])
    assert inactive(world) == Retained(blocked=1)
    assert [desk.member(each).name for each in (signed_in, rich)] == ["A", "B"]


def test_the_program_says_how_long_and_nobody_is_erased_by_default(world: World) -> None:
    assert terms_of(world.desk.book.current(world.clock())) == Terms()
    lived(world)
    assert retain(world.places(), Terms(), dry_run=False, now=world.clock()) == Retained(showings=1, reach_changes=1)
    world.desk.publish(2, retention={"inactive_years": 3, "closed_years": 2})
    world.clock.forward(minutes=1)
    assert terms_of(world.desk.book.current(world.clock())) == Terms(timedelta(days=2 * 366), timedelta(days=3 * 366))


@dataclass
class Works:
    """The job over a world: its parts are done as the queue gives them."""

    world: World
    tray: Tray = field(default_factory=Tray)

    def yard(self) -> Yard:
        """Where the job works."""
        places = self.world.places()
        return Yard(
            self.world.core, self.world.ops, places.book, self.tray, "jobs", retention_queue="retention",
            keeper=ByProgram(places),
        )  # fmt: skip

    def run(self, *, dry_run: bool = False, twice: bool = False) -> Run:
        """A run, with every part done once, or twice."""
        now = self.world.clock()
        day, yard = now.date(), self.yard()
        service.start_run(yard, Job.RETENTION, day, dry_run=dry_run, by="stf_test", now=now, anew=True)
        while records := self.tray.taken():
            for record in records * (2 if twice else 1):
                part = Part.model_validate_json(record["body"])
                service.do_part(yard, part, now=now, attempt=lambda work: (True, work()))
        return service.find_run(yard, Job.RETENTION, day, dry_run=dry_run, now=now)


@pytest.mark.parametrize("twice", [False, True])
def test_the_job_erases_what_the_program_says_and_tells_how_it_went(world: World, twice: bool) -> None:
    long_ago, of_late, here = lived(world)
    world.desk.publish(2, retention={"closed_years": 2})
    world.clock.forward(days=5)
    works, before = Works(world), dict(world.core.items)
    tried = works.run(dry_run=True, twice=twice)
    assert (tried.state, tried.due, tried.done, tried.changed) == (RunState.DONE, 3, 3, 1)
    assert world.core.items == before
    done = works.run(twice=twice)
    assert (done.state, done.due, done.done, done.changed, done.waiting) == (RunState.DONE, 3, 3, 1, 0)
    with pytest.raises(MemberErased):
        world.desk.member(long_ago)
    assert [world.desk.member(each).name for each in (of_late, here)] == ["B", "C"]
    assert not [key for key in world.core.items if key.pk.startswith("UM#")]
    again = works.run(twice=twice)
    assert (again.attempt, again.changed) == (2, 0)
    (shown,) = (each for each in service.list_jobs(works.yard(), now=world.clock()) if each.job is Job.RETENTION)
    assert shown.last_run == again


def test_a_job_that_dies_anywhere_is_completed_by_the_next_run(world: World) -> None:
    long_ago, _, _ = lived(world)
    world.desk.publish(2, retention={"closed_years": 2})
    world.clock.forward(days=5)
    for at in range(1, 60, 7):
        here = world.copy(world.folder.with_name(f"job{at}"))
        works = Works(here)
        dying = replace(
            works.yard(),
            keeper=ByProgram(here.places(lambda table, at=at: CrashingTable(table, at, after=True))),  # type: ignore[misc]
        )
        now = here.clock()
        service.start_run(dying, Job.RETENTION, now.date(), dry_run=False, by="x", now=now)
        with pytest.raises(Crashed):
            while records := works.tray.taken():
                for record in records:
                    part = Part.model_validate_json(record["body"])
                    service.do_part(dying, part, now=now, attempt=lambda work: (True, work()))
        works.tray.taken()
        works.run()
        with pytest.raises(MemberErased):
            here.desk.member(long_ago)
        assert here.books() == []


def test_parts_go_to_the_jobs_own_queue(world: World) -> None:
    queues = KeptQueues()
    yard = replace(Works(world).yard(), queues=queues)
    for job in (Job.RETENTION, Job.EXPIRE):
        service.start_run(yard, job, world.clock().date(), dry_run=False, by="x", now=world.clock())
    assert {queue for queue, _, _ in queues.sent} == {"retention", "jobs"}
    assert {queue for queue, body, _ in queues.sent if "retention" in body} == {"retention"}
