"""Carries the demo's history out, through the real services, with a clock that moves through the year.

Whatever was interrupted is taken up again: numbers, keys and order numbers are the same each time, so what was done is
answered as a replay; and the data folder remembers on which day the history ends.
"""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from chalicelib.cards.service import close_owner
from chalicelib.consents.service import publish_text
from chalicelib.jobs.models import Job
from chalicelib.jobs.store import advance_head, find_head
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members.models import CloseMember, EnrolMember, MemberView, ReinstateMember, SuspendMember
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberSuspended, PointsInsufficient
from chalicelib.points.models import AccountStatus, AdjustPoints, Due, SpendPoints
from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import PublishProgram
from chalicelib.programs.service import ProgramBook, publish_program
from chalicelib.programs.store import Head
from chalicelib.purchases.models import RecordPurchase
from chalicelib.purchases.service.recording import record_purchase
from chalicelib.runtime.wiring import House, utc_now
from local.demo.history import Deed, Event, Life, history
from local.demo.people import DAYS, ZONE, Person, chance
from local.demo.shop import TERMS, TEXTS
from local.reconcile import DEMO_MEMORY, open_house
from local.settings import Settings, settings
from local.tether import tether

SIZE = 500
BY = "stf_demo"
"""Who publishes the demo's texts."""
PROCESSES = 2
_TELL_EVERY = 3.0
_DUE_MAX = 50
"""More days than a member's history has on which something falls due."""
_ZH = Language.ZH


class SeedFailed(Exception):
    """A process could not do its share; its own message is above."""


class StillBook(ProgramBook):
    """A program book for a clock that jumps about in the past: it reads the program once."""

    def head(self, now: datetime) -> Head:
        """The version in force when it was first asked for."""
        return self._head or super().head(now)


def seed(size: int = SIZE, day: date | None = None, *, chosen: Settings | None = None) -> None:
    """Make the demo data, or what is missing of it; does nothing when all of it is there.

    Args:
        day: the last day of the history; yesterday in the shops' time zone.

    Raises:
        SystemExit: a part of it could not be made.
    """
    chosen = chosen or settings()
    memory = chosen.data_dir / DEMO_MEMORY
    known: dict[str, Any] = json.loads(memory.read_text()) if memory.exists() else {}
    if known.get("done"):
        print("The demo data is there already.")
        return
    size = known.get("size", size)
    day = date.fromisoformat(known["day"]) if known else day or local_day(utc_now(), ZONE.key) - timedelta(days=1)
    _remember(memory, {"day": day.isoformat(), "size": size, "done": False})
    started = monotonic()
    with open_house(chosen) as house:
        _open_program(house, datetime.combine(day - timedelta(days=DAYS), time(), ZONE))
        try:
            _work(chosen, size, day)
        except SeedFailed as failed:
            sys.exit(str(failed))
        lives = history(size, day)
        _start_jobs_after(house, _jobs_ran_through(day))
        _finished(memory, lives, day, started)
        _show_samples(house, lives)


def _finished(memory: Path, lives: Sequence[Life], day: date, started: float) -> None:
    """Set the mark that nothing is missing, and say so."""
    ids = [str(life.person.member_id) for life in lives]
    _remember(memory, {"day": day.isoformat(), "size": len(lives), "done": True, "member_ids": ids})
    purchases = sum(event.deed is Deed.BUY for life in lives for event in life.events)
    took = monotonic() - started
    print(f"Demo data: {len(lives)} members, {purchases:,} purchases up to {day}, in {took:.0f} s.")


def _remember(memory: Path, what: dict[str, Any]) -> None:
    draft = memory.with_name(f".{memory.name}.{os.getpid()}")
    draft.write_text(json.dumps(what) + "\n")
    draft.replace(memory)


def _open_program(house: House, now: datetime) -> None:
    """Publish the coffee shop's program as of the first day, unless an earlier try has."""
    book = ProgramBook(house.table)
    current = book.current(now)
    if current.version > 1:
        return
    for text in TEXTS:
        publish_text(house.table, text, by=BY, now=now)
    command = PublishProgram.model_validate({**TERMS, "version": current.version}, strict=False)
    with suppress(ProgramMoved):
        publish_program(house.table, book, command, now=now)


# ---------------------------------------------------------------- working side by side


def _work(chosen: Settings, size: int, day: date) -> None:
    """Have every process do its share of the members, and tell how far they are."""
    context = multiprocessing.get_context("spawn")
    counts: Any = context.RawArray("q", PROCESSES)
    crew = [
        context.Process(target=_share, args=(chosen, size, day, (number, PROCESSES), counts, os.getpid()), daemon=True)
        for number in range(PROCESSES)
    ]
    for process in crew:
        process.start()
    told = monotonic()
    while any(process.is_alive() for process in crew):
        crew[0].join(0.1)
        if monotonic() - told > _TELL_EVERY:
            told = monotonic()
            print(f"Demo data: {sum(counts)} of {size} members …", flush=True)
        if any(process.exitcode not in (None, 0) for process in crew):
            for process in crew:
                process.terminate()
    if any(process.exitcode for process in crew):
        raise SeedFailed("The demo data is not whole; the next start takes it up again.")


def _share(chosen: Settings, size: int, day: date, share: tuple[int, int], counts: Any, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    tether(parent)
    with open_house(chosen) as house:
        number, of = share
        mine = history(size, day)[number::of]
        live(house, mine, counts, number)
        run_jobs(house, mine, _jobs_ran_through(day))


def live(house: House, lives: Sequence[Life], counts: Any = None, number: int = 0) -> None:
    """Let some members live their lives, one after the other: accounts do not touch each other."""
    book = StillBook(house.table)
    for life in lives:
        _Member(house, book, life.person).live(life.events)
        if counts is not None:
            counts[number] += 1


# ---------------------------------------------------------------- what time brought


def _jobs_ran_through(day: date) -> date:
    """The last day that jobs have done in the history: the month's own days are left to the jobs of the first start."""
    return day.replace(day=1) - timedelta(days=1)


def run_jobs(house: House, lives: Sequence[Life], through: date) -> None:
    """Do for members what jobs would have done on each day that concerned them, birthdays apart."""
    book = StillBook(house.table)
    for life in lives:
        for _ in range(_DUE_MAX):
            account = points_store.find_account(house.table, life.person.member_id, consistent=True)
            if account is None or account.due_on is None or account.due_on > through:
                break
            now = datetime.combine(account.due_on, time(10), ZONE)
            for due in Due:
                points.bring_up_to_date(house.table, book, life.person.member_id, due, now=now)


def _start_jobs_after(house: House, through: date) -> None:
    """Have the jobs' schedules go on from the history's end. Birthdays start today: gifts are given while one looks."""
    for job in Job:
        if job is not Job.BIRTHDAY and find_head(house.ops, job) is None:
            house.ops.commit([advance_head(job, None, through)], keyed=True)


# ---------------------------------------------------------------- one member


class _Member:
    """Carries out what one member does."""

    def __init__(self, house: House, book: ProgramBook, person: Person) -> None:
        self._house = house
        self._book = book
        self._person = person
        self._member_id = person.member_id

    def live(self, events: Sequence[Event]) -> None:
        """Enrol them, then everything else in order. Closing comes last, so who is closed has nothing left to do."""
        account = points_store.find_account(self._house.table, self._member_id)
        if account is not None and account.status is AccountStatus.CLOSED:
            return
        self._enrol()
        for event in events:
            with suppress(PointsInsufficient, MemberSuspended):  # as happens at tills; the history only plans
                self._do(event)

    def _enrol(self) -> None:
        command = EnrolMember.model_validate(self._person.enrolment, strict=False)
        members.enrol_member(
            self._house.table,
            self._house.keyring,
            self._book,
            command,
            key=f"demo-{self._person.index}",
            draw=lambda: chance(self._person.index),
            now=self._person.joined_at,
            language=_ZH,
        )

    def _do(self, event: Event) -> None:
        table, book, now = self._house.table, self._book, event.at
        who = (table, self._house.keyring, book, self._member_id)
        match event.deed:
            case Deed.BUY:
                body = {**event.body, "member": {"member_id": self._member_id}}
                bought = RecordPurchase.model_validate(body, strict=False)
                record_purchase(table, self._house.keyring, book, bought, now=now, language=_ZH)
            case Deed.SPEND:
                spent = SpendPoints(**event.body)
                points.spend_points(table, book, self._member_id, event.key, spent, now=now, language=_ZH)
            case Deed.ADJUST:
                adjusted = AdjustPoints(**event.body)
                points.adjust_points(table, book, self._member_id, event.key, adjusted, now=now, language=_ZH)
            case Deed.SUSPEND:
                members.change_status(*who, SuspendMember(**event.body), now=now, language=_ZH)
            case Deed.REINSTATE:
                members.change_status(*who, ReinstateMember(**event.body), now=now, language=_ZH)
            case Deed.CLOSE:
                close_owner(*who, CloseMember(**event.body), now=now, language=_ZH)


# ---------------------------------------------------------------- telling


def _show_samples(house: House, lives: Sequence[Life]) -> None:
    """Three members for a newcomer to look up: from the top, the middle and the bottom of the ladder."""
    book = ProgramBook(house.table)
    now = utc_now()
    shown: dict[str, MemberView] = {}
    for life in lives:
        view = members.find_member(
            house.table, house.keyring, book, life.person.member_id, now=now, language=Language.ZH
        )
        if view.status is AccountStatus.ACTIVE and view.mobile and view.points.available:
            shown.setdefault(view.tier.tier_id, view)
        if len(shown) == len(book.current(now).ladder.tiers):
            break
    print("Three members to look up:")
    for tier_id in [tier_id for tier_id in ("diamond", "gold", "silver", "basic") if tier_id in shown][:3]:
        view = shown[tier_id]
        print(
            f"  {view.name}  number {view.member_number}  mobile {view.mobile}  "
            f"{view.tier.name} ({tier_id})  {view.points.available:,} points"
        )
