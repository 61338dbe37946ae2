"""What a segment says, in SQL and in words."""

import json
from collections.abc import Iterator
from datetime import date
from itertools import combinations, product
from typing import Any

import pytest

from chalicelib.kernel.ids import SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.segments import rules
from chalicelib.segments.models import DEFINITION, Definition, Segment, SegmentKind, SegmentState
from chalicelib.segments.rules.checking import Knot, comes_back
from chalicelib.segments.rules.compiling import compiled, month_days, uses_clock
from chalicelib.segments.rules.ready import CLASSES, READY_IDS, ready
from tests.makers import NOON
from tests.segmenting import TODAY, Documents, a_world, connected, fits


def read(document: object) -> Definition:
    """A definition from its document."""
    return DEFINITION.validate_json(json.dumps(document))


def named(segment_id: SegmentId) -> dict[str, object] | None:
    """The document of a ready segment."""
    found = ready(segment_id)
    if found is None or found.definition is None:
        return None
    document: dict[str, object] = DEFINITION.dump_python(found.definition, mode="json", exclude_none=True)
    return document


@pytest.mark.parametrize("seed", range(6))
def test_sql_finds_whom_a_plain_evaluation_finds(seed: int) -> None:
    world, documents = a_world(seed), Documents(seed)
    connection = connected(world)
    hits = 0
    for _ in range(50):
        document = documents.definition()
        definition = read(document)
        some = compiled(definition, today=TODAY, resolve=ready, time_zone="Asia/Shanghai")

        found = {row[0] for row in connection.execute(some.sql, some.values("")).fetchall()}

        expected = {each["m"] for each in world.tables["members"] if fits(document, each, world, named)}
        assert found == expected, (document, some)
        hits += 0 < len(found) < len(world.tables["members"])
        assert some.sql.count("?") == len(some.params)
    assert hits > 20, "the world is such that most definitions part it"
    connection.close()


def test_every_definition_reads_as_a_sentence_in_both_languages() -> None:
    documents = Documents(7)
    for _ in range(400):
        definition = read(documents.definition())
        zh, en = (rules.sentence(definition, language) for language in (Language.ZH, Language.EN))
        assert zh.endswith("的会员。")
        assert en.startswith("Members who ")
        assert en.endswith(".")
        assert "None" not in zh + en
        assert "  " not in en
        assert "{" not in zh + en


@pytest.mark.parametrize(
    ("document", "zh", "en"),
    [
        (
            {"kind": "field", "name": "points", "op": "at_least", "value": 500},
            "积分不少于 500 的会员。",
            "Members who have at least 500 points.",
        ),
        (
            {
                "kind": "all",
                "of": [
                    {"kind": "purchases", "measure": "count", "op": "at_least", "value": 3,
                     "window": {"kind": "last_days", "days": 90}},
                    {"kind": "not", "of": {"kind": "bought", "categories": ["茶"]}},
                ],
            },
            "最近 90 天内消费不少于 3 次，并且没有购买过“茶”类商品的会员。",
            "Members who bought at least 3 times in the last 90 days, and did not buy something of the category “茶”.",
        ),
        (
            {"kind": "not", "of": {"kind": "any", "of": [
                {"kind": "field", "name": "gender", "op": "is_any", "values": ["female"]},
                {"kind": "tag", "op": "has_any", "tags": ["vip"]},
            ]}},
            "性别不为女，并且没有“vip”标签的会员。",
            "Members who are not female, and do not have the tag “vip”.",
        ),
        (
            {"kind": "all", "of": [
                {"kind": "purchases", "measure": "sum", "op": "above", "value": 100000,
                 "window": {"kind": "from_to", "first": "2026-01-01", "last": "2026-03-31"}, "shop_ids": ["shp_a"]},
                {"kind": "any", "of": [
                    {"kind": "campaign", "did": "not_opened", "source_ids": ["cmp_spring"]},
                    {"kind": "field", "name": "birthday", "op": "in_next_days", "days": 7},
                ]},
            ]},
            "2026-01-01 至 2026-03-31 期间在门店 shp_a 消费金额多于 ¥1,000.00，"
            "并且（被发送过“cmp_spring”的消息但没有打开任何一条，或者生日在未来 7 天内）的会员。",
            "Members who spent more than ¥1,000.00 in the shop shp_a from 2026-01-01 to 2026-03-31, and (were sent a "
            "message of “cmp_spring” and opened none, or have their birthday in the next 7 days).",
        ),
        (
            {"kind": "any", "of": [
                {"kind": "field", "name": "language", "op": "is_any", "values": ["en"]},
                {"kind": "field", "name": "language", "op": "is_none", "values": ["zh", "en"]},
                {"kind": "field", "name": "language", "op": "is_unknown"},
            ]},
            "语言为英文，或者语言不为中文或英文，或者没有填写语言的会员。",
            "Members who prefer English, do not prefer Chinese or English, or have no known preferred language.",
        ),
        (
            {"kind": "purchases", "measure": "count", "op": "is", "value": 0,
             "window": {"kind": "last_days", "days": 60}},
            "最近 60 天内没有消费的会员。",
            "Members who did not buy anything in the last 60 days.",
        ),
        (
            {"kind": "not", "of": {"kind": "tag", "op": "has_all", "tags": ["a", "b"]}},
            "不同时带有“a”和“b”标签的会员。",
            "Members who do not have all of the tags “a” and “b”.",
        ),
        (
            {"kind": "all", "of": [
                {"kind": "not", "of": {"kind": "field", "name": "consents", "op": "has_any",
                                       "values": ["marketing:sms"]}},
                {"kind": "field", "name": "withdrawn", "op": "has_none", "values": ["marketing", "marketing_wine"]},
            ]},
            "没有同意通过短信接收“优惠与活动”（就该渠道而言），"
            "并且没有拒绝或撤回“优惠与活动”和“marketing_wine”中的任何一项的会员。",
            "Members who have not agreed to “offers and news” by SMS (said of this channel), and have declined none of "
            "“offers and news” and “marketing_wine”.",
        ),
        (
            {"kind": "campaign", "did": "bounced"},
            "有某个营销活动或自动流程的消息被退回的会员。",
            "Members who had a message of some campaign or journey bounce.",
        ),
        (
            {"kind": "campaign", "did": "bounced", "channels": ["email"], "window": {"kind": "last_days", "days": 30}},
            "最近 30 天内通过电子邮件有某个营销活动或自动流程的消息被退回的会员。",
            "Members who had a message of some campaign or journey by e-mail bounce in the last 30 days.",
        ),
        (
            {"kind": "not", "of": {"kind": "campaign", "did": "failed", "channels": ["sms"]}},
            "通过短信没有任何营销活动或自动流程的消息投递失败的会员。",
            "Members who had no message of any campaign or journey by SMS fail to reach them.",
        ),
        (
            {"kind": "campaign", "did": "not_delivered", "source_ids": ["cmp_a", "jrn_b"]},
            "被发送过“cmp_a”或“jrn_b”的消息但没有任何送达回执的会员。",
            "Members who were sent a message of “cmp_a” or “jrn_b” and have no receipt of delivery of any.",
        ),
        (
            {"kind": "not", "of": {"kind": "campaign", "did": "not_opened"}},
            "不满足“被发送过某个营销活动或自动流程的消息但没有打开任何一条”的会员。",
            "Members who are not among those who were sent a message of some campaign or journey and opened none.",
        ),
        (
            {"kind": "purchases", "measure": "count", "op": "at_least", "value": 1, "channels": ["till", "pos-1"],
             "window": {"kind": "last_days", "days": 2, "skip": 1}},
            "昨天通过渠道收银台 或 pos-1 有过消费的会员。",
            "Members who bought something through the till or pos-1 yesterday.",
        ),
        (
            {"kind": "bought", "skus": ["A"], "window": {"kind": "last_days", "days": 90, "skip": 30}},
            "89 天前到 30 天前购买过商品 A 的会员。",
            "Members who bought the article “A” between 89 and 30 days ago.",
        ),
    ],
)  # fmt: skip
def test_a_sentence_is_what_people_say(document: object, zh: str, en: str) -> None:
    definition = read(document)
    assert rules.sentence(definition, Language.ZH) == zh
    assert rules.sentence(definition, Language.EN) == en


LISTS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "tags": ({"kind": "tag"}, "tags", ("a", "b", "c")),
    "consents": ({"kind": "field", "name": "consents"}, "values", ("marketing", "marketing:sms", "notices:email")),
    "withdrawn": ({"kind": "field", "name": "withdrawn"}, "values", ("marketing", "marketing:sms", "notices:email")),
    "ways": ({"kind": "field", "name": "ways"}, "values", ("sms", "email", "app")),
    "suppressed": ({"kind": "field", "name": "suppressed"}, "values", ("sms", "email", "wechat")),
}


def list_conditions() -> Iterator[tuple[Any, Any]]:
    """Conditions on lists, plain and denied once and twice, each with what it means: which of all members it takes."""
    for name, (document, key, values) in LISTS.items():
        some = [each for size in (1, 2, 3) for each in combinations(values, size)]
        members = [frozenset(), *map(frozenset, some)]
        for op, chosen, denials in product(("has_any", "has_all", "has_none"), some, range(3)):
            took = {
                "has_any": [bool(held & set(chosen)) for held in members],
                "has_all": [held >= set(chosen) for held in members],
                "has_none": [not held & set(chosen) for held in members],
            }[op]
            made: dict[str, Any] = {**document, "op": op, key: list(chosen)}
            for _ in range(denials):
                made = {"kind": "not", "of": made}
            yield made, (name, tuple(each is (denials % 2 == 0) for each in took))


@pytest.mark.parametrize("language", list(Language))
def test_no_two_conditions_on_lists_that_differ_in_meaning_have_the_same_sentence(language: Language) -> None:
    meanings: dict[str, Any] = {}
    for document, meaning in list_conditions():
        said = rules.sentence(read(document), language)
        assert meanings.setdefault(said, meaning) == meaning, (said, document)
    assert len(set(meanings.values())) == len(LISTS) * 22, (
        "every meaning that there is: 7 of any, 4 more of all, denied"
    )


def test_a_campaign_or_journey_that_there_is_not_is_pointed_at() -> None:
    named = {"kind": "campaign", "did": "sent", "source_ids": ["cmp_a", "cmp_b", "jrn_c"]}
    found = rules.check(read({"kind": "not", "of": named}), ready, sources=["cmp_a"])
    assert [(each.pointer, each.detail) for each in found] == [
        ("/of/source_ids/1", "There is no such campaign"),
        ("/of/source_ids/2", "There is no such journey"),
    ]
    assert rules.check(read(named), ready, sources=["cmp_a", "cmp_b", "jrn_c"]) == ()


def test_nothing_that_somebody_wrote_is_in_the_text_of_a_query() -> None:
    documents = Documents(3)
    for _ in range(300):
        some = compiled(read(documents.definition()), today=TODAY, resolve=ready)
        for word in ("DROP", "1=1", "咖啡", "vip", "shp_", "cmp_one", "b_2", "--"):
            assert word not in some.where


def test_the_classes_of_scores_part_all_who_have_any() -> None:
    cells = [(r, f) for _, _, recency, frequency in CLASSES.values() for r in recency for f in frequency]
    assert sorted(cells) == [(r, f) for r in range(1, 6) for f in range(1, 6)]


def test_every_ready_segment_is_sound_and_named_in_both_languages() -> None:
    for segment_id in READY_IDS:
        zh, en = ready(segment_id, Language.ZH), ready(segment_id, Language.EN)
        assert zh is not None
        assert en is not None
        assert zh.definition is not None
        assert zh.name != en.name
        assert rules.check(zh.definition, ready) == ()


def test_who_was_born_on_29_february_has_their_birthday_on_the_28th_in_other_years() -> None:
    assert month_days(date(2026, 2, 27), 2) == ("02-27", "02-29")
    assert month_days(date(2028, 2, 27), 2) == ("02-27", "02-28")
    assert month_days(date(2026, 12, 30), 4) == ("12-30", "01-02")
    assert month_days(date(2026, 3, 15), 365) == ("01-01", "12-31")
    assert month_days(date(2026, 3, 15), 364) == ("03-15", "03-13")
    assert month_days(date(2028, 2, 29), 366) == ("01-01", "12-31")


def test_what_time_alone_changes_is_known() -> None:
    clocked = [
        {"kind": "field", "name": "joined_on", "op": "in_last_days", "days": 3},
        {"kind": "not", "of": {"kind": "bought", "skus": ["A"], "window": {"kind": "last_days", "days": 3}}},
        {"kind": "segment", "segment_id": "seg_ready_champions"},
        {"kind": "field", "name": "points", "op": "is", "value": 1},
    ]
    still = [
        {"kind": "field", "name": "points_earned", "op": "is", "value": 1},
        {"kind": "purchases", "measure": "count", "op": "is", "value": 1},
        {"kind": "tag", "op": "has_any", "tags": ["a"]},
        {"kind": "segment", "segment_id": "seg_ready_never_bought"},
    ]
    assert [uses_clock(read(each), ready) for each in (*clocked, *still)] == [True] * 4 + [False] * 4


# ---------------------------------------------------------------- what is wrong


def a_segment(name: str, document: object) -> Segment:
    """A live segment."""
    return Segment(
        segment_id=SegmentId(name), name=name, kind=SegmentKind.LIVE, definition=read(document), created_at=NOON,
        created_by="stf_x", edited_at=NOON,
    )  # fmt: skip


A, B = "seg_" + "a" * 16, "seg_" + "b" * 16
IN_A, IN_B = {"kind": "segment", "segment_id": A}, {"kind": "segment", "segment_id": B}
LEAF = {"kind": "stage", "stages": ["new"]}


def test_a_segment_that_would_be_made_of_itself_is_found() -> None:
    known = {SegmentId(A): a_segment(A, IN_B), SegmentId(B): a_segment(B, {"kind": "not", "of": IN_A})}
    (fault,) = rules.check(read({"kind": "all", "of": [LEAF, IN_B]}), known.get, own=SegmentId(A))
    assert (fault.pointer, fault.detail) == ("/of/1/segment_id", "The segment would be made of itself")
    # Even where two edits at once had made a circle, nothing runs for ever.
    assert compiled(read(IN_A), today=TODAY, resolve=known.get).where == "((TRUE))"


def test_a_segment_that_there_is_not_or_that_is_archived_cannot_be_named() -> None:
    aside = a_segment(A, LEAF).model_copy(update={"state": SegmentState.ARCHIVED})
    faults = rules.check(read({"kind": "any", "of": [IN_A, IN_B]}), {SegmentId(A): aside}.get)
    assert [(each.pointer, each.detail) for each in faults] == [
        ("/of/0/segment_id", "This segment is archived"),
        ("/of/1/segment_id", "There is no such segment"),
    ]


def test_depth_and_number_of_conditions_are_limited_with_those_of_named_segments() -> None:
    deep: object = LEAF
    for _ in range(12):
        deep = {"kind": "not", "of": deep}
    assert rules.check(read(deep), ready)[0].pointer == "/of" * 12
    many = {"kind": "any", "of": [{"kind": "all", "of": [LEAF] * 50}] * 7}
    assert "300 conditions" in rules.check(read(many), ready)[0].detail
    wide = a_segment(A, {"kind": "any", "of": [LEAF] * 50})
    (fault,) = rules.check(read({"kind": "all", "of": [IN_A] * 10}), {SegmentId(A): wide}.get)
    assert fault.pointer == "/of/5/segment_id"
    heavy = {"kind": "purchases", "measure": "count", "op": "is", "value": 3}
    assert "24 conditions" in rules.check(read({"kind": "all", "of": [heavy] * 30}), ready)[0].detail


def test_a_tag_that_decides_who_is_given_it_is_a_circle() -> None:
    a, b = SegmentId(A), SegmentId(B)
    assert comes_back({a: Knot(tags=frozenset({"x"}), gives="x")}, a)
    around = {a: Knot(tags=frozenset({"y"}), gives="x"), b: Knot(tags=frozenset({"x"}), gives="y")}
    assert comes_back(around, a)
    assert not comes_back({a: Knot(tags=frozenset({"y"}), gives="x"), b: Knot(gives="y")}, a)


def test_values_that_cannot_be_are_named() -> None:
    for name, value in (("gender", "female"), ("language", "en")):
        wrong = {"kind": "field", "name": name, "op": "is_any", "values": [value, "cat"]}
        (fault,) = rules.check(read(wrong), ready)
        assert fault.pointer == "/values/1"
