"""How it is kept that personal data were shown or erased, and how words are taken out of what stays."""

from collections.abc import Iterable, Iterator

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AccountId
from chalicelib.privacy.models import Erasure, Unmasking
from chalicelib.storage import keys
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Strip, Unchanged, Write

REGISTER = "erasures/"

_WORDS = ("nm", "msg", "note_internal")
"""Words of an entry: a note to the member, a message of the giver's, a note of ours."""

_PAGE = 100


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


# ---------------------------------------------------------------- the register of erasures


def register(roots: Objects, erasure: Erasure) -> Erasure:
    """Write an erasure into the register, and give what it has: what was written about the member first stays."""
    owner, content = erasure.member_ids[0], erasure.model_dump_json().encode() + b"\n"
    written = roots.put_once(_file(owner), content, kind="application/json")
    return erasure if written else find_registered(roots, owner) or erasure


def find_registered(roots: Objects, member_id: AccountId) -> Erasure | None:
    """A member's erasure, or None."""
    content = roots.get(_file(member_id))
    return Erasure.model_validate_json(content) if content is not None else None


def list_registered(roots: Objects) -> Iterator[Erasure]:
    """Every erasure, by member id."""
    after: str | None = None
    while True:
        names = roots.list(REGISTER, after=after, limit=_PAGE)
        for name in names:
            content = roots.get(name)
            if content is not None:
                yield Erasure.model_validate_json(content)
        if len(names) < _PAGE:
            return
        after = names[-1]


def _file(member_id: AccountId) -> str:
    return f"{REGISTER}{member_id}.json"


# ---------------------------------------------------------------- words


def entries_of(account_id: AccountId) -> str:
    """Timeline partition of the entries of a member or a card."""
    return keys.statement(account_id)


def happenings_of(account_id: AccountId) -> str:
    """Timeline partition of what happened to a member or a card."""
    return keys.happenings(account_id)


def transfers_of(member_id: AccountId) -> str:
    """Timeline partition of a member's transfers, sent and received."""
    return keys.transfers(member_id)


def find_offers(table: Table, rows: Iterable[Item]) -> list[Item]:
    """The offers of transfers, whose giver may have written something."""
    wanted = [keys.entry("transfer", keys.parted(row["pk"])[1]) for row in rows]
    return list(table.get_many(wanted, consistent=True).values())


def strike_words(table: Table, row: Item) -> list[Write]:
    """The writes that take words that people wrote out of an entry or a happening, and out of the merge of an entry."""
    key = keys.Key(row["pk"], row["sk"])
    item = table.get(key, consistent=True) or {}
    words = tuple(name for name in _WORDS if name in item)
    if "r" not in item and "reason" in item.get("what", {}):
        words = ("what",)
    found: list[Write] = [Strip(key, words, lambda _: WriteContended())] if words else []
    if "r" in item and keys.entry_parts(key)[0] == "merge":
        found += _without_words(table, keys.entry_parts(key)[1][0])
    return found


def _without_words(table: Table, merge_key: str) -> list[Write]:
    """The write that takes words out of what is kept of a merge, and what the one brought to the other's profile."""
    item = table.get(keys.merge(merge_key), consistent=True)
    if item is None or not (item["merge"]["reason"] or item["merge"].get("undone", {}).get("reason")):
        return []
    merge = {**item["merge"], "reason": "", "brought": {}}
    if "undone" in merge:
        merge["undone"] = {**merge["undone"], "reason": ""}
    after = {**item, "merge": merge}
    return [Put(keys.merge(merge_key), after, Unchanged(item["version"]), lambda _: WriteContended())]
