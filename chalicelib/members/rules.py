"""What is decided about members: identifiers, custom fields, and what an edit makes of a profile."""

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.members.errors import (
    BirthdayInFuture,
    CardTaken,
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
    Consent,
    ConsentGiven,
    Contact,
    CustomValue,
    EditMember,
    EnrolMember,
    ExternalId,
    Profile,
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


def enrolled(command: EnrolMember, number: MemberNumber, program: Program, *, now: datetime) -> Profile:
    """The profile of a new member.

    Raises:
        IdentifierNeeded: nothing in the command tells this person from another.
        MobileInvalid, BirthdayInFuture, CustomFieldUnknown, CustomFieldInvalid, CustomFieldMissing: as they say.
    """
    year, month_day = _birthday(command.birthday, today_of(program, now))
    contact = Contact(
        name=command.name,
        mobile=mobile_number(command.mobile, program.country) if command.mobile else None,
        email=email_address(command.email) if command.email else None,
        card_no=command.card_no,
        external_ids=tuple(dict.fromkeys(command.external_ids)),
        birth_year=year,
    )
    _require_identifier(contact)
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
        custom=custom_values({}, command.custom, program.custom_fields),
        consents=_consents((), command.consents, now),
        joined_at=now,
    )


def edited(profile: Profile, command: EditMember, program: Program, *, now: datetime) -> Profile:
    """The profile after an edit.

    Raises:
        IdentifierNeeded, MobileInvalid, BirthdayInFuture, CustomFieldUnknown, CustomFieldInvalid,
        CustomFieldMissing: as they say.
    """
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
    if "custom" in given:
        changes["custom"] = custom_values(profile.custom, command.custom or {}, program.custom_fields)
    if "consents" in given:
        changes["consents"] = _consents(profile.consents, command.consents or (), now)
    primary = {("mobile", contact.mobile), ("email", contact.email), ("card", contact.card_no)}
    others = tuple(each for each in contact.others if (each.kind, each.value) not in primary)
    contact = contact.model_copy(update={"others": others})
    _require_identifier(contact)
    return profile.model_copy(update={**changes, "contact": contact, "version": profile.version + 1})


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
    if not fits:
        raise CustomFieldInvalid(field=name, expected=expected)


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


def _consents(known: tuple[Consent, ...], given: tuple[ConsentGiven, ...], now: datetime) -> tuple[Consent, ...]:
    by_purpose = {each.purpose: each for each in known}
    for each in given:
        by_purpose[each.purpose] = Consent(
            purpose=each.purpose, granted=each.granted, text_version=each.text_version, at=now
        )
    return tuple(by_purpose.values())
