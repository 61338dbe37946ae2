"""How suppressions are stored: `SUP#<channel>#<blind index>` / `SUP`, listed by the timeline index while they hold.

The index is that under which members claim the same address (`U#…`), so who has one is found by it, and whoever joins
the two knows whom it concerns. The address itself is kept nowhere.
"""

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.reach.models import SuppressedChannel, Suppression, SuppressionReason, SuppressionSource
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write


class SuppressionMoved(Exception):
    """Somebody suppressed or lifted it at this moment. Never leaves the service."""


def find_suppression(table: Table, key: Key) -> Suppression | None:
    """What is kept of an address, or None."""
    item = table.get(key, consistent=True)
    return _from(item) if item else None


def list_suppressions(table: Table, *, after: str | None, limit: int) -> tuple[tuple[Suppression, ...], str | None]:
    """A page of addresses that are not written to, the latest first, and where the next one starts."""
    rows = table.query_timeline(keys.SUPPRESSIONS, after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted)
    return tuple(_from(found[key]) for key in wanted if key in found), rows.last


def put_suppression(key: Key, before: Suppression | None, after: Suppression) -> Write:
    """The write of a suppression: new, again, or lifted."""
    condition = Unchanged(before.version) if before else Absent()
    return Put(key, _item(key, after), condition, lambda _: SuppressionMoved())


def _item(key: Key, suppression: Suppression) -> Item:
    holds = suppression.lifted_at is None
    return {
        "tl": keys.SUPPRESSIONS if holds else None,
        "at": keys.listed_moment(suppression.suppressed_at, key.pk) if holds else None,
        "channel": suppression.channel.value,
        "code": suppression.reason_code.value,
        "source": suppression.source.value,
        "added": milliseconds(suppression.suppressed_at),
        "by": suppression.by,
        "lifted": milliseconds(suppression.lifted_at) if suppression.lifted_at else None,
        "version": suppression.version,
    }


def _from(item: Item) -> Suppression:
    return Suppression(
        suppression_id=keys.suppression_id(Key(item["pk"], item["sk"])),
        channel=SuppressedChannel(item["channel"]),
        reason_code=SuppressionReason(item["code"]),
        source=SuppressionSource(item["source"]),
        suppressed_at=from_milliseconds(item["added"]),
        by=item["by"],
        lifted_at=from_milliseconds(item["lifted"]) if "lifted" in item else None,
        version=item["version"],
    )
