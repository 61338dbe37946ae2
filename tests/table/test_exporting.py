"""An export has everything about a member that the catalogue says it has, and nothing of anybody else."""

import json
import re
from html import unescape

import pytest

from chalicelib.kernel.ids import MemberId, RoleName
from chalicelib.kernel.languages import Language
from chalicelib.points.errors import MemberErased
from chalicelib.privacy import labels
from chalicelib.privacy.catalogue import CATALOGUE, NAMES, SEALED, stored_as
from chalicelib.privacy.models import Export, ExportRecord
from chalicelib.privacy.service import exporting, showing
from chalicelib.privacy.store import place_of
from chalicelib.staff.models import InviteStaff
from chalicelib.staff.service import invite_staff
from chalicelib.storage import keys
from tests.makers import a_draw, a_purchase
from tests.table.test_cards import a_top_up
from tests.table.test_erasing import World, a_marked_life, world
from tests.table.test_staff import BOSS

__all__ = ["world"]


def export(world: World, member_id: str) -> Export:
    """Everything about somebody."""
    return exporting.export_member(
        world.places(), MemberId(member_id), "asked for it", by="stf_dpo", draw=a_draw, now=world.clock()
    )


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

    had = {json.dumps([each.kind, sorted(each.data)]) for each in made.records}
    missing = []
    for key, item in before.items():
        about = f"{key.pk} {key.sk} {item.get('tl')} {item.get('member_id')} {item.get('owner')}"
        if not any(each in about for each in own) or key.pk in of_others or item.get("tl") in of_others:
            continue
        kind = stored_as("core", key.pk, key.sk)
        assert kind is not None, key
        wanted = sorted({NAMES.get(n, n) for n, datum in kind.attributes.items() if datum.exported and n in item})
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
    assert "2026年3月15日 12:01：同意通过所有渠道接收「offers」（文本 1、员工记录）" in chinese
    assert "15 March 2026 12:01: agreed to “offers” by any way (text 1, recorded by staff)" in english
    assert "消费 ¥38.50，得 38 分" in chinese
    assert "Returned ¥38.50: -38 points" in english
    headings = re.findall(r"<h2>([^<]*)", showing.page_of(made, Language.ZH, world.desk.book.current(world.clock())))
    assert not [each for each in headings if re.search("[a-z]", each)]


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
