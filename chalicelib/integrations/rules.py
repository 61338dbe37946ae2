"""What is decided about integration keys. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from chalicelib.identity.keys import IntegrationKey, KeyStatus, Secret
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import FOR_INTEGRATIONS, Permission, Scope
from chalicelib.integrations.errors import ExpiryOver, IntegrationKeyOver, RightsNotYours
from chalicelib.integrations.models import KeyScope, MakeIntegrationKey, RotateIntegrationKey
from chalicelib.kernel.calendar import day_after, zone
from chalicelib.kernel.ids import IntegrationKeyId
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of

SCOPES = {KeyScope.SHOP: Scope.SHOP, KeyScope.ALL: Scope.ALL}


def require_grantable(caller: Caller, command: MakeIntegrationKey) -> None:
    """See that a key gets nothing that its maker does not have, as far as it reaches, nor what no integration may do.

    Raises:
        RightsNotYours: it would.
    """
    wanted = SCOPES[command.scope]
    beyond = [each for each in command.permissions if not _may_give(caller, each, wanted)]
    # Whose permissions reach to all shops may name any; others name their own.
    bound = any(caller.scope(each) is not Scope.ALL for each in command.permissions)
    foreign = [each for each in command.shop_ids if bound and each not in caller.shop_ids]
    if beyond or foreign:
        raise RightsNotYours(permissions=sorted(set(beyond)), shop_ids=sorted(set(foreign)))


def _may_give(caller: Caller, permission: Permission, wanted: Scope) -> bool:
    own = caller.scope(permission)
    return permission in FOR_INTEGRATIONS and own is not None and own >= wanted


def made(
    key_id: IntegrationKeyId,
    command: MakeIntegrationKey,
    secret: Secret,
    caller: Caller,
    content: bytes,
    program: Program,
    *,
    now: datetime,
) -> IntegrationKey:
    """A new key.

    Raises:
        ExpiryOver: it would have expired already.
    """
    today = today_of(program, now)
    if command.expires_on is not None and command.expires_on < today:
        raise ExpiryOver(today=today.isoformat())
    return IntegrationKey(
        key_id=key_id,
        name=command.name,
        permissions=frozenset(command.permissions),
        scope=SCOPES[command.scope],
        shop_ids=frozenset(command.shop_ids),
        rate_per_minute=command.rate_per_minute,
        status=KeyStatus.ACTIVE,
        secrets=(secret,),
        created_at=now,
        created_by=caller.subject,
        content=content,
        expires_on=command.expires_on,
        expires_at=_end_of(command.expires_on, program.time_zone) if command.expires_on else None,
    )


def _end_of(day: date, time_zone: str) -> datetime:
    return datetime.combine(day_after(day), time(), zone(time_zone))


def rotated(
    key: IntegrationKey, command: RotateIntegrationKey, secret: Secret, rotation: str, *, now: datetime
) -> IntegrationKey:
    """A key with another secret; the one before is good for the overlap, any older one no more.

    Raises:
        IntegrationKeyOver: it was revoked or has expired.
    """
    if not is_good(key, now=now):
        raise IntegrationKeyOver(key_id=key.key_id)
    former = replace(key.secrets[0], until=now + timedelta(hours=command.overlap_hours))
    kept = (secret, former) if command.overlap_hours else (secret,)
    return replace(key, secrets=kept, rotation=rotation, version=key.version + 1)


def revoked(key: IntegrationKey) -> IntegrationKey:
    """A key that was taken back: nothing of its secrets is kept."""
    closed = tuple(replace(each, digest=b"") for each in key.secrets[:1])
    return replace(key, status=KeyStatus.REVOKED, secrets=closed, version=key.version + 1)


def is_good(key: IntegrationKey, *, now: datetime) -> bool:
    """Whether a key can be called with."""
    return key.status is KeyStatus.ACTIVE and (key.expires_at is None or now < key.expires_at)


def former_until(secrets: Iterable[Secret], *, now: datetime) -> datetime | None:
    """Until when the secret before the last rotation is good; None when it is not."""
    return next((each.until for each in secrets if each.until is not None and now < each.until), None)
