"""How accounts and entries are stored.

Names of an entry's attributes are short, because they count: an entry with a basket of 40 lines must fit the 1 KB of
two write units, and 25 lines of a statement the 4 KB of half a read unit.

In the timeline index: r reason, p points, b balance after, o occurred at (ms), v program version, w why, h hash,
c points consumed, rc reason code, nm note to the member, rf the caller's reference, by the member who did it on an
account that is not their own; kind and what of things that moved no points.
Beside them: on the day it occurred, e points earned, x their last day, pd period of what was spent, q qualifying
points, l lapsed, mt first day on which points earned can be spent, hd points reserved, hu until when (ms), sm what is
added to sums besides, an the anchor from here on, tb and ta tier before and after (ta only when it differs), cz cause,
d digest of the command's content, note_internal. Days are numbers, 20260315.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from chalicelib.kernel.calendar import Month, from_milliseconds, last_day, milliseconds, month_of
from chalicelib.kernel.ids import AccountId, MemberId, ShopId
from chalicelib.points.content import (
    anchor_content,
    sums_content,
    sums_from,
    write_offs_content,
    write_offs_from,
)
from chalicelib.points.errors import AccountMoved, EntryKnown
from chalicelib.points.models import (
    Account,
    AccountStatus,
    Adjusted,
    Entry,
    EntryKey,
    Folded,
    Happened,
    Lifetime,
    Notes,
    Posting,
    Reason,
    Reserved,
    Why,
)
from chalicelib.points.rules.reversals import order_of
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write
from chalicelib.tiers.models import Anchor

ENTRIES_IN_INDEX = ("r", "p", "b", "o", "v", "w", "h", "c", "rc", "nm", "rf", "by", "kind", "what")
"""What the timeline index copies; `infra/data.template.json` says the same, and a test compares."""

_LETTERS = {
    Reason.EARN: "e",
    Reason.SPEND: "s",
    Reason.EXPIRE: "x",
    Reason.ADJUST: "a",
    Reason.TIER: "t",
    Reason.REVERSE: "r",
    Reason.HOLD: "h",
    Reason.RELEASE: "l",
    Reason.TRANSFER: "f",
    Reason.MERGE: "m",
}
_REASONS = {letter: reason for reason, letter in _LETTERS.items()}

_LIFE = ("earned", "spent", "expired", "taken")
"""Lifetime sums in the order in which they are stored."""

_GAP_MAX = 8
"""Months without a sum that a run of months spells as commas rather than start anew."""

_NOTES_FROM = 0x8000000
"""Notes number themselves from here in the timeline, so that none shares a position with an entry."""


# ---------------------------------------------------------------- reading


def find_account(table: Table, member_id: str, *, consistent: bool = False) -> Account | None:
    """A member's account, or None when there is no such member."""
    item = table.get(keys.account(member_id), consistent=consistent)
    return account_from(item) if item else None


def find_answering(table: Table, account_id: str, *, consistent: bool = False) -> Account | None:
    """The account that answers for an id: its own, or the one that it was merged into; None when there is none."""
    account = find_account(table, account_id, consistent=consistent)
    while account is not None and account.merged_into is not None:
        account = find_account(table, account.merged_into, consistent=True)
    return account


def find_accounts(table: Table, member_ids: Sequence[str]) -> dict[AccountId, Account]:
    """The accounts of several members, in one read; those that are missing are left out."""
    found = table.get_many([keys.account(member_id) for member_id in member_ids])
    accounts = (account_from(item) for item in found.values())
    return {account.member_id: account for account in accounts}


def find_entry(table: Table, key: EntryKey) -> Item | None:
    """What a command with this key was answered by, or None.

    Something else may be kept there until the command comes, and says what it `is`: returns wait under the key of their
    purchase.
    """
    item = table.get(key_of(key), consistent=True)
    return None if item is None or "is" in item else item


def find_of_others(table: Table, rows: Sequence[Item], shop_ids: Collection[ShopId]) -> set[Key]:
    """Which rows of the timeline belong to purchases of other shops than these."""
    of: dict[Key, Key] = {}
    for row in rows:
        if "r" in row:
            own = Key(row["pk"], row["sk"])
            kind, parts = keys.entry_parts(own)
            order = order_of(EntryKey(kind=kind, parts=parts))
            if order is not None:
                of[own] = keys.purchase(*order)
    found = _present(table, list(of.values()))
    seen = {None, *shop_ids}
    return {own for own, purchase in of.items() if purchase not in found or found[purchase].get("sh") not in seen}


def _present(table: Table, wanted: Sequence[Key]) -> dict[Key, Item]:
    """Items that the index says are there: those that the first read misses are read as they are now."""
    distinct = list(dict.fromkeys(wanted))
    found = table.get_many(distinct)
    late = [key for key in distinct if key not in found or "is" in found[key]]
    return found | table.get_many(late, consistent=True) if late else found


@dataclass(frozen=True, slots=True)
class Listed:
    """Part of what belongs to a member, newest first, that of members who were merged into this one among it.

    Attributes:
        rows: as the index holds them; each says in `place` where to go on after it.
        last: where to go on; None at the end.
        owner: the member that answers, where that was asked for: because a merge was met.
    """

    rows: tuple[Item, ...]
    last: str | None
    owner: AccountId | None


def list_rows(
    table: Table,
    member_id: str,
    *,
    after: str | None,
    limit: int,
    partitions: Sequence[Callable[[str], str]] = (keys.statement,),
    besides: Callable[[Sequence[AccountId]], Sequence[Item]] = lambda _: (),
) -> Listed:
    """Rows of a member's partitions of the timeline, newest first, those of merged members in between.

    A member who has seen no merge costs one query for each partition. What belongs to merged members is older than
    the merge's own row, so nothing is looked for before that row is met; from there on, a position ends in `+` and the
    number of rows of its instant that were shown, because rows of two members may share one.

    Args:
        partitions: those of an account, by its id.
        besides: rows that accounts have besides; asked for only once a merge is met.
    """
    at, plus, shown = (after or "").partition("+")
    if not plus:
        parts = [table.query_timeline(of(member_id), after=after, limit=limit) for of in partitions]
        rows = sorted((row for part in parts for row in part.items), key=_newest, reverse=True)
        if not any("r" in row and reason_of(row) is Reason.MERGE for row in rows):
            more = len(rows) > limit or any(part.last for part in parts)
            placed = tuple(row | {"place": str(row["at"])} for row in rows[:limit])
            return Listed(placed, placed[-1]["place"] if more and placed else None, None)
    account = find_answering(table, member_id, consistent=True)
    assert account is not None, "a merge's row names members that there are"
    owners = (account.member_id, *account.absorbed)
    skipped = int(shown or 0)
    start = f"{at}~" if plus else after
    wanted = [of(owner) for owner in owners for of in partitions]
    parts = [table.query_timeline(each, after=start, limit=limit + skipped) for each in wanted]
    own = [row for row in besides(owners) if start is None or str(row["at"]) < start]
    rows = sorted([*own, *(row for part in parts for row in part.items)], key=_newest, reverse=True)
    placed = tuple(_placed(rows)[skipped : skipped + limit])
    more = len(rows) > skipped + limit or any(part.last for part in parts)
    return Listed(placed, placed[-1]["place"] if more and placed else None, account.member_id)


def _newest(row: Item) -> tuple[str, str]:
    return str(row["at"]), str(row["tl"])


def _placed(rows: Sequence[Item]) -> list[Item]:
    placed: list[Item] = []
    number = 0
    for row in rows:
        number = number + 1 if placed and placed[-1]["at"] == row["at"] else 1
        placed.append(row | {"place": f"{row['at']}+{number}"})
    return placed


def list_entries(
    table: Table, member_id: str, *, after: str | None = None, through: datetime | None = None
) -> list[Entry]:
    """All entries of an account in full, oldest first; for proofs, not for most requests.

    Args:
        after: the position behind which to begin.
        through: only those recorded by this instant.
    """
    found: list[Entry] = []
    while True:
        rows = table.query_timeline(keys.statement(member_id), after=after, limit=100, newest_first=False)
        wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
        found += (entry_from(item) for item in _in_full(table, wanted))
        if through is not None and found and found[-1].recorded_at > through:
            return [entry for entry in found if entry.recorded_at <= through]
        if rows.last is None:
            return found
        after = rows.last


def list_beside(table: Table, entry: Entry, *, newest_first: bool, limit: int) -> list[Entry]:
    """The entries next to one in its account: those before it, newest first, or those after it, oldest first."""
    at = keys.moment(entry.recorded_at, entry.seq)
    rows = table.query_timeline(keys.statement(entry.member_id), after=at, limit=limit, newest_first=newest_first)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    return [entry_from(item) for item in _in_full(table, wanted)]


def _in_full(table: Table, wanted: Sequence[Key]) -> list[Item]:
    """The entries under keys that the index names; those that the first read does not have yet are read as they are.

    What still keeps a purchase's place there (it says what it `is`) is no entry.
    """
    found = {key: item for key, item in table.get_many(wanted).items() if "is" not in item}
    items = (found.get(key) or table.get(key, consistent=True) for key in wanted)
    return [item for item in items if item is not None]


def find_adjusted(table: Table, by: str, day: date) -> Adjusted:
    """What somebody gave by hand on a day, as it is now."""
    item = table.get(keys.adjusted_by(by), consistent=True)
    if item is None:
        return Adjusted(by, day)
    same = item["day"] == day.isoformat()
    return Adjusted(by, day, item["points"] if same else 0, item["version"])


# ---------------------------------------------------------------- describing writes


def count_adjusted(before: Adjusted, points: int) -> Write:
    """The write that adds points given by hand, unless another came first."""
    item = {"day": before.day.isoformat(), "points": before.points + points, "version": before.version + 1}
    condition = Unchanged(before.version) if before.version else Absent()
    return Put(keys.adjusted_by(before.by), item, condition, lambda _: AccountMoved())


def open_account(account: Account, otherwise: Exception, due_on: date | None = None) -> Write:
    """The write that opens an account."""
    return Put(keys.account(account.member_id), _account_item(account, due_on), Absent(), lambda _: otherwise)


def replace_account(before: Account, after: Account, due_on: date | None) -> Write:
    """The write that replaces an account, unless another write changed it first."""
    item = _account_item(after.model_copy(update={"version": before.version + 1}), due_on)
    return Put(keys.account(after.member_id), item, Unchanged(before.version), lambda _: AccountMoved())


def post(
    before: Account, posting: Posting, *, more: Mapping[str, Any] | None = None, notes: Notes | None = None
) -> list[Write]:
    """Writes of a posting: its entries, each only once, and the account.

    The command's own entry stands first, so that a repeated command is known as such before a changed account is.

    Args:
        more: attributes that a domain adds to the command's own entry.
        notes: words that go with the command's own entry.
    """
    return [
        *entry_writes(posting, more=more, notes=notes),
        replace_account(before, posting.account, posting.due_on),
    ]


def entry_writes(posting: Posting, *, more: Mapping[str, Any] | None = None, notes: Notes | None = None) -> list[Write]:
    """Writes of a posting's entries alone: several postings in one transaction share the write of the account."""
    extra = dict(more or {})
    if notes is not None:
        extra |= {"nm": notes.to_member, "note_internal": notes.internal}
    main = posting.main
    own: Write = Put(key_of(main.key), _entry_item(main) | extra, Absent(), EntryKnown)
    return [own, *_booked([each for each in posting.entries if each is not main])]


def book(before: Account, after: Account, entries: Sequence[Entry], due_on: date | None) -> list[Write]:
    """Writes of entries that no command asked for, and the account."""
    return [*_booked(entries), replace_account(before, after, due_on)]


def _booked(entries: Sequence[Entry]) -> list[Write]:
    return [Put(key_of(entry.key), _entry_item(entry), Absent(), lambda _: AccountMoved()) for entry in entries]


def note(member_id: AccountId, kind: str, facts: Mapping[str, Any], *, at: datetime, version: int) -> Write:
    """The write that puts something that moved no points on the member's timeline. Facts hold no personal data."""
    moment = keys.moment(at, _NOTES_FROM + version)
    item = {"tl": keys.happenings(member_id), "at": moment, "kind": kind, "what": dict(facts)}
    return Put(Key(keys.happenings(member_id), moment), item, Absent(), lambda _: AccountMoved())


# ---------------------------------------------------------------- items


def key_of(key: EntryKey) -> Key:
    """Where an entry is stored."""
    return keys.entry(key.kind, *key.parts)


def account_from(item: Item) -> Account:
    """The account that an item holds."""
    return Account(
        member_id=keys.account_of(item["pk"]),
        status=AccountStatus(item["status"]),
        merged_into=AccountId(item["into"]) if "into" in item else None,
        absorbed=tuple(AccountId(each) for each in item.get("absorbed", ())),
        whole_through=_day(item["whole"]) if "whole" in item else None,
        opened_on=date.fromisoformat(item["opened"]),
        tier_id=item["tier"],
        earned=_by_day(item["earned"]),
        spent=_by_day(item["spent"]),
        folded=_folded(item.get("folded")),
        pending=_by_single_day(item.get("pending", "")),
        holds={name: _reserved(parts) for name, *parts in item.get("holds", ())},
        sent=_by_month(item.get("sent", "")),
        written_off=write_offs_from(item.get("off", ())),
        lifetime=Lifetime(**dict(zip(_LIFE, item["life"], strict=False))),
        booked_through=_day(item["booked"]) if "booked" in item else None,
        qualifying=_by_month(item["qualifying"]),
        anchor=_anchor(item.get("anchor")),
        held_through=Month(item["held"]) if "held" in item else None,
        noticed_through=_day(item["told"]) if "told" in item else None,
        due_on=date.fromisoformat(keys.parted(item["due"])[1]) if "due" in item else None,
        seq=item["seq"],
        head=item["head"],
        last_recorded_at=from_milliseconds(item["last"]) if "last" in item else None,
        version=item["version"],
    )


def sums_from_account(item: Item) -> Account:
    """An account item's sums alone, as far as lots and pending points follow from them; not validated.

    For those who look at so many accounts that the rest costs too much.
    """
    sums = {
        "member_id": keys.account_of(item["pk"]),
        "earned": _by_day(item["earned"]),
        "spent": _by_day(item["spent"]),
        "folded": _folded(item.get("folded")),
        "pending": _by_single_day(item.get("pending", "")),
    }
    return _nothing().model_copy(update=sums)


@lru_cache(maxsize=1)
def _nothing() -> Account:
    """An account of nobody that has nothing, to be copied: making one anew takes ten times as long."""
    return Account.model_construct(member_id=AccountId(""), status=AccountStatus.ACTIVE, tier_id="", opened_on=date.min)


def holds_from_account(item: Item) -> list[tuple[int, int]]:
    """What is reserved in an account item: points, and the millisecond at which they are free by themselves."""
    return [(points, until) for _, points, until, *_ in item.get("holds", ())]


def entry_from(item: Item) -> Entry:
    """The entry that an item holds."""
    kind, parts = keys.entry_parts(Key(item["pk"], item["sk"]))
    recorded, seq = keys.moment_parts(item["at"])
    cause = item.get("cz")
    return Entry(
        key=EntryKey(kind=kind, parts=parts),
        member_id=member_of(item),
        seq=seq,
        reason=_REASONS[item["r"]],
        points=item["p"],
        balance_after=item["b"],
        occurred_at=from_milliseconds(item["o"]),
        occurred_on=_day(item["on"]),
        recorded_at=from_milliseconds(recorded),
        program_version=item["v"],
        earned=item.get("e"),
        expires_on=_day(item["x"]) if "x" in item else None,
        consumed=item.get("c"),
        period=_day(item["pd"]) if "pd" in item else None,
        qualifying=item.get("q"),
        lapsed=item.get("l"),
        matures_on=_day(item["mt"]) if "mt" in item else None,
        held=item.get("hd"),
        held_until=from_milliseconds(item["hu"]) if "hu" in item else None,
        sums=sums_from(item["sm"]) if "sm" in item else None,
        actor=MemberId(item["by"]) if "by" in item else None,
        anchor=_anchor(item.get("an")),
        tier_before=item.get("tb"),
        tier_after=item.get("ta", item.get("tb")),
        why=why_from(item.get("w")),
        reason_code=item.get("rc"),
        cause=EntryKey(kind=cause[0], parts=tuple(cause[1:])) if cause else None,
        content=item.get("d"),
        hash=item["h"],
    )


def happened_from(item: Item) -> Happened:
    """What the item of a note holds."""
    moment, _ = keys.moment_parts(item["at"])
    return Happened(
        member_id=keys.happened_to(item["tl"]),
        kind=item["kind"],
        facts=item.get("what", {}),
        at=from_milliseconds(moment),
    )


def member_of(item: Item) -> AccountId:
    """Whose account an entry's item belongs to."""
    return keys.account_of(item["tl"])


def reason_of(item: Item) -> Reason:
    """The reason of the entry that an item, or a row of the timeline index, holds."""
    return _REASONS[item["r"]]


def why_from(text: str | None) -> tuple[Why, ...]:
    """The reasons that a compact text holds: `b:38:3850;t.gold:9:125` is `base` and `tier.gold`."""
    if not text:
        return ()
    rules = (part.split(":") for part in text.split(";"))
    return tuple(
        Why(rule_id=_rule_id(short), points=int(points), args=tuple(int(arg) for arg in args))
        for short, points, *args in rules
    )


def _why_text(why: Sequence[Why]) -> str | None:
    parts = (":".join([_short_rule(each.rule_id), str(each.points), *map(str, each.args)]) for each in why)
    return ";".join(parts) or None


def _rule_id(short: str) -> str:
    head, dot, rest = short.partition(".")
    return {"b": "base", "t": "tier"}.get(head, head) + dot + rest


def _short_rule(rule_id: str) -> str:
    head, dot, rest = rule_id.partition(".")
    return {"base": "b", "tier": "t"}.get(head, head) + dot + rest


def figures_item(entry: Entry) -> Item:
    """The attributes of what an entry moves, and where."""
    return {
        "e": entry.earned,
        "x": _number(entry.expires_on) if entry.expires_on else None,
        "c": entry.consumed,
        "pd": _number(entry.period) if entry.period else None,
        "q": entry.qualifying,
        "mt": _number(entry.matures_on) if entry.matures_on else None,
    }


def _entry_item(entry: Entry) -> Item:
    return {
        "tl": keys.statement(entry.member_id),
        "at": keys.moment(entry.recorded_at, entry.seq),
        "r": _LETTERS[entry.reason],
        "p": entry.points,
        "b": entry.balance_after,
        "o": milliseconds(entry.occurred_at),
        "on": _number(entry.occurred_on),
        "v": entry.program_version,
        **figures_item(entry),
        "l": entry.lapsed,
        "hd": entry.held,
        "hu": milliseconds(entry.held_until) if entry.held_until else None,
        "sm": sums_content(entry.sums) if entry.sums else None,
        "by": entry.actor,
        "an": anchor_content(entry.anchor) if entry.anchor else None,
        "tb": entry.tier_before,
        "ta": entry.tier_after if entry.tier_after != entry.tier_before else None,
        "w": _why_text(entry.why),
        "rc": entry.reason_code,
        "cz": [entry.cause.kind, *entry.cause.parts] if entry.cause else None,
        "d": entry.content,
        "h": entry.hash,
    }


def _account_item(account: Account, due_on: date | None) -> Item:
    folded = account.folded
    return {
        "status": account.status.value,
        "into": account.merged_into,
        "absorbed": list(account.absorbed) or None,
        "whole": _number(account.whole_through) if account.whole_through else None,
        "opened": account.opened_on.isoformat(),
        "tier": account.tier_id,
        "earned": _days_text(account.earned),
        "spent": _days_text(account.spent),
        "folded": [_text(folded.through), folded.carried, folded.lapsed] if folded else None,
        "pending": " ".join(f"{_text(day)}:{points}" for day, points in sorted(account.pending.items())) or None,
        "holds": [_reserved_parts(name, hold) for name, hold in sorted(account.holds.items())] or None,
        "sent": _months_text(account.sent) or None,
        "off": write_offs_content(account.written_off) or None,
        "life": [getattr(account.lifetime, figure) for figure in _LIFE],
        "booked": _text(account.booked_through) if account.booked_through else None,
        "qualifying": _months_text(account.qualifying),
        "anchor": anchor_content(account.anchor) if account.anchor else None,
        "held": account.held_through,
        "told": _number(account.noticed_through) if account.noticed_through else None,
        "seq": account.seq,
        "head": account.head,
        "last": milliseconds(account.last_recorded_at) if account.last_recorded_at else None,
        "due": keys.due(due_on, account.member_id) if due_on else None,
        "version": account.version,
    }


def _text(day: date) -> str:
    return day.isoformat().replace("-", "")


def reference_of(kind: str, parts: Sequence[str]) -> str:
    """What an entry belongs to, as callers see it: the part of its key that is not the member."""
    if kind == "reverse":
        return reference_of(parts[1], parts[2:])
    if kind == "write_off" and len(parts) > 3:
        return reference_of(parts[0], parts[1:])
    if kind in ("return", "restatement", "write_off"):
        return "/".join(parts[:2])
    # A hold's end names the kind of the hold, then its key.
    return parts[1] if kind in ("expire", "birthday", "tier", "hold_end") else "/".join(parts)


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def _day(written: str | int) -> date:
    year, month_day = divmod(int(written), 10_000)
    return date(year, month_day // 100, month_day % 100)


def _months_text(sums: Mapping[Month, int]) -> str:
    """Monthly sums as runs: `202603:120,35,,8 202611:40` is March, April, June and November 2026.

    An account holds dozens of sums, and each purchase rewrites them all: a run spells a month once for many.
    """
    runs: list[str] = []
    last = -_GAP_MAX
    for month in sorted(sums):
        if month - last < _GAP_MAX:
            runs[-1] += "," * (month - last) + str(sums[month])
        else:
            runs.append(f"{month // 12:04d}{month % 12 + 1:02d}:{sums[month]}")
        last = month
    return " ".join(runs)


def _by_month(text: str) -> dict[Month, int]:
    found: dict[Month, int] = {}
    for run in text.split():
        start, _, values = run.partition(":")
        first = int(start[:4]) * 12 + int(start[4:]) - 1
        found.update((Month(first + i), int(value)) for i, value in enumerate(values.split(",")) if value)
    return found


def _days_text(sums: Mapping[date, int]) -> str:
    """Sums by closing day: months for those that close at a month's end, then single days, `20260315:12`."""
    months = {month_of(day): points for day, points in sums.items() if _closes_month(day)}
    days = [f"{_text(day)}:{points}" for day, points in sorted(sums.items()) if not _closes_month(day)]
    return " ".join(filter(None, [_months_text(months), *days]))


def _by_day(text: str) -> dict[date, int]:
    found: dict[date, int] = {}
    for run in text.split():
        if run[6] != ":":
            found[_day(run[:8])] = int(run[9:])
            continue
        first = int(run[:4]) * 12 + int(run[4:6]) - 1
        for month, value in enumerate(run[7:].split(","), first):
            if value:
                found[_closing(Month(month))] = int(value)
    return found


def _by_single_day(text: str) -> dict[date, int]:
    return {_day(run[:8]): int(run[9:]) for run in text.split()}


@lru_cache(maxsize=1024)
def _closes_month(day: date) -> bool:
    return day == last_day(month_of(day))


@lru_cache(maxsize=1024)
def _closing(month: Month) -> date:
    return last_day(month)


def _reserved(parts: Sequence[Any]) -> Reserved:
    points, until, period, made_on = parts
    return Reserved(points=points, until=from_milliseconds(until), period=_day(period), made_on=_day(made_on))


def _reserved_parts(name: str, hold: Reserved) -> list[Any]:
    return [name, hold.points, milliseconds(hold.until), _number(hold.period), _number(hold.made_on)]


def _folded(parts: list[Any] | None) -> Folded | None:
    return Folded(through=_day(parts[0]), carried=parts[1], lapsed=parts[2]) if parts else None


def _anchor(parts: list[Any] | None) -> Anchor | None:
    if not parts:
        return None
    return Anchor(month=Month(parts[0]), tier_id=parts[1], review_after=Month(parts[2]) if len(parts) > 2 else None)
