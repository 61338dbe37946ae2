"""What the product's own writes tell: real stream records, through the relay's handlers."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from chalicelib.alerts import service as alerts
from chalicelib.alerts.models import AlertKind, Raised
from chalicelib.cards.models import (
    CloseCard,
    ExtendCard,
    Paid,
    RefundCard,
    RefundCardSpend,
    ReinstateCard,
    ReverseCardUse,
    SpendCard,
    SuspendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import CardId, MemberId, is_member
from chalicelib.members import service as members
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.models import Due
from chalicelib.pools import service as pools
from chalicelib.relay import jobs, service
from chalicelib.relay.models import EVENT_TYPES, leads
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage import keys
from chalicelib.storage.batches import Sender
from chalicelib.storage.bus import Bus, BusEvent, EventBus
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient, Unreachable
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.turns import in_turn
from chalicelib.storage.writes import Write
from local.deploy.functions import FOLDED, TOLD
from local.generate import event_schema
from local.pump.functions import matches
from local.settings import ROOT
from tests import fakes
from tests.fakes import KeptBus
from tests.makers import a_purchase
from tests.table.stand import Desk
from tests.table.test_write_offs import capped

STREAMS = Service("dynamodb", "DynamoDBStreams_20120810")
SECRETS = ("Canary Wong", "+8613912345678", "canary@example.com", "canary-card", "canary words", "canary-item", "1988")
Batch = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def records(dynamo: Dynamo, table: DynamoTable) -> Batch:
    """Gives every record of the table's stream, as Lambda would hand them over."""
    client = SignedClient(
        STREAMS, "us-east-1", f"http://{dynamo._netloc}", lambda: Credentials("t", "t"), lambda: datetime.now(UTC)
    )

    def read() -> list[dict[str, Any]]:
        arn = dynamo.call("DescribeTable", {"TableName": table.name})["Table"]["LatestStreamArn"]
        (shard,) = client.call("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"]
        place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.call("GetShardIterator", place)["ShardIterator"]
        found: list[dict[str, Any]] = []
        while part := client.call("GetRecords", {"ShardIterator": iterator}):
            iterator = part.get("NextShardIterator")
            found += part["Records"]
            if not part["Records"] or iterator is None:
                client.close()
                break
        return found

    return read


@pytest.fixture
def relay(house: House) -> "Relay":
    """Gives the relay over a bus: a function that takes a batch and says which records it names as failed."""

    def over(bus: Bus) -> Callable[[Sequence[dict[str, Any]]], list[str]]:
        wiring.use(replace(house, bus=bus))

        def handle(batch: Sequence[dict[str, Any]]) -> list[str]:
            answer = jobs.relay_records({"Records": list(batch)}, None)
            assert set(answer) == {"batchItemFailures"}
            return [each["itemIdentifier"] for each in answer["batchItemFailures"]]

        return handle

    return over


Relay = Callable[[Bus], Callable[[Sequence[dict[str, Any]]], list[str]]]


def lambda_retries(
    handle: Callable[[Sequence[dict[str, Any]]], list[str]], records: Sequence[dict[str, Any]], retries: int
) -> list[str]:
    """What Lambda does with a shard (partial failures, bisecting, an on-failure queue): places that were given up."""
    given_up: list[str] = []
    waiting = [(list(records), 0)]
    while waiting:
        batch, tries = waiting.pop(0)
        try:
            failed = handle(batch)
        except Exception:  # noqa: BLE001 - as Lambda does
            if len(batch) > 1:
                half = len(batch) // 2
                waiting = [(batch[:half], tries), (batch[half:], tries), *waiting]
                continue
            left = batch
        else:
            if not failed:
                continue
            at = next(i for i, each in enumerate(batch) if each["dynamodb"]["SequenceNumber"] == failed[0])
            left = batch[at:]
            if at:
                tries = 0
        if tries >= retries:
            given_up += [each["dynamodb"]["SequenceNumber"] for each in left]
        else:
            waiting = [(left, tries + 1), *waiting]
    return given_up


def told(bus: KeptBus) -> list[dict[str, Any]]:
    """What was put on a bus."""
    return [json.loads(event.detail) for event in bus.events]


def a_whole_life(desk: Desk) -> MemberId:
    """A member to whom happens whatever can happen."""
    desk.publish(1, pending_days=7, transfers={"enabled": True, "fee_percent": 10})
    desk.clock.forward(minutes=1)
    member = desk.enrol(
        name="Canary Wong", mobile="+8613912345678", email="canary@example.com", card_no="canary-card",
        birthday="1988-03-20", shop_id="shp_main", source="till", tags=["canary words"], referral_code="canary-item",
    ).member_id  # fmt: skip
    desk.edit(member, 1, name="Canary Wong", tags=["canary words", "x"], email="canary.moved@example.com")
    lines = [{"sku": "canary-item", "name": "canary words", "quantity": 2, "unit_price_minor": 600_000}]
    desk.buy(a_purchase(member, order_no="one", paid_minor=1_200_000, lines=lines))
    desk.clock.at("2026-03-20")
    given = members.give_birthday_gift(desk.table, desk.book, member, on=date(2026, 3, 20), now=desk.clock())
    assert given is not None
    desk.clock.at("2026-03-25")
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.RELEASE, now=desk.clock())
    two = desk.buy(
        a_purchase(member, order_no="two", paid_minor=5_000, points_tender=300, occurred_at="2026-03-25T10:00:00+08:00")
    ).value
    desk.give_back(two.purchase_id, key="canary-item", amount_minor=100)
    desk.restate(two.purchase_id, paid_minor=6_000, points_tender=290)
    sent = desk.buy(a_purchase(member, order_no="sent", occurred_at="2026-03-25T10:00:00+08:00", awaits_delivery=True))
    desk.deliver(sent.value.purchase_id)
    desk.send_back(keys.purchase_id("pos", "free"), key="canary-item", amount_minor=100)
    desk.buy(a_purchase(member, order_no="free", paid_minor=0, lines=[], occurred_at="2026-03-25T10:00:00+08:00"))
    desk.spend(member, 100, key="spend/1#x", reference="canary-item")
    desk.capture(desk.hold(member, 20, key="canary words".replace(" ", "-"), reference="canary-item").value.hold_id)
    desk.release(desk.hold(member, 20, key="h").value.hold_id)
    other = desk.enrol().member_id
    desk.cancel(desk.offer(member, other, 20, key="no", message="canary words").value.transfer_id)
    desk.accept(desk.offer(member, other, 20, key="yes", message="canary words").value.transfer_id)
    desk.accept(desk.offer(other, member, 10, key="back").value.transfer_id)
    desk.adjust(member, 40, key="give", note_to_member="canary words", note_internal="canary words")
    desk.adjust(member, -30, key="take")
    desk.take_back(desk.entries(member)[-1], note_to_member="canary words", note_internal="canary words")
    desk.audited(reason="canary words", origin={}).suspend(member, reason="canary words")
    raised = Raised(AlertKind.MEMBER_VELOCITY, member, date(2026, 3, 25), 60_000, 50_000)
    assert alerts.raise_alert(desk.table, raised, now=desk.clock(), tell=lambda what, facts: None)
    desk.reinstate(member, reason="canary words")
    pool = desk.pool(member).value.pool_id
    friend = desk.enrol().member_id
    desk.let_in(pool, friend)
    desk.contribute(pool, member, 20, key="canary-item")
    desk.spend_from(pool, friend, 5, key="canary-item", reference="canary-item")
    pools.end_member(desk.table, desk.book, pool, friend, now=desk.clock())
    desk.close_pool(pool)
    desk.clock.at("2027-03-20")
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.NOTICE, now=desk.clock())
    desk.clock.at("2027-04-02")
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.EXPIRY, now=desk.clock())
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.REVIEW, now=desk.clock()) is not None
    desk.buy(a_purchase(member, order_no="late", paid_minor=500, occurred_at="2026-03-15T12:00:00+08:00"))
    desk.buy(a_purchase(member, order_no="last", paid_minor=700, occurred_at="2027-04-02T12:00:00+08:00"))
    other = desk.enrol(name="Canary Wong", tags=["canary words"]).member_id
    merged = desk.merge(other, member, key="m", reason="canary words").value
    desk.undo_merge(merged.merge_id, reason="canary words")
    desk.close(member, forfeit=True)
    return member


def test_a_whole_life_tells_every_type_of_event_once_each_in_its_schema_and_nothing_personal(
    desk: Desk, records: Batch, relay: Relay
) -> None:
    member, bus = a_whole_life(desk), KeptBus()
    handle, batch = relay(bus), records()

    for start in range(0, len(batch), 100):
        assert handle(batch[start : start + 100]) == []

    events = told(bus)
    elsewhere = {
        "MemberErased",
        "SegmentEntered",
        "SegmentLeft",
    }  # test_erasing.py, test_segments.py: no record tells these
    expected = {name for name in EVENT_TYPES if not name.startswith("Card")} - elsewhere
    assert {event["type"] for event in events} == expected
    assert max(Counter(event["event_id"] for event in events).values()) == 1
    for event in events:
        schema = json.loads(event_schema(event["type"]))
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(event)
        assert set(event["data"]) == set(EVENT_TYPES[event["type"]].model_fields)
    assert {event["type"] for event in events if event["member_id"] is None} == {"ProgramPublished", "AlertRaised"}
    assert [event.type for event in bus.events] == [event["type"] for event in events]

    leading = [each for each in events if is_leading(each) and each["member_id"] == member]
    account = desk.account(member)
    assert sorted(each["seq"] for each in leading) == list(range(1, account.seq + 1))
    assert sum(change_of(each) for each in leading) == account.lifetime.balance
    assert {each["seq"]: each["data"]["balance_after"] for each in leading} == {
        entry.seq: entry.balance_after for entry in desk.entries(member)
    }
    held = {each["seq"]: each["data"]["held_through"] for each in leading if each["type"] == "TierReviewed"}
    assert held == {each.seq: str(each.expires_on) for each in desk.entries(member) if each.key.kind == "tier"}
    written = "\n".join(event.detail for event in bus.events)
    assert [secret for secret in SECRETS if secret in written] == []


def test_the_life_of_two_cards_tells_every_type_of_their_events_in_its_schema_and_nothing_personal(
    desk: Desk, records: Batch, relay: Relay
) -> None:
    member, bus = desk.enrol().member_id, KeptBus()
    lives = lives_of_cards(desk, member)

    assert relay(bus)(records()) == []

    events = [event for event in told(bus) if event["type"].startswith("Card")]
    assert {event["type"] for event in events} == {name for name in EVENT_TYPES if name.startswith("Card")}
    for event in events:
        schema = json.loads(event_schema(event["type"]))
        jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(event)
        assert event["data"].get("owner_id", member) == member
    for card in lives:
        leading = [event for event in events if event["member_id"] == card and event["seq"] is not None]
        account = desk.account(card)
        assert sorted(each["seq"] for each in leading) == list(range(1, account.seq + 1))
        assert sum(change_of(each) for each in leading) == account.lifetime.balance
    money = [event["data"] for event in events if event["member_id"] == lives[0] and event["seq"] is not None]
    figures = ("principal_minor", "bonus_minor", "refunded_minor", "expired")
    assert [[each["points"], *(each[name] for name in figures if name in each)] for each in money] == [
        [0], [12_000, 10_000, 2_000], [-6_000, 5_000, 1_000], [3_000, 2_500, 500], [-1_500, 1_500],
        [-7_500, 7_500, 0, 7_500], [2, 1, 1], [-1, 1, 0], [-1, 1],
    ]  # fmt: skip
    written = "\n".join(event.detail for event in bus.events)
    assert [secret for secret in SECRETS if secret in written] == []


def test_the_streams_filters_let_through_whatever_of_real_commands_is_told_or_folded(
    desk: Desk, records: Batch
) -> None:
    """A kind of item that is told somewhere else than others is found here, or is in no life, which is found too."""
    start = desk.clock()
    lives_of_cards(desk, desk.enrol().member_id)
    desk.clock.now = start
    a_whole_life(desk)
    desk.publish(2, negative_balance="cap")
    desk.clock.now = start + timedelta(minutes=5)
    capped(desk)
    met: set[str] = set()
    for record in records():
        change = service.change_of(record)
        if change.item is None:
            continue
        kind = service.kind_of(change.pk, change.sk, change.item)
        is_entry = kind == "entry"
        if service.telling_of(change).events:
            met.add(f"entry {points_store.entry_from(change.item).key.kind}" if is_entry else kind)
            assert any(matches(pattern, record) for pattern in TOLD), (change.pk, change.sk)
        if is_entry and is_member(keys.account_of(change.item["tl"])):
            assert any(matches(pattern, record) for pattern in FOLDED), (change.pk, change.sk)
    told_of = {*service.TELL, *(f"entry {kind}" for kind in service.FROM_ENTRY)} - {"entry"}
    assert told_of - met == {"H erased"}, "that is a note as the others are; a life ends with it in test_erasing.py"


def lives_of_cards(desk: Desk, member: MemberId) -> tuple[str, str]:
    """One card of each kind, to which happens whatever can happen."""
    means = (Paid(kind="cash", amount_minor=10_000, reference="canary-item"),)
    card = desk.open_card(member, key="k", name="Canary Wong", card_number="canary-card").value.card_id
    first = TopUpCard(amount_minor=10_000, bonus_minor=2_000, bonus_expires_on=date(2026, 4, 30), means=means)
    desk.on_card(card, first, key="t")
    spent = desk.on_card(card, SpendCard(amount_minor=6_000, reference="canary-item"), key="s").value
    desk.on_card(card, RefundCardSpend(spend_id=spent.entry_id, amount_minor=3_000), key="b")
    desk.clock.at("2026-05-01")
    assert points.bring_up_to_date(desk.table, desk.book, CardId(card), Due.EXPIRY, now=desk.clock()) == 1_500
    desk.card_status(card, SuspendCard(reason="canary words"))
    desk.card_status(card, ReinstateCard(reason="canary words"))
    desk.on_card(card, RefundCard(), key="r")
    cent = (Paid(kind="cash", amount_minor=1),)
    desk.on_card(card, TopUpCard(amount_minor=1, bonus_minor=1, means=cent), key="t2")
    desk.on_card(card, SpendCard(amount_minor=1), key="s2")
    desk.card_status(card, CloseCard(reason="canary words"))
    visits = desk.open_card(member, key="v", kind="count", uses=3, expires_on="2026-05-31").value.card_id
    used = desk.on_card(visits, UseCard(count=2, reference="canary-item"), key="u").value
    desk.on_card(visits, ReverseCardUse(use_id=used.entry_id), key="x")
    desk.on_card(visits, ExtendCard(expires_on=date(2026, 6, 30), reason="goodwill"), key="e")
    return card, visits


LEADING = (
    "PurchaseRecorded", "PurchaseDelivered", "PurchaseReturned", "PurchaseRestated", "PointsAdjusted", "PointsExpired",
    "TierReviewed", "BirthdayGiftGiven", "PointsPooled", "PoolPointsMoved", "PoolPointsSpent", "MemberMerged",
    "MemberUnmerged", "PointsHeld", "HoldReleased", "PointsTransferOffered", "PointsTransferred", "PointsReceived",
    "PointsTransferEnded", "PointsReversed",
)  # fmt: skip


def is_leading(event: dict[str, Any]) -> bool:
    """Whether an event leads its ledger entry, as docs/events/README.md tells consumers."""
    return event["seq"] is not None and (
        event["type"] in LEADING or (event["type"] == "PointsSpent" and event["data"]["source"] in ("spend", "hold"))
    )


def change_of(event: dict[str, Any]) -> int:
    """The change of the balance that a leading event tells."""
    amount: int = event["data"]["points"]
    return -amount if event["type"] == "PointsSpent" else amount


def test_the_events_of_a_purchase_say_what_the_till_was_told(desk: Desk, records: Batch, relay: Relay) -> None:
    member, bus = desk.enrol().member_id, KeptBus()
    first = desk.buy(a_purchase(member, order_no="a/1", paid_minor=120_000)).value
    second = desk.buy(a_purchase(member, paid_minor=1_000, points_tender=100)).value

    assert relay(bus)(records()) == []

    by_seq: dict[int, dict[str, Any]] = defaultdict(dict)
    for event in told(bus):
        if event["seq"]:
            by_seq[event["seq"]][event["type"]] = event
    assert [sorted(by_seq[seq]) for seq in (1, 2)] == [
        ["PointsEarned", "PurchaseRecorded", "TierChanged"],
        ["PointsEarned", "PointsSpent", "PurchaseRecorded"],
    ]
    recorded = by_seq[1]["PurchaseRecorded"]
    entry_id = recorded["data"]["entry_id"]
    assert recorded["data"] == {
        "entry_id": entry_id, "points": 1_200, "balance_after": 1_200, "tier_before": "basic",
        "tier_after": "silver", "program_version": 1, "purchase_id": first.purchase_id, "shop_id": "shp_main",
        "occurred_on": "2026-03-15", "currency": "CNY", "paid_minor": 120_000, "tender_minor": 0,
        "points_earned": 1_200, "points_spent": 0, "points_hold_id": None, "qualifying_points": 1_200,
        "awaits_delivery": False,
        "recorded_by": None,
        "own_account": False,
    }  # fmt: skip
    assert datetime.fromisoformat(recorded["occurred_at"]) == first.occurred_at
    assert datetime.fromisoformat(recorded["recorded_at"]) == first.recorded_at
    assert by_seq[1]["TierChanged"]["data"] == {
        "tier_before": "basic", "tier_after": "silver", "entry_id": entry_id,
    }  # fmt: skip
    assert by_seq[1]["PointsEarned"]["data"] == {
        "entry_id": entry_id, "balance_after": 1_200, "source": "purchase", "points": 1_200,
        "expires_on": "2027-03-31", "spendable_on": None,
    }  # fmt: skip
    assert by_seq[2]["PointsSpent"]["data"]["points"] == second.points_tendered == 100
    assert by_seq[2]["PurchaseRecorded"]["data"]["tender_minor"] == 100


def test_holds_are_told_with_what_became_of_them(desk: Desk, records: Batch, relay: Relay) -> None:
    member, bus = desk.enrol().member_id, KeptBus()
    desk.adjust(member, 1_000, key="a")
    ids = [desk.hold(member, 100, key=f"h{n}", reference=SECRETS[3]).value.hold_id for n in range(4)]
    desk.capture(ids[0], 40)
    desk.release(ids[1])
    desk.buy(a_purchase(member, points_hold_id=ids[2], paid_minor=0))
    desk.clock.forward(hours=1)
    desk.spend(member, 1, key="s")

    assert relay(bus)(records()) == []

    leading = sorted((event for event in told(bus) if is_leading(event)), key=lambda event: int(event["seq"]))
    assert [event["seq"] for event in leading] == list(range(1, 11))
    found = [(event["type"], event["data"]) for event in leading]
    assert [(kind, data["hold_id"], data["held"]) for kind, data in found[1:5]] == [
        ("PointsHeld", hold_id, 100) for hold_id in ids
    ]
    assert [(kind, data["source"], data.get("hold_id")) for kind, data in (found[5], found[6], found[8], found[9])] == [
        ("PointsSpent", "hold", ids[0]), ("HoldReleased", "asked", ids[1]), ("HoldReleased", "timed_out", ids[3]),
        ("PointsSpent", "spend", None),
    ]  # fmt: skip
    assert (found[5][1]["points"], found[6][1]["released"]) == (40, 100)
    assert (found[7][0], found[7][1]["points_hold_id"], found[7][1]["points_spent"]) == (
        "PurchaseRecorded", ids[2], 100,
    )  # fmt: skip
    assert SECRETS[3] not in json.dumps(told(bus))


def test_transfers_are_told_of_both_members(desk: Desk, records: Batch, relay: Relay) -> None:
    desk.publish(1, transfers={"enabled": True, "fee_percent": 10, "accept_days": 1})
    desk.clock.forward(minutes=1)
    giver, receiver, bus = desk.enrol().member_id, desk.enrol().member_id, KeptBus()
    desk.adjust(giver, 500, key="a")
    ids = [desk.offer(giver, receiver, 50, key=f"t{n}", message=SECRETS[4]).value.transfer_id for n in range(4)]
    desk.accept(ids[0])
    desk.cancel(ids[1])
    desk.decline(ids[2])
    desk.clock.forward(days=1, seconds=1)
    desk.spend(giver, 1, key="s")

    assert relay(bus)(records()) == []

    events = sorted((event for event in told(bus) if is_leading(event)), key=lambda event: int(event["seq"]))
    sent = [(event["type"], event["data"]) for event in events if event["member_id"] == giver][1:]
    (received,) = [event["data"] for event in events if event["member_id"] == receiver]
    assert [(kind, data["to_member_id"], data["transferred"], data["fee_points"]) for kind, data in sent[:5]] == [
        *[("PointsTransferOffered", receiver, 50, 5)] * 4, ("PointsTransferred", receiver, 50, 5),
    ]  # fmt: skip
    assert [data["transfer_id"] for _, data in sent[:5]] == [*ids, ids[0]]
    assert [(kind, data["transfer_id"], data["source"], data["released"]) for kind, data in sent[5:8]] == [
        ("PointsTransferEnded", ids[1], "cancelled", 55), ("PointsTransferEnded", ids[2], "declined", 55),
        ("PointsTransferEnded", ids[3], "timed_out", 55),
    ]  # fmt: skip
    assert (sent[4][1]["points"], received["points"], received["from_member_id"]) == (-55, 50, giver)
    assert SECRETS[4] not in json.dumps(told(bus))


def test_records_again_tell_the_same_events_with_the_same_ids(desk: Desk, records: Batch, relay: Relay) -> None:
    desk.buy(a_purchase(desk.enrol().member_id))
    once, twice = KeptBus(), KeptBus()
    assert relay(once)(records()) == []
    assert relay(twice)(records()) == []
    assert once.events == twice.events != []


def test_only_what_is_new_tells_something(desk: Desk, records: Batch, relay: Relay) -> None:
    desk.buy(a_purchase(desk.enrol().member_id))
    changed = [{**record, "eventName": name} for record in records() for name in ("MODIFY", "REMOVE")]
    for record in changed:
        if record["eventName"] == "REMOVE":
            record["dynamodb"] = {k: v for k, v in record["dynamodb"].items() if k != "NewImage"}
    bus = KeptBus()
    assert relay(bus)(changed) == []
    assert bus.events == []


# ---------------------------------------------------------------- faults


def hurried() -> Sender:
    """A sender that waits for nothing and gives up soon."""
    return Sender(patience=0.3, pause=lambda _: None)


def a_busy_day(desk: Desk, purchases: int) -> set[str]:
    """Members who buy; the ids of every event that follows."""
    people = [desk.enrol().member_id for _ in range(4)]
    for number in range(purchases):
        desk.buy(a_purchase(people[number % 4], paid_minor=100_000))
        desk.clock.forward(seconds=1)
    return set(people)


def expected(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Each event that records tell, and the place of its record."""
    return {
        event.event_id: record["dynamodb"]["SequenceNumber"]
        for record in records
        for event in service.telling_of(service.change_of(record)).events
    }


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_bus_does_every_entry_arrives_at_least_once(
    desk: Desk, records: Batch, relay: Relay, seed: int
) -> None:
    chance = random.Random(seed)
    a_busy_day(desk, 60)
    batch = records()
    faults = [None, ServiceFault("ThrottlingException", 400, {}), Unreachable("lost"), ServiceFault("Http500", 500, {})]
    flaky = fakes.Service(
        fails=lambda: "InternalFailure" if chance.random() < 0.4 else None,
        answers=lambda: chance.choice(faults),
        lost=lambda: chance.random() < 0.2,
    )

    given_up = lambda_retries(relay(EventBus(flaky, "events", hurried())), batch, retries=1_000)

    assert given_up == []
    assert {json.loads(each)["event_id"] for each in flaky.arrived} == set(expected(batch))


def test_a_bus_that_is_busy_names_the_record_that_it_came_to_and_the_rest_waits(
    desk: Desk, records: Batch, relay: Relay
) -> None:
    a_busy_day(desk, 20)
    batch = records()
    places = [record["dynamodb"]["SequenceNumber"] for record in batch]
    of = expected(batch)

    def busy_from_the_third(events: Sequence[BusEvent]) -> None:
        if bus.puts == 3:
            raise StorageBusy

    bus = KeptBus(busy_from_the_third)
    (failed,) = relay(bus)(batch)

    arrived = {event["event_id"] for event in told(bus)}
    at = places.index(failed)
    assert {of[each] for each in arrived} <= set(places[:at])
    assert {each for each, place in of.items() if places.index(place) < at} == arrived
    rest = KeptBus()
    assert relay(rest)(batch[at:]) == []
    assert arrived | {event["event_id"] for event in told(rest)} == set(of)


def test_a_bus_that_is_busy_at_once_names_the_first_record_that_tells_something(
    desk: Desk, records: Batch, relay: Relay
) -> None:
    desk.buy(a_purchase(desk.enrol().member_id))
    batch = records()

    def busy(events: Sequence[BusEvent]) -> None:
        raise StorageBusy

    (failed,) = relay(KeptBus(busy))(batch)
    assert failed == min(expected(batch).values(), key=int)


def spoilt(record: dict[str, Any]) -> dict[str, Any]:
    """A ledger entry's record that nobody can understand."""
    image = {**record["dynamodb"]["NewImage"], "o": {"S": "not a number"}}
    return {**record, "dynamodb": {**record["dynamodb"], "NewImage": image}}


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_record_that_cannot_be_understood_fails_alone_and_everything_else_arrives(
    desk: Desk, records: Batch, relay: Relay, where: str
) -> None:
    a_busy_day(desk, 30)
    batch = records()
    entries = [i for i, record in enumerate(batch) if record["dynamodb"]["Keys"]["pk"]["S"].startswith("O#")]
    at = {"first": entries[0], "middle": entries[len(entries) // 2], "last": entries[-1]}[where]
    if where == "first":
        batch, at = batch[at:], 0
    poisoned = [*batch[:at], spoilt(batch[at]), *batch[at + 1 :]]
    place, bus = batch[at]["dynamodb"]["SequenceNumber"], KeptBus()

    given_up = lambda_retries(relay(bus), poisoned, retries=3)

    assert given_up == [place]
    arrived = {event["event_id"] for event in told(bus)}
    assert arrived == {each for each, its in expected(batch).items() if its != place}


def test_a_relay_that_names_the_record_at_the_head_would_lose_those_behind_it(
    desk: Desk, records: Batch, relay: Relay
) -> None:
    """Planted: what the tests above would find if a record that cannot be understood were always named."""
    a_busy_day(desk, 30)
    batch = records()
    at = next(i for i, record in enumerate(batch) if record["dynamodb"]["Keys"]["pk"]["S"].startswith("O#"))
    poisoned = [*batch[:at], spoilt(batch[at]), *batch[at + 1 :]]
    right = relay(KeptBus())

    def wrong(part: Sequence[dict[str, Any]]) -> list[str]:
        try:
            return right(part)
        except jobs.RecordFailed:
            return [part[0]["dynamodb"]["SequenceNumber"]]

    assert len(lambda_retries(wrong, poisoned, retries=3)) == len(batch) - at


def test_an_event_that_the_bus_refuses_for_good_fails_alone(desk: Desk, records: Batch, relay: Relay) -> None:
    a_busy_day(desk, 30)
    batch = records()
    of = expected(batch)
    wrong = sorted(of, key=lambda each: int(of[each]))[len(of) // 2]

    def refuse(events: Sequence[BusEvent]) -> None:
        if any(wrong in event.detail for event in events):
            raise ServiceFault("MalformedDetail", 400, {})

    bus = KeptBus(refuse)
    assert lambda_retries(relay(bus), batch, retries=2) == [of[wrong]]
    arrived = {event["event_id"] for event in told(bus)}
    assert arrived == {each for each, place in of.items() if place != of[wrong]}


def test_an_entry_of_a_kind_that_came_later_is_no_record_to_pass_over(desk: Desk, records: Batch, relay: Relay) -> None:
    desk.adjust(desk.enrol().member_id, 5, key="k")
    (record,) = [each for each in records() if each["dynamodb"]["Keys"]["pk"]["S"] == "K#adjust#k"]
    change = record["dynamodb"]
    later = {"pk": {"S": "K#teleport#k"}, "sk": {"S": "O"}}
    record["dynamodb"] = {**change, "Keys": later, "NewImage": {**change["NewImage"], **later}}
    with pytest.raises(jobs.RecordFailed, match="EntryUnknown"):
        relay(KeptBus())([record])


def test_an_item_of_a_kind_that_came_later_is_passed_over_and_logged(
    house: House, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    key = {"pk": {"S": "CPN#13800000000"}, "sk": {"S": "C"}}
    record = {"eventName": "INSERT", "dynamodb": {"Keys": key, "NewImage": key, "SequenceNumber": "7"}}
    bus = KeptBus()
    assert relay(bus)([record]) == []
    assert bus.puts == 0
    (line,) = caplog.records
    assert (line.levelname, vars(line)["unknown_items"]) == ("WARNING", ["CPN"])
    assert "13800000000" not in str(vars(line))


def test_a_fault_is_logged_without_what_is_in_the_record(
    desk: Desk, records: Batch, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    desk.buy(a_purchase(desk.enrol().member_id))
    (entry,) = [each for each in records() if each["dynamodb"]["Keys"]["pk"]["S"].startswith("O#")]
    with pytest.raises(jobs.RecordFailed) as raised:
        relay(KeptBus())([spoilt(entry)])
    (line,) = caplog.records
    assert (line.levelname, vars(line)["outcome"]) == ("ERROR", "bug")
    assert vars(line)["faults"][0].startswith("TypeError at from_milliseconds:")
    assert "not a number" not in str(vars(line)) + str(raised.value)
    assert raised.value.__suppress_context__


# ---------------------------------------------------------------- order


def test_a_consumer_has_a_members_whole_account_however_the_events_were_shuffled(
    desk: Desk, ops: DynamoTable, records: Batch
) -> None:
    a_whole_life(desk)
    events = [event for record in records() for event in service.telling_of(service.change_of(record)).events]
    queue = [event for event in events if leads(event)] * 2
    balances: dict[str, list[int]] = defaultdict(list)

    def handle(event: Any, turn: Write) -> None:
        ops.commit([turn])
        balances[event.member_id].append(event.data.balance_after)

    chance = random.Random(1)
    while queue:
        chance.shuffle(queue)
        batch, queue = queue[:10], queue[10:]
        queue += in_turn(ops, "test", batch, handle)

    assert len(balances) > 1
    for account, found in balances.items():
        assert found == [entry.balance_after for entry in desk.entries(account)]


# ---------------------------------------------------------------- archive


def messages(bodies: Sequence[str]) -> dict[str, Any]:
    """A batch of a queue, as Lambda hands it over."""
    return {"Records": [{"messageId": f"m{i}", "body": body} for i, body in enumerate(bodies)]}


def archive(house: House, objects: Any, bodies: Sequence[str]) -> list[str]:
    """Hand messages to the archive's function; which of them it names as failed."""
    wiring.use(replace(house, objects=objects))
    answer = jobs.archive_events(messages(bodies), None)
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def kept(objects: FolderObjects) -> dict[str, list[dict[str, Any]]]:
    """What is in the archive."""
    keys = objects.list("", after=None, limit=10_000)
    return {key: [json.loads(line) for line in (objects.get(key) or b"").decode().splitlines()] for key in keys}


def test_events_are_kept_by_the_hour_in_which_they_were_recorded_and_the_same_batch_again_changes_nothing(
    desk: Desk, records: Batch, relay: Relay, house: House, tmp_path: Path
) -> None:
    bus, objects = KeptBus(), FolderObjects(tmp_path)
    a_whole_life(desk)
    assert relay(bus)(records()) == []
    bodies = [event.detail for event in bus.events]

    assert archive(house, objects, bodies) == []
    first = kept(objects)
    assert archive(house, objects, list(reversed(bodies)) + bodies[:3]) == []

    assert kept(objects) == first
    assert {event["event_id"] for some in first.values() for event in some} == {
        json.loads(body)["event_id"] for body in bodies
    }
    for key, some in first.items():
        hours = {datetime.fromisoformat(event["recorded_at"]).astimezone(UTC).strftime("%Y/%m/%d/%H") for event in some}
        assert hours == {key.removeprefix("events/")[:13]}
        assert len({event["event_id"] for event in some}) == len(some)


def test_what_is_no_event_fails_alone(house: House, tmp_path: Path) -> None:
    good = json.dumps(
        {"event_id": "evt_a", "type": "CameLater", "recorded_at": "2026-03-15T23:59:59.999+08:00", "x": "一"}
    )
    bad = [
        "", "{", "[]", "null", "{}", json.dumps({"event_id": "evt_b"}),
        json.dumps({"event_id": "evt_b", "recorded_at": "yesterday"}),
        json.dumps({"event_id": "evt_b", "recorded_at": "2026-03-15T00:00:00"}),
        json.dumps({"event_id": 7, "recorded_at": "2026-03-15T00:00:00Z"}),
    ]  # fmt: skip
    objects = FolderObjects(tmp_path)
    assert archive(house, objects, [*bad[:4], good, *bad[4:]]) == [f"m{i}" for i in range(10) if i != 4]
    ((key, (event,)),) = kept(objects).items()
    assert key.startswith("events/2026/03/15/15/")
    assert event == json.loads(good)


def test_an_hour_that_cannot_be_kept_fails_and_the_others_are_kept(house: House, tmp_path: Path) -> None:
    class Full(FolderObjects):
        def put(self, key: str, content: bytes, *, kind: str) -> None:
            if key.startswith("events/2026/03/15/01/"):
                raise StorageBusy
            super().put(key, content, kind=kind)

    bodies = [
        json.dumps({"event_id": f"evt_{n}", "recorded_at": f"2026-03-15T{n % 3:02d}:10:00Z", "type": "X"})
        for n in range(9)
    ]
    objects = Full(tmp_path)
    assert archive(house, objects, bodies) == ["m1", "m4", "m7"]
    assert sorted(key[:21] for key in kept(objects)) == ["events/2026/03/15/00/", "events/2026/03/15/02/"]


def test_every_type_has_its_schema_and_the_other_way_round() -> None:
    assert {path.stem for path in (ROOT / "docs" / "events").glob("*.json")} == set(EVENT_TYPES)
