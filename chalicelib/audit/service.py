"""Use cases of the audit trail: chain records, walk the chains, sign a day, search (ADR 0039)."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from chalicelib.audit import store
from chalicelib.audit.errors import AuditEntryUnknown, LinkTaken, SpanWrong
from chalicelib.audit.models import (
    SPAN_MAX_DAYS,
    AuditAnchor,
    AuditEntryDetail,
    AuditEntryView,
    AuditProof,
    AuditQuery,
    ChangeView,
    ShardHead,
    ToChain,
    Walked,
    Who,
)
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AccountId, AuditId
from chalicelib.kernel.pages import Slice
from chalicelib.proof.models import Signed
from chalicelib.proof.service import Roots, public_key, signed_by
from chalicelib.storage import keys
from chalicelib.storage.objects import Objects
from chalicelib.storage.signing import Signer
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words
from chalicelib.storage.writes import Item
from chalicelib.trail import rules
from chalicelib.trail.store import reason_of

LATE = timedelta(minutes=30)
"""So long after a day's end its chains take no more records: a request is over in seconds."""

SIGNED_AFTER = timedelta(hours=1)
"""So long after its end a day is signed."""

YOUNG = timedelta(minutes=1)
"""A record that is younger is on its way into its chain."""

KEPT_DAYS = 400
"""So many days of chains are walked."""

FIRST_DAYS = 31
"""So many days are looked through for the first one to be signed."""

DAYS_AT_ONCE = 60
RECORDS_AT_ONCE = 20_000
"""A walk stops after so many, and goes on from there."""

ROWS_MAX = 30
"""Records in a link: with the rows that list them they fit one transaction."""

ATTEMPTS_MAX = 12
READS_MAX = 8
"""How often a page is filled up, where most of what was read is not what was asked for."""

_USUAL_SPAN = timedelta(days=7)


# ---------------------------------------------------------------- chaining


def chain(table: Table, some: Sequence[ToChain], *, now: datetime) -> list[str]:
    """Chain records, each once; the marks of those whose day has been over for too long.

    What they are chained by is what the stream told of them, so that a record which is changed or removed before it is
    chained is found.

    Raises:
        WriteContended: others kept chaining at the same time; safe to try again.
    """
    late = [each.mark for each in some if now > _over(_day_of(each.mark)) + LATE]
    timely = sorted({each.mark: each for each in some if each.mark not in late}.values(), key=_partition_of)
    for pk, group in groupby(timely, key=_partition_of):
        rows = sorted(group, key=lambda each: each.mark)
        for at in range(0, len(rows), ROWS_MAX):
            _chain(table, pk, rows[at : at + ROWS_MAX], now)
    return late


def _chain(table: Table, pk: str, some: Sequence[ToChain], now: datetime) -> None:
    for _ in range(ATTEMPTS_MAX):
        known = store.chained_already(table, some)
        new = [each for each in some if each.mark not in known]
        if not new:
            return
        try:
            table.commit(store.link(pk, store.find_last_link(table, pk), new, now))
        except LinkTaken:
            continue
        return
    raise WriteContended


def _partition_of(row: ToChain) -> str:
    return keys.audit_record(row.mark).pk


def _day_of(mark: str) -> date:
    return store.day_of(from_milliseconds(int(mark[:11], 16)))


def _over(day: date) -> datetime:
    """The instant at which a day is over (UTC)."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)


# ---------------------------------------------------------------- walking


def days_to_walk(objects: Objects, now: datetime, *, after: date | None = None) -> list[date]:
    """The days whose chains are walked: from the first anchor on, or the last month where there is none."""
    today = store.day_of(now)
    anchored = store.list_anchor_days(objects, first=today - timedelta(days=KEPT_DAYS), last=today)
    first = anchored[0] if anchored else today - timedelta(days=FIRST_DAYS)
    first = max(first, after + timedelta(days=1)) if after is not None else first
    return [first + timedelta(days=number) for number in range((today - first).days + 1)]


def walk(
    table: Table,
    objects: Objects,
    shard: int,
    *,
    now: datetime,
    after: date | None = None,
    sweep: bool = False,
) -> tuple[Walked, date | None]:
    """Walk the chains of a shard day by day: what does not hold, and the day to go on after, None at the end.

    Args:
        after: begin on the day after.
        sweep: chain the records of days not yet signed that nobody was told of.
    """
    whole, days = Walked(), days_to_walk(objects, now, after=after)
    for number, day in enumerate(days, start=1):
        whole.add(_walk_day(table, objects, day, shard, now, sweep=sweep))
        if (whole.records >= RECORDS_AT_ONCE or number >= DAYS_AT_ONCE) and number < len(days):
            return whole, day
    return whole, None


def _walk_day(table: Table, objects: Objects, day: date, shard: int, now: datetime, *, sweep: bool) -> Walked:
    pk = keys.audit_partition(day, shard)
    checked = rules.Chain(pk)
    for link in store.links(table, pk):
        checked.take_link(link)
    loose = [item for item in store.records(table, pk) if not checked.take_record(item)]
    found = Walked(checked.records, checked.links, faults=checked.end())
    signed = _anchor(objects, day)
    if signed is not None:
        own = signed.shards[shard]
        if (own.links, own.records, own.head) != (checked.links, checked.records, checked.head.hex()):
            found.faults.append(f"{pk}: the chain is not the one that was signed")
    old = [item for item in loose if _made_at(item) < now - YOUNG]
    if signed is not None or now > _over(day) + SIGNED_AFTER:
        found.faults += [f"aud_{item['sk'][2:]}: the record is not chained" for item in old]
    elif sweep and old:
        late = chain(table, [store.to_chain(item) for item in old], now=now)
        found.faults += [f"aud_{mark}: the record came after its day" for mark in late]
        found.chained = len(old) - len(late)
    else:
        found.waiting = len(old)
    return found


def _made_at(item: Item) -> datetime:
    return from_milliseconds(int(item["sk"][2:13], 16))


# ---------------------------------------------------------------- anchors


def seal(table: Table, roots: Roots, signer: Signer, stack: str, *, now: datetime) -> list[AuditAnchor]:
    """Sign every day that is over and has no anchor yet, in order; doing it again signs nothing.

    The first to be signed is the first of the last month with records, or yesterday.
    """
    objects, today = roots.objects, store.day_of(now)
    last = today - timedelta(days=1)
    if now < _over(last) + SIGNED_AFTER:
        last -= timedelta(days=1)
    known = store.list_anchor_days(objects, first=today - timedelta(days=KEPT_DAYS), last=today)
    first = known[-1] + timedelta(days=1) if known else today - timedelta(days=FIRST_DAYS)
    made: list[AuditAnchor] = []
    previous = known[-1] if known else None
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        heads = _heads(table, day)
        if previous is None and day != last and not any(head.links for head in heads):
            continue
        made.append(_sealed(roots, signer, stack, day, heads, previous))
        previous = day
    return made


def _heads(table: Table, day: date) -> tuple[ShardHead, ...]:
    heads = []
    for shard in range(keys.AUDIT_SHARDS):
        pk = keys.audit_partition(day, shard)
        head, links, records = rules.beginning(pk), 0, 0
        for link in store.links(table, pk):
            head, links, records = link["h"], links + 1, records + len(link["rows"])
        heads.append(ShardHead(shard=shard, links=links, records=records, head=head.hex()))
    return tuple(heads)


def _sealed(
    roots: Roots, signer: Signer, stack: str, day: date, heads: tuple[ShardHead, ...], previous: date | None
) -> AuditAnchor:
    before = store.find_anchor(roots.objects, previous) if previous is not None else None
    anchor = AuditAnchor(
        stack=stack,
        day=day.isoformat(),
        records=sum(head.records for head in heads),
        shards=heads,
        previous_day=previous.isoformat() if previous is not None else None,
        previous=anchor_digest(before) if before is not None else None,
    )
    roots.keys(public_key(signer))
    signed = signed_by(signer, anchor.model_dump(mode="json", exclude_none=True))
    store.put_anchor(roots.objects, day, signed)
    return _anchor(roots.objects, day) or anchor


def _anchor(objects: Objects, day: date) -> AuditAnchor | None:
    signed = store.find_anchor(objects, day)
    return AuditAnchor.model_validate_json(signed.text) if signed is not None else None


def anchor_digest(signed: Signed) -> str:
    """What the next anchor says of this one."""
    return hashlib.sha256(signed.text.encode()).hexdigest()


def list_anchors(objects: Objects, now: datetime) -> Iterator[tuple[date, Signed | None]]:
    """The anchors of the days that are walked, in order."""
    today = store.day_of(now)
    for day in store.list_anchor_days(objects, first=today - timedelta(days=KEPT_DAYS), last=today):
        yield day, store.find_anchor(objects, day)


# ---------------------------------------------------------------- reading


def list_entries(
    table: Table, words: Words, query: AuditQuery, *, after: str | None, now: datetime
) -> Slice[AuditEntryView]:
    """A page of audit entries, newest first. What somebody did is listed once it is chained, seconds later.

    Raises:
        SpanWrong: nobody is named, and more days are asked for than can be listed.
    """
    until = query.to or now + timedelta(seconds=1)
    named = query.member_id is not None or query.staff_id is not None
    since = query.from_ or (datetime.fromtimestamp(0, UTC) if named else until - _USUAL_SPAN)
    if since >= until or (not named and until - since > timedelta(days=SPAN_MAX_DAYS)):
        raise SpanWrong(days=SPAN_MAX_DAYS)
    lowest = keys.audit_mark(since, 0)
    before = after or keys.audit_mark(until, 0)
    found: list[Item] = []
    for _ in range(READS_MAX):
        items, last = _read(table, query, before, lowest)
        fitting = [item for item in items if item["sk"][2:] >= lowest and _fits(item, query)]
        room = query.limit - len(found)
        if len(fitting) > room:
            found += fitting[:room]
            return Slice(_views(found, words), found[-1]["sk"][2:])
        found += fitting
        if last is None or last < lowest:
            return Slice(_views(found, words), None)
        before = last
        if len(found) == query.limit:
            break
    return Slice(_views(found, words), before)


def _read(table: Table, query: AuditQuery, before: str, lowest: str) -> tuple[list[Item], str | None]:
    """Some records before a mark, newest first, and the mark to go on before; None at the end."""
    some = max(query.limit, 25)
    if query.member_id is not None or query.staff_id is not None:
        if query.member_id is not None:
            marks = store.list_about(table, query.member_id, before=before, limit=some)
        else:
            marks = store.list_by(table, str(query.staff_id), before=before, limit=some)
        return store.find_records(table, marks), marks[-1] if len(marks) == some else None
    last_day = _day_of(before)
    items = store.list_on(table, last_day, before=before, limit=some)
    if len(items) == some:
        return items, str(items[-1]["sk"][2:])
    start = keys.audit_mark(_over(last_day) - timedelta(days=1), 0)
    return items, _before_midnight(start) if start > lowest else None


def _before_midnight(start: str) -> str:
    """The last mark of the day before the one that begins with a mark."""
    return f"{int(start[:11], 16) - 1:011x}" + "f" * 16


def _fits(item: Item, query: AuditQuery) -> bool:
    if query.action is not None and item["kind"] != query.action:
        return False
    return query.staff_id is None or json.loads(item["c"])["who"]["subject"] == query.staff_id


def find_entry(table: Table, words: Words, objects: Objects, audit_id: AuditId) -> AuditEntryDetail:
    """An audit entry, with its proof.

    Raises:
        AuditEntryUnknown: there is no such entry.
    """
    mark = audit_id.removeprefix("aud_")
    item = store.find_record(table, mark)
    if item is None:
        raise AuditEntryUnknown(audit_id=audit_id)
    view = _view(item, words)
    number = store.find_link(table, view.who.subject, mark)
    proof = _proof(table, objects, item, number) if number is not None else None
    return AuditEntryDetail(**dict(view), proof=proof)


def _proof(table: Table, objects: Objects, item: Item, number: int) -> AuditProof:
    pk = item["pk"]
    before = rules.beginning(pk)
    if number > 1:
        earlier = table.get(keys.audit_link(pk, number - 1), consistent=True)
        before = earlier["h"] if earlier is not None else before
    links = list(store.links(table, pk, first=number))
    digests = [rules.rows_digest(link["rows"]) for link in links]
    return AuditProof(
        partition=pk,
        record_hash=rules.record_hash(item).hex(),
        link=number,
        before=before.hex(),
        rows=tuple((mark, digest.hex()) for mark, digest in links[0]["rows"]) if links else (),
        digests=tuple(digest.hex() for digest in digests),
        head=rules.climbed(before, number, digests).hex(),
        anchor=store.find_anchor(objects, keys.audit_place(pk)[0]),
    )


def _views(items: Sequence[Item], words: Words) -> tuple[AuditEntryView, ...]:
    return tuple(_view(each, words) for each in items)


def _view(item: Item, words: Words) -> AuditEntryView:
    content = json.loads(item["c"])
    where = content["from"]
    return AuditEntryView(
        audit_id=keys.audit_id(item["sk"][2:]),
        at=from_milliseconds(content["at"]),
        who=Who(**{**content["who"], "roles": tuple(content["who"]["roles"])}),
        action=content["action"],
        permission=content["permission"],
        ids=content["ids"],
        about=tuple(AccountId(each) for each in content["about"]),
        changes=tuple(
            ChangeView(
                item=each["item"],
                of=each.get("of"),
                state=each.get("is"),
                before=each.get("before", {}),
                after=each.get("after", {}),
                changed=tuple(each.get("changed", ())),
            )
            for each in content["changes"]
        ),
        reason_code=content.get("reason_code"),
        reason=reason_of(item, words),
        ip=where.get("ip"),
        agent=where.get("agent"),
        request_id=where.get("request_id"),
        outcome=content["outcome"],
    )
