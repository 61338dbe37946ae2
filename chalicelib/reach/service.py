"""Use cases of reach: suppress an address, lift that, opt out by reply; and the question that all who send ask."""

from collections.abc import Collection, Sequence
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
from chalicelib.members.errors import MobileInvalid
from chalicelib.members.models import ConsentSource, Profile, ReachWhy, SayConsents, Witness
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
from chalicelib.storage.writes import Item, Write

ATTEMPTS_MAX = 8
REPLY_TEXT = "opt-out-reply"
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
        each: _suppressions(keyring, channel, found[0].address(channel)) for each, found in known.items() if found
    }
    suppressed = store.find_suppressed(table, {key for each in addresses.values() for key in each})
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


def _suppressions(keyring: Keyring, channel: ContactChannel, address: str | None) -> list[Key]:
    """Where it stands that an address is not written to; in two places while the index key is being replaced."""
    of = rules.identifier(channel, address) if address is not None else None
    if of is None:
        return []
    blinds = [keyring.blind(*of), *keyring.blinds_beside(*of)]
    return [keys.suppression(channel.value, blind) for blind in blinds]


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

    Whoever has the address is put into the log of changes in the same transaction.

    Args:
        address: as `normal_address` spells it.
        happened_at: when it bounced, or was complained of; what was lifted later stays lifted. None: now.

    Raises:
        AddressInvalid: the channel has no addresses of its own.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    found = _suppressions(keyring, channel, address)
    of = rules.identifier(channel, address)
    if not found or of is None:
        raise AddressInvalid(channel=channel.value)
    key, at = found[0], from_milliseconds(milliseconds(now))
    for _ in range(ATTEMPTS_MAX):
        before = store.find_suppression(table, key)
        outlived = before and before.lifted_at and happened_at and happened_at <= before.lifted_at
        if before is not None and (before.lifted_at is None or outlived):
            return Outcome(before, replayed=True)
        after = Suppression(
            suppression_id=keys.suppression_id(key), channel=SuppressedChannel(channel.value), reason_code=reason,
            source=source, suppressed_at=at, by=by, version=before.version + 1 if before else 1,
        )  # fmt: skip
        if dry_run:
            return Outcome(after, stored=False)
        holder = members_store.find_holder(table, keyring, *of, consistent=True)
        copies = [store.put_suppression(each, store.find_suppression(table, each), after) for each in found[1:]]
        try:
            table.commit([store.put_suppression(key, before, after), *copies, *_noted([holder], now)])
        except store.SuppressionMoved:
            continue
        _note_later_holder(table, [members_store.find_holder(table, keyring, *of, consistent=True)], holder, now)
        return Outcome(after)
    raise WriteContended


def lift_suppression(
    table: Table, suppression_id: SuppressionId, command: LiftSuppression, *, by: str, now: datetime
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
            return Outcome(before, replayed=True)
        after = before.model_copy(
            update={"lifted_at": from_milliseconds(milliseconds(now)), "by": by, "version": before.version + 1}
        )
        if command.dry_run:
            return Outcome(after, stored=False)
        holder = _holder_under(table, key)
        try:
            table.commit([store.put_suppression(key, before, after), *_noted([holder], now)])
        except store.SuppressionMoved:
            continue
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


def _noted(holders: Sequence[MemberId | None], now: datetime) -> list[Write]:
    return [members_store.note_reach(each, ReachWhy.SUPPRESSION, at=now) for each in holders if each is not None]


def _note_later_holder(table: Table, holders: Sequence[MemberId | None], known: MemberId | None, now: datetime) -> None:
    """Note who took the address while it was being suppressed, and was not looked up in time."""
    later = [each for each in holders if each not in (None, known)]
    if later:
        table.commit(_noted(later, now))


def _holder_under(table: Table, key: Key) -> MemberId | None:
    """The member who has the address under whose blind index something stands."""
    _, channel, blind = keys.parted(key.pk)
    return members_store.find_holder_of(table, KINDS[ContactChannel(channel)], blind)


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
) -> ReplyDone:
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
        return ReplyDone.NOT_UNDERSTOOD
    try:
        address = normal_address(book, channel, number, now=now)
    except AddressInvalid:
        return ReplyDone.NOT_UNDERSTOOD
    of = rules.identifier(channel, address)
    holder = members_store.find_holder(table, keyring, *of, consistent=True) if of else None
    if holder is not None and _withdraw(table, keyring, book, holder, said, channel, now):
        return ReplyDone.WITHDRAWN
    reason, source = SuppressionReason.OPTED_OUT, SuppressionSource.REPLY
    suppress(table, keyring, channel, address, reason, source, by=by, now=now)
    return ReplyDone.SUPPRESSED


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
        command = SayConsents(consents=rules.withdrawn_by(known, said, channel, REPLY_TEXT))
        members.say_consents(table, keyring, book, member_id, command, now=now, witness=_REPLY)
    except (MemberUnknown, MemberErased, MemberClosed):
        return False
    return True
