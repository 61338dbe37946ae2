"""What is decided about members: identifiers, custom fields, and what an edit makes of a profile."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.consents.models import ContactChannel
from chalicelib.identity.errors import PermissionMissing, ShopNotYours
from chalicelib.identity.models import Caller
from chalicelib.identity.models import Kind as CallerKind
from chalicelib.identity.permissions import Permission, Scope
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.kernel.personal import HIDDEN, Kind, masked
from chalicelib.members.errors import (
    BirthdayInFuture,
    CardTaken,
    ConsentNeeded,
    ContactChangedLately,
    CustomFieldInvalid,
    CustomFieldMissing,
    CustomFieldUnknown,
    EmailTaken,
    ExternalIdTaken,
    HomeShopNotYours,
    IdentifierNeeded,
    MobileInvalid,
    MobileTaken,
    ReasonNeeded,
)
from chalicelib.members.models import (
    ACCOUNT_PURPOSE,
    ID_NUMBER_PURPOSE,
    MARKETING_PURPOSE,
    OURSELVES,
    TOPIC_PREFIX,
    WECHAT_SOURCE,
    WRITTEN,
    Consent,
    ConsentGiven,
    ConsentSource,
    Contact,
    ContactChanged,
    ContactHold,
    CustomValue,
    EditMember,
    EnrolMember,
    ExternalId,
    FormerContact,
    Profile,
    ReachWhy,
    Witness,
)
from chalicelib.programs.models import CustomField, FieldType, Program
from chalicelib.programs.rules import today_of

Identifier = tuple[str, str]
"""A kind (mobile, email, card, ext) and a normalised value: what one member at most may have."""


def mobile_number(text: str, country: str) -> str:
    """A mobile number in E.164, read as the country's when it has no country code.

    Raises:
        MobileInvalid: no mobile phone can have this number.
    """
    import phonenumbers  # noqa: PLC0415 - 25 ms, and a purchase by member id never needs it

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        raise MobileInvalid(country=country) from None
    kind = phonenumbers.number_type(number)
    if kind not in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE):
        raise MobileInvalid(country=country)
    formatted: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return formatted


def email_address(text: str) -> str:
    """An e-mail address in one spelling: plain letters for full-width ones, composed characters, lower case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())


def external_identifier(external: ExternalId) -> Identifier:
    """The identifier that an external id is."""
    return ("ext", f"{external.source}:{external.id}")


def identifier_of(channel: ContactChannel, address: str) -> Identifier | None:
    """The identifier that a channel's address is, as members claim it; None where the channel has none of its own."""
    match channel:
        case ContactChannel.SMS:
            return "mobile", address
        case ContactChannel.EMAIL:
            return "email", address
        case ContactChannel.WECHAT:
            return "ext", f"{WECHAT_SOURCE}:{address}"
    return None


def identifiers(contact: Contact) -> list[Identifier]:
    """Everything about a person that nobody else may have."""
    pairs = (("mobile", contact.mobile), ("email", contact.email), ("card", contact.card_no))
    found = [(kind, value) for kind, value in pairs if value is not None]
    found += [external_identifier(each) for each in contact.external_ids]
    return list(dict.fromkeys([*found, *((each.kind, each.value) for each in contact.others)]))


def addresses(contact: Contact) -> list[Identifier]:
    """Mobile numbers and e-mail addresses that a person is found by: whoever has one of them signs in as the member."""
    return [(kind, value) for kind, value in identifiers(contact) if kind in ("mobile", "email")]


def taken(kind: str) -> Refusal:
    """The refusal that says that an identifier of a kind is another member's."""
    match kind:
        case "mobile":
            return MobileTaken(field="mobile")
        case "email":
            return EmailTaken(field="email")
        case "card":
            return CardTaken(field="card_no")
        case _:
            return ExternalIdTaken(field="external_ids")


def enrolled(
    command: EnrolMember, number: MemberNumber, program: Program, *, now: datetime, witness: Witness = OURSELVES
) -> Profile:
    """The profile of a new member.

    Raises:
        IdentifierNeeded: nothing in the command tells this person from another.
        MobileInvalid, BirthdayInFuture, CustomFieldUnknown, CustomFieldInvalid, CustomFieldMissing,
        ConsentNeeded: as they say.
    """
    year, month_day = _birthday(command.birthday, today_of(program, now))
    contact = Contact(
        name=command.name,
        mobile=mobile_number(command.mobile, program.country) if command.mobile else None,
        email=email_address(command.email) if command.email else None,
        card_no=command.card_no,
        external_ids=tuple(dict.fromkeys(command.external_ids)),
        birth_year=year,
        bank_cards=command.bank_cards or (),
    )
    _require_identifier(contact)
    consents = with_consents((), command.consents, witness, now=now)
    custom = _with_consent(
        custom_values({}, command.custom, program.custom_fields), command.custom, consents, program.custom_fields
    )
    return Profile(
        member_id=MemberId.of(number),
        member_number=number,
        contact=contact,
        gender=command.gender,
        language=command.language,
        month_day=month_day,
        region=region_of(contact.mobile) if contact.mobile else None,
        shop_id=command.shop_id,
        source=command.source,
        referral_code=command.referral_code,
        tags=tuple(dict.fromkeys(command.tags)),
        custom=custom,
        sealed_custom=_sealed(frozenset(), custom, program.custom_fields),
        consents=consents,
        joined_at=now,
    )


def edited(
    profile: Profile, command: EditMember, program: Program, *, now: datetime, witness: Witness = OURSELVES
) -> Profile:
    """The profile after an edit.

    Raises:
        IdentifierNeeded, MobileInvalid, BirthdayInFuture, CustomFieldUnknown, CustomFieldInvalid,
        CustomFieldMissing, ConsentNeeded: as they say.
    """
    command = _as_read(command, profile)
    given = command.model_fields_set
    contact = profile.contact.model_copy(update={name: getattr(command, name) for name in given & {"name", "card_no"}})
    changes: dict[str, Any] = {name: getattr(command, name) for name in given & {"gender", "language", "shop_id"}}
    if "mobile" in given:
        mobile = mobile_number(command.mobile, program.country) if command.mobile else None
        contact = contact.model_copy(update={"mobile": mobile})
        changes["region"] = region_of(mobile) if mobile else None
    if "email" in given:
        contact = contact.model_copy(update={"email": email_address(command.email) if command.email else None})
    if "birthday" in given:
        year, changes["month_day"] = _birthday(command.birthday, today_of(program, now))
        contact = contact.model_copy(update={"birth_year": year})
    if "tags" in given:
        changes["tags"] = tuple(dict.fromkeys(command.tags or ()))
    if "bank_cards" in given:
        contact = contact.model_copy(update={"bank_cards": command.bank_cards or ()})
    consents, custom, asked = profile.consents, profile.custom, command.custom or {}
    if "consents" in given:
        changes["consents"] = consents = with_consents(consents, command.consents or (), witness, now=now)
    if "custom" in given:
        custom = custom_values(custom, asked, program.custom_fields)
    changes["custom"] = custom = _with_consent(custom, asked, consents, program.custom_fields)
    changes["sealed_custom"] = _sealed(profile.sealed_custom, custom, program.custom_fields)
    primary = {("mobile", contact.mobile), ("email", contact.email), ("card", contact.card_no)}
    others = tuple(each for each in contact.others if (each.kind, each.value) not in primary)
    contact = contact.model_copy(update={"others": others})
    _require_identifier(contact)
    return profile.model_copy(update={**changes, "contact": contact, "version": profile.version + 1})


# ---------------------------------------------------------------- look-ups that find nobody

MISSES_WINDOW = timedelta(minutes=10)
_CALLERS_MAX = 1_000


def misses_slot(now: datetime) -> int:
    """The window that an instant is in."""
    return int(now.timestamp() // MISSES_WINDOW.total_seconds())


def misses_over_in(now: datetime) -> int:
    """Seconds until the window is over."""
    window = int(MISSES_WINDOW.total_seconds())
    return window - int(now.timestamp()) % window


class Misses:
    """Whose look-ups found nobody in this process in this window, and who may look up no more. It never fills up.

    Who has missed nothing here is looked up for without asking the table: a hit costs nothing. So each process lets
    through the hits before its first miss, and none after it.
    """

    def __init__(self) -> None:
        self._full: dict[str, bool] = {}
        self._slot = 0

    def of(self, by: str, now: datetime) -> bool | None:
        """None: they missed nothing here; else whether they may look up no more."""
        self._turn(now)
        return self._full.get(by)

    def note(self, by: str, now: datetime, *, full: bool) -> None:
        """Remember that they missed, or may look up no more."""
        self._turn(now)
        if len(self._full) >= _CALLERS_MAX and by not in self._full:
            self._full.pop(next(iter(self._full)))
        self._full[by] = full

    def _turn(self, now: datetime) -> None:
        slot = misses_slot(now)
        if slot != self._slot:
            self._slot = slot
            self._full.clear()


# ---------------------------------------------------------------- by what members sign in

SETTLES_AFTER = timedelta(hours=72)
"""So long after its mobile number or e-mail address was changed, a membership is not wholly who signs in by it."""


@dataclass(frozen=True, slots=True)
class Reachable:
    """What an edit did to a member's mobile number and e-mail address.

    Attributes:
        given: kinds that were empty before.
        replaced: kinds that were changed or removed.
    """

    given: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything."""
        return bool(self.given or self.replaced)


def reachable(before: Contact, after: Contact) -> Reachable:
    """What an edit did to a member's mobile number and e-mail address."""
    differing = [kind for kind in ("mobile", "email") if getattr(before, kind) != getattr(after, kind)]
    return Reachable(
        tuple(kind for kind in differing if getattr(before, kind) is None),
        tuple(kind for kind in differing if getattr(before, kind) is not None),
    )


def require_may_edit(before: Profile, after: Profile, editor: Caller | None, reason: str | None) -> None:
    """See that whoever edits a member may do that to what the member signs in by, and to where the member belongs.

    A till fills in a number that is missing. Who could exchange one would sign in as the member, so that is for those
    who answer for the member's home shop, and the home shop is given away by those only.

    Args:
        editor: None: the member, who proved a new number by a code.

    Raises:
        PermissionMissing: they may not change or remove a mobile number or an e-mail address.
        HomeShopNotYours: they may, or may edit, for other shops than the member's.
        ShopNotYours: the member would be put into another shop than theirs, or out of any.
        ReasonNeeded: they do not say why.
    """
    if editor is None or editor.kind is CallerKind.MEMBER:
        return
    if after.shop_id != before.shop_id:
        _require_home(before, editor, Permission.MEMBERS_WRITE)
        shop_ids = editor.within(Permission.MEMBERS_WRITE)
        if shop_ids is not None and after.shop_id not in shop_ids:
            raise ShopNotYours(shop_id=after.shop_id)
    if not reachable(before.contact, after.contact).replaced:
        return
    if editor.scope(Permission.MEMBERS_CHANGE_CONTACT) is None:
        raise PermissionMissing(permission=Permission.MEMBERS_CHANGE_CONTACT.value)
    _require_home(before, editor, Permission.MEMBERS_CHANGE_CONTACT)
    if reason is None:
        raise ReasonNeeded


def _require_home(profile: Profile, editor: Caller, permission: Permission) -> None:
    if editor.scope(permission) is not Scope.ALL and profile.shop_id not in editor.shop_ids:
        raise HomeShopNotYours


def marked(before: Profile, after: Profile, editor: Caller | None, *, now: datetime) -> Profile:
    """A profile after an edit, with what is remembered of a changed mobile number or e-mail address: when, the old one
    for a few days, and whose sessions are over."""
    former = tuple(each for each in before.contact.former if now < each.at + SETTLES_AFTER)
    done = reachable(before.contact, after.contact)
    former += tuple(
        FormerContact.model_validate({"kind": kind, "value": getattr(before.contact, kind), "at": now})
        for kind in done.replaced
    )
    after = after.model_copy(update={"contact": after.contact.model_copy(update={"former": former})})
    if not done.changed:
        return after
    known = before.contact_changed
    changed = ContactChanged(
        at=now,
        by_member=editor is not None and editor.kind is CallerKind.MEMBER,
        sessions_until=known.sessions_until if known else None,
        session_id=known.session_id if known else None,
    )
    if done.replaced:
        own = editor.session_id if editor is not None else None
        changed = changed.model_copy(update={"sessions_until": now, "session_id": own})
    return after.model_copy(update={"contact_changed": changed})


def changed_by_others(profile: Profile, told: Sequence[Identifier], *, told_at: datetime, now: datetime) -> Profile:
    """A profile whose addresses are others from now on, by a merge or its undoing: all sessions are over.

    Args:
        told: addresses at which that is told; they are kept for a few days.
        told_at: when the entry was recorded that tells it.
    """
    before = tuple(each for each in profile.contact.former if now < each.at + SETTLES_AFTER and each.at != told_at)
    former = before + tuple(
        FormerContact.model_validate({"kind": kind, "value": value, "at": told_at}) for kind, value in told
    )
    return profile.model_copy(
        update={
            "contact": profile.contact.model_copy(update={"former": former}),
            "contact_changed": ContactChanged(at=now, by_member=False, sessions_until=now),
        }
    )


def reached_lately(contact: Contact, now: datetime) -> list[Identifier]:
    """Addresses of a member, and those that were changed so lately that somebody may still have to be told."""
    former = [(each.kind, each.value) for each in contact.former if now < each.at + SETTLES_AFTER]
    return list(dict.fromkeys([*addresses(contact), *former]))


def is_home_of(shop_id: str | None, caller: Caller | None, permission: Permission) -> bool:
    """Whether a permission reaches, for a caller, to a member of that home shop; without one, head office has them.

    Args:
        caller: None: nobody whose rights would have to be looked at.
    """
    if caller is None or caller.kind is CallerKind.MEMBER:
        return True
    scope = caller.scope(permission)
    return scope is Scope.ALL or (scope is Scope.SHOP and shop_id in caller.shop_ids)


def later_change(one: ContactChanged | None, other: ContactChanged | None) -> ContactChanged | None:
    """What is remembered of changed numbers of two members who are one now."""
    if one is None or other is None:
        return one or other
    later, earlier = (one, other) if one.at >= other.at else (other, one)
    if earlier.sessions_until is None or (later.sessions_until and later.sessions_until >= earlier.sessions_until):
        return later
    return later.model_copy(update={"sessions_until": earlier.sessions_until, "session_id": earlier.session_id})


def hold_of(change: ContactChanged | None, now: datetime) -> ContactHold | None:
    """Until when a changed number is too new to be trusted with everything; None: it is not."""
    if change is None or now >= change.at + SETTLES_AFTER:
        return None
    return ContactHold(until=change.at + SETTLES_AFTER, by_member=change.by_member)


def require_settled(change: ContactChanged | None, now: datetime) -> None:
    """See that the number by which a member signs in is not a new one.

    Raises:
        ContactChangedLately: it is.
    """
    hold = hold_of(change, now)
    if hold is not None:
        raise ContactChangedLately(until=hold.until.isoformat(timespec="seconds"))


def _as_read(command: EditMember, profile: Profile) -> EditMember:
    """The command with what was read masked, and sent back so, put as it is: a form may send back all that it shows."""
    known = {
        "name": (Kind.NAME, profile.contact.name),
        "email": (Kind.EMAIL, profile.contact.email),
        "card_no": (Kind.CARD_NO, profile.contact.card_no),
        "birthday": (Kind.BIRTHDAY, profile.birthday),
    }
    meant: dict[str, Any] = {
        name: value
        for name, (kind, value) in known.items()
        if value is not None and getattr(command, name) == masked(kind, value)
    }
    if command.custom is not None:
        meant["custom"] = {
            name: profile.custom.get(name) if value == HIDDEN and name in profile.sealed_custom else value
            for name, value in command.custom.items()
        }
    if command.bank_cards:
        tokens = {(each.bank, each.last_four): each.token for each in profile.contact.bank_cards}
        meant["bank_cards"] = tuple(
            each.model_copy(update={"token": tokens.get((each.bank, each.last_four))}) if each.token == HIDDEN else each
            for each in command.bank_cards
        )
    return command.model_copy(update=meant)


def custom_values(
    known: Mapping[str, CustomValue],
    changes: Mapping[str, CustomValue | None],
    fields: Mapping[str, CustomField],
) -> dict[str, CustomValue]:
    """Custom values after changes; None removes one.

    Raises:
        CustomFieldUnknown, CustomFieldInvalid, CustomFieldMissing: the program's schema does not allow it.
    """
    for name, value in changes.items():
        if name not in fields:
            raise CustomFieldUnknown(field=name)
        if value is not None:
            _require_fit(name, value, fields[name])
    values = {**known, **changes}
    for name, field in fields.items():
        if field.required and values.get(name) is None:
            raise CustomFieldMissing(field=name)
    return {name: value for name, value in values.items() if value is not None}


def _with_consent(
    custom: Mapping[str, CustomValue],
    asked: Mapping[str, CustomValue | None],
    consents: tuple[Consent, ...],
    fields: Mapping[str, CustomField],
) -> dict[str, CustomValue]:
    """Custom values without those that the member no longer consents to.

    Raises:
        ConsentNeeded: one of them is only now asked for.
    """
    if any(each.about == ID_NUMBER_PURPOSE and each.granted for each in consents):
        return dict(custom)
    bound = {name for name, field in fields.items() if field.type is FieldType.ID_NUMBER and name in custom}
    for name in sorted(bound):
        if asked.get(name) is not None:
            raise ConsentNeeded(field=name, purpose=ID_NUMBER_PURPOSE)
    return {name: value for name, value in custom.items() if name not in bound}


def _sealed(
    before: frozenset[str], custom: Mapping[str, CustomValue], fields: Mapping[str, CustomField]
) -> frozenset[str]:
    """Names of the values that are stored sealed; a field that the program has no longer stays what it was."""
    return frozenset(name for name in custom if (fields[name].is_sealed if name in fields else name in before))


def _require_fit(name: str, value: CustomValue, field: CustomField) -> None:
    match field.type:
        case FieldType.TEXT:
            fits, expected = isinstance(value, str) and value != "", "text"
        case FieldType.INTEGER:
            fits, expected = type(value) is int and abs(value) <= 10**15, "a whole number from -10^15 to 10^15"
        case FieldType.BOOLEAN:
            fits, expected = isinstance(value, bool), "true or false"
        case FieldType.CHOICE:
            fits, expected = (
                value in field.choices and isinstance(value, str),
                "one of " + ", ".join(field.choices),
            )
        case FieldType.DATE:
            fits, expected = isinstance(value, str) and _is_date(value), "a day, YYYY-MM-DD"
        case FieldType.ID_NUMBER:
            fits, expected = isinstance(value, str) and is_id_number(value), "an identity number of 18 characters"
    if not fits:
        raise CustomFieldInvalid(field=name, expected=expected)


def is_id_number(text: str) -> bool:
    """Whether text is a Chinese resident's identity number: place, birthday, serial and check character (GB 11643)."""
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", text) or not _is_date(f"{text[6:10]}-{text[10:12]}-{text[12:14]}"):
        return False
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(text[:17]))
    return text[17] == "10X98765432"[total % 11]


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _require_identifier(contact: Contact) -> None:
    if not identifiers(contact):
        raise IdentifierNeeded


def _birthday(text: str | None, today: date) -> tuple[int | None, str | None]:
    if text is None:
        return None, None
    if text.startswith("--"):
        return None, text[2:]
    if date.fromisoformat(text) > today:
        raise BirthdayInFuture(today=today.isoformat())
    return int(text[:4]), text[5:]


def with_consents(
    known: tuple[Consent, ...], given: Sequence[ConsentGiven], witness: Witness, *, now: datetime
) -> tuple[Consent, ...]:
    """Consents after some were given or withdrawn.

    What is said of all channels takes the place of what was said of single ones. What is said again, word for word,
    changes nothing: it keeps the time at which it was said first.
    """
    by_name = {each.about: each for each in known}
    for each in given:
        said = Consent(
            purpose=each.purpose,
            channel=each.channel,
            granted=each.granted,
            text_version=each.text_version,
            at=now,
            source=ConsentSource(each.source) if each.source and witness.told else witness.source,
        )
        if _is_known(said, by_name):
            continue
        if each.channel is None:
            by_name = {name: one for name, one in by_name.items() if one.purpose != each.purpose or one.channel is None}
        by_name[said.about] = said
    return tuple(by_name.values())


def newly_granted(before: Sequence[Consent], after: Sequence[Consent]) -> list[Consent]:
    """Consents that were given just now: they name the text that the member saw. A withdrawal is never refused."""
    known = set(before)
    return [each for each in after if each.granted and each not in known]


def _is_known(said: Consent, known: Mapping[str, Consent]) -> bool:
    """Whether just this was said before and still counts."""
    before = known.get(said.about)
    if before is None or (before.granted, before.text_version) != (said.granted, said.text_version):
        return False
    if said.channel is None:
        return not any(one.purpose == said.purpose and one.channel is not None for one in known.values())
    wider = known.get(said.purpose)
    return wider is None or wider.at <= before.at


def is_of_messages(purpose: str) -> bool:
    """Whether a consent is about being written to: of the account, offers, or a topic of them. Others are about
    something else, an identity number or the terms, and nothing is sent by them: members could not end it.
    """
    return purpose in (ACCOUNT_PURPOSE, MARKETING_PURPOSE) or purpose.removeprefix(TOPIC_PREFIX) not in ("", purpose)


def may_contact(profile: Profile, purpose: str, channel: ContactChannel) -> bool:
    """Whether a member may be written to, or called, for a purpose by a channel, as of what is known of them now.

    The later of what was said of this channel and of all channels counts. Where nothing was said, members are told of
    their own account and of nothing else. A topic of marketing needs a consent to it, or to marketing where nothing was
    said of the topic.
    """
    said = last_said(profile.consents, purpose, channel)
    if not purpose.startswith(TOPIC_PREFIX):
        return said.granted if said is not None else purpose == ACCOUNT_PURPOSE
    wider = last_said(profile.consents, MARKETING_PURPOSE, channel)
    if said is None:
        return wider is not None and wider.granted
    # Who has left a topic stays out of it when they agree to marketing again; who leaves marketing leaves its topics.
    return said.granted and (wider is None or wider.granted or wider.at < said.at)


def last_said(consents: Sequence[Consent], purpose: str, channel: ContactChannel | None) -> Consent | None:
    """What was said last of a purpose, of this channel or of all; None where nothing was."""
    said = [each for each in consents if each.purpose == purpose and each.channel in (None, channel)]
    return max(said, key=lambda each: (each.at, each.channel is not None), default=None)


def reach_change(before: Profile, after: Profile) -> ReachWhy | None:
    """What an edit changed of whether, or where, a member may be written to; None: nothing."""
    if before.consents != after.consents:
        return ReachWhy.CONSENT
    ways = [before.address(channel) != after.address(channel) for channel in WRITTEN]
    return ReachWhy.CONTACT if any(ways) else None


def that_come(before: Profile | None, after: Profile) -> tuple[ContactChannel, ...]:
    """Channels by which a profile has another address than the one before it: it may be one that is not written to.

    Args:
        before: None: a profile that knows nothing of its addresses.
    """
    found = {channel: after.address(channel) for channel in WRITTEN if channel is not ContactChannel.APP}
    return tuple(
        channel
        for channel, address in found.items()
        if address is not None and (before is None or before.address(channel) != address)
    )


def with_suppressed(before: Profile | None, after: Profile, found: Collection[ContactChannel]) -> Profile:
    """A profile that says which of its addresses are not written to.

    Args:
        before: what it said of the addresses that it keeps stays true; None: nothing.
        found: channels of those that come, whose address is not written to.
    """
    kept = before.suppressed if before is not None else ()
    same = {each for each in kept if before is not None and before.address(each) == after.address(each)}
    return after.model_copy(update={"suppressed": tuple(sorted(same | set(found)))})


def region_of(mobile: str) -> str | None:
    """The country of a number in E.164, ISO 3166-1, or None when it tells none."""
    import phonenumbers  # noqa: PLC0415 - as above

    region = phonenumbers.region_code_for_number(phonenumbers.parse(mobile))
    return region if region is not None and re.fullmatch(r"[A-Z]{2}", region) else None
