"""Alerts, and what is counted to raise them."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime

from chalicelib.kernel.ids import AccountId, AlertId, ShopId
from chalicelib.kernel.pages import Paging
from chalicelib.kernel.records import Note, Record


class AlertKind(StrEnum):
    """What was noticed."""

    SIGN_IN_FAILED = "sign_in_failed"
    """Tokens that are not ours, or wrong codes, many from one network."""
    PERMISSION_REFUSED = "permission_refused"
    """Somebody keeps asking for what they may not do, or for rights that they may not give."""
    MEMBER_VELOCITY = "member_velocity"
    """A member earned more points in a day than the program finds likely."""
    SHOP_VELOCITY = "shop_velocity"
    """A shop gave more points in a day likewise."""
    STAFF_VELOCITY = "staff_velocity"
    """Somebody gave more points in a day likewise, by sales and by hand."""
    CARD_GIFTS = "card_gifts"
    """Somebody gave more on cards in a day that nobody paid for, in minor units."""
    ADJUSTMENTS_CAPPED = "adjustments_capped"
    """Somebody was refused an adjustment, because they gave as many points by hand that day as one may."""
    SELF_EARNING = "self_earning"
    """Somebody had points given to their own membership."""


class AlertState(StrEnum):
    """Whether somebody has seen to it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"


class Alert(Record):
    """Something that somebody should look at. There is one a day of each kind about each."""

    alert_id: AlertId
    kind: AlertKind
    about: str
    """Whom: a member's or a shop's id, the name of staff or an integration, or a network (`203.0.113.0/24`)."""
    day: date
    count: int
    """What it had come to when it was raised: points, money in minor units, or refusals."""
    limit: int
    raised_at: AwareDatetime
    state: AlertState = AlertState.OPEN
    acknowledged_by: str | None = None
    acknowledged_at: AwareDatetime | None = None
    version: int = 1


class AlertQuery(Paging):
    """Which alerts."""

    state: Literal["open", "acknowledged"] = "open"


class AcknowledgeAlert(Record):
    """Say that somebody has seen to an alert."""

    reason: Note | None = None
    """What came of it; kept in the audit entry, numbers and addresses masked."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Gain:
    """Points that were given, or money on a card that nobody paid for.

    Attributes:
        event_id: of what told of it: the same is counted once.
        shop_id: where, if in a shop.
        by: who had it done, where it was not a member.
        own: whose own account it was, of those who had it done.
        minor: what was given on a card.
    """

    event_id: str
    member_id: AccountId
    points: int
    shop_id: ShopId | None
    by: str | None
    own: tuple[str, ...]
    day: date
    minor: int = 0


@dataclass(frozen=True, slots=True)
class Raised:
    """Something that is to be raised.

    Attributes:
        day: in the program's time zone for points, in UTC for refusals.
    """

    kind: AlertKind
    about: str
    day: date
    count: int
    limit: int
