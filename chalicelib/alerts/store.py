"""How alerts are stored, and the counts that lead to them (in table `ops`, for a few days)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.alerts.errors import AlertKnown, AlertMoved, CountMoved
from chalicelib.alerts.models import Alert, AlertKind, AlertState, Deed, Gain, Raised
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Add, Condition, Item, Put, Unchanged, Write

KEPT = timedelta(days=3)

EVENTS_MAX = 500
"""So many events of a member are counted a day: who has more has long been noticed."""

Sums = dict[tuple[AlertKind, str, date], int]


@dataclass(frozen=True, slots=True)
class Counted:
    """An alert, and the events that it counts.

    Attributes:
        ids: of `self_earning`; each event is in one alert of the day.
    """

    alert: Alert
    ids: tuple[str, ...] = ()


def find_alert(table: Table, key: Key) -> Alert | None:
    """An alert, or None."""
    found = find_counted(table, key)
    return found.alert if found is not None else None


def find_counted(table: Table, key: Key) -> Counted | None:
    """An alert with what it counts, or None."""
    item = table.get(key, consistent=True)
    return Counted(alert_from(item), tuple(item.get("ids", ()))) if item is not None else None


def find_own(table: Table, who: str, day: date) -> list[Counted]:
    """The alerts of a day about somebody to whom something came by their own doing, in order."""
    found: list[Counted] = []
    while (one := find_counted(table, _own(who, day, len(found) + 1))) is not None:
        found.append(one)
    return found


def count_own(
    known: Sequence[Counted], who: str, day: date, amounts: Mapping[str, int], now: datetime
) -> tuple[Put | None, int]:
    """The write by which the alerts of a day count what they do not count yet, and what they come to; None: all is.

    Args:
        known: those of the day.
        amounts: what came, by event.
    """
    counted = {each for one in known for each in one.ids}
    new = {_short(event): amount for event, amount in amounts.items() if _short(event) not in counted}
    last = known[-1] if known else None
    count = sum(new.values()) + (last.alert.count if last else 0)
    if not new:
        return None, count
    if last is not None and last.alert.state is AlertState.OPEN and len(last.ids) < EVENTS_MAX:
        after = last.alert.model_copy(update={"count": count, "version": last.alert.version + 1})
        return replace_alert(last.alert, after, (*last.ids, *new)), count
    key = _own(who, day, len(known) + 1)
    raised = Raised(AlertKind.SELF_EARNING, who, day, count, 0)
    return Put(key, _item(_alert(key, raised, now), tuple(new)), Absent(), lambda _: AlertKnown()), count


def _own(who: str, day: date, number: int) -> Key:
    return keys.alert(AlertKind.SELF_EARNING, who, day, number)


def list_alerts(table: Table, state: AlertState, *, after: str | None, limit: int) -> tuple[list[Alert], str | None]:
    """Alerts in a state, newest first, and where the next ones start."""
    rows = table.query_timeline(keys.alerts(state), after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted)
    return [alert_from(found[key]) for key in wanted if key in found], rows.last


def raise_alert(raised: Raised, now: datetime) -> Write:
    """The write of a new alert."""
    key = keys.alert(raised.kind, raised.about, raised.day)
    return Put(key, _item(_alert(key, raised, now)), Absent(), lambda _: AlertKnown())


def _alert(key: Key, raised: Raised, now: datetime) -> Alert:
    return Alert(
        alert_id=keys.alert_id(key),
        kind=raised.kind,
        about=raised.about,
        day=raised.day,
        count=raised.count,
        limit=raised.limit,
        raised_at=now,
    )


def replace_alert(before: Alert, after: Alert, ids: tuple[str, ...] = ()) -> Put:
    """The write that follows an alert, unless it was changed since.

    Args:
        ids: the events that it counts from now on.
    """
    return Put(_key(before), _item(after, ids), Unchanged(before.version), lambda _: AlertMoved())


def alert_from(item: Item) -> Alert:
    """The alert that an item holds."""
    _, kind, about, day, *_ = keys.parted(item["pk"])
    return Alert(
        alert_id=keys.alert_id(Key(item["pk"], item["sk"])),
        kind=AlertKind(kind),
        about=about,
        day=date.fromisoformat(day),
        count=item["count"],
        limit=item["limit"],
        raised_at=from_milliseconds(item["raised"]),
        state=AlertState(item["state"]),
        acknowledged_by=item.get("by"),
        acknowledged_at=from_milliseconds(item["seen"]) if "seen" in item else None,
        version=item["version"],
    )


def _key(alert: Alert) -> Key:
    key = keys.alert_of(alert.alert_id)
    assert key is not None, "it was made of a key"
    return key


def _item(alert: Alert, ids: tuple[str, ...] = ()) -> Item:
    return {
        "tl": keys.alerts(alert.state),
        "at": keys.alert_moment(alert.raised_at, _key(alert).pk),
        "count": alert.count,
        "limit": alert.limit,
        "raised": milliseconds(alert.raised_at),
        "state": alert.state.value,
        "by": alert.acknowledged_by,
        "seen": milliseconds(alert.acknowledged_at) if alert.acknowledged_at else None,
        "version": alert.version,
        "ids": list(ids) or None,
    }


# ---------------------------------------------------------------- counts


def member_counts(ops: Table, gains: Sequence[Gain]) -> dict[Key, Item]:
    """What is counted of the members who were given points."""
    return ops.get_many(list(dict.fromkeys(_member(gain) for gain in gains)), consistent=True)


def count(gains: Sequence[Gain], known: Mapping[Key, Item], now: datetime) -> list[Write]:
    """The writes that count points given, those that were not counted yet; none when all were.

    A member's count names the events that it holds. It is written in the same transaction as the sums of shops and
    staff, so each event is in all of them once.
    """
    new: dict[Key, dict[str, Gain]] = defaultdict(dict)
    for gain in gains:
        key = _member(gain)
        counted = known.get(key, {}).get("ids", ())
        if _short(gain.event_id) not in counted and len(counted) + len(new[key]) < EVENTS_MAX:
            new[key][_short(gain.event_id)] = gain
    expires = int((now + KEPT).timestamp())
    writes: list[Write] = []
    sums: dict[Key, int] = defaultdict(int)
    for key, some in new.items():
        if not some:
            continue
        before = known.get(key)
        item = {
            "ids": [*(before["ids"] if before else ()), *some],
            "points": (before["points"] if before else 0) + sum(gain.points for gain in some.values()),
            "version": before["version"] + 1 if before else 1,
            "expires": expires,
        }
        condition: Condition = Unchanged(before["version"]) if before else Absent()
        writes.append(Put(key, item, condition, lambda _: CountMoved()))
        for gain in some.values():
            for key_of_sum, amount in _sums(gain):
                sums[key_of_sum] += amount
    writes += (Add(key, {"points": points}, {"expires": expires}) for key, points in sums.items())
    return writes


def find_sums(ops: Table, gains: Sequence[Gain]) -> Sums:
    """What the members, shops and staff of some gains have come to by now."""
    wanted: dict[Key, tuple[AlertKind, str, date]] = {}
    for gain in gains:
        if gain.minor:
            if gain.by is not None:
                wanted[_sum("gifts", gain.by, gain)] = (AlertKind.CARD_GIFTS, gain.by, gain.day)
            continue
        wanted[_member(gain)] = (AlertKind.MEMBER_VELOCITY, gain.member_id, gain.day)
        if gain.shop_id is not None:
            wanted[_sum("shop", gain.shop_id, gain)] = (AlertKind.SHOP_VELOCITY, gain.shop_id, gain.day)
        if gain.by is not None:
            wanted[_sum("staff", gain.by, gain)] = (AlertKind.STAFF_VELOCITY, gain.by, gain.day)
    found = ops.get_many(list(wanted), consistent=True)
    return {wanted[key]: item["points"] for key, item in found.items()}


def find_deeds(ops: Table, deeds: Sequence[Deed]) -> dict[Key, Item]:
    """To whom those who did something did it on the day, as far as it is counted."""
    return ops.get_many(list(dict.fromkeys(_deeds(each) for each in deeds)), consistent=True)


def count_deeds(deeds: Sequence[Deed], known: Mapping[Key, Item], now: datetime) -> tuple[list[Write], Sums]:
    """The writes that count deeds, each member once, and to how many members each did it with them."""
    new: dict[Key, list[str]] = defaultdict(list)
    names: dict[Key, tuple[AlertKind, str, date]] = {}
    for deed in deeds:
        key = _deeds(deed)
        names[key] = (deed.kind, deed.by, deed.day)
        counted = known.get(key, {}).get("ids", ())
        if deed.member_id not in (*counted, *new[key]) and len(counted) + len(new[key]) <= EVENTS_MAX:
            new[key].append(deed.member_id)
    sums = {name: len(known.get(key, {}).get("ids", ())) + len(new[key]) for key, name in names.items()}
    writes: list[Write] = []
    for key, some in new.items():
        before = known.get(key)
        if some:
            item = {
                "ids": [*(before["ids"] if before else ()), *some],
                "version": before["version"] + 1 if before else 1,
                "expires": int((now + KEPT).timestamp()),
            }
            condition: Condition = Unchanged(before["version"]) if before else Absent()
            writes.append(Put(key, item, condition, lambda _: CountMoved()))
    return writes, sums


def _deeds(deed: Deed) -> Key:
    return keys.velocity(deed.kind, deed.by, deed.day)


def add_refusals(kind: AlertKind, about: str, slot: int, day: date, more: int, now: datetime) -> tuple[Key, Write]:
    """The write that adds refusals to those that other processes have counted, and where they are."""
    key = keys.velocity(kind, f"{about} {slot}", day)
    return key, Add(key, {"points": more}, {"expires": int((now + KEPT).timestamp())})


def _member(gain: Gain) -> Key:
    return _sum("member", gain.member_id, gain)


def _sums(gain: Gain) -> list[tuple[Key, int]]:
    named: Sequence[tuple[str, str | None, int]] = (("gifts", gain.by, gain.minor),)
    if not gain.minor:
        named = (("shop", gain.shop_id, gain.points), ("staff", gain.by, gain.points))
    return [(_sum(what, who, gain), amount) for what, who, amount in named if who is not None]


def _sum(what: str, who: str, gain: Gain) -> Key:
    return keys.velocity(what, who, gain.day)


def _short(event_id: str) -> str:
    """Enough of an event's id to tell it from a member's others."""
    return event_id[4:16]
