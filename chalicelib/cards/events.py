"""What cards tell others. The envelope's `member_id` is the card's id; whose it is stands in the data."""

from datetime import date

from chalicelib.cards.models import CardKind
from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import EntryId, MemberId
from chalicelib.kernel.money import Minor, Points
from chalicelib.kernel.records import Slug, Subject
from chalicelib.points.events import ByHand, Leading


class CardLeading(Leading):
    """Leads an entry of a card; `points` and `balance_after` are minor units of money, or visits, by its kind."""

    owner_id: MemberId
    """Whose card it was then."""


class CardGiving(CardLeading):
    """Leads an entry that may give what nobody paid for."""

    given_minor: Minor = 0
    """What it gives beyond what any till may, for what was paid."""
    recorded_by: Subject | None = None
    """Who had it done: staff or an integration; null where nobody noted it."""
    own_account: bool = False
    """It is a card of their own."""


class CardGivenBack(ByHand):
    """Leads an entry that gives back to a card what it had paid."""

    owner_id: MemberId
    """Whose card it was then."""


class CardOpened(CardGiving):
    """A card was opened for a member."""

    kind: CardKind
    uses: int
    """Visits that a count card was sold with."""
    paid_minor: Minor
    """What was paid for them."""
    expires_on: date | None
    """Last day of the visits; null when they do not expire, or the card holds money."""


class CardToppedUp(CardGiving):
    """Money was paid into a card."""

    principal_minor: Minor
    bonus_minor: Minor
    bonus_expires_on: date | None
    """Null when there is no bonus, or it does not expire."""


class CardSpent(CardLeading):
    """A card paid for something."""

    principal_minor: Minor
    """Of the amount, what had been paid in."""
    bonus_minor: Minor


class CardSpendRefunded(CardGivenBack):
    """A spend was given back to its card, in part or whole."""

    principal_minor: Minor
    bonus_minor: Minor
    spend_id: EntryId


class CardRefunded(CardLeading):
    """Money was paid back from a card, by the means by which it had been paid in."""

    refunded_minor: Minor
    """What was paid back."""
    principal_minor: Minor
    """Of the principal, what was taken."""
    bonus_minor: Minor
    """Of the bonus, what was withdrawn; it is not paid out."""
    uses: int
    """Visits of a count card that were taken back."""
    reason_code: Slug


class CardUsed(CardLeading):
    """A count card was used."""

    uses: int


class CardUseReversed(CardGivenBack):
    """A use was taken back."""

    uses: int
    use_id: EntryId


class CardExtended(CardLeading):
    """A count card lives longer."""

    expires_on: date
    reason_code: Slug


class CardBonusWithdrawn(CardLeading):
    """A card was closed and the bonus taken that was left on it."""

    bonus_minor: Minor


class CardExpired(Leading):
    """What a card held expired unspent: bonus or visits; below nought, what had expired came to life again."""

    expired: Points
    expires_on: date | None
    """The last day it had."""


class CardSuspended(Told):
    """A card was suspended."""

    owner_id: MemberId


class CardReinstated(Told):
    """A card's suspension ended."""

    owner_id: MemberId


class CardClosed(Told):
    """A card was closed for good."""

    owner_id: MemberId
