"""How approvals are stored.

`APR#<approval>` / `APR` what waits, or did, listed by the timeline index · `ALW#<who>#<account>` / `ALW` what somebody
did alone of late to an account: `hours` as `[[hour, amount] …]` · `ALW#<who>` / `ALW` what they gave to all.

The command's notes, `words`, and the decision's `reason` are sealed for the members that they are about
(`storage/words.py`).
"""

import json
from collections.abc import Sequence

from chalicelib.approvals.models import WORDS, Approval, ApprovalKind, ApprovalStatus
from chalicelib.approvals.rules import Hours
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import ApprovalId, EntryId, ShopId
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.words import Stored, Words
from chalicelib.storage.writes import Absent, Condition, Item, Put, Unchanged, Write


class ApprovalMoved(Exception):
    """It was decided on, or asked for, since it was read. Never leaves the services."""


# ---------------------------------------------------------------- reading


def find_approval(table: Table, words: Words, approval_id: ApprovalId) -> Approval | None:
    """What waits, or did, as it is now; or None."""
    item = table.get(keys.approval(approval_id), consistent=True)
    return approval_from(item, words) if item else None


def find_asker(table: Table, approval_id: ApprovalId) -> tuple[ShopId, ...] | None:
    """The shops of whoever asked; None when there is no such approval."""
    item = table.get(keys.approval(approval_id), consistent=True)
    return tuple(ShopId(each) for each in item["shops"]) if item else None


Did = tuple[Hours, int]
"""What somebody did alone, and the version of what was read; 0 where there was nothing."""


def find_before(
    table: Table, approval_id: ApprovalId, who: str, account_ids: Sequence[str], *, given: bool
) -> tuple[bool, list[Did], Did]:
    """Whether a command waits or waited, and what somebody did alone to accounts, and gave to all; in one read.

    Args:
        given: what they gave to all is asked for, too.
    """
    own, places = keys.approval(approval_id), [keys.allowance(who, account_id) for account_id in account_ids]
    to_all = keys.allowance_of_all(who)
    found = table.get_many([own, *places, *([to_all] if given else [])], consistent=True)
    return own in found, [_hours(found.get(place)) for place in places], _hours(found.get(to_all))


def _hours(item: Item | None) -> Did:
    return ({int(hour): int(amount) for hour, amount in item["hours"]}, item["version"]) if item else ({}, 0)


def list_approvals(
    table: Table, words: Words, *, after: str | None, limit: int
) -> tuple[tuple[Approval, ...], str | None]:
    """A page of what waits, or did, newest first, and where the next one starts."""
    rows = table.query_timeline(keys.APPROVALS, after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted, consistent=True)
    return tuple(approval_from(found[key], words) for key in wanted if key in found), rows.last


# ---------------------------------------------------------------- describing writes


def count(who: str, account_id: str | None, hours: Hours, version: int, moved: Exception) -> Write:
    """The write of what somebody did alone to an account.

    Args:
        account_id: None: what they gave to all.
        version: that of what was read; 0 where there was nothing.
        moved: raised when it was changed since.
    """
    key = keys.allowance(who, account_id) if account_id is not None else keys.allowance_of_all(who)
    condition: Condition = Unchanged(version) if version else Absent()
    item = {"hours": [[hour, amount] for hour, amount in sorted(hours.items())], "version": version + 1}
    return Put(key, item, condition, lambda _: moved)


def ask(approval: Approval, words: Words) -> Write:
    """The write of something new that waits."""
    return Put(keys.approval(approval.approval_id), _item(approval, words), Absent(), lambda _: ApprovalMoved())


def replace(before: Approval, after: Approval, words: Words) -> Write:
    """The write of what was decided on, or asked for again."""
    item = _item(after.model_copy(update={"version": before.version + 1}), words)
    return Put(keys.approval(after.approval_id), item, Unchanged(before.version), lambda _: ApprovalMoved())


def approval_from(item: Item, words: Words) -> Approval:
    """The approval that an item holds; without what was typed, when it was about somebody who was erased."""
    approval_id = ApprovalId(keys.parted(item["pk"])[1])
    notes = words.open(_place(approval_id, "command"), item.get("words"))
    command = {**json.loads(item["command"]), **json.loads(notes or "{}")}
    return Approval(
        approval_id=approval_id,
        kind=ApprovalKind(item["ask"]),
        about=item["about"],
        key=item["key"],
        command=json.dumps(command, ensure_ascii=False),
        asked_by=item["asked_by"],
        shop_ids=tuple(ShopId(each) for each in item["shops"]),
        own_id=item.get("own"),
        amount=item["amount"],
        content=item["content"],
        asked_at=from_milliseconds(item["asked"]),
        status=ApprovalStatus(item["status"]),
        decided_by=item.get("decided_by"),
        decided_at=from_milliseconds(item["decided"]) if "decided" in item else None,
        reason=words.open(_place(approval_id, "decision"), item.get("reason")),
        entry_id=EntryId(item["entry"]) if "entry" in item else None,
        version=item["version"],
    )


def _place(approval_id: ApprovalId, part: str) -> str:
    return f"approval {approval_id} {part}"


def _item(approval: Approval, words: Words) -> Item:
    command = json.loads(approval.command)
    notes = {name: command.pop(name) for name in WORDS if name in command}

    def sealed(part: str, text: str | None) -> Stored | None:
        return words.seal([approval.about], _place(approval.approval_id, part), text) if text else None

    return {
        "ask": approval.kind.value,
        "about": approval.about,
        "key": approval.key,
        "command": json.dumps(command, ensure_ascii=False, separators=(",", ":")),
        "words": sealed("command", json.dumps(notes, ensure_ascii=False) if notes else None),
        "asked_by": approval.asked_by,
        "shops": list(approval.shop_ids),
        "own": approval.own_id,
        "amount": approval.amount,
        "content": approval.content,
        "asked": milliseconds(approval.asked_at),
        "status": approval.status.value,
        "decided_by": approval.decided_by,
        "decided": milliseconds(approval.decided_at) if approval.decided_at else None,
        "reason": sealed("decision", approval.reason),
        "entry": approval.entry_id,
        "version": approval.version,
        "tl": keys.APPROVALS,
        "at": keys.listed_moment(approval.asked_at, approval.approval_id),
    }
