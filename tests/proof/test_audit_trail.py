"""The audit trail: chained once whatever comes twice or crashes, and whatever is changed past the product is found."""

import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chalicelib.audit import service as audit
from chalicelib.audit import store
from chalicelib.audit.models import Walked
from chalicelib.jobs.models import Job
from chalicelib.proof.service import Roots
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keys import Key
from chalicelib.storage.signing import FileSigner
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.writes import Item, Put
from chalicelib.trail import rules
from tests.faults.works import MemoryObjects, Stamp, Works
from tests.makers import Clock
from tests.memory import MemoryTable
from tests.proof.test_tampering import spoilt
from tests.table.stand import Crashed, CrashingTable, Desk, at_once
from tests.table.test_costs import metered

DAY = date(2026, 3, 15)


def changed(desk: Desk, count: int = 12) -> str:
    """A member of whom staff have changed something so many times."""
    member = desk.audited("stf_a", reason="called 13912345678").enrol(shop_id="shp_a").member_id
    for number in range(count - 1):
        desk.clock.forward(seconds=1)
        acting = desk.audited(("stf_a", "stf_b")[number % 2], action="change_status")
        (acting.suspend, acting.reinstate)[number % 2](member)
    return member


def on_the_day(items: Mapping[Key, Item], kind: str = "R") -> list[Item]:
    """Records, or links, in the table."""
    return [item for key, item in items.items() if key.pk.startswith("A#") and key.sk.startswith(f"{kind}#")]


def walked(table: Table, objects: MemoryObjects, now: datetime, *, sweep: bool = False) -> Walked:
    """What a walk over all shards comes to."""
    whole = Walked()
    for shard in range(keys.AUDIT_SHARDS):
        found, onward = audit.walk(table, objects, shard, now=now, sweep=sweep)
        assert onward is None
        whole.add(found)
    return whole


# ---------------------------------------------------------------- from the record to the anchor


def test_what_is_written_is_told_chained_walked_and_signed() -> None:
    works = Works()
    changed(works.desk)
    works.tell()
    works.drain("watch")
    found = walked(works.core, works.roots, works.clock())
    assert (found.records, found.waiting, found.faults) == (12, 0, [])
    assert found.links == len(on_the_day(works.core.items, "L")) >= 2
    works.clock.at("2026-03-17")
    assert works.start(Job.AUDIT) == ["2026-03-17"]
    works.drain("work-job")
    run = works.run(Job.AUDIT)
    assert (run.due, run.done, run.changed, run.finished_at is not None) == (12, 12, 0, True)
    signed = store.find_anchor(works.roots, DAY)
    assert signed is not None
    assert '"records":12' in signed.text
    assert store.list_anchor_days(works.roots, first=DAY, last=date(2026, 3, 20)) == [DAY, date(2026, 3, 16)]
    assert walked(works.core, works.roots, works.clock()).faults == []
    assert works.dead("watch") == works.dead("job-work") == []


def test_events_that_come_twice_and_in_another_order_chain_each_record_once() -> None:
    works = Works()
    changed(works.desk)
    works.tell()
    queue = works.sqs.url("regulars-watch")
    bodies = works.sqs.bodies("regulars-watch")
    for body in [*reversed(bodies), *bodies]:
        works.sqs.call("SendMessageBatch", {"QueueUrl": queue, "Entries": [{"Id": "0", "MessageBody": body}]})
    works.drain("watch")
    rows = [mark for link in on_the_day(works.core.items, "L") for mark, _ in link["rows"]]
    assert len(rows) == len(set(rows)) == 12
    assert walked(works.core, works.roots, works.clock()).faults == []


def test_what_nobody_was_told_of_is_chained_by_the_walk() -> None:
    works = Works()
    changed(works.desk)
    works.clock.forward(minutes=2)
    looked = walked(works.core, works.roots, works.clock())
    assert (looked.waiting, looked.chained, looked.faults) == (12, 0, [])
    swept = walked(works.core, works.roots, works.clock(), sweep=True)
    assert (swept.chained, swept.faults) == (12, [])
    works.tell()
    works.drain("watch")
    assert walked(works.core, works.roots, works.clock(), sweep=True).chained == 0
    assert sum(len(link["rows"]) for link in on_the_day(works.core.items, "L")) == 12


def test_a_record_told_after_its_day_is_not_chained_into_it() -> None:
    works = Works()
    changed(works.desk, 2)
    rows = [store.to_chain(item) for item in on_the_day(works.core.items)]
    late = audit.chain(works.core, rows, now=datetime(2026, 3, 16, 0, 31, tzinfo=UTC))
    assert sorted(late) == sorted(row.mark for row in rows)
    assert on_the_day(works.core.items, "L") == []
    faults = walked(works.core, works.roots, datetime(2026, 3, 16, 2, tzinfo=UTC), sweep=True).faults
    assert sorted(faults) == sorted(f"aud_{mark}: the record is not chained" for mark in late)


def test_chaining_at_once_by_many_leaves_one_chain(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, ops: DynamoTable
) -> None:
    member = desk.audited().enrol().member_id
    for number in range(8):
        acting = desk.audited(draw=lambda number=number: number * 16)  # all in one shard
        (acting.suspend, acting.reinstate)[number % 2](member)
    rows = [store.to_chain(item) for item in store.records(table, keys.audit_partition(DAY, 0))]
    assert len(rows) >= 8
    answers = at_once(dynamo, *(lambda: audit.chain(table, rows, now=desk.clock()) for _ in range(4)),
                      *(lambda row=row: audit.chain(table, [row], now=desk.clock()) for row in rows))  # fmt: skip
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    found = walked(table, MemoryObjects(), desk.clock())
    assert found.faults == []
    links = list(store.links(table, keys.audit_partition(DAY, 0)))
    assert sorted(mark for link in links for mark, _ in link["rows"]) == sorted(row.mark for row in rows)


def test_a_crash_at_any_call_leaves_whole_records_and_whole_links() -> None:
    crashes = 0
    for after in (False, True):
        for at in range(1, 30):
            works = Works()
            member = works.desk.enrol().member_id
            crashing = CrashingTable(works.core, at, after=after)
            try:
                dying = Desk(crashing, works.desk.keyring, works.desk.book, works.clock, works.desk.draw)
                dying.audited().suspend(member)
                audit.chain(crashing, [store.to_chain(i) for i in on_the_day(works.core.items)], now=works.clock())
            except Crashed:
                crashes += 1
            suspended = works.desk.member(member).status == "suspended"
            assert len(on_the_day(works.core.items)) == suspended, "a record and what it records come together"
            works.desk.audited().suspend(member)
            rows = [store.to_chain(item) for item in on_the_day(works.core.items)]
            audit.chain(works.core, rows, now=works.clock())
            assert len(rows) == 1
            assert walked(works.core, works.roots, works.clock()).faults == []
            if crashing.count < at:
                break
    assert crashes >= 10, "nothing crashed"


def test_two_who_change_the_same_at_once_have_one_record_each_for_what_each_did(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    answers = at_once(dynamo, *(lambda: desk.audited().suspend(member) for _ in range(6)))
    done = [each for each in answers if not isinstance(each, Exception) and not each.replayed]
    assert len(done) == 1
    assert len(records(desk)) == 1


def records(desk: Desk) -> list[Item]:
    """All records of the day."""
    return [item for shard in range(16) for item in store.records(desk.table, keys.audit_partition(DAY, shard))]


# ---------------------------------------------------------------- anchors


def test_days_are_signed_once_each_in_a_chain(signer: FileSigner) -> None:
    works = Works()
    changed(works.desk, 3)
    works.clock.forward(minutes=2)
    walked(works.core, works.roots, works.clock(), sweep=True)
    roots = Roots(works.roots)
    assert (
        audit.seal(works.core, roots, signer, "s", now=datetime(2026, 3, 16, 0, 59, tzinfo=UTC))[-1].day == "2026-03-14"
    )
    works.roots.files = {name: each for name, each in works.roots.files.items() if not name.startswith("audit/")}
    now = datetime(2026, 3, 18, 2, tzinfo=UTC)
    made = audit.seal(works.core, roots, signer, "s", now=now)
    assert [(each.day, each.records, each.previous_day) for each in made] == [
        ("2026-03-15", 3, None), ("2026-03-16", 0, "2026-03-15"), ("2026-03-17", 0, "2026-03-16"),
    ]  # fmt: skip
    assert audit.seal(works.core, roots, signer, "s", now=now) == []
    again = audit.seal(works.core, roots, signer, "s", now=now + timedelta(days=1))
    before = store.find_anchor(works.roots, date(2026, 3, 17))
    assert before is not None
    assert [each.previous for each in again] == [audit.anchor_digest(before)]


def test_verify_checks_the_signatures_and_the_chain_of_anchors(signer: FileSigner) -> None:
    from local.verify import anchors_in_order

    works = Works()
    changed(works.desk, 2)
    works.clock.forward(minutes=2)
    walked(works.core, works.roots, works.clock(), sweep=True)
    roots, now = Roots(works.roots), datetime(2026, 3, 18, 2, tzinfo=UTC)
    audit.seal(works.core, roots, signer, "s", now=now)
    assert anchors_in_order(roots, now) == []
    name = store.anchor_name(date(2026, 3, 16))
    kept = works.roots.files[name]
    works.roots.files[name] = kept.replace(b"2026-03-16", b"2026-03-19")
    assert [each.split(":")[0] for each in anchors_in_order(roots, now)] == [
        "the anchor of 2026-03-16", "the anchor of 2026-03-16 does not follow from the anchor before it",
        "the anchor of 2026-03-17 does not follow from the anchor before it",
    ]  # fmt: skip


# ---------------------------------------------------------------- tampering

NOT_COVERED = {("M", "tl"), ("M", "at"), ("L", "made")}
"""What a change to which is not found: rows that only list a record for a further account, and when a link was made."""


def _trail(*, sealed: bool) -> tuple[Works, datetime]:
    works = Works()
    desk = works.desk
    member = changed(desk, 7)
    other = desk.enrol().member_id
    same = {"draw": iter(range(0, 1600, 16)).__next__, "action": "merge_members"}
    desk.audited("stf_a", **same).adjust(member, 50, key="a")
    desk.clock.forward(seconds=1)
    desk.audited("stf_a", **same | {"draw": iter(range(160, 1600, 16)).__next__}).merge(other, member, key="m")
    desk.clock.forward(seconds=1)
    desk.audited("stf_a", **same | {"draw": iter(range(320, 1600, 16)).__next__}).adjust(member, 60, key="b")
    for item in sorted(on_the_day(works.core.items), key=lambda item: str(item["sk"])):
        audit.chain(works.core, [store.to_chain(item)], now=works.clock())
    now = works.clock() + timedelta(minutes=5)
    if sealed:
        now = datetime(2026, 3, 17, 2, tzinfo=UTC)
        audit.seal(works.core, Roots(works.roots), Stamp(), "s", now=now)
    return works, now


TRAIL = ("A#", "AS#")
WORKS, NOW = _trail(sealed=False)
ITEMS: dict[Key, Item] = {key: each for key, each in WORKS.core.items.items() if key.pk.startswith(TRAIL)}
SEALED, LATER = _trail(sealed=True)
SIGNED_ITEMS: dict[Key, Item] = {
    key: each for key, each in SEALED.core.items.items() if key.pk.startswith(("A#", "AS#"))
}


def faults_in(items: Mapping[Key, Item], works: Works = WORKS, now: datetime = NOW) -> list[str]:
    """What the walk finds when these are the items."""
    return walked(MemoryTable(dict(items)), works.roots, now).faults


def stored() -> Iterator[tuple[Key, str]]:
    """Every attribute of records, links and further listings."""
    seen: set[tuple[str, str]] = set()
    for key, item in ITEMS.items():
        for name in item:
            kind = (key.sk[:1], name)
            if key.pk.startswith("A#") and name not in ("pk", "sk") and (kind not in seen or key.sk[:1] == "R"):
                seen.add(kind)
                yield key, name


def test_it_holds_before_anybody_changes_it() -> None:
    assert faults_in(ITEMS) == faults_in(SIGNED_ITEMS, SEALED, LATER) == []
    assert {key.sk[:1] for key in ITEMS if key.pk.startswith("A#")} == {"R", "L", "M"}


@pytest.mark.parametrize(
    ("key", "name"), list(stored()), ids=lambda each: each if isinstance(each, str) else each.sk[:3]
)
def test_one_byte_of_any_attribute_is_found_and_the_record_named(key: Key, name: str) -> None:
    for value in spoilt(ITEMS[key][name]):
        found = faults_in({**ITEMS, key: {**ITEMS[key], name: value}})
        if (key.sk[:1], name) in NOT_COVERED:
            assert found == []
            return
        assert found, (name, value)
        named = f"aud_{key.sk[2:]}" if key.sk[:1] == "R" else key.pk
        assert found[0].startswith(named) or "rows" in name, found


@pytest.mark.parametrize(
    ("key", "name"), list(stored()), ids=lambda each: each if isinstance(each, str) else each.sk[:3]
)
def test_an_attribute_that_is_taken_away_is_found(key: Key, name: str) -> None:
    changed_item = {each: value for each, value in ITEMS[key].items() if each != name}
    found = faults_in({**ITEMS, key: changed_item})
    assert (found != []) == ((key.sk[:1], name) not in NOT_COVERED)


@pytest.mark.parametrize("kind", ["R", "L"])
@pytest.mark.parametrize("sealed", [False, True])
def test_any_row_deleted_is_found(kind: str, sealed: bool) -> None:
    items = SIGNED_ITEMS if sealed else ITEMS
    works, now = (SEALED, LATER) if sealed else (WORKS, NOW)
    rows = [key for key in items if key.pk.startswith("A#") and key.sk.startswith(kind)]
    for key in rows:
        found = faults_in({each: item for each, item in items.items() if each != key}, works, now)
        last = kind == "L" and not sealed and keys.audit_link(key.pk, int(key.sk[2:]) + 1) not in items
        assert found or last, key
        if kind == "R":
            assert found == [f"aud_{key.sk[2:]}: the record is gone", *found[1:]]


def test_the_end_of_a_chain_cut_off_with_its_records_is_found_by_the_anchor_alone() -> None:
    for items, works, now, expected in (
        (ITEMS, WORKS, NOW, []),
        (SIGNED_ITEMS, SEALED, LATER, ["A#2026-03-15#00: the chain is not the one that was signed"]),
    ):
        cut = dict(items)
        last = max(key.sk for key in items if key.pk == keys.audit_partition(DAY, 0) and key.sk.startswith("L#"))
        link = cut.pop(Key(keys.audit_partition(DAY, 0), last))
        for mark, _ in link["rows"]:
            cut.pop(keys.audit_record(mark))
        assert faults_in(cut, works, now) == expected


def test_a_chain_made_anew_after_a_change_is_found_by_the_anchor() -> None:
    items = copy.deepcopy(SIGNED_ITEMS)
    pk = keys.audit_partition(DAY, 0)
    records = [item for key, item in items.items() if key.pk == pk and key.sk.startswith("R#")]
    records[0]["c"] = records[0]["c"].replace("stf_a", "stf_x")
    others = {key: each for key, each in items.items() if key.pk.startswith("A#") and key.pk != pk}
    own = {key: each for key, each in items.items() if key.pk == pk and key.sk.startswith("R#")}
    table = MemoryTable(others | own)
    audit.chain(table, [store.to_chain(item) for item in records], now=WORKS.clock())
    assert walked(table, SEALED.roots, LATER).faults == [f"{pk}: the chain is not the one that was signed"]


def test_records_and_links_that_change_places_are_found() -> None:
    pk = keys.audit_partition(DAY, 0)
    for kind in ("R", "L"):
        one, other, *_ = sorted((key for key in ITEMS if key.pk == pk and key.sk.startswith(kind)), key=lambda k: k.sk)
        swapped = {**ITEMS, one: {**ITEMS[other], "sk": one.sk}, other: {**ITEMS[one], "sk": other.sk}}
        assert len(faults_in(swapped)) >= 2


def test_a_record_put_into_a_day_that_is_over_is_found() -> None:
    mark = keys.audit_mark(datetime(2026, 3, 15, 12, tzinfo=UTC), 16)
    key = keys.audit_record(mark)
    forged = {**SIGNED_ITEMS, key: {"pk": key.pk, "sk": key.sk, "c": "{}", "kind": "x"}}
    found = faults_in(forged, SEALED, LATER)
    assert f"aud_{mark}: the record is not chained" in found


def test_a_record_chained_twice_is_found() -> None:
    pk = keys.audit_partition(DAY, 0)
    first = ITEMS[keys.audit_link(pk, 1)]
    links = [key for key in ITEMS if key.pk == pk and key.sk.startswith("L#")]
    last = ITEMS[keys.audit_link(pk, len(links))]
    digest = rules.rows_digest(first["rows"])
    again = keys.audit_link(pk, len(links) + 1)
    item = {"rows": first["rows"], "h": rules.link_hash(last["h"], len(links) + 1, digest), "made": 0}
    found = faults_in({**ITEMS, again: {**item, "pk": again.pk, "sk": again.sk}})
    assert any(each.endswith("it is chained twice") for each in found)


def test_a_record_that_is_removed_or_changed_before_it_is_chained_is_found() -> None:
    works = Works()
    changed(works.desk, 2)
    works.tell()
    first, second = (Key(item["pk"], item["sk"]) for item in on_the_day(works.core.items))
    works.core.restore(first, None)
    works.core.spoil(second, kind="something_else")
    works.drain("watch")
    assert sorted(walked(works.core, works.roots, works.clock()).faults) == sorted(
        [f"aud_{first.sk[2:]}: the record is gone", f"aud_{second.sk[2:]}: the record is not the one that was chained"]
    )


# ---------------------------------------------------------------- a walk that overlooks something


def test_a_walk_that_overlooks_something_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    key = next(key for key in ITEMS if key.sk.startswith("R#"))
    spoiled = {**ITEMS, key: {**ITEMS[key], "c": ITEMS[key]["c"].replace("stf_", "stx_")}}
    gone = {each: item for each, item in ITEMS.items() if each != key}
    assert faults_in(spoiled)
    assert faults_in(gone)
    known = {item["sk"]: rules.record_hash(item) for item in ITEMS.values() if "c" in item}
    with monkeypatch.context() as patch:
        patch.setattr(rules, "record_hash", lambda item: known[item["sk"]])
        assert faults_in(spoiled) == []
    with monkeypatch.context() as patch:
        patch.setattr(rules.Chain, "end", lambda self: self.faults)
        assert faults_in(gone) == []


def test_a_record_costs_three_write_units_and_no_trip(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    """Two for an item of up to a kilobyte in a transaction, one for its row in the timeline."""
    other, meter = metered(desk, dynamo, table)
    plain, recorded = desk.enrol().member_id, desk.enrol().member_id
    other.suspend(plain)
    trips, reads, writes = meter.read()
    other.audited(reason="lost card", ids={"member_id": recorded}, roles=("shop_manager",)).suspend(recorded)
    assert meter.read() == (trips, reads, writes + 3)
    audit.chain(other.table, [store.to_chain(item) for item in records(desk)], now=desk.clock())
    assert meter.read()[1:] == (2, 4)


def test_only_puts_of_one_record_join_a_transaction(desk: Desk) -> None:
    seen: list[int] = []

    class Watching(MemoryTable):
        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            seen.append(sum(isinstance(w, Put) and w.key.pk.startswith("A#") for w in writes))
            super().commit(writes, keyed=keyed)

    acting = Desk(Watching(), desk.keyring, desk.book, Clock(desk.clock()), desk.draw)
    acting.audited().enrol()
    assert seen[-1] == 1
