"""What purchases tell others."""

from datetime import date

from chalicelib.kernel.ids import HoldId, PurchaseId, ShopId
from chalicelib.kernel.money import Currency, Minor
from chalicelib.points.events import Leading


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


class PurchaseReturned(Leading):
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
