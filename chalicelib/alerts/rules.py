"""What is noticed, from how much on, and about whom. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from chalicelib.alerts.models import AlertKind, Deed, Gain, Raised
from chalicelib.programs.models import Velocity

REFUSED: Mapping[str, AlertKind] = {
    "token_invalid": AlertKind.SIGN_IN_FAILED,
    "code_wrong": AlertKind.SIGN_IN_FAILED,
    "sign_in_locked": AlertKind.SIGN_IN_FAILED,
    "refresh_invalid": AlertKind.SIGN_IN_FAILED,
    "permission_missing": AlertKind.PERMISSION_REFUSED,
    "rights_not_yours": AlertKind.PERMISSION_REFUSED,
    "rights_exceeded": AlertKind.PERMISSION_REFUSED,
    "own_rights": AlertKind.PERMISSION_REFUSED,
    "card_gift_forbidden": AlertKind.PERMISSION_REFUSED,
    "shop_not_yours": AlertKind.PERMISSION_REFUSED,
    "home_shop_not_yours": AlertKind.PERMISSION_REFUSED,
    "velocity_exceeded": AlertKind.ADJUSTMENTS_CAPPED,
    "look_ups_too_many": AlertKind.LOOK_UPS_MISSED,
}
"""Refusals that are counted, by their code."""

LIMITS: Mapping[AlertKind, int] = {
    AlertKind.SIGN_IN_FAILED: 20,
    AlertKind.PERMISSION_REFUSED: 20,
    AlertKind.ADJUSTMENTS_CAPPED: 1,
    AlertKind.LOOK_UPS_MISSED: 1,
}
"""So many refusals in `WINDOW` raise an alert."""

WINDOW = timedelta(minutes=5)

STEP = 5
"""A process puts its count together with those of others each time it has come to so many more."""

_NAMES_MAX = 1000


class Tally:
    """What a process has counted of refusals in this window. It forgets, and never fills up."""

    def __init__(self) -> None:
        self._counts: dict[tuple[AlertKind, str], int] = {}
        self._told: dict[tuple[AlertKind, str], date] = {}
        self._slot = 0

    def take(self, kind: AlertKind, about: str, now: datetime) -> int:
        """Count a refusal: how many are to be put together with those of others now, often none."""
        if self._told.get((kind, about)) == now.date():
            return 0
        slot = slot_of(now)
        if slot != self._slot:
            self._slot = slot
            self._counts.clear()
        if len(self._counts) >= _NAMES_MAX and (kind, about) not in self._counts:
            return 0
        count = self._counts.get((kind, about), 0) + 1
        step = min(STEP, LIMITS[kind])
        self._counts[kind, about] = 0 if count >= step else count
        return count if count >= step else 0

    def told(self, kind: AlertKind, about: str, now: datetime) -> None:
        """Count no more of these today: the alert is raised."""
        if len(self._told) >= _NAMES_MAX:
            self._told.clear()
        self._told[kind, about] = now.date()


def slot_of(now: datetime) -> int:
    """The window that an instant is in."""
    return int(now.timestamp() // WINDOW.total_seconds())


def about(kind: AlertKind, subject: str, ip: str) -> str | None:
    """Whom a refusal is about: who asked, or their network where nobody knows; None when neither is known."""
    if kind is AlertKind.SIGN_IN_FAILED:
        return network(ip)
    return subject if subject != "-" else None


def network(ip: str) -> str | None:
    """The network of an address: of IPv4 its first three parts, of IPv6 its first three groups; or None."""
    from ipaddress import ip_address, ip_network  # noqa: PLC0415 - a few ms that only a refusal pays

    try:
        address = ip_address(ip)
    except ValueError:
        return None
    return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))


def overdone(
    deeds: Sequence[Deed], members: Mapping[tuple[AlertKind, str, date], int], limits: Velocity
) -> list[Raised]:
    """What is to be raised after some deeds.

    Args:
        members: to how many members each did it on the day.
    """
    at_most = {
        AlertKind.CONTACTS_CHANGED: limits.contact_changes_per_day,
        AlertKind.MEMBERS_UNMASKED: limits.unmasked_members_per_day,
        AlertKind.MEMBERS_EXPORTED: limits.exported_members_per_day,
    }
    who = dict.fromkeys((each.kind, each.by, each.day) for each in deeds)
    return [
        Raised(kind, by, day, count, limit)
        for kind, by, day in who
        if (limit := at_most[kind]) is not None and (count := members[kind, by, day]) > limit
    ]


def noticed(sums: Mapping[tuple[AlertKind, str, date], int], limits: Velocity) -> list[Raised]:
    """What is to be raised after some points were given.

    Args:
        sums: what members, shops and staff have come to, each with the day.
    """
    at_most = {
        AlertKind.MEMBER_VELOCITY: limits.member_points_per_day,
        AlertKind.SHOP_VELOCITY: limits.shop_points_per_day,
        AlertKind.STAFF_VELOCITY: limits.staff_points_per_day,
        AlertKind.CARD_GIFTS: limits.card_gifts_minor_per_day,
    }
    return [
        Raised(kind, who, day, count, limit)
        for (kind, who, day), count in sums.items()
        if (limit := at_most[kind]) is not None and count > limit
    ]


def own_gains(gains: Sequence[Gain]) -> dict[tuple[str, date], dict[str, int]]:
    """What came to those who had it done themselves, by who and the day: how much by each event."""
    found: dict[tuple[str, date], dict[str, int]] = {}
    for gain in gains:
        for who in gain.own:
            if gain.theirs > 0:
                found.setdefault((who, gain.day), {})[gain.event_id] = gain.theirs
    return found
