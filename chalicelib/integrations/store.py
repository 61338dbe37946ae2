"""How integration keys are stored: reading one is the gate's matter (`identity.keys`)."""

from collections.abc import Sequence
from datetime import date

from chalicelib.identity.keys import IntegrationKey, key_from, used_on
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.ids import IntegrationKeyId
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write


class KeyMoved(Exception):
    """The key was changed, or made, since it was read. Never leaves the service."""


def list_keys(
    table: Table, *, after: str | None, limit: int
) -> tuple[list[tuple[IntegrationKey, date | None]], str | None]:
    """Keys with the day on which each was used last, newest first, and where the next ones start."""
    rows = table.query_timeline(keys.INTEGRATION_KEYS, after=after, limit=limit)
    ids = [IntegrationKeyId(keys.parted(row["pk"])[1]) for row in rows.items]
    return _found(table, ids), rows.last


def _found(table: Table, ids: Sequence[IntegrationKeyId]) -> list[tuple[IntegrationKey, date | None]]:
    pairs = [(keys.integration_key(each), keys.integration_key_use(each)) for each in ids]
    found = table.get_many([key for pair in pairs for key in pair], consistent=True)
    return [(key_from(found[own]), used_on(found.get(use))) for own, use in pairs if own in found]


def add_key(key: IntegrationKey) -> Write:
    """The write of a new key."""
    return Put(keys.integration_key(key.key_id), _item(key), Absent(), lambda _: KeyMoved())


def replace_key(key: IntegrationKey) -> Write:
    """The write of a key after the version of it that was read."""
    return Put(keys.integration_key(key.key_id), _item(key), Unchanged(key.version - 1), lambda _: KeyMoved())


def _item(key: IntegrationKey) -> Item:
    return {
        "tl": keys.INTEGRATION_KEYS,
        "at": keys.moment(key.created_at, 0) + key.key_id,
        "key_id": key.key_id,
        "name": key.name,
        "may": sorted(each.value for each in key.permissions),
        "scope": int(key.scope),
        "shops": sorted(key.shop_ids) or None,
        "rate": key.rate_per_minute,
        "status": key.status.value,
        "secrets": [
            [each.digest, each.last_four, *([milliseconds(each.until)] if each.until else [])] for each in key.secrets
        ],
        "created": milliseconds(key.created_at),
        "by": key.created_by,
        "d": key.content,
        "expires_on": key.expires_on.isoformat() if key.expires_on else None,
        "until": milliseconds(key.expires_at) if key.expires_at else None,
        "rotation": key.rotation or None,
        "version": key.version,
    }
