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
    CONTACTS_CHANGED = "contacts_changed"
    """Somebody changed mobile numbers or e-mail addresses of more members a day than the program finds likely."""
    MEMBERS_UNMASKED = "members_unmasked"
    """Somebody saw more members in clear likewise."""
    MEMBERS_EXPORTED = "members_exported"
    """Somebody exported more members likewise."""
    LOOK_UPS_MISSED = "look_ups_missed"
    """Somebody was refused a look-up, because too many of theirs had found nobody."""
    SELF_EARNING = "self_earning"
    """Somebody had points come to their own membership, or to one that answers for it; or money to a card of theirs; or
    spent points of a pool themselves."""


class AlertState(StrEnum):
    """Whether somebody has seen to it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"


class Alert(Record):
    """Something that somebody should look at. There is one a day of each kind about each.

    Of `self_earning` there is a further one each time more comes after somebody has seen to the last.
    """

    alert_id: AlertId
    kind: AlertKind
    about: str
    """Whom: a member's or a shop's id, the name of staff or an integration, or a network (`203.0.113.0/24`)."""
    day: date
    count: int
    """What it had come to when it was raised: points, money in minor units, or refusals. Of `self_earning` what the day
    has come to by now, points, minor units and visits of cards together; once somebody has seen to it, by then."""
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
    """Points that were given, or came to a member by hand, or money on a card that nobody paid for or that came back.

    Attributes:
        event_id: of what told of it: the same is counted once.
        shop_id: where, if in a shop.
        by: who gave it; None where a member did it, or it only moved or came back.
        own: whose own account it was, of those who had it done.
        minor: what was given on a card, or came back.
        theirs: what came of it to those of `own`: points, or minor units or visits of cards.
    """

    event_id: str
    member_id: AccountId
    points: int
    shop_id: ShopId | None
    by: str | None
    own: tuple[str, ...]
    day: date
    minor: int = 0
    theirs: int = 0


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that somebody did to a member, of which the members a day are counted.

    Attributes:
        by: who did it.
    """

    kind: AlertKind
    by: str
    member_id: AccountId
    day: date


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
