"""What is refused about members."""

from chalicelib.kernel.errors import Refusal

_NAMES = {
    "mobile": "mobile number",
    "email": "e-mail address",
    "card_no": "card number",
    "external_id": "external id",
    "external_ids": "external id",
    "member_id": "member id",
    "member_number": "member number",
}


def identifier_name(field: str) -> str:
    """What a sentence calls the identifier that a field holds."""
    return _NAMES[field]


class IdentifierTaken(Refusal):
    """Another member has this identifier."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"Another member has this {identifier_name(field)}.", field=field)


class MobileTaken(IdentifierTaken):
    """Another member has this mobile number."""


class EmailTaken(IdentifierTaken):
    """Another member has this e-mail address."""


class CardTaken(IdentifierTaken):
    """Another member has this card."""


class ExternalIdTaken(IdentifierTaken):
    """Another member has this external id."""


class EnrolmentDiffers(Refusal):
    """This key was used before for another enrolment."""

    def __init__(self, *, key: str) -> None:
        super().__init__(
            f"The key {key!r} was used before to enrol with other content. A new command needs a new key.", key=key
        )


class MobileInvalid(Refusal):
    """This is not a mobile number."""

    def __init__(self, *, country: str) -> None:
        super().__init__(
            f"This is not a mobile number; numbers without a country code are read as {country}'s.",
            country=country,
        )


class IdentifierNeeded(Refusal):
    """A member needs a mobile number, an e-mail address, a card or an external id."""

    def __init__(self) -> None:
        super().__init__("A member needs at least one of mobile, email, card_no and external_ids.")


class MemberNumberWrong(Refusal):
    """The check digit does not fit: the number was mistyped."""

    def __init__(self) -> None:
        super().__init__("The check digit does not fit this member number: it was mistyped.")


class MemberMoved(Refusal):
    """The member was changed since you read it."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"You read version {read} of this member, but it is at version {current}. Read it and try again.",
            read=read,
            current=current,
        )


class ContactChangedLately(Refusal):
    """The mobile number or e-mail address was changed lately, so this has to wait."""

    def __init__(self, *, until: str) -> None:
        super().__init__(
            f"The mobile number or e-mail address was changed lately. This can be done from {until} on.", until=until
        )


class HomeShopNotYours(Refusal):
    """The member's home shop is not one of the caller's."""

    def __init__(self) -> None:
        super().__init__("The member's home shop is not one of yours. Ask there, or at the head office.")


class LookUpsTooMany(Refusal):
    """Too many of the caller's look-ups found nobody."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            f"Too many look-ups found nobody. Look up again in {retry_after} seconds.", retry_after=retry_after
        )


class ReasonNeeded(Refusal):
    """Who changes a mobile number or an e-mail address says why."""

    def __init__(self) -> None:
        super().__init__("To change or remove a mobile number or an e-mail address, send a reason.")


class CustomFieldUnknown(Refusal):
    """The program has no such custom field."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"The program has no custom field {field!r}.", field=field)


class CustomFieldInvalid(Refusal):
    """The value does not fit the custom field."""

    def __init__(self, *, field: str, expected: str) -> None:
        super().__init__(f"The custom field {field!r} takes {expected}.", field=field, expected=expected)


class CustomFieldMissing(Refusal):
    """A required custom field has no value."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"The program requires the custom field {field!r}.", field=field)


class ConsentNeeded(Refusal):
    """An identity number is kept only with the member's consent."""

    def __init__(self, *, field: str, purpose: str) -> None:
        super().__init__(
            f"The custom field {field!r} needs the member's consent for the purpose {purpose!r}.",
            field=field,
            purpose=purpose,
        )


class BirthdayInFuture(Refusal):
    """The birthday is later than today."""

    def __init__(self, *, today: str) -> None:
        super().__init__(f"The birthday is later than today, {today}.", today=today)


class BalanceRemaining(Refusal):
    """The account still has points, or owes some."""

    def __init__(self, *, balance: int) -> None:
        left = f"{balance} points are left, which would be taken" if balance > 0 else f"{-balance} points are owed"
        super().__init__(f"{left}. Send forfeit_points: true to close the membership all the same.", balance=balance)
