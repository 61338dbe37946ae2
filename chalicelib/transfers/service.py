"""Use cases of transfers: offer, accept, cancel, decline, read them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.holds.rules import end_key, live, release, timed_out
from chalicelib.identity.models import Owner
from chalicelib.kernel.ids import MemberId, TransferId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members.models import MemberRef
from chalicelib.members.service import find_member_id, require_settled
from chalicelib.points import store as points_store
from chalicelib.points.errors import EntryDiffers, MemberUnknown
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason
from chalicelib.points.service import content_digest, once, once_among
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write
from chalicelib.transfers import rules, store
from chalicelib.transfers.errors import RecipientUnknown, TransferOver, TransferUnknown
from chalicelib.transfers.models import (
    AcceptTransfer,
    CancelTransfer,
    DeclineTransfer,
    OfferTransfer,
    Side,
    TransferStatus,
    TransferView,
)


def offer_transfer(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    key: str,
    command: OfferTransfer,
    *,
    now: datetime,
    by_member: bool = False,
) -> Outcome[TransferView]:
    """Offer points of a member to another one: they are held, with the fee.

    Args:
        by_member: the member offers them, signed in.

    Raises:
        ContactChangedLately: the number by which the member signs in is a new one.
        RecipientUnknown: nobody is a member by the identifier.
        MobileInvalid, MemberNumberWrong: nobody can have it.
        MemberUnknown, MemberSuspended, MemberClosed: giver or receiver takes no commands.
        TransfersOff, TransferToSelf, TransferTooSmall, TransferTooLarge, TransferLimitReached: as they say.
        PointsInsufficient, HoldsTooMany: there are not so many points, or too many holds.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    program = book.current(now)
    offer_key = rules.key_of(key)
    to = find_member_id(table, keyring, command.to, program, consistent=True)
    if to is None:
        return _offered_before(table, offer_key, member_id, command)
    content = _content(member_id, to, command)

    def decide(accounts: Sequence[Account]) -> tuple[TransferView, Sequence[Write]]:
        giver, receiver = accounts
        if by_member:
            require_settled(table, MemberId(giver.member_id), now=now)
        posting = rules.offer(giver, receiver, command.points, offer_key, program, content=content, now=now)
        more = {"to": to, "msg": command.message}
        writes = [*points_store.post(giver, posting, more=more), *store.listing(posting.main, receiver.member_id)]
        return _view(posting.main, more), writes

    def recall(item: Item) -> TransferView:
        return _recalled(item, content, offer_key)

    return once_among(
        table, book, (member_id, to), offer_key, decide=decide, recall=recall, now=now, dry_run=command.dry_run
    )


def accept_transfer(
    table: Table, book: ProgramBook, transfer_id: TransferId, command: AcceptTransfer, *, now: datetime
) -> Outcome[TransferView]:
    """Give the receiver the points that were offered: both accounts in one transaction.

    Raises:
        TransferUnknown: there is no such transfer.
        TransferOver: it ended before: it was cancelled or declined, or it timed out.
        TransferUncovered: the points have expired or were taken back since.
        TransferToSelf: giver and receiver have come to be one member.
        MemberSuspended, MemberClosed: giver or receiver takes no commands.
        BalanceTooLarge: the receiver would hold too many points.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    item, offer = _load(table, transfer_id)
    content = content_digest(offer.member_id, command, transfer_id=transfer_id, ends="accept")
    program = book.current(now)

    def decide(accounts: Sequence[Account]) -> tuple[TransferView, Sequence[Write]]:
        giver, receiver = accounts
        held = live(giver, offer.key, program, now=now)
        if held is None:
            raise _timed_out(offer)
        out, into = rules.accept(giver, receiver, held, offer, program, content=content, now=now)
        sent = points_store.post(giver, out, more={"to": receiver.member_id})
        received = points_store.post(receiver, into, more={"from": giver.member_id})
        return _ended(_view(offer, item), out.main), [*sent, *received]

    def recall(end: Item) -> TransferView:
        view = _ended(_view(offer, item), points_store.entry_from(end))
        if view.status is not TransferStatus.ACCEPTED:
            raise _over(view)
        return view

    return once_among(
        table, book, (MemberId(offer.member_id), MemberId(item["to"])), end_key(offer.key),
        decide=decide, recall=recall, now=now, dry_run=command.dry_run,
    )  # fmt: skip


def end_transfer(
    table: Table,
    book: ProgramBook,
    transfer_id: TransferId,
    command: CancelTransfer | DeclineTransfer,
    *,
    now: datetime,
) -> Outcome[TransferView]:
    """Take an offer back, or decline it: the giver's points are free at once.

    What came to nothing because its time was over is answered as it is: nothing else was asked for.

    Raises:
        TransferUnknown: there is no such transfer.
        TransferOver: it was accepted, or ended by the other of the two.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    item, offer = _load(table, transfer_id)
    cancels = isinstance(command, CancelTransfer)
    status = TransferStatus.CANCELLED if cancels else TransferStatus.DECLINED
    content = content_digest(offer.member_id, command, transfer_id=transfer_id, ends=status.value)
    program = book.current(now)

    def decide(account: Account) -> tuple[TransferView, Sequence[Write]]:
        held = live(account, offer.key, program, now=now)
        posting: Posting | None
        if held is not None:
            posting = release(account, held, program, content=content, now=now, reason_code=status.value)
        else:
            posting = timed_out(account, offer.key, program, now=now)
        if posting is None:
            raise _timed_out(offer)
        return _ended(_view(offer, item), posting.main), points_store.post(account, posting)

    def recall(end: Item) -> TransferView:
        view = _ended(_view(offer, item), points_store.entry_from(end))
        if view.status not in (status, TransferStatus.TIMED_OUT):
            raise _over(view)
        return view

    return once(
        table, book, offer.member_id, end_key(offer.key),
        decide=decide, recall=recall, now=now, dry_run=command.dry_run,
    )  # fmt: skip


def find_transfer(table: Table, transfer_id: TransferId, *, now: datetime) -> TransferView:
    """A transfer, and what became of it by now.

    Raises:
        TransferUnknown: there is no such transfer.
    """
    item, offer = _load(table, transfer_id)
    end = store.find(table, end_key(offer.key), consistent=True)
    return _as_of(_view(offer, item), end, now)


def owner_of(table: Table, transfer_id: TransferId, sides: Collection[Side]) -> Owner | None:
    """Who stands on some sides of a transfer; None when there is none."""
    try:
        item, offer = _load(table, transfer_id)
    except TransferUnknown:
        return None
    members = {Side.GIVER: offer.member_id, Side.RECEIVER: MemberId(item["to"])}
    return Owner(frozenset(members[side] for side in sides))


def list_transfers(
    table: Table, member_id: MemberId, *, after: str | None, limit: int, now: datetime
) -> Slice[TransferView]:
    """A page of the transfers that a member sent and received, newest first.

    Raises:
        MemberUnknown: there is no such member.
    """
    found, last = store.list_rows(table, member_id, after=after, limit=limit)
    if not found and after is None and points_store.find_account(table, member_id, consistent=True) is None:
        raise MemberUnknown(member_id=member_id)
    offers = [rules.key_of(key) for key in found]
    items = store.find_many(table, [*offers, *map(end_key, offers)])
    listed = [(key, items[key]) for key in offers if key in items]
    views = (_as_of(_view(points_store.entry_from(item), item), items.get(end_key(key)), now) for key, item in listed)
    return Slice(tuple(views), last)


def _offered_before(table: Table, key: EntryKey, member_id: MemberId, command: OfferTransfer) -> Outcome[TransferView]:
    """The answer when nobody is found by the identifier now: the receiver may have had it when it was offered.

    Raises:
        RecipientUnknown: it was not offered before either.
        EntryDiffers: something else was, with this key.
    """
    item = points_store.find_entry(table, key)
    if item is None:
        raise RecipientUnknown(field=next(iter(command.to.model_dump(exclude_none=True))))
    return Outcome(_recalled(item, _content(member_id, MemberId(item["to"]), command), key), replayed=True)


def _recalled(item: Item, content: bytes, key: EntryKey) -> TransferView:
    if item.get("d") != content:
        raise EntryDiffers(key=key.parts[0])
    return _view(points_store.entry_from(item), item)


def _content(member_id: MemberId, to: MemberId, command: OfferTransfer) -> bytes:
    """The digest of an offer: the same receiver named by mobile number and by id is the same offer."""
    return content_digest(member_id, command.model_copy(update={"to": MemberRef(member_id=to)}))


def _load(table: Table, transfer_id: TransferId) -> tuple[Item, Entry]:
    own = keys.transfer_key(transfer_id)
    key = rules.key_of(own) if own is not None else None
    item = (store.find(table, key) or store.find(table, key, consistent=True)) if key is not None else None
    if item is None:
        raise TransferUnknown(transfer_id=transfer_id)
    return item, points_store.entry_from(item)


def _timed_out(offer: Entry) -> TransferOver:
    assert offer.held_until is not None
    transfer_id, at = keys.transfer_id(*offer.key.parts), offer.held_until.isoformat()
    return TransferOver(transfer_id=transfer_id, status=TransferStatus.TIMED_OUT.value, ended_at=at)


def _over(view: TransferView) -> TransferOver:
    at = (view.ended_at or view.expires_at).isoformat()
    return TransferOver(transfer_id=view.transfer_id, status=view.status.value, ended_at=at)


def _view(offer: Entry, stored: Mapping[str, Any]) -> TransferView:
    """A transfer as callers see it when it is offered.

    Args:
        stored: what is kept beside the offer's entry.
    """
    assert offer.held_until is not None
    points, fee = rules.offered(offer)
    return TransferView(
        transfer_id=keys.transfer_id(*offer.key.parts),
        from_member_id=MemberId(offer.member_id),
        to_member_id=MemberId(stored["to"]),
        status=TransferStatus.PENDING,
        points=points,
        fee_points=fee,
        message=stored.get("msg"),
        offered_at=offer.occurred_at,
        expires_at=offer.held_until,
        seq=offer.seq,
        hash=offer.hash.hex(),
    )


def _as_of(view: TransferView, end: Item | None, now: datetime) -> TransferView:
    if end is not None:
        return _ended(view, points_store.entry_from(end))
    if view.expires_at > now:
        return view
    return view.model_copy(update={"status": TransferStatus.TIMED_OUT, "ended_at": view.expires_at})


def _ended(view: TransferView, end: Entry) -> TransferView:
    accepted = end.reason is Reason.TRANSFER
    status = TransferStatus.ACCEPTED if accepted else TransferStatus(end.reason_code or "")
    return view.model_copy(update={"status": status, "ended_at": end.occurred_at})
