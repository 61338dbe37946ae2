"""What audit records tell others."""

import json
from collections.abc import Callable

from chalicelib.audit import store
from chalicelib.audit.events import AuditRecorded
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.events import Occurrence
from chalicelib.kernel.ids import AccountId
from chalicelib.storage import keys
from chalicelib.storage.writes import Item


def _audited(item: Item) -> Occurrence:
    row, content = store.to_chain(item), json.loads(item["c"])
    told = AuditRecorded(
        audit_id=keys.audit_id(row.mark),
        hash=row.hash.hex(),
        recorded_by=row.subject,
        action=content["action"],
        about=tuple(AccountId(each) for each in content["about"]),
    )
    at = from_milliseconds(content["at"])
    about = AccountId(content["about"][0]) if content["about"] else None
    return Occurrence(told, about, at, at)


FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    "A R": _audited,
}
"""What items that are no entries tell, by their kind (`relay.service.kind_of`)."""
