"""Use cases of holds: reserve, capture, release, read them."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib.holds import rules, store
from chalicelib.holds.errors import HoldOver, HoldUnknown
from chalicelib.holds.models import (
    CaptureHold,
    Hold,
    HoldEnd,
    HoldList,
    HoldPoints,
    HoldStatus,
    HoldView,
    ReleaseHold,
)
from chalicelib.identity.models import Owner
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.ids import HoldId, MemberId, PurchaseId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import fold
from chalicelib.points import store as points_store
from chalicelib.points.errors import AccountMoved, EntryDiffers, MemberUnknown
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason
from chalicelib.points.rules import ledger
from chalicelib.points.service import content_digest, once
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write


def hold_points(
    table: Table, book: ProgramBook, member_id: MemberId, key: str, command: HoldPoints, *, now: datetime
) -> Outcome[HoldView]:
    """Reserve points of a member for a checkout.

    Raises:
        MemberUnknown, MemberSuspended, MemberClosed: there is no account that takes commands.
        PointsInsufficient, HoldsTooMany: there are not so many points, or too many holds.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    hold_key = rules.key_of(key)
    content = content_digest(member_id, command)
    program = book.current(now)

    def decide(account: Account) -> tuple[HoldView, Sequence[Write]]:
        posting = rules.hold(account, command, hold_key, program, content=content, now=now)
        writes = points_store.post(account, posting, more={"rf": command.reference})
        return _view(posting.main, command.reference), writes

    def recall(item: Item) -> HoldView:
        entry = points_store.entry_from(item)
        if entry.content != content:
            raise EntryDiffers(key=key)
        return _view(entry, item.get("rf"))

    return once(table, book, member_id, hold_key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)


def capture_hold(
    table: Table, book: ProgramBook, hold_id: HoldId, command: CaptureHold, *, now: datetime
) -> Outcome[HoldView]:
    """Spend points that are held, all or part; the rest is free at once. The hold's own key makes it happen once.

    Raises:
        HoldUnknown: there is no such hold.
        CaptureTooLarge: fewer points are held.
        HoldOver: it ended before: it was released, timed out, or another capture took it.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    item, entry = _load(table, hold_id)
    content = content_digest(entry.member_id, command, hold_id=hold_id, ends="capture")
    program = book.current(now)

    def decide(account: Account) -> tuple[HoldView, Sequence[Write]]:
        held = rules.live(account, entry.key, program, now=now)
        if held is None:
            raise _over(entry, HoldStatus.TIMED_OUT)
        posting = rules.capture(account, held, command.points, program, content=content, now=now)
        return _ended(item, entry, posting, account)

    def recall(end: Item) -> HoldView:
        if end.get("d") != content:
            raise _over_by(entry, end)
        return _view(entry, item.get("rf"), end)

    return once(
        table, book, entry.member_id, rules.end_key(entry.key),
        decide=decide, recall=recall, now=now, dry_run=command.dry_run,
    )  # fmt: skip


def release_hold(
    table: Table, book: ProgramBook, hold_id: HoldId, command: ReleaseHold, *, now: datetime
) -> Outcome[HoldView]:
    """Give points free that are held.

    What timed out is free already, which is what was asked for: the answer says `timed_out`, and that is booked.

    Raises:
        HoldUnknown: there is no such hold.
        HoldOver: its points were captured.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    item, entry = _load(table, hold_id)
    content = content_digest(entry.member_id, command, hold_id=hold_id, ends="release")
    program = book.current(now)

    def decide(account: Account) -> tuple[HoldView, Sequence[Write]]:
        held = rules.live(account, entry.key, program, now=now)
        if held is not None:
            posting = rules.release(account, held, program, content=content, now=now)
            return _ended(item, entry, posting, account)
        late = rules.timed_out(account, entry.key, program, now=now)
        if late is None:
            raise _over(entry, HoldStatus.TIMED_OUT)
        return _ended(item, entry, late, account)

    def recall(end: Item) -> HoldView:
        view = _view(entry, item.get("rf"), end)
        if view.status is HoldStatus.CAPTURED:
            raise _over_by(entry, end)
        return view

    return once(
        table, book, entry.member_id, rules.end_key(entry.key),
        decide=decide, recall=recall, now=now, dry_run=command.dry_run,
    )  # fmt: skip


def find_hold(table: Table, hold_id: HoldId, *, now: datetime) -> HoldView:
    """A hold, and what became of it by now.

    Raises:
        HoldUnknown: there is no such hold.
    """
    item, entry = _load(table, hold_id)
    end = store.find(table, rules.end_key(entry.key), consistent=True)
    return _view(entry, item.get("rf"), end, now=now)


def owner_of(table: Table, hold_id: HoldId) -> Owner | None:
    """Whose a hold is; None when there is none."""
    try:
        return Owner(frozenset({_load(table, hold_id)[1].member_id}))
    except HoldUnknown:
        return None


def list_open_holds(table: Table, member_id: MemberId, *, now: datetime) -> HoldList:
    """The holds of a member that are open, the first one over first.

    Raises:
        MemberUnknown: there is no such member.
    """
    account = points_store.find_account(table, member_id, consistent=True)
    if account is None:
        raise MemberUnknown(member_id=member_id)
    names = {name: hold.until for name, hold in account.holds.items() if hold.until > now}
    wanted = [ledger.hold_of(name) for name in sorted(names, key=lambda name: (names[name], name))]
    items = store.list_holds(table, [key for key in wanted if key.kind == rules.KIND])
    return HoldList(items=tuple(_view(points_store.entry_from(item), item.get("rf")) for item in items))


def require_live(table: Table, account: Account, hold_id: HoldId, program: Program, *, now: datetime) -> Hold:
    """The hold that a member's purchase is to be paid with.

    Only where it cannot be had is anything read: how it ended.

    Raises:
        HoldUnknown: the member has no such hold.
        HoldOver: it ended before.
        AccountMoved: the account as read does not know the hold yet.
    """
    key = _key(hold_id)
    held = rules.live(account, key, program, now=now)
    if held is not None:
        return held
    _, entry = _load(table, hold_id)
    if entry.member_id != account.member_id:
        raise HoldUnknown(hold_id=hold_id)
    end = store.find(table, rules.end_key(key), consistent=True)
    if end is not None:
        raise _over_by(entry, end)
    if rules.over(account, key) is not None:
        raise _over(entry, HoldStatus.TIMED_OUT)
    raise AccountMoved


def _key(hold_id: HoldId) -> EntryKey:
    own = keys.hold_key(hold_id)
    if own is None:
        raise HoldUnknown(hold_id=hold_id)
    return rules.key_of(own)


def _load(table: Table, hold_id: HoldId) -> tuple[Item, Entry]:
    key = _key(hold_id)
    item = store.find(table, key) or store.find(table, key, consistent=True)
    if item is None:
        raise HoldUnknown(hold_id=hold_id)
    return item, points_store.entry_from(item)


def _ended(item: Item, entry: Entry, posting: Posting, account: Account) -> tuple[HoldView, Sequence[Write]]:
    """The answer that a hold's end gives, and its writes."""
    more = {"rf": item.get("rf")} if posting.main.content is not None else {}
    writes = points_store.post(account, posting, more=more)
    return _ended_view(_view(entry, item.get("rf")), posting.main), writes


def _over_by(entry: Entry, end: Item) -> HoldOver:
    view = _view(entry, None, end)
    assert view.end is not None
    return _over(entry, view.status, view.end, view.captured_points)


def _over(entry: Entry, status: HoldStatus, end: HoldEnd | None = None, captured: int = 0) -> HoldOver:
    at = end.at if end is not None else _until(entry)
    return HoldOver(
        hold_id=keys.hold_id(entry.key.parts[0]),
        status=status.value,
        ended_at=at.isoformat(),
        captured_points=captured,
        purchase_id=end.purchase_id if end is not None else None,
    )


def _until(entry: Entry) -> datetime:
    assert entry.held_until is not None
    return entry.held_until


def _view(entry: Entry, reference: str | None, end: Item | None = None, *, now: datetime | None = None) -> HoldView:
    """A hold as callers see it.

    Args:
        end: what ended it.
        now: without an end it is over by now, or it is not.
    """
    view = HoldView(
        hold_id=keys.hold_id(entry.key.parts[0]),
        member_id=MemberId(entry.member_id),
        status=HoldStatus.HELD,
        points=entry.held or 0,
        reference=reference,
        held_at=entry.occurred_at,
        held_until=_until(entry),
        seq=entry.seq,
        hash=entry.hash.hex(),
    )
    if end is None:
        if now is None or _until(entry) > now:
            return view
        return view.model_copy(update={"status": HoldStatus.TIMED_OUT, "end": HoldEnd(at=_until(entry))})
    if "pu" not in end:
        return _ended_view(view, points_store.entry_from(end))
    purchase_id = PurchaseId(end["pu"])
    paid = HoldEnd(
        at=from_milliseconds(end["o"]),
        purchase_id=purchase_id,
        entry_id=keys.purchase_entry_id(purchase_id),
        seq=end["n"],
        balance_after=end["b"],
        hash=end["h"].hex(),
    )
    return view.model_copy(update={"status": HoldStatus.CAPTURED, "captured_points": end["c"], "end": paid})


def _ended_view(view: HoldView, end: Entry) -> HoldView:
    timed_out = end.reason_code == fold.TIMED_OUT
    status = HoldStatus.TIMED_OUT if timed_out else HoldStatus.RELEASED
    ended = HoldEnd(
        at=end.occurred_at,
        entry_id=keys.entry_id(points_store.key_of(end.key)),
        seq=end.seq,
        balance_after=end.balance_after - (end.lapsed or 0),
        hash=end.hash.hex(),
    )
    return view.model_copy(
        update={
            "status": HoldStatus.CAPTURED if end.reason is Reason.SPEND else status,
            "captured_points": end.consumed or 0,
            "end": ended,
        }
    )
