"""How signing in is kept, in table `ops`: nothing of it is the system of record, and all of it lapses.

Whether something has lapsed is decided from the clock when it is read; `expires` only cleans up. Addresses are kept as
blind indexes, codes as a keyed digest, tokens as a digest: nothing here lets anybody in.
"""

import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import MemberId, SessionId
from chalicelib.signin import rules
from chalicelib.signin.errors import TooManyCodes
from chalicelib.signin.models import Attempts, Pressure, Purpose, Session
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Add, Anyway, Count, Delete, Item, Put, Unchanged, Write

_ATTEMPTS_KEPT = timedelta(days=8)
_COUNTS_KEPT = timedelta(days=2)


class AttemptsMoved(Exception):
    """Another try at the same address got there first. Never leaves the service."""


class SessionMoved(Exception):
    """Another request of the same session got there first. Never leaves the service."""


# ---------------------------------------------------------------- reading


def find_request(ops: Table, request_id: str) -> tuple[str, str, Purpose] | None:
    """The kind and blind index of the address that a request is for, and what its code is for; or None."""
    item = ops.get(keys.otp_request(request_id))
    item = item or ops.get(keys.otp_request(request_id), consistent=True)
    return (item["kind"], item["blind"], Purpose(item["purpose"])) if item else None


def find_attempts(ops: Table, kind: str, blind: str, *, now: datetime) -> tuple[Attempts, Pressure]:
    """What was tried with an address, and how signing in goes by now, in one read."""
    where = keys.otp_number(kind, blind)
    found = ops.get_many([where, *_windows(now), *keys.otp_pressure(_day(now))], consistent=True)
    recent, today = _sums(found, _windows(now)), _sums(found, keys.otp_pressure(_day(now)))
    pressure = Pressure(recent["asked"], recent["right"], recent["wrong"], today["wrong"])
    return (_attempts(found[where]) if where in found else Attempts()), pressure


def find_session(ops: Table, member_id: MemberId, session_id: SessionId) -> Session | None:
    """A session, or None."""
    item = ops.get(keys.session(member_id, session_id), consistent=True)
    return _session(item) if item else None


def list_sessions(ops: Table, member_id: str) -> list[Session]:
    """All sessions of a member that are kept."""
    items = ops.query_partition(keys.sessions(member_id), first="ses_", last="ses_~", consistent=True)
    return [_session(item) for item in items]


# ---------------------------------------------------------------- describing writes


def keep_request(request_id: str, kind: str, blind: str, purpose: Purpose, *, now: datetime) -> Write:
    """The write that says to which address a request belongs."""
    item: Item = {"kind": kind, "blind": blind, "purpose": purpose.value, "expires": _after(now, timedelta(hours=1))}
    return Put(keys.otp_request(request_id), item, Absent(), lambda _: AttemptsMoved())


def keep_attempts(attempts: Attempts, kind: str, blind: str, *, now: datetime) -> Write:
    """The write of what was tried with an address, after the record of it that was read."""
    read = attempts.version - 1
    condition = Unchanged(read) if read else Absent()
    item = _attempts_item(attempts) | {"expires": _after(now, _ATTEMPTS_KEPT)}
    return Put(keys.otp_number(kind, blind), item, condition, lambda _: AttemptsMoved())


def count_code(tallies: Iterable[rules.Tally], keyring: Keyring, *, now: datetime) -> list[Write]:
    """The writes that count a code. Each holds its limit by itself, however many count at once."""
    return [_counted(each, keyring, now) for each in tallies]


def _counted(tally: rules.Tally, keyring: Keyring, now: datetime) -> Write:
    full = TooManyCodes(retry_after=tally.retry_after)
    where = keys.otp_count(tally.what, keyring.blind(f"otp {tally.what}", tally.which), tally.window)
    return Count(where, "n", tally.amount, tally.most, {"expires": _after(now, _COUNTS_KEPT)}, otherwise=lambda _: full)


def note_pressure(what: str, blind: str, *, now: datetime, today: bool = False) -> list[Write]:
    """The writes that count what happened: `asked`, `right` or `wrong`; of the day, too, where that counts."""
    shard = zlib.crc32(blind.encode()) % keys.OTP_SHARDS
    windows = [_window(now), *([_day(now)] if today else [])]
    item = {"expires": _after(now, _COUNTS_KEPT)}
    return [Add(keys.otp_pressure(window)[shard], {what: 1}, item) for window in windows]


def open_session(session: Session) -> Write:
    """The write of a new session."""
    return Put(
        keys.session(session.member_id, session.session_id), _session_item(session), Absent(), lambda _: SessionMoved()
    )


def replace_session(session: Session) -> Write:
    """The write of a session after the version of it that was read."""
    where = keys.session(session.member_id, session.session_id)
    return Put(where, _session_item(session), Unchanged(session.version - 1), lambda _: SessionMoved())


def forget_session(session: Session) -> Write:
    """The write that removes a session."""
    return Delete(keys.session(session.member_id, session.session_id), Anyway(), lambda _: SessionMoved())


def forget_attempts(kind: str, blind: str) -> Write:
    """The write that removes what was tried with an address."""
    return Delete(keys.otp_number(kind, blind), Anyway(), lambda _: AttemptsMoved())


# ---------------------------------------------------------------- items


def _window(now: datetime) -> str:
    return f"W{int(now.timestamp() // rules.WINDOW.total_seconds())}"


def _windows(now: datetime) -> tuple[keys.Key, ...]:
    """The counters of the last minutes: of this window and the one before."""
    return keys.otp_pressure(_window(now)) + keys.otp_pressure(_window(now - rules.WINDOW))


def _day(now: datetime) -> str:
    return f"D{now.astimezone(UTC):%Y-%m-%d}"


def _sums(found: Mapping[keys.Key, Item], wanted: Iterable[keys.Key]) -> dict[str, int]:
    items = [found[key] for key in wanted if key in found]
    return {name: sum(item.get(name, 0) for item in items) for name in ("asked", "right", "wrong")}


def _after(now: datetime, how_long: timedelta) -> int:
    return int((now + how_long).timestamp())


def _instant(value: Any) -> datetime | None:
    return from_milliseconds(value) if value is not None else None


def _number(instant: datetime | None) -> int | None:
    return milliseconds(instant) if instant is not None else None


def _attempts(item: Item) -> Attempts:
    return Attempts(
        version=item["version"],
        asked=tuple(from_milliseconds(each) for each in item.get("asked", ())),
        request_id=item.get("request", ""),
        mac=item.get("mac", ""),
        digits=item.get("digits", 0),
        expires_at=_instant(item.get("until")),
        tries=item.get("tries", 0),
        failed_at=_instant(item.get("failed")),
        locks=item.get("locks", 0),
        locked_until=_instant(item.get("locked")),
    )


def _attempts_item(attempts: Attempts) -> Item:
    return {
        "version": attempts.version,
        "asked": [milliseconds(each) for each in attempts.asked] or None,
        "request": attempts.request_id or None,
        "mac": attempts.mac or None,
        "digits": attempts.digits,
        "until": _number(attempts.expires_at),
        "tries": attempts.tries,
        "failed": _number(attempts.failed_at),
        "locks": attempts.locks,
        "locked": _number(attempts.locked_until),
    }


def _session(item: Item) -> Session:
    return Session(
        session_id=SessionId(item["sk"]),
        member_id=MemberId(item["member_id"]),
        digest=item["digest"],
        opened_at=from_milliseconds(item["opened"]),
        turned_at=from_milliseconds(item["turned"]),
        before=item.get("before", b""),
        salt=item.get("salt", b""),
        ended=item.get("ended", ""),
        version=item["version"],
    )


def _session_item(session: Session) -> Item:
    return {
        "member_id": session.member_id,
        "digest": session.digest,
        "opened": milliseconds(session.opened_at),
        "turned": milliseconds(session.turned_at),
        "before": session.before or None,
        "salt": session.salt or None,
        "ended": session.ended or None,
        "version": session.version,
        "expires": _after(rules.ends_at(session), _COUNTS_KEPT),
    }
