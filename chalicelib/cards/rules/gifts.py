"""What a card is given that nobody paid for, and who may give it. Pure."""

from chalicelib.cards.errors import CardGiftForbidden, CardGiftUnexplained
from chalicelib.cards.models import OpenCard, TopUpCard
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission, roles_with
from chalicelib.programs.models import Program


def given_beyond(command: TopUpCard, program: Program) -> int:
    """Of a top-up's bonus, what is more than the share of what is paid that any till may give."""
    share = command.amount_minor * program.card_gifts.bonus_percent_max // 100
    return max(0, command.bonus_minor - share)


def given_visits(command: OpenCard, program: Program) -> int:
    """What the price of a count card is below the least that so many visits are sold for, in minor units."""
    least = (command.uses or 0) * program.card_gifts.visit_minor_min
    return max(0, least - command.price_minor)


def require_may_give(given_minor: int, reason: str | None, by: Caller | None) -> None:
    """See that whoever sends a command may give so much, and says why.

    Args:
        by: who sends it; None where no person does.

    Raises:
        CardGiftForbidden: they may not.
        CardGiftUnexplained: they do not say why.
    """
    if not given_minor or by is None:
        return
    allowed = Permission.CARDS_GIFT
    if by.scope(allowed) is None:
        raise CardGiftForbidden(given_minor=given_minor, permission=allowed.value, roles=roles_with(allowed))
    if reason is None:
        raise CardGiftUnexplained(given_minor=given_minor)
