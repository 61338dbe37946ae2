"""An export has everything about a member that the catalogue says it has, and nothing of anybody else."""

import json
import re
from dataclasses import replace
from datetime import datetime
from html import unescape
from typing import Any

import pytest

from chalicelib.approvals.models import ApprovalKind
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.cards.models import SuspendCard
from chalicelib.consents.models import ContactChannel
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import (
    DeliveryId,
    KnownOfMember,
    MessageDelivery,
    Outcome,
    Sent,
    Single,
)
from chalicelib.identity.permissions import Permission
from chalicelib.journeys import store as journeys
from chalicelib.journeys.models import Instance, Left, Passed, Ref, Told
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.ids import JourneyId, MemberId, RoleName
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome as Done
from chalicelib.points import service as points
from chalicelib.points.errors import MemberErased
from chalicelib.points.models import AdjustPoints, EntryView
from chalicelib.privacy import labels
from chalicelib.privacy.catalogue import CATALOGUE, NAMES, SEALED, Data, stored_as
from chalicelib.privacy.errors import ExportTooLarge
from chalicelib.privacy.models import Export, ExportRecord
from chalicelib.privacy.service import exporting, showing
from chalicelib.privacy.store import place_of
from chalicelib.reach.models import SuppressionReason, SuppressionSource
from chalicelib.reach.service import suppress
from chalicelib.staff.models import InviteStaff
from chalicelib.staff.service import invite_staff
from chalicelib.storage import keys
from tests.makers import a_draw, a_purchase, publish_texts
from tests.table.test_approvals import staff
from tests.table.test_cards import a_top_up
from tests.table.test_erasing import World, a_marked_life, world
from tests.table.test_staff import BOSS

__all__ = ["world"]


A_MESSAGE, B_MESSAGE, C_MESSAGE = (f"dlv_run{each}-{'a' * 16}-{'0' * 16}" for each in "abc")
NOTHING = KnownOfMember((), {}, ())


def export(world: World, member_id: str, lake: KnownOfMember = NOTHING, *, language: Language = Language.EN) -> Export:
    """Everything about somebody."""
    return exporting.export_member(
        world.places(), MemberId(member_id), "asked for it", by="stf_dpo", messages=lambda *_: lake, draw=a_draw,
        language=language, now=world.clock(),
    )  # fmt: skip


def test_everything_that_the_catalogue_says_is_exported(world: World) -> None:
    """Looked for by the ids in a walk of all tables, which an export must not need."""
    member, former, friend = a_marked_life(world)
    card = world.desk.open_card(member, key="c2").value.card_id
    world.desk.on_card(card, a_top_up(50_00, 0), key="t")
    bought = world.desk.buy(a_purchase(member)).value
    world.desk.give_back(bought.purchase_id, key="r", lines=[{"sku": "L1", "quantity": 1}])
    world.desk.pool(member)
    world.desk.hold(member, 1, key="h")
    own = {each for owner in (member, former, card) for each in (owner, owner.partition("_")[2])}
    of_others = {keys.member_partition(friend), keys.statement(friend), keys.happenings(friend)}

    before = dict(world.core.items)
    made = export(world, member)

    had = {json.dumps([each.kind, sorted(each.data.keys() - exporting.KEYED)]) for each in made.records}
    missing = []
    for key, item in before.items():
        about = f"{key.pk} {key.sk} {item.get('tl')} {item.get('member_id')} {item.get('owner')}"
        if not any(each in about for each in own) or key.pk in of_others or item.get("tl") in of_others:
            continue
        kind = stored_as("core", key.pk, key.sk)
        assert kind is not None, key
        wanted = sorted({NAMES.get(n, n) for n, datum in kind.attributes.items() if datum.exported and n in item})
        wanted = sorted(set(wanted) - exporting.KEYED)
        if wanted and "contact" not in wanted and json.dumps([kind.name, wanted]) not in had:
            missing.append((kind.name, wanted))
    assert missing == []
    text = made.model_dump_json()
    for mark in ("卡娜丽", "Kanali", "13912345678", "kanali.mark@example.com", "KANALIEXT", "kanali-message too"):
        assert mark in text, mark
    assert "kanali-internal" not in text, "what staff say among themselves"
    assert {each.kind for each in made.records} >= {
        "profile of a member", "ledger entry", "purchase, return, restatement, delivery", "card", "pool",
        "what was said of a consent", "merge of two members", "what happened to a member and moved no points",
    }  # fmt: skip


def test_it_has_what_they_were_told_and_what_was_done_to_them_by_whom(world: World) -> None:
    member, _, friend = a_marked_life(world)
    invited = InviteStaff(issuer="https://a.example", subject="ann", name="Ann Li", roles=(RoleName("clerk"),))
    ann = invite_staff(world.core, BOSS, invited, now=world.clock()).value
    card = world.desk.open_card(member, key="c3").value.card_id
    world.desk.audited(ann.staff_id, action="edit_member", reason="kanali-secret").edit(
        member, world.desk.member(member).version, shop_id="shp_b"
    )
    world.desk.audited("key_x", kind="integration", action="top_up_card", ids={"card_id": card}).on_card(
        card, a_top_up(50_00, 0), key="up3"
    )
    made = export(world, member)
    (told,) = (each.data for each in made.records if each.kind == "notice that a member was sent")
    assert (told["text"], told["channel"]) == ("kanali-told", "sms")
    done = [each.data for each in made.records if each.kind == exporting.AUDITED]
    edited = next(each for each in done if each["action"] == "edit_member")
    assert edited["by"] == "Ann Li"
    assert next(each for each in edited["changes"] if each["item"] == "profile")["after"] == {"shop": "shp_b"}
    assert next(each for each in done if each["action"] == "top_up_card")["by"] == "integration"
    text = str(done)
    for hidden in (ann.staff_id, "a.example", "127.0.0.1", "kanali-secret", "kanali-why", friend):
        assert hidden not in text, hidden
    page = showing.page_of(made, Language.ZH, world.desk.book.current(world.clock()))
    for shown in ("kanali-told", "Ann Li"):
        assert shown in page


def reached(world: World, member: MemberId, at: datetime) -> KnownOfMember:
    """Write somebody single messages and send them through a journey; what the lake knows besides."""
    ref = Ref(member, JourneyId("jrn_back"), "once")
    path = (Passed("week", "waited", at), Passed("mail", "sent", at))
    way = Instance(
        ref=ref, edition=2, origin=member, event_id="evt_secret", told_at=at, entered_at=at, step="gift", since=at,
        due_at=at, bucket=None, facts={"paid_minor": 1250}, path=path,
    )  # fmt: skip
    gone = replace(way, ref=Ref(member, JourneyId("jrn_old"), "once"), due_at=None, left=Left.GOAL, left_at=at)
    note = Told("purchased", "evt_1", member, at, {"paid_minor": 1250})
    writes = [journeys.add_instance(way), journeys.add_instance(gone)]
    world.core.commit([*writes, journeys.put_gate(member, ref.journey_id, None, at)])
    world.ops.commit([journeys.add_note(note, at)])
    for name, became in ((A_MESSAGE, Outcome.SENT), (B_MESSAGE, Outcome.NO_CONSENT)):
        single = Single("journey", "jrn_back", "mail", member, "email", "marketing", "tpl_a", 1, at, variant="a")
        sent = Sent(DeliveryId(name), became, at, provider="smtp", cost_micro=1000, code="250")
        world.ops.commit([deliveries.keep_single(single, sent, version=0, now=at)])
    message = MessageDelivery(
        delivery_id=DeliveryId(C_MESSAGE), member_id=member, source="campaign", source_id="cmp_a", step="once",
        run_id="run_a", channel="sms", variant="b", outcome="unknown", reason="unknown", at=at,
    )  # fmt: skip
    again = message.model_copy(update={"delivery_id": DeliveryId(A_MESSAGE), "source_id": "stale"})
    return KnownOfMember((message, again), {A_MESSAGE: (("opened", at), ("delivered", at))}, (("cmp_held", at),))


def test_it_has_every_message_and_every_way_through_a_journey(world: World) -> None:
    member, other = (world.desk.enrol(name=name).member_id for name in ("王小明", "李雷"))
    lake = reached(world, member, world.clock())
    made = export(world, member, lake)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in made.records:
        found.setdefault(each.kind, []).append(each.data)
    at = milliseconds(world.clock())
    messages = {each["delivery_id"]: each for each in found[exporting.MESSAGE]}
    assert {name: each["outcome"] for name, each in messages.items()} == {
        A_MESSAGE: "sent", B_MESSAGE: "no_consent", C_MESSAGE: "unknown"
    }  # fmt: skip
    assert messages[A_MESSAGE] == {
        "delivery_id": A_MESSAGE, "source": "journey", "source_id": "jrn_back", "step": "mail", "channel": "email",
        "variant": "a", "outcome": "sent", "decided_ms": at, "heard": [["opened", at], ["delivered", at]],
    }  # fmt: skip
    assert found[exporting.HELD_OUT] == [{"source_id": "cmp_held", "decided_ms": at}]
    ways = {each["journey_id"]: each for each in found["way through a journey"]}
    assert ways["jrn_back"]["path"] == [["week", "waited", at], ["mail", "sent", at]]
    assert (ways["jrn_old"]["left_for"], ways["jrn_back"]["step"]) == ("goal", "gift")
    (last,) = found["when a member came into a journey last"]
    assert last == {"journey_id": "jrn_back", "last_ms": at}
    assert [each["kind"] for each in found["what happened that journeys ask for"]] == ["purchased"]
    for hidden in ("evt_secret", "smtp", "stale", "tpl_a"):
        assert hidden not in str(found), hidden
    kinds = {"way through a journey", exporting.MESSAGE}
    assert not [each for each in export(world, other).records if each.kind in kinds]

    chinese, english = (a_page(world, made, language) for language in (Language.ZH, Language.EN))
    for mark in (
        "发给您的消息 (3)",
        "2026年3月15日 12:01：week、已等待",
        "12:01：已打开",
        "已达成目标",
        "未同意接收",
        "¥12.50",
    ):
        assert mark in chinese, (mark, chinese)
    for mark in ("Messages to you (3)", "mail, sent", "12:01: opened", "the goal was reached", "no consent"):
        assert mark in english, (mark, english)
    for text in (chinese, english):
        assert not re.search(r"[\[\]{}]|(?<![\d+])1\d{12}(?!\d)", text)
        assert "_" not in re.sub(r"\b(mem|jrn|cmp|dlv|unm)_[\w-]+", "", text)


def test_what_is_known_of_too_many_messages_does_not_fit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    member = world.desk.enrol(name="王小明").member_id
    lake = reached(world, member, world.clock())
    monkeypatch.setattr(exporting, "RECORDS_MAX", len(lake.messages))
    with pytest.raises(ExportTooLarge):
        export(world, member, lake)


def test_nothing_of_anybody_else_is_in_it(world: World) -> None:
    _, _, friend = a_marked_life(world)
    text = export(world, friend).model_dump_json()
    assert "kanali-message" in text, "the words that came with a transfer are the receiver's, too"
    for mark in ("卡娜丽", "13912345678", "kanali-note", "KANALICARD", "kanali-reason", "kanali-merge"):
        assert mark not in text, mark
    received = [each.data for each in export(world, friend).records if each.data.get("message") == "kanali-message"]
    assert [sorted(each) for each in received] == [["message", "to_member_id"]]


def test_who_asked_and_why_is_kept_and_each_time_anew(world: World) -> None:
    member, _, _ = a_marked_life(world)
    made = [export(world, member) for _ in range(2)]
    kept = [item for item in world.core.items.values() if item.get("kind") == "exported"]
    words = world.desk.words
    assert [(item["kind"], item["what"]["by"], words.open(place_of(item["sk"]), item["reason"])) for item in kept] == [
        ("exported", "stf_dpo", "asked for it")
    ] * 2
    assert "asked for it" not in str(world.core.items)
    assert {item["sk"] for item in kept} == {each.export_id for each in made}


def test_the_page_needs_nothing_else_and_shows_markup_as_text(world: World) -> None:
    member = world.desk.enrol(name="<script>alert(1)</script>", tags=["<img src=x>"]).member_id
    for language, title in ((Language.ZH, "您的数据"), (Language.EN, "Your data")):
        page = showing.page_of(export(world, member), language, world.desk.book.current(world.clock()))
        assert title in page
        assert "&lt;script&gt;" in page
        assert "<script" not in page
        assert "<img" not in page
        assert "http" not in page


def a_page(world: World, made: Export, language: Language) -> str:
    """The page without its style and markup, a line for each cell."""
    page = showing.page_of(made, language, world.desk.book.current(world.clock()))
    return unescape(re.sub(r"<style>.*?</style>", "", re.sub(r"<(?!style|/style)[^>]*>", "\n", page)))


def test_the_page_is_for_people(world: World) -> None:
    member, _, _ = a_marked_life(world)
    card = world.desk.open_card(member, key="c2").value.card_id
    world.desk.on_card(card, a_top_up(50_00, 0), key="t")
    bought = world.desk.buy(a_purchase(member)).value
    world.desk.give_back(bought.purchase_id, key="r", lines=[{"sku": "L1", "quantity": 1}])
    world.desk.pool(member)
    world.desk.hold(member, 1, key="h")
    made = export(world, member)
    for language in Language:
        text = a_page(world, made, language)
        assert not re.search(
            r"[\[\]{}]|(?<![\d+])1\d{12}(?!\d)|(?<!\d)20\d{6}(?!\d)|\bTrue\b|\bNone\b|\d[TZ]\d", text
        ), language
        assert "_" not in re.sub(r"(mem|pol|crd|shp|unm|mrg|ses|key|stf)_\w+|wechat_pay", "", text), language
        assert "50 倍" not in text and "×50" not in text, "what a card is paid with is no tier"
        for mark in ("卡娜丽", "+8613912345678", "kanali-message", "拿铁 × 1 (¥38.50)", "¥50.00", "-38"):
            assert mark in text, (language, mark)
    chinese, english = (a_page(world, made, language) for language in (Language.ZH, Language.EN))
    assert "2026年3月15日 12:01：同意「offers」（所有渠道、文本 1、员工记录）" in chinese
    assert "15 March 2026 12:01: agreed to “offers” (by any channel, text 1, recorded by staff)" in english
    assert "消费 ¥38.50，得 38 分" in chinese
    assert "Returned ¥38.50: -38 points" in english
    headings = re.findall(r"<h2>([^<]*)", showing.page_of(made, Language.ZH, world.desk.book.current(world.clock())))
    assert not [each for each in headings if re.search("[a-z]", each)]


def test_the_page_has_no_words_of_the_code(world: World) -> None:
    member, _, _ = a_marked_life(world)
    desk = world.desk
    desk.audited(action="edit_member").edit(member, desk.member(member).version, tags=["kanali-note"], gender="female")
    card = desk.audited(action="open_card").open_card(member, key="c9", name="储值卡").value.card_id
    desk.audited(action="adjust_points").adjust(member, 500, key="a9")
    desk.audited("key_x", kind="integration", action="top_up_card", ids={"card_id": card}).on_card(
        card, a_top_up(50_00, 0), key="up9"
    )
    made = export(world, member, language=Language.ZH)
    chinese, english = a_page(world, made, Language.ZH), a_page(world, export(world, member), Language.EN)
    for mark in (
        "开卡", "调整积分", "余额与等级的合计数", "员工\n", "其他系统\n", "出生年段（起始年）\n1990",
        "短信、电子邮件、应用通知", "中国大陆", "个人资料：", "改动的字段：性别",
    ):  # fmt: skip
        assert mark in chinese, (mark, chinese)
    for mark in ("opened a card", "another system\n", "sums of the balance", "mainland China"):
        assert mark in english, (mark, english)
    own = r"kanali[\w-]*|KANALI\w*|Kanali|(mem|pol|crd|shp|unm|mrg|ses|key|stf|pur)_\w+|[\w.]+@[\w.]+|wechat_pay"
    own += r"|Asia/Shanghai|offers|goodwill|erp|JSON|L1|CNY|wx|Home|test|too|(?<=…)\w{4}|up|-dc|order-\w+|pos"
    assert re.findall(r"[A-Za-z_]{2,}", re.sub(own, "", chinese)) == []
    assert re.search(r"[\u4e00-\u9fff]", re.sub("卡娜丽|拿铁|储值卡", "", english)) is None
    opened = next(each for each in made.records if each.kind == "ledger entry" and each.of == card)
    assert "联系方式等" not in chinese, "contact data are sealed anew with every write, which changes none of them"
    assert "acted_by" in opened.data
    cards = re.findall(r"<h2>卡的明细.*?</div>\n", showing.page_of(made, Language.ZH, desk.book.current(world.clock())))
    assert not [each for each in cards if "操作人" in each], "who has a card does not do what staff do with it"


def sections(world: World, made: Export, language: Language) -> dict[str, str]:
    """The text of each section of the page, by its heading."""
    page = showing.page_of(
        made, language, world.desk.book.current(world.clock()), exporting.titles_of(world.core, made, language)
    )
    parts = re.findall(r"<h2>(.*?)</h2>(.*?)(?=<h2>|$)", page, re.DOTALL)
    return {re.sub(r" \(\d+\)", "", name): unescape(re.sub(r"<[^>]+>", "\n", text)) for name, text in parts}


def test_what_a_count_card_holds_is_visits_and_what_was_paid_is_money(world: World) -> None:
    desk = world.desk
    member = desk.enrol(name="王小明").member_id
    desk.open_card(
        member,
        key="c",
        kind="count",
        name="咖啡10次",
        uses=10,
        price_minor=100_00,
        means=[{"kind": "cash", "amount_minor": 100_00}],
    )
    made = export(world, member)
    assert [each.data["points"] for each in made.records if each.kind == "ledger entry"] == [10], "as the API has it"
    chinese, english = (sections(world, made, each) for each in (Language.ZH, Language.EN))
    assert "+10 次" in chinese["卡的明细"]
    assert "+10 visits" in english["What was done with cards"]
    assert "put on it" in english["What was done with cards"]
    assert "¥0.10" not in chinese["卡的明细"]
    assert "¥100.00" in chinese["卡"]


def test_what_happened_has_its_time_and_says_neither_why_nor_who(world: World) -> None:
    desk = world.desk
    member = desk.enrol(name="王小明").member_id
    card = desk.open_card(member, key="c", name="储值卡").value.card_id
    desk.suspend(member, "kanali-reason")
    desk.reinstate(member, "kanali-reason")
    desk.card_status(card, SuspendCard(reason="kanali-reason"))
    made = export(world, member)
    kind = "what happened to a member and moved no points"
    happened = [(each.of, each.data) for each in made.records if each.kind == kind]
    at = milliseconds(world.clock())
    assert [(of, data["kind"], data["happened_ms"], data["facts"]) for of, data in happened] == [
        (member, "reinstated", at, {}), (member, "suspended", at, {}), (card, "card_suspended", at, {}),
    ]  # fmt: skip
    assert "kanali-reason" not in made.model_dump_json()
    chinese, english = (sections(world, made, each) for each in (Language.ZH, Language.EN))
    for mark in ("2026年3月15日 12:01", "冻结卡", "储值卡", "您", "恢复"):
        assert mark in chinese["会员状态变化"], mark
    assert "card suspended" in english["What happened to the membership"]


def test_a_merge_is_told_in_rows_and_by_numbers_that_people_know(world: World) -> None:
    desk = world.desk
    gone, member = desk.enrol(name="甲", card_no="OLD-1"), desk.enrol(name="甲")
    desk.buy(a_purchase(gone.member_id, paid_minor=900_00))
    merge = desk.merge(gone.member_id, member.member_id, key="m", reason="kanali-merge").value
    made = export(world, member.member_id)
    assert "kanali-merge" not in made.model_dump_json()
    said = sections(world, made, Language.EN)["Memberships that became one"].split("\n")
    said = [each for each in said if each]
    assert said[:6] == [
        "When", "15 March 2026 12:01", "Number of the one that went", gone.member_number, "Points that came with it",
        "900",
    ]  # fmt: skip
    assert "14 April 2026 12:01" in said[said.index("Can be undone until") + 1]
    page = a_page(world, made, Language.ZH)
    assert not re.search(r"(mem|mrg|ent)_", page), "no id where a number or a word does"
    assert merge.merge_id in made.model_dump_json()
    assert f"已并入的会员 {gone.member_number}" in page


def test_purchases_have_their_numbers_and_tiers_only_where_they_change(world: World) -> None:
    desk = world.desk
    member = desk.enrol(name="王小明").member_id
    desk.buy(a_purchase(member, order_no="N5-1"))
    bought = desk.buy(a_purchase(member, order_no="N5-2", paid_minor=4000_00)).value
    desk.give_back(bought.purchase_id, key="R-7", lines=[{"sku": "L1", "quantity": 1}])
    made = export(world, member)
    kind = "purchase, return, restatement, delivery"
    numbers = {(each.data["order_no"], each.data.get("return_key")) for each in made.records if each.kind == kind}
    assert numbers == {("N5-1", None), ("N5-2", None), ("N5-2", "R-7")}
    said = sections(world, made, Language.EN)["Purchases and returns"]
    for mark in ("Order number", "N5-1", "N5-2", "Number of the return: R-7"):
        assert mark in said, mark
    assert said.index("Tier before") < said.index("Tier after")
    assert "CNY" not in said
    assert not re.search(r"\b\d{4,} points", said), "numbers are grouped in sentences, too"


def test_who_it_is_stands_there_once_and_by_the_programs_own_words(world: World) -> None:
    desk = world.desk
    desk.publish(2, custom_fields={"drink": {"type": "text", "label": {"zh": "最爱饮品", "en": "Favourite drink"}}})
    world.clock.forward(minutes=1)
    publish_texts(desk.table, "terms", "offers")
    agreed = [{"purpose": each, "granted": True, "text_version": "1"} for each in ("terms", "offers")]
    member = desk.enrol(name="王小明", custom={"drink": "抹茶"}, consents=agreed).member_id
    made = export(world, member)
    chinese, english = (sections(world, made, each) for each in (Language.ZH, Language.EN))
    assert "最爱饮品：抹茶" in chinese["您是谁"]
    assert "Favourite drink: 抹茶" in english["About you"]
    assert "Details of memberships that became yours" not in english
    assert "同意「会员章程」（文本 1、员工记录）" in chinese["您是谁"]
    assert "agreed to “the terms of membership” (text 1, recorded by staff)" in english["About you"]
    page = showing.page_of(made, Language.ZH, desk.book.current(world.clock()))
    assert "<title>您的数据 · 常客会员</title>" in page


def test_words_that_an_export_has_are_those_that_are_meant_for_the_member() -> None:
    """What staff type stands in attributes that are no export's, or in parts of them that are not named."""
    words = {
        (kind.name, name, datum.parts)
        for kind in CATALOGUE
        for name, datum in kind.attributes.items()
        if datum.data is Data.WORDS and datum.exported
    }
    whole = {(kind, name) for kind, name, parts in words if parts is None}
    entries = ("ledger entry", "purchase, return, restatement, delivery")
    assert whole == {("pool", "name"), ("card", "name"), *((kind, name) for kind in entries for name in ("nm", "msg"))}
    parted = {(kind, part) for kind, _, parts in words if parts for part in parts}
    assert not [each for each in parted if each[1].rpartition(".")[2] in ("reason", "note", "by", "owner_id")]
    for name in ("reason", "note", "note_internal", "unmask_reason"):
        assert not [kind.name for kind in CATALOGUE if name in kind.attributes and kind.attributes[name].exported]


def test_the_tiers_of_a_chinese_export_are_chinese(world: World) -> None:
    member = world.desk.enrol(name="王小明").member_id
    page = showing.page_of(
        export(world, member, language=Language.ZH), Language.ZH, world.desk.book.current(world.clock())
    )
    assert ("普通会员" in page, "Basic" in page) == (True, False)


def test_every_cell_says_its_column_so_that_rows_can_stack_on_a_phone(world: World) -> None:
    member, _, _ = a_marked_life(world)
    for _ in range(2):
        world.desk.buy(a_purchase(member))
    page = showing.page_of(export(world, member), Language.ZH, world.desk.book.current(world.clock()))
    (listed,) = re.findall(r"<h2>消费与退货.*?</table>", page)
    heads = re.findall(r"<th>(.*?)(?=<)", listed)
    cells = re.findall(r'data-of="(.*?)"', listed)
    assert cells == heads * (len(cells) // len(heads))
    assert "@media screen and (max-width" in page


def test_it_has_what_waits_for_a_second_person_without_what_staff_say_among_themselves(world: World) -> None:
    member, _, friend = a_marked_life(world)
    made = export(world, member)
    asked = [each for each in made.records if each.kind == exporting.AWAITED]
    assert [(each.data["asked_for"], each.data["points"], each.data["status"]) for each in asked] == [
        ("adjustment", 5_000, "waiting"), ("adjustment", 5_000, "rejected"),
    ]  # fmt: skip
    assert {each.data["note_to_member"] for each in asked} == {"kanali-for-you"}
    for hidden in ("kanali-asked", "kanali-decided"):
        assert hidden not in made.model_dump_json(), hidden
    assert not [each for each in export(world, friend).records if each.kind == exporting.AWAITED]
    text = a_page(world, made, Language.ZH)
    for mark in ("需要第二人审批的操作 (2)", "等待审批", "已驳回", "kanali-for-you", "员工之间的内部备注"):
        assert mark in text, mark
    world.clock.forward(hours=73)
    assert not [each for each in export(world, member).records if each.kind == exporting.AWAITED], "nothing names them"


def test_what_was_asked_for_long_ago_is_found_by_what_staff_did(world: World) -> None:
    member = world.desk.enrol(name="王小明").member_id
    command = AdjustPoints(points=5_000, reason_code="x", note_to_member="for you")
    asked = asking(ApprovalKind.ADJUSTMENT, member, "k", command, staff("ann"), Permission.POINTS_ADJUST)
    desk = world.desk.audited(action="adjust_points", ids={"member_id": member})

    def do(clearance: Clearance) -> Done[EntryView]:
        return points.adjust_points(
            desk.table, desk.book, member, "k", command, now=world.clock(), language=Language.EN, clearance=clearance
        )

    alone_or_asked(desk.table, desk.words, asked, limit=100, dry_run=False, do=do, now=world.clock())
    world.clock.forward(days=5)
    (found,) = [each for each in export(world, member).records if each.kind == exporting.AWAITED]
    assert (found.of, found.data["status"], found.data["note_to_member"]) == (member, "lapsed", "for you")


def test_it_has_that_an_address_is_not_written_to_and_why(world: World) -> None:
    desk = world.desk
    member, other = (
        desk.enrol(name=name, mobile=each).member_id for name, each in (("甲", "13912345678"), ("乙", None))
    )
    at = world.clock()
    for channel, address, reason in (
        (ContactChannel.SMS, "+8613912345678", SuppressionReason.BOUNCED),
        (ContactChannel.SMS, "+8613912345679", SuppressionReason.COMPLAINED),
    ):
        suppress(desk.table, desk.keyring, channel, address, reason, SuppressionSource.RECEIPT, by="stf_secret", now=at)
    made = export(world, member)
    kind = "address that is not written to, as a blind index"
    assert [(each.of, each.data) for each in made.records if each.kind == kind] == [
        (member, {"channel": "sms", "code": "bounced", "source": "receipt", "added_ms": milliseconds(at)})
    ]
    assert "stf_secret" not in made.model_dump_json()
    assert "被退回：没有这个号码或邮箱" in a_page(world, made, Language.ZH)
    assert not [each for each in export(world, other).records if each.kind == kind]


def test_a_section_that_the_page_has_never_heard_of_is_readable_too(world: World) -> None:
    made = export(world, world.desk.enrol(name="王小明").member_id)
    facts = {"strange_time_ms": 1773547260000, "list_of": [["a", 1], ["b", 2]], "at": "2026-03-15T04:01:00+00:00"}
    new = [ExportRecord(kind="something <new>", data={**facts, "number": str(each)}) for each in range(2)]
    text = a_page(world, made.model_copy(update={"records": (*made.records, *new)}), Language.EN)
    assert "something <new> (2)" in text
    assert "strange time: 15 March 2026 12:01" in text
    assert not re.search(r"[\[\]{}]|1\d{12}", text)


def test_whatever_is_exported_has_a_name_for_people() -> None:
    kinds = [kind for kind in CATALOGUE if any(datum.exported for datum in kind.attributes.values())]
    assert {kind.name for kind in kinds} <= labels.KINDS.keys()
    names = {NAMES.get(name, name) for kind in kinds for name, datum in kind.attributes.items() if datum.exported}
    assert (names | SEALED.keys()) - {"contact"} <= labels.FIELDS.keys() | labels.INNER
    assert not labels.FIELDS.keys() & labels.INNER


def test_of_an_erased_member_there_is_nothing_to_export(world: World) -> None:
    member, _, _ = a_marked_life(world)
    world.erase(member)
    with pytest.raises(MemberErased):
        export(world, member)


def test_names_are_given_to_attributes_that_there_are() -> None:
    known = {name for kind in CATALOGUE for name in kind.attributes} | SEALED.keys()
    assert NAMES.keys() <= known
