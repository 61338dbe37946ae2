"""What purchases tell others."""

from datetime import date

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import EntryId, HoldId, PurchaseId, ShopId
from chalicelib.kernel.money import Currency, Minor, Points
from chalicelib.kernel.records import Slug, Subject
from chalicelib.points.events import ByHand, Leading


class PurchaseRecorded(Leading):
    """A purchase was recorded. Its basket stays where it is: read it by `purchase_id`."""

    purchase_id: PurchaseId
    shop_id: ShopId | None
    occurred_on: date
    """The day it was bought, in the program's time zone."""
    currency: Currency
    paid_minor: Minor
    tender_minor: Minor
    """What points paid."""
    points_earned: int
    points_spent: int
    points_hold_id: HoldId | None = None
    """The hold that the points spent were taken from, which ended with it; null where they were not held."""
    qualifying_points: int
    awaits_delivery: bool = False
    """The points earned cannot be spent before the delivery is told."""
    recorded_by: Subject | None = None
    """Who had it done: staff or an integration; null where nobody noted it."""
    own_account: bool = False
    """It is their own account."""


class PurchaseDelivered(Leading):
    """The delivery of a purchase was told: its points can be spent from a day on."""

    purchase_id: PurchaseId
    points_released: Points
    """Of the points earned, those that waited for the delivery until now."""
    spendable_on: date
    """First day on which they can be spent."""


class PurchaseRestated(Leading):
    """An order was stated anew: it is another one now than it was. Its basket is read by `purchase_id`."""

    purchase_id: PurchaseId
    currency: Currency
    paid_minor: Minor
    """What is paid in money now."""
    tender_points: Points
    """Points that pay for part of it now."""
    points_earned: Points
    """Change, up or down."""
    points_spent: Points
    """Change, up or down."""
    qualifying_points: int
    """Change of what counts towards tiers, up or down."""
    recorded_by: Subject | None = None
    """Who had it done: staff or an integration; null where nobody noted it."""
    own_account: bool = False
    """It is their own account."""


class ReturnRefused(Told):
    """A return came before its purchase, waited for it, and was refused: when the purchase came, or came too late.

    The member is unknown, and null, where the purchase has not come at all.
    """

    return_id: EntryId
    purchase_id: PurchaseId
    code: Slug
    """As in a problem: `return_too_large`, `return_waited_too_long` …"""


class PurchaseReturned(ByHand):
    """Part of a purchase came back, or all of it."""

    purchase_id: PurchaseId
    currency: Currency
    amount_minor: Minor
    """What the goods that came back cost."""
    refund_minor: Minor
    """What was paid back in money."""
    points_taken_back: int
    points_given_back: int
    qualifying_points: int
    """Counted towards tiers: nought or below."""
