"""How it is kept that personal data were shown or erased, and how words are taken out of what stays."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AccountId
from chalicelib.privacy.models import Erasure, Unmasking
from chalicelib.storage import keys
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words
from chalicelib.storage.writes import Absent, Anyway, Delete, Item, Put, Strip, Unchanged, Write

REGISTER = "erasures/"

_WORDS = ("nm", "msg", "note_internal")
"""Words of an entry: a note to the member, a message of the giver's, a note of ours."""

_PAGE = 100


def add_unmasking(unmasking: Unmasking, number: int, words: Words, *, kind: str = "unmasked") -> Write:
    """The write of the record of a showing.

    Args:
        number: tells it from others of the same member and millisecond.
        words: seals the reason.
    """
    item: Item = {
        "member_id": unmasking.member_id,
        "tl": keys.unmaskings(unmasking.member_id),
        "at": keys.moment(unmasking.at, number),
        "kind": kind,
        "what": {"fields": [each.value for each in unmasking.fields], "by": unmasking.by},
        "reason": words.seal([unmasking.member_id], place_of(unmasking.unmasking_id), unmasking.reason),
        "made": milliseconds(unmasking.at),
    }
    return Put(keys.unmasking(unmasking.at.date(), unmasking.unmasking_id), item, Absent(), lambda _: WriteContended())


def place_of(unmasking_id: str) -> str:
    """Where the reason of a showing stands."""
    return f"showing {unmasking_id}"


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


def strike_name(card_id: AccountId) -> Write:
    """The write that takes the name of a card away."""
    return Strip(keys.profile(card_id), ("name",), lambda _: WriteContended())


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


# ---------------------------------------------------------------- everything about a member

_LAST = "\U0010ffff"


def list_all_about(table: Table, ops: Table, owners: Sequence[AccountId]) -> Iterator[tuple[str, Item]]:
    """Every item about members, with the name of its table, each once; as far as indexes know of it."""
    seen: set[keys.Key] = set()
    for owner in owners:
        for item in _of_member(table, owner):
            key = keys.Key(item["pk"], item["sk"])
            if key not in seen:
                seen.add(key)
                yield "core", item
        for item in ops.query_partition(keys.sessions(owner), first="ses_", last="ses_~", consistent=True):
            yield "ops", item
        for item in ops.query_partition(keys.notices(owner), first="0", last="~", consistent=True):
            yield "ops", item
        for item in ops.query_partition(keys.singles(owner), first="dlv_", last="dlv_~", consistent=True):
            yield "ops", item
        for item in ops.query_partition(keys.journey_notes(owner), first="0", last="~", consistent=True):
            yield "ops", item


def _of_member(table: Table, owner: AccountId) -> Iterator[Item]:
    own = table.query_partition(keys.member_partition(owner), first="A", last=_LAST, consistent=True)
    yield from own
    yield from table.query_partition(keys.journeys_of(owner), first="G", last=_LAST, consistent=True)
    shares = [keys.parted(item["sk"])[1] for item in own if item["sk"].startswith("SHARES#")]
    pools = [key for pool_id in shares for key in (keys.pool(pool_id), keys.pool_member(pool_id, owner))]
    yield from table.get_many(pools, consistent=True).values()
    yield from _listed(table, keys.unmaskings(owner))
    yield from _listed(table, keys.consent_changes(owner))
    yield from _listed(table, keys.happenings(owner))
    for row in rows_of(table, keys.transfers(owner)):
        yield from _transfer(table, row, owner)
    yield from _with_what_belongs_to_them(table, keys.statement(owner))
    for row in rows_of(table, keys.cards_of(owner)):
        card_id = keys.account_of(row["pk"])
        yield from table.query_partition(keys.member_partition(card_id), first="A", last=_LAST, consistent=True)
        yield from _listed(table, keys.statement(card_id))
        yield from _listed(table, keys.happenings(card_id))


def _transfer(table: Table, row: Item, owner: AccountId) -> Iterator[Item]:
    """A transfer; of one that was received, the giver's words, and nothing of the giver's account."""
    item = table.get(keys.entry("transfer", keys.parted(row["pk"])[1]), consistent=True)
    if item is not None and keys.account_of(item["tl"]) == owner:
        yield item
    elif item is not None:
        yield {name: item[name] for name in ("pk", "sk", "to", "msg") if name in item}


def _with_what_belongs_to_them(table: Table, partition: str) -> Iterator[Item]:
    """Entries, with the returns that wait or were refused of a purchase, and what a merge did beside the ledger."""
    for item in _listed(table, partition):
        yield item
        kind, parts = keys.entry_parts(keys.Key(item["pk"], item["sk"]))
        if kind == "purchase":
            yield from table.query_partition(item["pk"], first="A", last=_LAST, consistent=True)
        if kind == "merge":
            yield from table.get_many([keys.merge(parts[0])]).values()


def _listed(table: Table, partition: str) -> Iterator[Item]:
    rows = [keys.Key(row["pk"], row["sk"]) for row in rows_of(table, partition)]
    found = table.get_many(rows)
    yield from (found[key] for key in rows if key in found)


def rows_of(table: Table, partition: str) -> Iterator[Item]:
    """Every row of a partition of the timeline index, page by page."""
    after: str | None = None
    while True:
        rows = table.query_timeline(partition, after=after, limit=_PAGE)
        yield from rows.items
        after = rows.last
        if after is None:
            return


# ---------------------------------------------------------------- what has served its time


def forget_consent_changes(table: Table, member_id: AccountId, *, dry_run: bool) -> int:
    """Take away what was said of a member's consents; how much that was."""
    partition = keys.consent_changes(member_id)
    return _forget(table, table.query_partition(partition, first="0", last="~", consistent=True), dry_run=dry_run)


def forget_showings(table: Table, day: date, *, dry_run: bool) -> int:
    """Take away the records of the showings of a day (UTC); how many there were."""
    partition = keys.unmasking(day, "").pk
    return _forget(
        table, table.query_partition(partition, first="unm_", last="unm_~", consistent=True), dry_run=dry_run
    )


def forget_reach_changes(table: Table, day: date, *, dry_run: bool) -> int:
    """Take away the log of changes of reach of a day (UTC); how many lines it had."""
    found = table.query_partition(keys.reach_changes(day), first="0", last="~", consistent=True)
    return _forget(table, found, dry_run=dry_run)


def _forget(table: Table, items: Sequence[Item], *, dry_run: bool) -> int:
    for item in () if dry_run else items:
        table.commit([Delete(keys.Key(item["pk"], item["sk"]), Anyway(), lambda _: WriteContended())])
    return len(items)
