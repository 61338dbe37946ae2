"""The canonical form and the chain, frozen: what was written once must be provable for ever.

A failure here means that every hash in every ledger would change. Do not mend the bytes below; mend the code, or start
a new chain version that leaves old entries as they are.
"""

import hashlib
import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel.calendar import Month
from chalicelib.kernel.canonical import GENESIS, canonical, chained, digest, plain
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.points.content import content_of
from chalicelib.points.models import Entry, EntryKey, Lifetime, Reason, Sums, Why
from chalicelib.tiers.models import Anchor

DOC = Path(__file__).parents[2] / "docs" / "canonical-form.md"
MEMBER = MemberId("mem_abcdefghij234567")

EARN = Entry(
    key=EntryKey(kind="purchase", parts=("pos", "A-1001")),
    member_id=MEMBER,
    seq=1,
    reason=Reason.EARN,
    points=47,
    balance_after=47,
    occurred_at=datetime(2026, 3, 15, 12, tzinfo=timezone(timedelta(hours=8))),
    occurred_on=date(2026, 3, 15),
    recorded_at=datetime(2026, 3, 15, 4, 0, 1, 250_000, tzinfo=UTC),
    program_version=3,
    earned=47,
    expires_on=date(2027, 3, 31),
    qualifying=38,
    tier_before="gold",
    tier_after="gold",
    why=(Why(rule_id="base", points=38, args=(3850,)), Why(rule_id="tier.gold", points=9, args=(125,))),
    content=bytes(range(32)),
)
EARN_BYTES = (
    b'{"balance_after":47,"content":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
    b'"earned":47,"expires_on":"2027-03-31","key":["purchase","pos","A-1001"],"member_id":"mem_abcdefghij234567",'
    b'"occurred_at":1773547200000,"occurred_on":"2026-03-15","points":47,"program_version":3,"qualifying":38,'
    b'"reason":"earn","recorded_at":1773547201250,"seq":1,"tier_after":"gold","tier_before":"gold",'
    b'"why":[["base",38,3850],["tier.gold",9,125]]}'
)
EARN_HASH = "b189c4634574fa869c9c59e57dca0521caa703c338c3eabc3254d178d0ed75a2"

SPEND = Entry(
    key=EntryKey(kind="spend", parts=('till "7" \\ 咖啡 ☕ 😀',)),
    member_id=MEMBER,
    seq=2,
    reason=Reason.SPEND,
    points=-20,
    balance_after=27,
    occurred_at=datetime(2026, 3, 16, 4, tzinfo=UTC),
    occurred_on=date(2026, 3, 16),
    recorded_at=datetime(2026, 3, 16, 4, tzinfo=UTC),
    program_version=3,
    consumed=20,
    period=date(2026, 3, 31),
)
SPEND_BYTES = (
    '{"balance_after":27,"consumed":20,"key":["spend","till \\"7\\" \\\\ 咖啡 ☕ 😀"],'
    '"member_id":"mem_abcdefghij234567","occurred_at":1773633600000,"occurred_on":"2026-03-16","period":"2026-03-31","points":-20,"program_version":3,'
    '"reason":"spend","recorded_at":1773633600000,"seq":2}'
).encode()
SPEND_HASH = "eb22da40ebad3d14bd7fc7ffffebf3d88e586be8a3e8e0050fbcd53f0f3731b4"

EXPIRE = Entry(
    key=EntryKey(kind="expire", parts=(str(MEMBER), "2027-03-31")),
    member_id=MEMBER,
    seq=3,
    reason=Reason.EXPIRE,
    points=-27,
    balance_after=0,
    occurred_at=datetime(2027, 3, 31, 16, tzinfo=UTC),
    occurred_on=date(2027, 3, 31),
    recorded_at=datetime(2027, 4, 1, 0, 30, tzinfo=UTC),
    program_version=4,
    expires_on=date(2027, 3, 31),
    cause=EntryKey(kind="adjust", parts=("x",)),
    lapsed=5,
    reason_code="gift",
)
EXPIRE_BYTES = (
    b'{"balance_after":0,"cause":["adjust","x"],"expires_on":"2027-03-31","key":["expire","mem_abcdefghij234567",'
    b'"2027-03-31"],"lapsed":5,"member_id":"mem_abcdefghij234567","occurred_at":1806508800000,'
    b'"occurred_on":"2027-03-31","points":-27,"program_version":4,"reason":"expire","reason_code":"gift",'
    b'"recorded_at":1806539400000,"seq":3}'
)
EXPIRE_HASH = "3e58f0a2ed509dfece5d2b730ee072fd9dfec005da26b482cdbeafa6fc3b27fc"


PENDING = Entry(
    key=EntryKey(kind="purchase", parts=("web", "A-1002")),
    member_id=MEMBER,
    seq=4,
    reason=Reason.EARN,
    points=12,
    balance_after=12,
    occurred_at=datetime(2027, 4, 2, 4, tzinfo=UTC),
    occurred_on=date(2027, 4, 2),
    recorded_at=datetime(2027, 4, 2, 4, tzinfo=UTC),
    program_version=4,
    earned=12,
    expires_on=date(2028, 4, 30),
    matures_on=date(2027, 4, 16),
)
PENDING_BYTES = (
    b'{"balance_after":12,"earned":12,"expires_on":"2028-04-30","key":["purchase","web","A-1002"],'
    b'"matures_on":"2027-04-16","member_id":"mem_abcdefghij234567","occurred_at":1806638400000,'
    b'"occurred_on":"2027-04-02","points":12,"program_version":4,"reason":"earn","recorded_at":1806638400000,"seq":4}'
)
PENDING_HASH = "f9edcc40bfd3f1be127bf7fffa992a152d9352f18939571317d2cf782758c8db"


MOVED = Entry(
    key=EntryKey(kind="contribution", parts=("c-1",)),
    member_id=AccountId("pol_abcdefghij234567"),
    seq=5,
    reason=Reason.TRANSFER,
    points=6,
    balance_after=18,
    occurred_at=datetime(2027, 4, 3, 4, tzinfo=UTC),
    occurred_on=date(2027, 4, 3),
    recorded_at=datetime(2027, 4, 3, 4, tzinfo=UTC),
    program_version=4,
    held=3,
    held_until=datetime(2027, 4, 3, 5, tzinfo=UTC),
    sums=Sums(
        lifetime=Lifetime(earned=7, spent=1),
        earned={date(2028, 4, 30): 4, date(2027, 5, 31): 3},
        spent={date(2027, 4, 30): 1},
        pending={date(2027, 4, 20): 2},
        qualifying={Month(24_327): 5},
        carried=1,
        lapsed=2,
    ),
    actor=MEMBER,
)
MOVED_BYTES = (
    b'{"actor":"mem_abcdefghij234567","balance_after":18,"held":3,"held_until":1806728400000,'
    b'"key":["contribution","c-1"],"member_id":"pol_abcdefghij234567","occurred_at":1806724800000,'
    b'"occurred_on":"2027-04-03","points":6,"program_version":4,"reason":"transfer","recorded_at":1806724800000,'
    b'"seq":5,"sums":{"earned":[["2027-05-31",3],["2028-04-30",4]],"folded":[1,2],"lifetime":[7,1,0,0],'
    b'"pending":[["2027-04-20",2]],"qualifying":[[24327,5]],"spent":[["2027-04-30",1]]}}'
)
MOVED_HASH = "b2d81c7150acd254cef6b29965ef845244c4fe3765103f91548f2511fc218b7c"

MERGED = Entry(
    key=EntryKey(kind="merge_in", parts=("m-1",)),
    member_id=MEMBER,
    seq=6,
    reason=Reason.MERGE,
    points=3,
    balance_after=21,
    occurred_at=datetime(2027, 4, 4, 4, tzinfo=UTC),
    occurred_on=date(2027, 4, 4),
    recorded_at=datetime(2027, 4, 4, 4, tzinfo=UTC),
    program_version=4,
    sums=Sums(lifetime=Lifetime(earned=3), earned={date(2028, 4, 30): 3}, through=date(2026, 3, 31)),
    anchor=Anchor(month=Month(24_326), tier_id="gold", review_after=Month(24_338)),
)
MERGED_BYTES = (
    b'{"anchor":[24326,"gold",24338],"balance_after":21,"key":["merge_in","m-1"],"member_id":"mem_abcdefghij234567",'
    b'"occurred_at":1806811200000,"occurred_on":"2027-04-04","points":3,"program_version":4,"reason":"merge",'
    b'"recorded_at":1806811200000,"seq":6,"sums":{"earned":[["2028-04-30",3]],"lifetime":[3,0,0,0],'
    b'"through":"2026-03-31"}}'
)
MERGED_HASH = "fbff857469556c205b7f267d9b83606b003455de67cc35aefbc592beaa236d72"


def test_the_bytes_and_hashes_of_entries_are_frozen() -> None:
    previous = GENESIS
    for entry, spelled, hashed in (
        (EARN, EARN_BYTES, EARN_HASH),
        (SPEND, SPEND_BYTES, SPEND_HASH),
        (EXPIRE, EXPIRE_BYTES, EXPIRE_HASH),
        (PENDING, PENDING_BYTES, PENDING_HASH),
        (MOVED, MOVED_BYTES, MOVED_HASH),
        (MERGED, MERGED_BYTES, MERGED_HASH),
    ):
        content = content_of(entry)
        assert canonical(content) == spelled
        previous = chained(previous, content)
        assert previous.hex() == hashed


def test_the_golden_entries_have_every_field_that_the_chain_knows() -> None:
    names = {name for entry in (EARN, SPEND, EXPIRE, PENDING, MOVED, MERGED) for name in content_of(entry)}
    assert names == set(Entry.model_fields) - {"hash"}


def test_a_field_that_is_nought_is_not_a_field_that_is_not_set() -> None:
    assert b'"qualifying":0' in canonical(content_of(SPEND.model_copy(update={"qualifying": 0})))
    assert b"qualifying" not in canonical(content_of(SPEND))


def test_the_documents_worked_example_is_the_golden_entry_and_proves_itself() -> None:
    """As somebody would do it who has the document alone: its bytes, its formula, its hash."""
    blocks = re.findall(r"```(\w+)\n(.*?)\n```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    spelled = [text.encode() for kind, text in blocks if kind == "json"]
    hashes = [text.strip() for kind, text in blocks if kind == "sha256"]

    assert (spelled, hashes) == ([EARN_BYTES, SPEND_BYTES], [EARN_HASH, SPEND_HASH])
    previous = bytes(32)
    for content, hashed in zip(spelled, hashes, strict=True):
        previous = hashlib.sha256(b"regulars entry 1\n" + previous + content).digest()
        assert previous.hex() == hashed


def test_the_document_names_every_field_in_its_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [name for name in Entry.model_fields if name != "hash"]


def test_keys_stand_in_code_point_order_and_nothing_is_escaped_that_need_not_be() -> None:
    content = {"b": 1, "a": [True, False, -3], "é": "é/\u007f\u2028", "😀": "\u0000\b\t\n\f\r\u001f", "": {}}

    assert canonical(content) == (
        '{"":{},"a":[true,false,-3],"b":1,"é":"é/\u007f\u2028","😀":"\\u0000\\b\\t\\n\\f\\r\\u001f"}'.encode()
    )
    # U+FF01 before U+1F600 by code point, although UTF-16 would sort them the other way.
    assert canonical({"😀": 1, "！": 2}) == '{"！":2,"😀":1}'.encode()


@pytest.mark.parametrize("value", [1.0, None, b"x", {1}, date(2026, 1, 1)])
def test_what_has_no_canonical_form_is_refused_wherever_it_stands(value: Any) -> None:
    for content in ({"a": value}, {"a": [value]}, {"a": {"b": [1, value]}}, [value]):
        with pytest.raises(TypeError):
            canonical(content)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.one_of(st.booleans(), st.integers(), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=60)
@given(st.dictionaries(words, json_values, max_size=4), st.randoms())
def test_content_has_one_spelling_which_reads_back_as_it_was(content: dict[str, Any], chance: Any) -> None:
    shuffled = [*content.items()]
    chance.shuffle(shuffled)

    assert canonical(dict(shuffled)) == canonical(content)
    assert json.loads(canonical(content)) == content
    assert digest(content) == hashlib.sha256(canonical(content)).digest()


def test_plain_writes_the_same_instant_the_same_way_whatever_its_offset() -> None:
    shanghai = datetime(2026, 3, 15, 12, 0, 0, 999, tzinfo=timezone(timedelta(hours=8)))
    content = {
        "at": shanghai,
        "on": date(2026, 3, 15),
        "kind": Reason.EARN,
        "parts": ("a", (1, True)),
        "more": {"at": shanghai.astimezone(UTC)},
    }

    assert plain(content) == {
        "at": 1_773_547_200_000,
        "on": "2026-03-15",
        "kind": "earn",
        "parts": ["a", [1, True]],
        "more": {"at": 1_773_547_200_000},
    }
