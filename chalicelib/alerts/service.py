"""Use cases of alerts: count and raise, list, acknowledge."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chalicelib.alerts import rules, store
from chalicelib.alerts.errors import AlertKnown, AlertMoved, AlertUnknown, CountMoved
from chalicelib.alerts.models import AcknowledgeAlert, Alert, AlertKind, AlertState, Deed, Gain, Raised
from chalicelib.alerts.rules import Tally
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AlertId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent

ATTEMPTS_MAX = 12

Tell = Callable[[str, Mapping[str, Any]], None]
"""Tells operators of something, in one line of the log."""


def count_gains(
    table: Table, ops: Table, book: ProgramBook, gains: Sequence[Gain], *, now: datetime, tell: Tell
) -> list[Raised]:
    """Count points that were given, each once, and raise what is too much; what was raised.

    The same gains again count nothing, and raise what was not raised yet.

    Raises:
        WriteContended: others kept counting the same members; safe to try again.
    """
    given = [gain for gain in gains if gain.points or gain.minor]
    return [
        *_count_given(table, ops, book, given, now=now, tell=tell),
        *_raise_own(table, gains, now=now, tell=tell),
    ]


def _count_given(
    table: Table, ops: Table, book: ProgramBook, gains: Sequence[Gain], *, now: datetime, tell: Tell
) -> list[Raised]:
    if not gains:
        return []
    for _ in range(ATTEMPTS_MAX):
        writes = store.count(gains, store.member_counts(ops, gains), now)
        try:
            if writes:
                ops.commit(writes)
        except CountMoved:
            continue
        break
    else:
        raise WriteContended
    noticed = rules.noticed(store.find_sums(ops, gains), book.current(now).velocity)
    return [each for each in noticed if raise_alert(table, each, now=now, tell=tell)]


def _raise_own(table: Table, gains: Sequence[Gain], *, now: datetime, tell: Tell) -> list[Raised]:
    """Raise what came to those who had it done, or count it on; alerts that are new.

    The alert itself names the events that it counts, so an event that comes again, however late, counts nothing. What
    comes after somebody has seen to the alert raises a further one: else the rest of the day would be theirs.

    Raises:
        WriteContended: others kept changing the same alert; safe to try again.
    """
    raised: list[Raised] = []
    for (who, day), amounts in rules.own_gains(gains).items():
        for _ in range(ATTEMPTS_MAX):
            known = store.find_own(table, who, day)
            write, count = store.count_own(known, who, day, amounts, now)
            if write is None:
                break
            try:
                table.commit([write])
            except (AlertKnown, AlertMoved):
                continue
            if isinstance(write.condition, Absent):
                raised.append(Raised(AlertKind.SELF_EARNING, who, day, count, 0))
                _tell(raised[-1], tell)
            break
        else:
            raise WriteContended
    return raised


def count_deeds(
    table: Table, ops: Table, book: ProgramBook, deeds: Sequence[Deed], *, now: datetime, tell: Tell
) -> list[Raised]:
    """Count to how many members somebody did something, each once a day, and raise what is too much; what was raised.

    The same deeds again count nothing, and raise what was not raised yet.

    Raises:
        WriteContended: others kept counting the same; safe to try again.
    """
    if not deeds:
        return []
    for _ in range(ATTEMPTS_MAX):
        writes, members = store.count_deeds(deeds, store.find_deeds(ops, deeds), now)
        try:
            if writes:
                ops.commit(writes)
        except CountMoved:
            continue
        break
    else:
        raise WriteContended
    noticed = rules.overdone(deeds, members, book.current(now).velocity)
    return [each for each in noticed if raise_alert(table, each, now=now, tell=tell)]


def note_refusal(
    table: Table,
    ops: Table,
    tally: Tally,
    *,
    code: str,
    subject: str,
    ip: str,
    now: datetime,
    tell: Tell,
) -> Raised | None:
    """Count a refusal, together with those that other processes have counted; raise an alert when they are many.

    A process writes once in five, and no more for the day once the alert is raised: who knocks a million times does not
    make us write a million times.
    """
    kind = rules.REFUSED.get(code)
    about = rules.about(kind, subject, ip) if kind is not None else None
    if kind is None or about is None:
        return None
    more = tally.take(kind, about, now)
    if not more:
        return None
    day = now.astimezone(UTC).date()
    key, addition = store.add_refusals(kind, about, rules.slot_of(now), day, more, now)
    ops.commit([addition])
    item = ops.get(key, consistent=True)
    count = item["points"] if item is not None else more
    if count < rules.LIMITS[kind]:
        return None
    raised = Raised(kind, about, day, count, rules.LIMITS[kind])
    is_new = raise_alert(table, raised, now=now, tell=tell)
    tally.told(kind, about, now)
    return raised if is_new else None


def raise_alert(table: Table, raised: Raised, *, now: datetime, tell: Tell) -> bool:
    """Raise an alert, unless it was raised that day; whether it is new."""
    try:
        table.commit([store.raise_alert(raised, now)])
    except AlertKnown:
        return False
    _tell(raised, tell)
    return True


def _tell(raised: Raised, tell: Tell) -> None:
    tell("alert", {"raised": 1, "kind": raised.kind.value, "about": raised.about, "count": raised.count})


def list_alerts(table: Table, state: AlertState, *, after: str | None, limit: int) -> Slice[Alert]:
    """A page of alerts, newest first."""
    found, last = store.list_alerts(table, state, after=after, limit=limit)
    return Slice(tuple(found), last)


def acknowledge_alert(
    table: Table, alert_id: AlertId, command: AcknowledgeAlert, *, by: str, now: datetime
) -> Outcome[Alert]:
    """Say that somebody has seen to an alert; the first who says so is named.

    Raises:
        AlertUnknown: there is no such alert.
        WriteContended: others kept changing it; safe to try again.
    """
    key = keys.alert_of(alert_id)
    for _ in range(ATTEMPTS_MAX):
        found = store.find_counted(table, key) if key is not None else None
        if found is None:
            raise AlertUnknown(alert_id=alert_id)
        alert = found.alert
        if alert.state is AlertState.ACKNOWLEDGED:
            return Outcome(alert, replayed=True)
        seen = {"state": AlertState.ACKNOWLEDGED, "acknowledged_by": by, "acknowledged_at": now}
        after = alert.model_copy(update={**seen, "version": alert.version + 1})
        if command.dry_run:
            return Outcome(after, stored=False)
        try:
            table.commit([store.replace_alert(alert, after, found.ids)])
        except AlertMoved:
            continue
        return Outcome(after)
    raise WriteContended
