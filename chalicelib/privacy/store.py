"""How it is kept that personal data were shown."""

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.privacy.models import Unmasking
from chalicelib.storage import keys
from chalicelib.storage.writes import Absent, Item, Put, Write


def add_unmasking(unmasking: Unmasking, number: int) -> Write:
    """The write of the record of a showing.

    Args:
        number: tells it from others of the same member and millisecond.
    """
    item: Item = {
        "member_id": unmasking.member_id,
        "tl": keys.unmaskings(unmasking.member_id),
        "at": keys.moment(unmasking.at, number),
        "kind": "unmasked",
        "what": {"fields": [each.value for each in unmasking.fields], "by": unmasking.by},
        "reason": unmasking.reason,
        "made": milliseconds(unmasking.at),
    }
    return Put(keys.unmasking(unmasking.at.date(), unmasking.unmasking_id), item, Absent(), lambda _: WriteContended())
