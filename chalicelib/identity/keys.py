"""Integration keys at the gate: `rgk_<id>_<secret>`, for tills and partners.

What is stored of a secret is its SHA-256. A slow hash would slow nobody down but us: nobody guesses 256 bits of chance,
however fast each guess is (ADR 0037).
"""

import base64
import hashlib
import hmac
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial

from chalicelib.identity.errors import TokenInvalid
from chalicelib.identity.gate import KEY_PREFIX
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.pace import Bucket, Share
from chalicelib.identity.permissions import Permission, Scope, granted
from chalicelib.identity.profile import bearer
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.errors import StorageBusy, Trouble
from chalicelib.kernel.ids import IntegrationKeyId, ShopId
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Count, Item, Put, Still, Write

KNOWN_FOR = timedelta(seconds=30)
"""So long a process believes what it has read of a key: what is revoked or changed bites after that."""

_READ_AGAIN_AFTER = timedelta(seconds=1)
"""A secret that does not fit is looked up once more, so that a new one works; but not more often than that."""

_COUNTED_FOR = 3600
"""Seconds for which the counter of a minute is kept; what it counts is over with the minute."""

_FORM = re.compile(r"rgk_([a-z2-7]{16})_([a-z2-7]{52})")


class KeyStatus(StrEnum):
    """Whether a key is good."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a key, as far as it is known here.

    Attributes:
        digest: SHA-256 of it.
        last_four: its last characters, for people to tell keys apart.
        until: from this instant on it is not taken; None: as long as the key is good.
    """

    digest: bytes
    last_four: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class IntegrationKey:
    """An integration key.

    Attributes:
        expires_at: from this instant on it is not taken; the end of `expires_on` where the program is.
        secrets: the newest first; two while one takes the place of the other.
        created_by: the subject of who made it.
        content: what tells the command that made it from another under the same key.
        rotation: the key of the last command that gave it another secret.
    """

    key_id: IntegrationKeyId
    name: str
    permissions: frozenset[Permission]
    scope: Scope
    shop_ids: frozenset[ShopId]
    rate_per_minute: int
    status: KeyStatus
    secrets: tuple[Secret, ...]
    created_at: datetime
    created_by: str
    content: bytes
    expires_on: date | None = None
    expires_at: datetime | None = None
    rotation: str = ""
    version: int = 1


def secret_of(chance: bytes) -> str:
    """A secret of 52 characters from 32 bytes of chance."""
    return base64.b32encode(chance).decode().lower().rstrip("=")


def digest_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(b"regulars integration secret " + secret.encode()).digest()


def written(key_id: IntegrationKeyId, secret: str) -> str:
    """A key as it is handed out and sent."""
    return f"{KEY_PREFIX}{key_id.removeprefix('key_')}_{secret}"


def find_key(
    table: Table, key_id: IntegrationKeyId, *, consistent: bool = True
) -> tuple[IntegrationKey, date | None] | None:
    """A key and the day on which it was used last, in one read; None when there is no such key."""
    pk = keys.integration_key(key_id).pk
    found = {item["sk"]: item for item in table.query_partition(pk, first="KEY", last="USED", consistent=consistent)}
    if "KEY" not in found:
        return None
    return key_from(found["KEY"]), used_on(found.get("USED"))


def used_on(item: Item | None) -> date | None:
    """The day that the item of a key's use says."""
    return date.fromordinal(item["n"]) if item else None


def key_from(item: Item) -> IntegrationKey:
    """The key that an item holds."""
    return IntegrationKey(
        key_id=IntegrationKeyId(item["key_id"]),
        name=item["name"],
        permissions=frozenset(Permission(each) for each in item["may"]),
        scope=Scope(item["scope"]),
        shop_ids=frozenset(ShopId(each) for each in item.get("shops", ())),
        rate_per_minute=item["rate"],
        status=KeyStatus(item["status"]),
        secrets=tuple(
            Secret(digest, last, from_milliseconds(until[0]) if until else None)
            for digest, last, *until in item["secrets"]
        ),
        created_at=from_milliseconds(item["created"]),
        created_by=item["by"],
        content=item["d"],
        expires_on=date.fromisoformat(item["expires_on"]) if "expires_on" in item else None,
        expires_at=from_milliseconds(item["until"]) if "until" in item else None,
        rotation=item.get("rotation", ""),
        version=item["version"],
    )


def require_good(key: IntegrationKey, secret: str, *, now: datetime) -> None:
    """See that a secret opens a key at an instant. Every secret is compared, each in constant time.

    Raises:
        TokenInvalid: it does not; the same words for whatever reason.
    """
    digest = digest_of(secret)
    fits = [hmac.compare_digest(digest, each.digest) and _lives(each.until, now) for each in key.secrets]
    if not any(fits) or key.status is not KeyStatus.ACTIVE or not _lives(key.expires_at, now):
        raise _refused()


def _lives(until: datetime | None, now: datetime) -> bool:
    return until is None or now < until


def _refused() -> TokenInvalid:
    return TokenInvalid("the key is not good")


class UseKnown(Exception):
    """Another process wrote down first that the key was used today. Never leaves the gate."""


class MinuteFull(Exception):
    """All processes together have let through what a key may send this minute. Never leaves the gate."""


@dataclass(slots=True)
class _Known:
    """What a process knows of a key, and how many requests it still lets it make.

    Attributes:
        bucket: counts alone, where there is no counter or it is out of reach.
        share: counts together with the other processes.
        alone: the minute in which the counter was out of reach.
    """

    key: IntegrationKey
    last_used_on: date | None
    read_at: datetime
    bucket: Bucket
    share: Share = field(default_factory=Share)
    alone: int = -1


@dataclass(frozen=True, slots=True)
class KeyGate:
    """Takes integration keys.

    In the steady state a request costs no read: a process believes for half a minute what it has read of a key. Its
    requests are counted with those that other processes let through, in parts, so few of them cost a write (ADR 0044).

    Args:
        table: `core`, where keys are.
        ops: where requests are counted; None counts them in this process alone.
    """

    table: Table
    ops: Table | None = None
    known: dict[IntegrationKeyId, _Known] = field(default_factory=dict)

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`.

        Raises:
            TokenMissing: there is no bearer token.
            TokenInvalid: it is no key that is good now.
            RateExceeded: it was used too often this minute.
            StorageBusy: the key cannot be asked for at the moment.
        """
        form = _FORM.fullmatch(bearer(authorization))
        if form is None:
            raise _refused()
        known = self._good(IntegrationKeyId(f"key_{form[1]}"), form[2], now)
        self._count(known, now)
        self._note_use(known, now.astimezone(UTC).date())
        key = known.key
        return Caller(
            kind=Kind.INTEGRATION,
            subject=key.key_id,
            roles=("integration",),
            grants=granted(key.permissions, key.scope),
            shop_ids=key.shop_ids,
        )

    def _good(self, key_id: IntegrationKeyId, secret: str, now: datetime) -> _Known:
        """A key whose secret it is. What does not fit what is remembered is read anew: it may be a new secret."""
        known = self._known(key_id, now)
        try:
            require_good(known.key, secret, now=now)
        except TokenInvalid:
            if now - known.read_at < _READ_AGAIN_AFTER:
                raise
            known.read_at = now - KNOWN_FOR
            known = self._known(key_id, now)
            require_good(known.key, secret, now=now)
        return known

    def _count(self, known: _Known, now: datetime) -> None:
        """Count a request. Where nobody can be asked the process counts alone: tills sell on."""
        rate, minute = known.key.rate_per_minute, int(now.timestamp() // 60)
        if self.ops is not None and known.alone != minute:
            with suppress(Trouble):
                return known.share.take(rate, partial(self._lease, known.key.key_id), now=now)
            known.alone = minute
        return known.bucket.take(rate, now=now)

    def _lease(self, key_id: IntegrationKeyId, minute: int, some: int, most: int) -> bool:
        assert self.ops is not None
        with suppress(MinuteFull):
            self.ops.commit([count(key_id, minute, some, most)])
            return True
        return False

    def _known(self, key_id: IntegrationKeyId, now: datetime) -> _Known:
        known = self.known.get(key_id)
        if known is not None and now - known.read_at < KNOWN_FOR:
            return known
        found = find_key(self.table, key_id)
        if found is None:
            self.known.pop(key_id, None)
            raise _refused()
        key, used = found
        if known is None:
            known = _Known(key, used, now, Bucket(key.rate_per_minute, now))
            self.known[key_id] = known
        known.key, known.last_used_on, known.read_at = key, used, now
        return known

    def _note_use(self, known: _Known, today: date) -> None:
        """Write down, once a day, that the key was used; whoever comes second leaves it."""
        if known.last_used_on is not None and known.last_used_on >= today:
            return
        with suppress(UseKnown, StorageBusy):  # somebody else has, or will tomorrow: no request fails for it
            self.table.commit([use(known.key.key_id, known.last_used_on, today)])
        known.last_used_on = today


def count(key_id: IntegrationKeyId, minute: int, some: int, most: int) -> Write:
    """The write that takes some of the requests that a key may send in a minute, unless that would be too many."""
    where, ends = keys.integration_rate(key_id, minute), (minute + 1) * 60 + _COUNTED_FOR
    return Count(where, "n", some, most, {"expires": ends}, otherwise=lambda _: MinuteFull())


def use(key_id: IntegrationKeyId, before: date | None, today: date) -> Write:
    """The write that says on which day a key was used last."""
    condition = Still("n", before.toordinal()) if before else Absent()
    return Put(keys.integration_key_use(key_id), {"n": today.toordinal()}, condition, lambda _: UseKnown())
