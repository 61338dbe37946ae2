"""What is decided about members: identifiers, custom fields, and what an edit makes of a profile."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.kernel.personal import HIDDEN, Kind, masked
from chalicelib.members.errors import (
    BirthdayInFuture,
    CardTaken,
    ConsentNeeded,
    CustomFieldInvalid,
    CustomFieldMissing,
    CustomFieldUnknown,
    EmailTaken,
    ExternalIdTaken,
    IdentifierNeeded,
    MobileInvalid,
    MobileTaken,
)
from chalicelib.members.models import (
    ACCOUNT_PURPOSE,
    ID_NUMBER_PURPOSE,
    OURSELVES,
    Consent,
    ConsentGiven,
    ConsentSource,
    Contact,
    CustomValue,
    EditMember,
    EnrolMember,
    ExternalId,
    Profile,
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


def identifiers(contact: Contact) -> list[Identifier]:
    """Everything about a person that nobody else may have."""
    pairs = (("mobile", contact.mobile), ("email", contact.email), ("card", contact.card_no))
    found = [(kind, value) for kind, value in pairs if value is not None]
    found += [external_identifier(each) for each in contact.external_ids]
    return list(dict.fromkeys([*found, *((each.kind, each.value) for each in contact.others)]))


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
        month_day=month_day,
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
    changes: dict[str, Any] = {name: getattr(command, name) for name in given & {"gender", "shop_id"}}
    if "mobile" in given:
        mobile = mobile_number(command.mobile, program.country) if command.mobile else None
        contact = contact.model_copy(update={"mobile": mobile})
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


def may_contact(profile: Profile, purpose: str, channel: ContactChannel) -> bool:
    """Whether a member may be written to, or called, for a purpose by a channel, as of what is known of them now.

    The later of what was said of this channel and of all channels counts. Where nothing was said, members are told of
    their own account and of nothing else.
    """
    said = [each for each in profile.consents if each.purpose == purpose and each.channel in (None, channel)]
    if not said:
        return purpose == ACCOUNT_PURPOSE
    return max(said, key=lambda each: (each.at, each.channel is not None)).granted
