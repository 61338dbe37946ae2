"""The walk over the whole ledger: every account proven, a root a day, and nothing that goes missing in between."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chalicelib.jobs import jobs, rules, service
from chalicelib.jobs.errors import RunDayWrong
from chalicelib.jobs.models import Job, Part, RunState
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.canonical import digest
from chalicelib.kernel.ids import AccountId
from chalicelib.points import fold
from chalicelib.points import store as points_store
from chalicelib.points.models import Account
from chalicelib.points.rules import ledger
from chalicelib.programs.service import ProgramBook
from chalicelib.proof import service as proof
from chalicelib.proof.errors import RootBroken
from chalicelib.proof.service import Programs, Roots
from chalicelib.storage import keys
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import DynamoTable
from tests.proof.world import World, a_full_member
from tests.table.test_costs import Meter

TODAY = date(2026, 3, 16)


# ---------------------------------------------------------------- the walk


def test_a_walk_proves_every_account_and_signs_a_root_over_their_heads(world: World) -> None:
    members = [*sorted(a_full_member(world.desk) for _ in range(3)), world.desk.enrol().member_id]
    world.desk.clock.at("2026-03-16")

    run = world.run(TODAY)

    balance = sum(world.desk.account(each).lifetime.balance for each in members)
    assert (run.state, run.due, run.done, run.changed, run.points) == (RunState.DONE, 4, 4, 0, balance)
    root, signed = Roots(world.roots).find(TODAY)
    assert (root.accounts, root.faulty, root.balance, root.previous) == (4, 0, balance, None)
    assert root.entries == sum(len(world.desk.entries(each)) for each in members)
    assert json.loads(signed.text)["heads"] == root.heads
    heads = {
        head.account_id: head for part in Roots(world.roots).parts(TODAY) for head in Roots(world.roots).heads(part)
    }
    assert {each: (heads[AccountId(each)].seq, heads[AccountId(each)].hash) for each in members} == {
        each: (world.desk.account(each).seq, world.desk.account(each).head) for each in members
    }
    assert world.told == [
        {"line": "root", "sealed": 1, "day": "2026-03-16", "accounts": 4, "entries": root.entries, "not_holding": 0,
         "root": root.heads},
    ]  # fmt: skip


def test_roots_are_chained_day_by_day_and_the_same_ledger_has_the_same_root(world: World) -> None:
    a_full_member(world.desk)
    for number in range(3):
        world.desk.clock.at(f"2026-03-{16 + number}")
        world.run(date(2026, 3, 16 + number))
    roots = Roots(world.roots)
    first, second, third = (roots.find(date(2026, 3, 16 + number)) for number in range(3))
    assert first[0].heads == second[0].heads == third[0].heads
    assert second[0].previous == digest(json.loads(first[1].text)).hex()
    assert (third[0].previous_day, third[0].previous) == ("2026-03-17", digest(json.loads(second[1].text)).hex())


def test_a_day_that_is_done_again_keeps_its_root(world: World) -> None:
    member = a_full_member(world.desk)
    world.desk.clock.at("2026-03-16")
    world.run(TODAY)
    before = world.roots.get("roots/2026-03-16/root.json")
    world.desk.spend(member, 1, key="later")
    assert world.run(TODAY).attempt == 2
    assert world.roots.get("roots/2026-03-16/root.json") == before


def test_a_walk_that_ends_after_a_later_one_adds_no_root(world: World) -> None:
    a_full_member(world.desk)
    world.desk.clock.at("2026-03-17")
    world.run(date(2026, 3, 17))
    assert world.run(TODAY).state is RunState.DONE
    assert Roots(world.roots).newest(TODAY) is None
    assert world.roots.get("liability/2026-03-16/report.json") is not None, "a midnight's report is right at any time"
    with pytest.raises(RunDayWrong):
        world.run(date(2026, 3, 15))


def test_an_empty_ledger_has_a_root_too(world: World) -> None:
    assert world.run(date(2026, 3, 15)).state is RunState.DONE
    assert Roots(world.roots).find(date(2026, 3, 15))[0].accounts == 0


def test_many_pages_make_one_root_whatever_the_order_in_which_parts_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "ACCOUNTS_ON_A_PAGE", 3)
    monkeypatch.setattr(rules, "ACCOUNTS_IN_A_PART", 2)
    members = [world.desk.enrol().member_id for _ in range(40)]
    for number, each in enumerate(members):
        world.desk.adjust(each, number + 1, key=f"k{number}")
    world.desk.clock.at("2026-03-16")
    run = world.run(TODAY)
    assert (run.state, run.done) == (RunState.DONE, 40)
    first = Roots(world.roots).find(TODAY)[0]

    world.tray.taken()
    now = world.desk.clock()
    other = replace(world.yard, roots=Roots(FolderObjects(world.roots._path / "other")))
    service.start_run(other, Job.VERIFY, TODAY, dry_run=False, by="stf_test", now=now, anew=True)
    while records := world.tray.taken():
        for record in reversed([*records, *records[:2]]):
            part = Part.model_validate_json(record["body"])
            service.do_part(other, part, now=now, attempt=lambda work: (True, work()))
    assert other.roots is not None
    assert other.roots.find(TODAY)[0].model_dump(exclude={"walked_from"}) == first.model_dump(exclude={"walked_from"})
    listed = gzip.decompress(world.roots.get("roots/2026-03-16/parts.jsonl.gz") or b"").splitlines()
    assert len(listed) == first.parts >= 20


def test_the_function_of_the_job_tells_of_what_does_not_hold_in_its_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    member = a_full_member(world.desk)
    world.delete(world.of(member)[-1])
    world.desk.clock.at("2026-03-16")
    service.start_run(world.yard, Job.VERIFY, TODAY, dry_run=False, by="stf_test", now=world.desk.clock())
    jobs.LAG_SECONDS = 0.0
    while records := world.tray.taken():
        assert jobs.work_job({"Records": records}, None) == {"batchItemFailures": []}
    lines = [vars(record) for record in caplog.records]
    faulty = [line for line in lines if line.get("faulty")]
    assert [(line["levelname"], line["account"]) for line in faulty if "account" in line] == [("ERROR", member)]
    assert [line["sealed"] for line in lines if "sealed" in line] == [1]


# ---------------------------------------------------------------- what goes missing


def signed_yesterday(world: World) -> str:
    """A member whose head is under a signed root, on the day after."""
    member = a_full_member(world.desk)
    world.desk.clock.at("2026-03-16")
    world.run(TODAY)
    world.desk.clock.at("2026-03-17")
    world.told.clear()
    return member


def found(world: World) -> list[tuple[str, int]]:
    """Which accounts the next day's walk finds at fault, and how many the root counts."""
    world.run(date(2026, 3, 17))
    root = Roots(world.roots).find(date(2026, 3, 17))[0]
    return [(each["account"], root.faulty) for each in world.told if each["line"] == "ledger"]


def rechained(world: World, member: str, change: Callable[[list[Any]], list[Any]]) -> None:
    """Forge an account as well as can be: other entries, numbered and chained anew, and the account mended to fit."""
    entries, account = world.desk.entries(member), world.desk.account(member)
    for entry in entries:
        world.delete(points_store.key_of(entry.key))
    program = world.desk.book.current(world.desk.clock())
    folded = Account(member_id=account.member_id, opened_on=account.opened_on, tier_id="basic")
    for entry in change(entries):
        points = entry.points
        moved = entry.model_copy(update={"seq": folded.seq + 1, "balance_after": folded.lifetime.balance + points})
        sealed = ledger._sealed(folded, moved)
        folded = fold.compacted(fold.applied(folded, sealed), program, local_day(sealed.recorded_at, "Asia/Shanghai"))
        world.write(
            points_store.key_of(sealed.key),
            {k: v for k, v in points_store._entry_item(sealed).items() if v is not None},
        )
    held = fold.standing_of(folded, program, date(2026, 3, 16))
    folded = folded.model_copy(update={"tier_id": held.tier_id, "held_through": held.review_after, "version": 99})
    item = points_store._account_item(folded, None)
    world.write(keys.account(member), {name: value for name, value in item.items() if value is not None})


def test_the_last_entry_deleted_and_the_account_mended_is_found_by_the_root_alone(world: World) -> None:
    member = world.desk.enrol().member_id
    world.desk.adjust(member, 100, key="one")
    world.desk.adjust(member, 50, key="two")
    world.desk.clock.at("2026-03-16")
    world.run(TODAY)
    world.desk.clock.at("2026-03-17")
    world.told.clear()
    rechained(world, member, lambda entries: entries[:-1])
    assert world.fault(member) is None, "the account holds together: nothing in the table itself tells"
    assert found(world) == [(member, 1)]
    assert world.told[0]["what"] == "entry 2 was in the root of 2026-03-16 and is gone"


def test_an_account_forged_and_chained_anew_is_found_by_the_root_alone_and_stays_found(world: World) -> None:
    member = world.desk.enrol().member_id
    world.desk.adjust(member, 100, key="one")
    world.desk.adjust(member, 50, key="two")
    world.desk.clock.at("2026-03-16")
    world.run(TODAY)
    world.desk.clock.at("2026-03-17")
    world.told.clear()
    rechained(world, member, lambda entries: [entries[0].model_copy(update={"earned": 900, "points": 900}), entries[1]])
    assert world.fault(member) is None
    assert found(world) == [(member, 1)]
    world.desk.clock.at("2026-03-18")
    world.told.clear()
    world.run(date(2026, 3, 18))
    assert [each["account"] for each in world.told if "account" in each] == [member], "the head signed first is kept"


def test_an_account_deleted_with_all_that_it_had_is_found(world: World) -> None:
    member = signed_yesterday(world)
    for key in [*world.of(member), keys.account(member), keys.profile(member)]:
        world.delete(key)
    assert found(world) == [(member, 1)]


def test_a_row_of_the_directory_removed_is_found(world: World) -> None:
    member = signed_yesterday(world)
    profile = world.items()[keys.profile(member)]
    world.write(keys.profile(member), {name: value for name, value in profile.items() if name not in ("tl", "at")})
    assert found(world) == [(member, 1)]


def test_before_the_first_root_a_whole_account_can_vanish_unseen_and_that_is_said(world: World) -> None:
    member = a_full_member(world.desk)
    for key in [*world.of(member), keys.account(member), keys.profile(member)]:
        world.delete(key)
    world.desk.clock.at("2026-03-16")
    assert world.run(TODAY).changed == 0


def test_heads_that_were_changed_in_the_store_of_roots_do_not_fit_their_root(world: World) -> None:
    signed_yesterday(world)
    (part,) = Roots(world.roots).parts(TODAY)
    lines = gzip.decompress(world.roots.get(part.name) or b"").replace(b'"seq":', b'"seq":1')
    path = world.roots._path / part.name
    path.chmod(0o644)
    path.write_bytes(gzip.compress(lines))
    with pytest.raises(RootBroken, match="does not hold the heads"):
        Roots(world.roots).heads(part)


def test_what_is_written_while_an_account_is_read_is_no_fault(world: World) -> None:
    member = a_full_member(world.desk)
    account = world.items()[keys.account(member)]
    world.desk.spend(member, 1, key="newer")
    newer = world.items()[keys.account(member)]
    world.write(keys.account(member), account)
    now = world.desk.clock()
    ids = [AccountId(member)]
    assert proof.prove(world.desk.table, Programs(world.desk.book), ids, now=now)[0].fault is None
    later = now + timedelta(minutes=5)
    old = proof.prove(world.desk.table, Programs(world.desk.book), ids, now=later)[0].fault
    assert old is not None
    assert old.what == "the entry is beyond the account's head"

    again = proof.prove(
        world.desk.table, Programs(world.desk.book), ids, now=later,
        pause=lambda: world.write(keys.account(member), newer),
    )[0]  # fmt: skip
    assert again.fault is None, "what lagged is read again before it is believed"


def test_an_account_of_many_entries_is_read_a_page_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.proof import store

    monkeypatch.setattr(store, "_PAGE", 4)
    monkeypatch.setattr(store, "ROWS_AT_ONCE", 3)
    members = [a_full_member(world.desk) for _ in range(2)] + [world.desk.enrol().member_id]
    ids = [AccountId(each) for each in members]
    proven = proof.prove(world.desk.table, Programs(world.desk.book), ids, now=datetime(2026, 3, 20, tzinfo=UTC))
    assert [(each.account_id, each.fault) for each in proven] == [(each, None) for each in ids]
    assert [each.entries for each in proven] == [len(world.desk.entries(each)) for each in members]


def test_what_the_walk_costs_is_as_the_decision_says(world: World) -> None:
    """ADR 0026: half a read unit and a little for each entry, about one for each account, ten write units a part."""
    members = [AccountId(a_full_member(world.desk)) for _ in range(3)]
    entries = sum(len(world.desk.entries(each)) for each in members)
    assert isinstance(world.desk.table, DynamoTable)
    assert isinstance(world.yard.ops, DynamoTable)
    core, ops = Meter(), Meter()
    table = DynamoTable(world.dynamo, world.desk.table.name, meter=core)
    book = ProgramBook(table)
    book.current(world.desk.clock())
    core.read()
    proof.prove(table, Programs(book), members, now=world.desk.clock())
    trips, reads, writes = core.read()
    assert (trips, writes) == (1 + 3 + 1, 0)
    assert reads <= 1.5 * len(members) + 0.55 * entries

    world.desk.clock.at("2026-03-16")
    service.start_run(world.yard, Job.VERIFY, TODAY, dry_run=False, by="stf_test", now=world.desk.clock())
    pages = world.tray.taken()
    for record in pages:
        part = Part.model_validate_json(record["body"])
        service.do_part(world.yard, part, now=world.desk.clock(), attempt=lambda work: (True, work()))
    metered = replace(world.yard, ops=DynamoTable(world.dynamo, world.yard.ops.name, meter=ops))
    first = Part.model_validate_json(world.tray.taken()[0]["body"])
    service.do_part(metered, first, now=world.desk.clock(), attempt=lambda work: (True, work()))
    assert ops.read()[2] <= 10
