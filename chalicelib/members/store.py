"""How profiles and identifiers are stored."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AccountId, MemberId, MemberNumber, SessionId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.members.errors import MemberMoved
from chalicelib.members.events import MemberEnrolled
from chalicelib.members.models import (
    CONSENTS_MAX,
    BankCard,
    Consent,
    ConsentChange,
    ConsentSource,
    Contact,
    ContactChanged,
    ExternalId,
    FormerContact,
    Gender,
    OtherIdentifier,
    Profile,
    ReachChange,
    ReachWhy,
)
from chalicelib.members.rules import identifier_of, region_of
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Anyway, Count, Delete, Held, Item, Otherwise, Put, Unchanged, Write

_MISSES_KEPT = timedelta(days=1)
_LAST = "~"

LATE_BY = timedelta(minutes=2)
"""A change may stand in the log so long after the instant that it is stamped with: longer than any request takes."""

REACH_KEPT = timedelta(days=40)
"""For so long the log of changes is kept: longer than what was planned waits to be sent."""


class NumberTaken(Exception):
    """Chance gave a member number that is in use: draw another. Never leaves the service."""


class EnrolmentKnown(Exception):
    """The key was used for an enrolment before. Never leaves the service."""


# ---------------------------------------------------------------- reading


def find_items(table: Table, member_id: str, *, consistent: bool = False) -> tuple[Item | None, Item | None]:
    """A member's profile and account items, in one read."""
    items = table.query_partition(
        keys.member_partition(member_id), first="ACCOUNT", last="PROFILE", consistent=consistent
    )
    found = {item["sk"]: item for item in items}
    return found.get("PROFILE"), found.get("ACCOUNT")


def find_holder(table: Table, keyring: Keyring, kind: str, value: str, *, consistent: bool = False) -> MemberId | None:
    """The member who has an identifier, or None."""
    return find_holder_of(table, kind, keyring.blind(kind, value), consistent=consistent)


def find_holder_of(table: Table, kind: str, blind: str, *, consistent: bool = True) -> MemberId | None:
    """The member who has the identifier of a blind index, or None."""
    item = table.get(keys.unique(kind, blind), consistent=consistent)
    return MemberId(item["member_id"]) if item else None


def find_enrolment(table: Table, key: str) -> tuple[MemberId, str] | None:
    """The member whom the enrolment of that key made, and what tells its content from another's; or None."""
    item = table.get(keys.entry("enrol", key), consistent=True)
    return (MemberId(item["member_id"]), item["content"]) if item else None


def find_month_days(table: Table, member_ids: Sequence[MemberId]) -> dict[MemberId, str]:
    """The birthdays of several members, `MM-DD`, in one read; those without one are left out."""
    found = table.get_many([keys.profile(member_id) for member_id in member_ids])
    return {keys.member_of(key.pk): str(item["month_day"]) for key, item in found.items() if item.get("month_day")}


def find_contact_change(table: Table, member_id: MemberId) -> ContactChanged | None:
    """When a member's mobile number or e-mail address was changed last; None: never, or there is no such member."""
    item = table.get(keys.profile(member_id), consistent=True)
    return _contact_changed(item) if item is not None else None


def suppressions_of(keyring: Keyring, channel: ContactChannel, address: str | None) -> list[Key]:
    """Where it stands that an address is not written to; in two places while the index key is being replaced."""
    of = identifier_of(channel, address) if address is not None else None
    if of is None:
        return []
    blinds = [keyring.blind(*of), *keyring.blinds_beside(*of)]
    return [keys.suppression(channel.value, blind) for blind in blinds]


def find_suppressed(table: Table, wanted: Iterable[Key]) -> set[Key]:
    """Those of addresses that are not written to now."""
    found = table.get_many(list(wanted), consistent=True)
    return {key for key, item in found.items() if "lifted" not in item}


def list_enrolments(table: Table, member_ids: Sequence[AccountId]) -> list[Item]:
    """The enrolments of several members, as rows of the timeline."""
    found = table.get_many([keys.profile(member_id) for member_id in member_ids])
    return [
        {
            "tl": keys.happenings(item["member_id"]),
            "at": keys.moment(joined_at(item), 0),
            "kind": "enrolled",
            "what": {"source": item["source"]} if "source" in item else {},
        }
        for item in found.values()
    ]


def list_consent_changes(
    table: Table, member_id: AccountId, *, after: str | None, limit: int
) -> tuple[tuple[ConsentChange, ...], str | None]:
    """What was said of a member's consents, newest first, and where the list goes on."""
    rows = table.query_timeline(keys.consent_changes(member_id), after=after, limit=limit)
    found = table.get_many([keys.Key(row["pk"], row["sk"]) for row in rows.items])
    items = (found.get(keys.Key(row["pk"], row["sk"])) for row in rows.items)
    return tuple(_change(item) for item in items if item is not None), rows.last


def find_misses(ops: Table, by: str, slot: int, day: date) -> int:
    """How many of a caller's look-ups found nobody in a window."""
    item = ops.get(keys.velocity("look_ups", f"{by} {slot}", day), consistent=True)
    return int(item["points"]) if item is not None else 0


def list_reach_changes(table: Table, since: datetime, *, through: datetime) -> Iterator[ReachChange]:
    """Who may be written to otherwise than before since an instant, oldest first; consistent, day by day.

    Args:
        since: what was changed by requests that began at this instant or later. Who reads on asks again from `LATE_BY`
            before the instant at which they asked last: a request stamps its change when it begins.
        through: now, as whoever asks has it. Clocks differ, so what is stamped a little later is found, too.
    """
    day, last = since.astimezone(UTC).date(), (through + LATE_BY).astimezone(UTC).date()
    while day <= last:
        first = keys.reach_change(since, "").sk if day == since.astimezone(UTC).date() else "0"
        for item in table.query_partition(keys.reach_changes(day), first=first, last=_LAST, consistent=True):
            at, member_id = keys.reach_change_of(item["sk"])
            yield ReachChange(member_id, at, ReachWhy(item["why"]))
        day += timedelta(days=1)


# ---------------------------------------------------------------- describing writes


def count_miss(by: str, slot: int, most: int, now: datetime, full: Exception) -> Write:
    """The write that counts a look-up that found nobody, unless there were too many; whoever races."""
    where = keys.velocity("look_ups", f"{by} {slot}", now.date())
    return Count(where, "points", 1, most, {"expires": int((now + _MISSES_KEPT).timestamp())}, lambda _: full)


def keep_consent_changes(before: Sequence[Consent], after: Profile, by: str) -> list[Write]:
    """The writes that put into the history of consents what a profile's version says anew."""
    known = set(before)
    new = [each for each in after.consents if each not in known]
    return [
        Put(
            keys.consent_change(after.member_id, after.version, place),
            {
                "tl": keys.consent_changes(after.member_id),
                "at": keys.moment(each.at, after.version * CONSENTS_MAX + place),
                "said": _consent_parts(each),
                "by": by or None,
            },
            Absent(),
            lambda _: MemberMoved(read=after.version - 1, current=after.version),
        )
        for place, each in enumerate(new)
    ]


def note_reach(member_id: AccountId, why: ReachWhy, *, at: datetime) -> Write:
    """The write that says in the log of changes that a member may be written to otherwise than before.

    It belongs into the transaction that makes it so: once that is answered, whoever sends finds it.
    """
    return Put(keys.reach_change(at, member_id), {"why": why.value}, Anyway(), lambda _: WriteContended())


def keep_enrolment(key: str, member_id: MemberId, content: str) -> Write:
    """The write that spends a key on an enrolment, for ever: whatever becomes of the member, nobody else is made."""
    item: Item = {"member_id": member_id, "content": content}
    return Put(keys.entry("enrol", key), item, Absent(), lambda _: EnrolmentKnown())


def add_profile(profile: Profile, keyring: Keyring) -> Write:
    """The write of a new member's profile."""
    return Put(keys.profile(profile.member_id), _item(profile, keyring), Absent(), lambda _: NumberTaken())


def replace_profile(profile: Profile, keyring: Keyring, *, closed: bool = False) -> Write:
    """The write of a profile that follows the version before it; a closed one has no birthdays."""
    read = profile.version - 1

    def moved(found: Item) -> Exception:
        return MemberMoved(read=read, current=found.get("version", 0))

    item = _item(profile, keyring) | ({"due": None, "ways": None, "suppressed": None} if closed else {})
    return Put(keys.profile(profile.member_id), item, Unchanged(read), moved)


def erase_profile(profile: Profile, keyring: Keyring, *, at: datetime) -> Write:
    """The write that leaves of a profile that there was a member of this id, and when they were erased."""
    nobody = Profile(
        member_id=profile.member_id,
        member_number=profile.member_number,
        contact=Contact(),
        joined_at=profile.joined_at,
        version=profile.version + 1,
    )

    def moved(found: Item) -> Exception:
        return MemberMoved(read=profile.version, current=found.get("version", 0))

    item = _item(nobody, keyring) | {"erased": milliseconds(at), "ways": None}
    return Put(keys.profile(profile.member_id), item, Unchanged(profile.version), moved)


def home_of(item: Item) -> ShopId | None:
    """The home shop of the member of a profile item."""
    return ShopId(item["shop"]) if "shop" in item else None


def is_erased(item: Item) -> bool:
    """Whether the member of a profile item was erased."""
    return "erased" in item


def erased_at(item: Item) -> datetime:
    """When the member of a profile item was erased."""
    return from_milliseconds(item["erased"])


def claim(member_id: MemberId, kind: str, value: str, keyring: Keyring, otherwise: Otherwise) -> list[Write]:
    """The writes that make an identifier a member's own."""
    item: Item = {"member_id": member_id}
    return [
        Put(keys.unique(kind, keyring.blind(kind, value)), item, Absent(), otherwise),
        *(Put(key, item, Anyway(), otherwise) for key in _beside(kind, value, keyring)),
    ]


def release(member_id: MemberId, kind: str, value: str, keyring: Keyring, version: int) -> list[Write]:
    """The writes that free an identifier."""
    moved = MemberMoved(read=version, current=version + 1)
    return [
        Delete(keys.unique(kind, keyring.blind(kind, value)), Held(member_id), lambda _: moved),
        *(Delete(key, Anyway(), lambda _: moved) for key in _beside(kind, value, keyring)),
    ]


def hand_over(
    before: MemberId, after: MemberId, kind: str, value: str, keyring: Keyring, otherwise: Otherwise
) -> list[Write]:
    """The writes that make a member's identifier another's, or tell under both index keys that it is their own."""
    item: Item = {"member_id": after}
    return [
        Put(keys.unique(kind, keyring.blind(kind, value)), item, Held(before), otherwise),
        *(Put(key, item, Anyway(), otherwise) for key in _beside(kind, value, keyring)),
    ]


def forget_beside(kind: str, value: str, keyring: Keyring) -> list[Write]:
    """The writes that remove an identifier from under the other index key, which nobody asks any more."""
    return [Delete(key, Anyway(), lambda _: MemberMoved(read=0, current=0)) for key in _beside(kind, value, keyring)]


def _beside(kind: str, value: str, keyring: Keyring) -> list[keys.Key]:
    return [keys.unique(kind, blind) for blind in keyring.blinds_beside(kind, value)]


def told_in_clear(item: Item, contact: dict[str, Any]) -> Item:
    """What a profile says in clear of its contact data, of a profile that was written before it said so.

    Args:
        contact: the contact data, opened.
    """
    fields = {name: value for name, value in contact.items() if name in ("mobile", "email", "birth_year")}
    ids = tuple(ExternalId.model_construct(source=s, id=i) for s, i in contact.get("external_ids", ()))
    known = Contact(**fields, external_ids=ids)
    profile = Profile.model_construct(
        member_id=item["member_id"], member_number=item["number"], contact=known, joined_at=joined_at(item)
    )
    region = region_of(fields["mobile"]) if fields.get("mobile") else None
    return {"cohort": profile.cohort, "region": region, "ways": [each.value for each in profile.ways]}


def resealed(item: Item, sealed: bytes, custom: Item, clear: Item | None = None) -> Write:
    """The write of a profile that is the same, sealed anew, unless it was changed since it was read.

    Args:
        custom: the custom values that are stored open.
        clear: what it says in clear besides, where it said nothing yet.
    """
    read: int = item["version"]

    def moved(found: Item) -> Exception:
        return MemberMoved(read=read, current=found.get("version", 0))

    after = {**item, **(clear or {}), "contact": sealed, "custom": custom or None, "version": read + 1}
    return Put(keys.profile(item["member_id"]), after, Unchanged(read), moved)


def say_suppressed(item: Item, channels: Collection[ContactChannel]) -> Write:
    """The write of a profile that is the same, but for which of its addresses are not written to.

    Args:
        item: as it was read; what is sealed in it stays as it is.
        channels: those by which its address is not written to.
    """
    read: int = item["version"]

    def moved(found: Item) -> Exception:
        return MemberMoved(read=read, current=found.get("version", 0))

    after = {**item, "suppressed": sorted(each.value for each in channels) or None, "version": read + 1}
    return Put(keys.profile(item["member_id"]), after, Unchanged(read), moved)


# ---------------------------------------------------------------- items

_LISTS = {"external_ids", "others", "former", "bank_cards", "custom"}
"""What stands among the sealed data in a form of its own."""


def profile_from(item: Item, keyring: Keyring) -> Profile:
    """The profile that an item holds."""
    member_id = MemberId(item["member_id"])
    contact = keyring.contacts.open(member_id, item["contact"])
    return Profile(
        member_id=member_id,
        member_number=MemberNumber(item["number"]),
        contact=Contact(
            **{name: value for name, value in contact.items() if name not in _LISTS},
            bank_cards=tuple(
                BankCard.model_construct(bank=bank, last_four=four, token=token)
                for bank, four, token in contact.get("bank_cards", ())
            ),
            others=tuple(OtherIdentifier(kind=kind, value=value) for kind, value in contact.get("others", ())),
            former=tuple(
                FormerContact(kind=kind, value=value, at=from_milliseconds(at))
                for kind, value, at in contact.get("former", ())
            ),
            # Not validated: its claim is released under the spelling that it was stored with.
            external_ids=tuple(ExternalId.model_construct(source=s, id=i) for s, i in contact.get("external_ids", ())),
        ),
        gender=Gender(item["gender"]) if "gender" in item else None,
        language=Language(item["language"]) if "language" in item else None,
        month_day=item.get("month_day"),
        region=item.get("region"),
        shop_id=ShopId(item["shop"]) if "shop" in item else None,
        source=item.get("source"),
        referral_code=item.get("referral"),
        tags=tuple(item.get("tags", ())),
        custom={**item.get("custom", {}), **contact.get("custom", {})},
        sealed_custom=frozenset(contact.get("custom", {})),
        consents=tuple(map(_consent, item.get("consents", ()))),
        suppressed=tuple(map(ContactChannel, item.get("suppressed", ()))),
        contact_changed=_contact_changed(item),
        joined_at=from_milliseconds(item["joined"]),
        version=item["version"],
    )


def enrolled_from(item: Item) -> MemberEnrolled:
    """What a profile item tells others of its enrolment; contact data stay sealed."""
    return MemberEnrolled(shop_id=ShopId(item["shop"]) if "shop" in item else None, source=item.get("source"))


def joined_at(item: Item) -> datetime:
    """When the member of a profile item was enrolled."""
    return from_milliseconds(item["joined"])


def _item(profile: Profile, keyring: Keyring) -> Item:
    contact = profile.contact.model_dump(exclude_none=True, exclude=_LISTS)
    open_custom = {name: value for name, value in profile.custom.items() if name not in profile.sealed_custom}
    lists = {
        "custom": {name: value for name, value in profile.custom.items() if name in profile.sealed_custom},
        "bank_cards": [[each.bank, each.last_four, each.token] for each in profile.contact.bank_cards],
        "external_ids": [[each.source, each.id] for each in profile.contact.external_ids],
        "others": [[each.kind, each.value] for each in profile.contact.others],
        "former": [[each.kind, each.value, milliseconds(each.at)] for each in profile.contact.former],
    }
    sealed = keyring.contacts.seal(profile.member_id, contact | {name: each for name, each in lists.items() if each})
    return {
        "member_id": profile.member_id,
        "tl": keys.directory(profile.member_id),
        "at": profile.member_id,
        "number": profile.member_number,
        "contact": sealed,
        "gender": profile.gender.value if profile.gender else None,
        "language": profile.language.value if profile.language else None,
        "month_day": profile.month_day,
        "cohort": profile.cohort,
        "region": profile.region,
        "ways": [each.value for each in profile.ways] or None,
        "suppressed": [each.value for each in profile.suppressed] or None,
        "due": keys.birthday(profile.month_day, profile.member_id) if profile.month_day else None,
        "shop": profile.shop_id,
        "source": profile.source,
        "referral": profile.referral_code,
        "tags": list(profile.tags) or None,
        "custom": open_custom or None,
        "consents": [_consent_parts(each) for each in profile.consents] or None,
        "contact_changed": _change_parts(profile.contact_changed) if profile.contact_changed else None,
        "joined": milliseconds(profile.joined_at),
        "version": profile.version,
    }


def _contact_changed(item: Item) -> ContactChanged | None:
    if "contact_changed" not in item:
        return None
    at, by_member, until, session_id = item["contact_changed"]
    return ContactChanged(
        at=from_milliseconds(at),
        by_member=by_member,
        sessions_until=from_milliseconds(until) if until else None,
        session_id=SessionId(session_id) if session_id else None,
    )


def _change_parts(change: ContactChanged) -> list[Any]:
    until = milliseconds(change.sessions_until) if change.sessions_until else 0
    return [milliseconds(change.at), change.by_member, until, change.session_id or ""]


def _consent(parts: Sequence[Any]) -> Consent:
    purpose, granted, text_version, at, *more = parts
    channel, source = more or ("", "")
    return Consent(
        purpose=purpose,
        channel=ContactChannel(channel) if channel else None,
        granted=granted,
        text_version=text_version,
        at=from_milliseconds(at),
        source=ConsentSource(source) if source else None,
    )


def _consent_parts(consent: Consent) -> list[Any]:
    parts = [consent.purpose, consent.granted, consent.text_version, milliseconds(consent.at)]
    more = [consent.channel or "", consent.source or ""]
    return [*parts, *map(str, more)] if any(more) else parts


def _change(item: Item) -> ConsentChange:
    said = _consent(item["said"])
    return ConsentChange(**said.model_dump(), by=item.get("by"))
