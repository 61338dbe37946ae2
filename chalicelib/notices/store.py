"""How it is kept what members were told: `NT#<member>` / `<moment>#<delivery>` in table `ops`, for half a year.

It holds no address. An export shows it, an erasure takes it away.
"""

from datetime import timedelta

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.notices.models import Notice
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Anyway, Delete, Item, Put, Write

KEPT = timedelta(days=180)
"""As long as the outbox."""

_LAST = "~"


def keep_notice(notice: Notice, member_id: str) -> Write:
    """The write that says what a member was told; the same notice again is the same item."""
    item: Item = {
        "event_type": notice.event_type,
        "channel": notice.channel.value,
        "subject": notice.subject or None,
        "text": notice.text,
        "notified": milliseconds(notice.at),
        "expires": int((notice.at + KEPT).timestamp()),
    }
    return Put(keys.notice(member_id, notice.at, notice.delivery_id), item, Anyway(), lambda _: WriteContended())


def list_notices(ops: Table, member_id: str) -> tuple[Item, ...]:
    """What a member was told, oldest first."""
    return ops.query_partition(keys.notices(member_id), first="0", last=_LAST, consistent=True)


def forget_notice(item: Item) -> Write:
    """The write that takes away what a member was told."""
    return Delete(keys.Key(item["pk"], item["sk"]), Anyway(), lambda _: WriteContended())


class NoticeClaimed(Exception):
    """A notice was handed to its provider before, or just is. Never leaves this package."""


def claim_notice(notice: Notice) -> Write:
    """The write that makes whoever commits it the one who hands a notice to its provider."""
    item: Item = {"expires": int((notice.at + KEPT).timestamp())}
    return Put(keys.notice_claim(notice.delivery_id), item, Absent(), lambda _: NoticeClaimed())


def unclaim_notice(notice: Notice) -> Write:
    """The write that lets a notice be handed over again: it is certain that it did not go out."""
    return Delete(keys.notice_claim(notice.delivery_id), Anyway(), lambda _: WriteContended())
