"""What is refused about cards."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.kernel.errors import Refusal


class CardUnknown(Refusal):
    """There is no such card."""

    def __init__(self, *, card_id: str) -> None:
        super().__init__(f"There is no card {card_id}.", card_id=card_id)


class CardSuspended(Refusal):
    """The card is suspended; nothing can be paid in or spent."""

    def __init__(self, *, card_id: str) -> None:
        super().__init__(f"Card {card_id} is suspended.", card_id=card_id)


class CardClosed(Refusal):
    """The card was closed."""

    def __init__(self, *, card_id: str) -> None:
        super().__init__(f"Card {card_id} was closed.", card_id=card_id)


class CardKindWrong(Refusal):
    """The card is of the other kind: money cannot be used as visits, nor visits as money."""

    def __init__(self, *, kind: str, expected: str) -> None:
        super().__init__(f"This is a {kind} card; the command is for a {expected} card.", kind=kind, expected=expected)


class CardDiffers(Refusal):
    """This key was used before to open another card."""

    def __init__(self, *, key: str) -> None:
        super().__init__(
            f"The key {key!r} was used before to open a card with other content. A new command needs a new key.",
            key=key,
        )


class CardNumberTaken(Refusal):
    """There is a card of this number already."""

    def __init__(self, *, card_number: str) -> None:
        super().__init__(f"There is a card of number {card_number} already.", card_number=card_number)


class CardBalanceInsufficient(Refusal):
    """The card holds less money than asked for."""

    def __init__(self, *, asked_minor: int, available_minor: int) -> None:
        super().__init__(
            f"{asked_minor} was asked for, but the card holds {available_minor} (minor units).",
            asked_minor=asked_minor,
            available_minor=available_minor,
        )


class UsesInsufficient(Refusal):
    """The card has fewer visits left than asked for."""

    def __init__(self, *, asked: int, left: int, expired_on: str | None = None) -> None:
        since = f"; it expired on {expired_on}" if expired_on else ""
        more = {"expired_on": expired_on} if expired_on else {}
        super().__init__(
            f"{asked} were asked for, but the card has {left} left{since}.", asked=asked, left=left, **more
        )


class CardLimitExceeded(Refusal):
    """The card would hold more money than a card may."""

    def __init__(self, *, balance_minor: int, limit_minor: int) -> None:
        super().__init__(
            f"The card would hold {balance_minor}; a card may hold {limit_minor} (minor units).",
            balance_minor=balance_minor,
            limit_minor=limit_minor,
        )


class CardGiftForbidden(Refusal):
    """More is given on the card than any till may give for what is paid."""

    def __init__(self, *, given_minor: int, permission: str, roles: str) -> None:
        super().__init__(
            f"{given_minor} (minor units) more is given than the program lets any till give for what is paid. That "
            f"needs the permission {permission} ({roles}, or a role of your own that has it).",
            given_minor=given_minor,
            permission=permission,
        )


class CardGiftUnexplained(Refusal):
    """Something is given on the card that nobody paid for, and it is not said why."""

    def __init__(self, *, given_minor: int) -> None:
        super().__init__(
            f"{given_minor} (minor units) is given that nobody paid for. Say why, as reason.", given_minor=given_minor
        )


class CardEntryUnknown(Refusal):
    """The card has no such entry, or it is of another kind."""

    def __init__(self, *, entry_id: str, expected: str) -> None:
        super().__init__(f"The card has no {expected} {entry_id}.", entry_id=entry_id, expected=expected)


class CardRefundTooLarge(Refusal):
    """More would go back than is left of it."""

    def __init__(self, *, asked: int, left: int, **facts: Any) -> None:
        super().__init__(f"{asked} would go back, but {left} are left of it.", asked=asked, left=left, **facts)


class CardRefundTooWide(Refusal):
    """The refund would go back to more top-ups than fit one transaction; refund in parts."""

    def __init__(self, *, limit: int, amount_minor: int) -> None:
        super().__init__(
            f"The refund would go back to more than {limit} top-ups. Refund {amount_minor} (minor units) first, then "
            "the rest.",
            limit=limit,
            amount_minor=amount_minor,
        )


class CardEmpty(Refusal):
    """There is nothing left on the card that could go back."""

    def __init__(self, *, card_id: str) -> None:
        super().__init__(f"Nothing is left on card {card_id} that was paid for.", card_id=card_id)


class CardNotEmpty(Refusal):
    """The card still holds what was paid for."""

    def __init__(self, *, principal_minor: int, uses: int) -> None:
        left = f"{uses} visits" if uses else f"{principal_minor} (minor units)"
        super().__init__(f"{left} are left on the card. Refund them first.", principal_minor=principal_minor, uses=uses)


class CardsHoldValue(Refusal):
    """Cards of a member whose membership is to close still hold what was paid for."""

    def __init__(self, *, cards: Sequence[Mapping[str, Any]], more: int) -> None:
        named = ", ".join(
            f"{card['card_id']} ({card['uses']} visits)"
            if card["uses"]
            else f"{card['card_id']} ({card['principal_minor']} minor units)"
            for card in cards
        )
        others = f" and {more} more" if more else ""
        super().__init__(
            f"Cards of the member still hold what was paid for: {named}{others}. Refund them first.",
            cards=list(cards),
            more=more,
        )


class ExtensionNotLater(Refusal):
    """An extension must end later than the card does."""

    def __init__(self, *, expires_on: str | None, asked: str) -> None:
        ends = f"expires on {expires_on}" if expires_on else "does not expire"
        super().__init__(f"The card {ends}; {asked} is no later day.", expires_on=expires_on, asked=asked)


class RefundUnclear(Refusal):
    """The refund names what a card of this kind does not have."""

    def __init__(self, *, field: str, kind: str) -> None:
        super().__init__(f"{field} has no meaning for a {kind} card.", field=field, kind=kind)
