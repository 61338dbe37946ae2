"""Use cases of reach: suppress an address, lift that, opt out by reply; and the question that all who send ask."""

import contextlib
from collections.abc import Collection
from datetime import datetime

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import MemberId, SuppressionId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members import rules as members_rules
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.members.errors import MemberMoved, MobileInvalid
from chalicelib.members.models import ConsentSource, Profile, ReachWhy, Witness
from chalicelib.points.errors import MemberClosed, MemberErased, MemberUnknown
from chalicelib.points.models import AccountStatus
from chalicelib.programs.service import ProgramBook
from chalicelib.reach import rules, store
from chalicelib.reach.errors import AddressInvalid, SuppressionUnknown
from chalicelib.reach.models import (
    KINDS,
    Barred,
    LiftSuppression,
    Reach,
    Replied,
    ReplyDone,
    ReplySaid,
    SuppressAddress,
    SuppressedChannel,
    Suppression,
    SuppressionReason,
    SuppressionSource,
)
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.vault import KeyMoved
from chalicelib.storage.writes import Item, Write

ATTEMPTS_MAX = 8
REPLY_TEXT = "opt-out-reply"
_MOVED = (store.SuppressionMoved, MemberMoved, KeyMoved)
"""What is decided anew: somebody else wrote at the same moment."""
_REPLY = Witness(ConsentSource.REPLY, "reply", told=False)


# ---------------------------------------------------------------- the question


def find_reach(table: Table, keyring: Keyring, member_id: MemberId, purpose: str, channel: ContactChannel) -> Reach:
    """Whether a member may be written to now, and where; read afresh and consistently."""
    return find_reaches(table, keyring, [member_id], purpose, channel)[member_id]


def find_reaches(
    table: Table, keyring: Keyring, member_ids: Collection[MemberId], purpose: str, channel: ContactChannel
) -> dict[MemberId, Reach]:
    """Whether members may be written to now, and where; all of them, read afresh and consistently.

    Who was merged into another is gone: whoever they are now is asked under their own id. What is read is what was
    acknowledged: an opt-out, a suppression or a changed address that somebody was answered is found.

    Raises:
        KeyMoved: a member's key was changed at this moment; ask again.
    """
    wanted = [key for each in member_ids for key in (keys.profile(each), keys.account(each))]
    items = table.get_many(wanted, consistent=True)
    known = {each: _opened(items, each, keyring) for each in member_ids}
    addresses = {
        each: members_store.suppressions_of(keyring, channel, found[0].address(channel))
        for each, found in known.items()
        if found
    }
    suppressed = members_store.find_suppressed(table, {key for each in addresses.values() for key in each})
    return {
        each: _reach(each, found, purpose, channel, barred=any(key in suppressed for key in addresses.get(each, ())))
        for each, found in known.items()
    }


def _opened(items: dict[Key, Item], member_id: MemberId, keyring: Keyring) -> tuple[Profile, AccountStatus] | None:
    profile, account = items.get(keys.profile(member_id)), items.get(keys.account(member_id))
    if profile is None or account is None or members_store.is_erased(profile):
        return None
    return members_store.profile_from(profile, keyring), AccountStatus(account["status"])


def _reach(
    member_id: MemberId,
    found: tuple[Profile, AccountStatus] | None,
    purpose: str,
    channel: ContactChannel,
    *,
    barred: bool,
) -> Reach:
    if found is None:
        return Reach(member_id, barred=Barred.GONE)
    profile, status = found
    why = rules.barred(profile, status, purpose, channel, suppressed=barred)
    return Reach(member_id, None if why else profile.address(channel), why, profile)


# ---------------------------------------------------------------- suppressions


def suppress_address(
    table: Table, keyring: Keyring, book: ProgramBook, command: SuppressAddress, *, by: str, now: datetime
) -> Outcome[Suppression]:
    """See that an address is not written to any more. What is so already changes nothing.

    Raises:
        AddressInvalid: nobody has such an address.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    channel = ContactChannel(command.channel.value)
    address = normal_address(book, channel, command.address, now=now)
    return suppress(
        table, keyring, channel, address, SuppressionReason(command.reason_code), SuppressionSource.STAFF,
        by=by, now=now, dry_run=command.dry_run,
    )  # fmt: skip


def suppress(
    table: Table,
    keyring: Keyring,
    channel: ContactChannel,
    address: str,
    reason: SuppressionReason,
    source: SuppressionSource,
    *,
    by: str,
    now: datetime,
    happened_at: datetime | None = None,
    dry_run: bool = False,
) -> Outcome[Suppression]:
    """See that an address is not written to any more: by staff, a receipt, or a reply.

    Whoever has the address says so in their profile, and is put into the log of changes, in the same transaction. Again
    changes nothing, but sees to it that this is so of whoever took the address at the same moment.

    Args:
        address: as `normal_address` spells it.
        happened_at: when it bounced, or was complained of; what was lifted later stays lifted. None: now.

    Raises:
        AddressInvalid: the channel has no addresses of its own.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    found = members_store.suppressions_of(keyring, channel, address)
    if not found:
        raise AddressInvalid(channel=channel.value)
    key, at = found[0], from_milliseconds(milliseconds(now))
    for _ in range(ATTEMPTS_MAX):
        before = store.find_suppression(table, key)
        outlived = before and before.lifted_at and happened_at and happened_at <= before.lifted_at
        if before is not None and (before.lifted_at is None or outlived):
            if not dry_run:
                _settle(table, keyring, key, None, now)
            return Outcome(before, replayed=True)
        after = Suppression(
            suppression_id=keys.suppression_id(key), channel=SuppressedChannel(channel.value), reason_code=reason,
            source=source, suppressed_at=at, by=by, version=before.version + 1 if before else 1,
        )  # fmt: skip
        if dry_run:
            return Outcome(after, stored=False)
        copies = [store.put_suppression(each, store.find_suppression(table, each), after) for each in found[1:]]
        try:
            holder = _holder_under(table, key)
            said = _said_by(table, keyring, key, holder, suppressed=True)
            table.commit([store.put_suppression(key, before, after), *copies, *said, *_noted(holder, now)])
        except _MOVED:
            continue
        _settle(table, keyring, key, holder, now)
        return Outcome(after)
    raise WriteContended


def lift_suppression(
    table: Table, keyring: Keyring, suppression_id: SuppressionId, command: LiftSuppression, *, by: str, now: datetime
) -> Outcome[Suppression]:
    """See that an address may be written to again, as far as its member consents. Again changes nothing.

    Raises:
        SuppressionUnknown: there is none of that id.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    key = keys.suppression_of(suppression_id)
    for _ in range(ATTEMPTS_MAX):
        before = store.find_suppression(table, key) if key is not None else None
        if key is None or before is None:
            raise SuppressionUnknown(suppression_id=suppression_id)
        if before.lifted_at is not None:
            if not command.dry_run:
                _settle(table, keyring, key, None, now)
            return Outcome(before, replayed=True)
        after = before.model_copy(
            update={"lifted_at": from_milliseconds(milliseconds(now)), "by": by, "version": before.version + 1}
        )
        if command.dry_run:
            return Outcome(after, stored=False)
        try:
            holder = _holder_under(table, key)
            said = _said_by(table, keyring, key, holder, suppressed=False)
            table.commit([store.put_suppression(key, before, after), *said, *_noted(holder, now)])
        except _MOVED:
            continue
        _settle(table, keyring, key, holder, now)
        return Outcome(after)
    raise WriteContended


def find_suppression(table: Table, suppression_id: SuppressionId) -> Suppression:
    """An address that is not written to.

    Raises:
        SuppressionUnknown: there is none of that id.
    """
    key = keys.suppression_of(suppression_id)
    found = store.find_suppression(table, key) if key is not None else None
    if found is None:
        raise SuppressionUnknown(suppression_id=suppression_id)
    return found


def list_suppressions(table: Table, *, after: str | None, limit: int) -> Slice[Suppression]:
    """A page of addresses that are not written to, the latest first."""
    found, last = store.list_suppressions(table, after=after, limit=limit)
    return Slice(found, last)


def copy_suppression(table: Table, keyring: Keyring, kind: str, value: str) -> None:
    """While the index key is being replaced: that an identifier is not written to holds under the other key, too."""
    of = rules.written_by(kind, value)
    places = members_store.suppressions_of(keyring, *of) if of is not None else []
    known = {each: store.find_suppression(table, each) for each in places}
    holds = next((each for each in known.values() if each is not None and each.lifted_at is None), None)
    for key, found in known.items():
        if holds is not None and found is None:
            copied = holds.model_copy(update={"suppression_id": keys.suppression_id(key), "version": 1})
            with contextlib.suppress(store.SuppressionMoved):
                table.commit([store.put_suppression(key, None, copied)])


def normal_address(book: ProgramBook, channel: ContactChannel, address: str, *, now: datetime) -> str:
    """An address in the one spelling in which members have it. Providers leave the + of a number out.

    Raises:
        AddressInvalid: nobody has such an address.
    """
    if channel is ContactChannel.EMAIL:
        plain = members_rules.email_address(address.strip())
        if plain.count("@") != 1 or plain[0] == "@" or plain[-1] == "@":
            raise AddressInvalid(channel=channel.value)
        return plain
    if channel is ContactChannel.SMS:
        country, digits = book.current(now).country, address.strip()
        for each in (digits, f"+{digits.lstrip('+0')}"):
            try:
                return members_rules.mobile_number(each, country)
            except MobileInvalid:
                continue
        raise AddressInvalid(channel=channel.value)
    if channel not in KINDS:
        raise AddressInvalid(channel=channel.value)
    return address.strip()


def _noted(holder: MemberId | None, now: datetime) -> list[Write]:
    return [members_store.note_reach(holder, ReachWhy.SUPPRESSION, at=now)] if holder is not None else []


def _said_by(table: Table, keyring: Keyring, key: Key, holder: MemberId | None, *, suppressed: bool) -> list[Write]:
    """The write of the profile of who has an address, where it says otherwise than is so; none where it does not.

    Nor where the member is found by it, but written to elsewhere: it came with another who was merged into them.

    Raises:
        KeyMoved: the member's key was changed at this moment; ask again.
    """
    item, account = members_store.find_items(table, holder, consistent=True) if holder is not None else (None, None)
    if item is None or account is None or members_store.is_erased(item):
        return []
    if account["status"] not in (AccountStatus.ACTIVE, AccountStatus.SUSPENDED):
        return []
    profile, channel = members_store.profile_from(item, keyring), _channel_of(key)
    is_theirs = key in members_store.suppressions_of(keyring, channel, profile.address(channel))
    if not is_theirs or (channel in profile.suppressed) is suppressed:
        return []
    return [members_store.say_suppressed(item, {*profile.suppressed} ^ {channel})]


def _settle(table: Table, keyring: Keyring, key: Key, known: MemberId | None, now: datetime) -> None:
    """See that who has an address by now says what is so of it.

    Whoever took it while it was suppressed or lifted had asked before, and was not looked up in time.

    Args:
        known: who had it, and was written with it.

    Raises:
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        try:
            holder = _holder_under(table, key)
            if holder in (None, known):
                return
            kept = store.find_suppression(table, key)
            assert kept is not None, "a suppression that was lifted is kept, too"
            said = _said_by(table, keyring, key, holder, suppressed=kept.lifted_at is None)
            if not said:
                return
            same = store.put_suppression(key, kept, kept.model_copy(update={"version": kept.version + 1}))
            table.commit([same, *said, *_noted(holder, now)])
        except _MOVED:
            continue
        return
    raise WriteContended


def _holder_under(table: Table, key: Key) -> MemberId | None:
    """The member who has the address under whose blind index something stands."""
    _, _, blind = keys.parted(key.pk)
    return members_store.find_holder_of(table, KINDS[_channel_of(key)], blind)


def _channel_of(key: Key) -> ContactChannel:
    return ContactChannel(keys.parted(key.pk)[1])


# ---------------------------------------------------------------- replies


def opted_out_by_reply(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    number: str,
    words: str,
    *,
    now: datetime,
    channel: ContactChannel = ContactChannel.SMS,
    by: str = "reply",
) -> Replied:
    """Do what a reply to one of our messages asks for, where it asks to get no more. Again changes nothing.

    When it is answered it holds: who plans or sends afterwards finds it.

    Args:
        number: who replied: a mobile number as the provider spells it, or an openid.
        by: the provider, for the record.

    Raises:
        WriteContended: other writes kept getting there first; do it again.
    """
    said = rules.meant(words)
    if said is None:
        return Replied(ReplyDone.NOT_UNDERSTOOD)
    try:
        address = normal_address(book, channel, number, now=now)
    except AddressInvalid:
        return Replied(ReplyDone.NOT_UNDERSTOOD)
    of = members_rules.identifier_of(channel, address)
    holder = members_store.find_holder(table, keyring, *of, consistent=True) if of else None
    if holder is not None and _withdraw(table, keyring, book, holder, said, channel, now):
        return Replied(ReplyDone.WITHDRAWN, holder)
    reason, source = SuppressionReason.OPTED_OUT, SuppressionSource.REPLY
    suppress(table, keyring, channel, address, reason, source, by=by, now=now)
    return Replied(ReplyDone.SUPPRESSED)


def _withdraw(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    said: ReplySaid,
    channel: ContactChannel,
    now: datetime,
) -> bool:
    """Withdraw what a reply ends; False where there is no member any more."""
    try:
        known = members.find_consents(table, keyring, member_id).consents
        withdrawn = rules.withdrawn_by(known, said, channel, REPLY_TEXT)
        members.say_all_consents(table, keyring, book, member_id, withdrawn, now=now, witness=_REPLY)
    except (MemberUnknown, MemberErased, MemberClosed):
        return False
    return True
