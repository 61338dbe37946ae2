"""Use cases of integration keys: make, list, rotate, revoke."""

from collections.abc import Callable
from datetime import date, datetime

from chalicelib.identity.gate import KEY_PREFIX
from chalicelib.identity.keys import (
    IntegrationKey,
    KeyStatus,
    Secret,
    digest_of,
    find_key,
    secret_of,
    written,
)
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Scope
from chalicelib.integrations import rules, store
from chalicelib.integrations.errors import (
    IntegrationKeyDiffers,
    IntegrationKeyUnknown,
    RotationDiffers,
)
from chalicelib.integrations.models import (
    IntegrationKeyMade,
    IntegrationKeyView,
    KeyScope,
    MakeIntegrationKey,
    RevokeIntegrationKey,
    RotateIntegrationKey,
)
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.canonical import digest, plain
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import IntegrationKeyId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.table import Table

ATTEMPTS_MAX = 8

Draw = Callable[[], int]


def make_key(
    table: Table,
    book: ProgramBook,
    key: str,
    command: MakeIntegrationKey,
    caller: Caller,
    *,
    draw: Draw,
    now: datetime,
) -> Outcome[IntegrationKeyMade]:
    """Make a key. Its secret is answered once: of the same command again, everything else is.

    Raises:
        RightsNotYours: its maker may not give it these permissions or shops.
        ExpiryOver: it would have expired already.
        IntegrationKeyDiffers: this key was used before to make another.
    """
    key_id = IntegrationKeyId.of(key)
    content = digest(plain({"by": caller.subject, **command.model_dump(mode="json", exclude_defaults=True)}))
    known = find_key(table, key_id)
    if known is not None:
        return _made_before(known, content, key, now=now)

    rules.require_grantable(caller, command)
    text = secret_of(_chance(draw))
    stamp = from_milliseconds(milliseconds(now))
    made = rules.made(key_id, command, _secret(text), caller, content, book.current(now), now=stamp)

    try:
        table.commit([store.add_key(made)])
    except store.KeyMoved:
        known = find_key(table, key_id)
        assert known is not None
        return _made_before(known, content, key, now=now)
    return Outcome(_shown_once(made, None, written(key_id, text), now=now))


def list_keys(table: Table, *, after: str | None, limit: int, now: datetime) -> Slice[IntegrationKeyView]:
    """A page of all keys, newest first, revoked ones too."""
    found, last = store.list_keys(table, after=after, limit=limit)
    return Slice(tuple(_view(key, used, now=now) for key, used in found), last)


def get_key(table: Table, key_id: IntegrationKeyId, *, now: datetime) -> IntegrationKeyView:
    """A key, without its secret, which nobody knows any more.

    Raises:
        IntegrationKeyUnknown: there is no such key.
    """
    return _view(*_load(table, key_id), now=now)


def rotate_key(
    table: Table,
    key_id: IntegrationKeyId,
    key: str,
    command: RotateIntegrationKey,
    *,
    draw: Draw,
    now: datetime,
) -> Outcome[IntegrationKeyMade]:
    """Give a key another secret; the one before is good for the overlap.

    The same command again answers the key without its secret. A secret whose answer got lost is replaced by another
    rotation.

    Raises:
        IntegrationKeyUnknown: there is no such key.
        IntegrationKeyOver: it was revoked or has expired.
        RotationDiffers: this key was used before for another overlap.
        WriteContended: others rotate it at the same time.
    """
    text = secret_of(_chance(draw))
    rotation = f"{command.overlap_hours} {key}"
    for _ in range(ATTEMPTS_MAX):
        known, used = _load(table, key_id)
        if known.rotation and known.rotation.partition(" ")[2] == key:
            if known.rotation != rotation:
                raise RotationDiffers(key_id=key_id)
            return Outcome(_shown_once(known, used, None, now=now), replayed=True)

        after = rules.rotated(known, command, _secret(text), rotation, now=from_milliseconds(milliseconds(now)))

        try:
            table.commit([store.replace_key(after)])
        except store.KeyMoved:
            continue
        return Outcome(_shown_once(after, used, written(key_id, text), now=now))
    raise WriteContended


def revoke_key(
    table: Table,
    key_id: IntegrationKeyId,
    command: RevokeIntegrationKey,  # noqa: ARG001 - its reason goes into the audit
    *,
    now: datetime,
) -> Outcome[IntegrationKeyView]:
    """Take a key back, for good. One that was taken back before stays so.

    Raises:
        IntegrationKeyUnknown: there is no such key.
        WriteContended: others change it at the same time.
    """
    for _ in range(ATTEMPTS_MAX):
        known, used = _load(table, key_id)
        if known.status is KeyStatus.REVOKED:
            return Outcome(_view(known, used, now=now), replayed=True)
        after = rules.revoked(known)
        try:
            table.commit([store.replace_key(after)])
        except store.KeyMoved:
            continue
        return Outcome(_view(after, used, now=now))
    raise WriteContended


def _load(table: Table, key_id: IntegrationKeyId) -> tuple[IntegrationKey, date | None]:
    found = find_key(table, key_id)
    if found is None:
        raise IntegrationKeyUnknown(key_id=key_id)
    return found


def _made_before(
    known: tuple[IntegrationKey, date | None], content: bytes, key: str, *, now: datetime
) -> Outcome[IntegrationKeyMade]:
    if known[0].content != content:
        raise IntegrationKeyDiffers(key=key)
    return Outcome(_shown_once(*known, None, now=now), replayed=True)


def _secret(text: str) -> Secret:
    return Secret(digest_of(text), text[-4:])


def _chance(draw: Draw) -> bytes:
    return b"".join(draw().to_bytes(8, "big") for _ in range(4))


def _shown_once(key: IntegrationKey, used: date | None, text: str | None, *, now: datetime) -> IntegrationKeyMade:
    return IntegrationKeyMade(**dict(_view(key, used, now=now)), key=text)


def _view(key: IntegrationKey, used: date | None, *, now: datetime) -> IntegrationKeyView:
    return IntegrationKeyView(
        key_id=key.key_id,
        name=key.name,
        prefix=KEY_PREFIX + key.key_id.removeprefix("key_"),
        last_four=key.secrets[0].last_four,
        permissions=tuple(sorted(key.permissions)),
        scope=KeyScope.SHOP if key.scope is Scope.SHOP else KeyScope.ALL,
        shop_ids=tuple(sorted(key.shop_ids)),
        rate_per_minute=key.rate_per_minute,
        status=key.status,
        expires_on=key.expires_on,
        former_secret_until=rules.former_until(key.secrets, now=now) if rules.is_good(key, now=now) else None,
        last_used_on=used,
        created_at=key.created_at,
        created_by=key.created_by,
        version=key.version,
    )
