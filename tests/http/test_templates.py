"""Templates, suppressions and the page of preferences over HTTP."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.identity.permissions import ROLES
from chalicelib.kernel.ids import MemberId
from chalicelib.reach import service as reach
from chalicelib.reach.links import PREFERENCES_PATH, Preferences, preferences_token_of
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.http.test_rights import link
from tests.makers import Api, Reply
from tests.templates import an_email, an_sms

MOBILE = "+8613800138000"
NEW: dict[str, Any] = {"name": "spring", "purpose": "marketing", "contents": an_sms()}


@pytest.fixture
def member(api: Api) -> MemberId:
    """A member with everything that can be filled in, who agreed to marketing."""
    for topic, zh, en in (("marketing", "优惠与活动", "Offers"), ("marketing_news", "新品", "New things")):
        text = {
            "purpose": topic,
            "text_version": "1",
            "zh": f"愿意收到{zh}",
            "en": f"{en}, please",
            "title_zh": zh,
            "title_en": en,
        }
        assert api.post("/v1/consent-texts", text).status == 201
    agreed = {"purpose": "marketing", "granted": True, "text_version": "1"}
    made = api.enrol(name="卡娜丽", mobile=MOBILE, email="k@example.com", birthday="1990-05-01", consents=[agreed])
    api.clock.forward(minutes=1)
    return MemberId(made["member_id"])


def made(api: Api, key: str = "t", **fields: Any) -> dict[str, Any]:
    reply = api.post("/v1/templates", {**NEW, **fields}, key=key)
    assert reply.status == 201, reply.text
    found: dict[str, Any] = reply.json
    return found


# ---------------------------------------------------------------- templates


def test_a_template_is_made_read_edited_listed_and_archived(api: Api) -> None:
    marketer = api.as_("marketer")
    first = made(marketer)
    path = f"/v1/templates/{first['template_id']}"
    assert (first["version"], first["commercial"], first["fields"]) == (1, True, ["name", "points"])
    assert first["sms"]["zh"] == {"characters": 22, "encoding": "ucs2", "parts": 1}
    again = marketer.post("/v1/templates", NEW, key="t")
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first, "true")
    edited = marketer.put(path, {**NEW, "contents": an_sms("新的"), "version": 1})
    assert (edited.status, edited.json["version"]) == (200, 2)
    assert marketer.get(path).json == edited.json
    assert marketer.get(path, version=1).json["contents"] == first["contents"]
    (row,) = marketer.get("/v1/templates", channel="sms").json["items"]
    assert (row["template_id"], row["version"], row["languages"]) == (first["template_id"], 2, ["zh"])
    assert marketer.get("/v1/templates", channel="email").json["items"] == []
    assert marketer.post(f"{path}/archivals", {}).json["archived"] is True
    assert marketer.put(path, {**NEW, "version": 2}).code == "template_archived"


def test_what_cannot_be_sent_is_refused_with_a_pointer(api: Api, look: Look) -> None:
    before = look()
    contents = an_email("<p>\n  {{nam}}</p>", subject="a {{points")
    refused = api.post("/v1/templates", {**NEW, "contents": contents}, key="x")
    assert (refused.status, refused.code) == (422, "template_invalid")
    assert [each["pointer"] for each in refused.json["errors"]] == ["/contents/zh/subject", "/contents/zh/html"]
    assert [(each["offset"], each["line"], each["column"]) for each in refused.json["facts"]["faults"]] == [
        (2, 1, 3),
        (6, 2, 3),
    ]
    assert look() == before


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        (lambda api, path: api.post("/v1/templates", {**NEW, "name": "x"}, key="t"), 409, "template_differs"),
        (lambda api, path: api.post("/v1/templates", NEW), 400, "key_missing"),
        (lambda api, path: api.put(path, {**NEW, "name": "x", "version": 3}), 409, "template_moved"),
        (lambda api, path: api.put(path, {**NEW, "purpose": "notices", "version": 1}), 409, "template_channel_fixed"),
        (lambda api, path: api.get(path, version=2), 404, "template_unknown"),
        (lambda api, path: api.get("/v1/templates/tpl_aaaaaaaaaaaaaaaa"), 404, "template_unknown"),
        (lambda api, path: api.post("/v1/templates/tpl_aaaaaaaaaaaaaaaa/archivals", {}), 404, "template_unknown"),
        (lambda api, path: api.post(f"{path}/previews", {"version": 9}), 404, "template_unknown"),
        (lambda api, path: api.post(f"{path}/previews", {"member_id": "mem_aaaaaaaaaaaaaaaa"}), 404, "member_unknown"),
        (lambda api, path: api.get("/v1/suppressions/sup_AAAA"), 404, "suppression_unknown"),
        (
            lambda api, path: api.post("/v1/suppressions", {"channel": "sms", "address": "123", "reason": "asked"}),
            400,
            "address_invalid",
        ),
    ],
)
def test_each_refusal(api: Api, look: Look, send: Callable[[Api, str], Reply], status: int, code: str) -> None:
    path = f"/v1/templates/{made(api)['template_id']}"
    api.get("/v1/program")
    before = look()
    reply = send(api, path)
    assert (reply.status, reply.code) == (status, code)
    assert look() == before


def test_who_may(api: Api) -> None:
    path = f"/v1/templates/{made(api)['template_id']}"
    reads, writes, suppresses = {"marketer", "admin", "auditor"}, {"marketer", "admin"}, {"agent", "admin"}
    for role in ROLES:
        who = api.as_(role)
        assert (who.get(path).status == 200) is (role in reads), role
        assert (who.post(f"{path}/previews", {}).status == 201) is (role in reads), role
        assert (who.put(path, {**NEW, "version": 1, "dry_run": True}).status == 200) is (role in writes), role
        body = {"channel": "sms", "address": MOBILE, "reason": "asked", "dry_run": True}
        assert (who.post("/v1/suppressions", body).status == 200) is (role in suppresses), role


def test_the_fields_that_there_are(api: Api) -> None:
    fields = {each["field"]: each for each in api.get("/v1/template-fields").json["items"]}
    assert [name for name, each in fields.items() if each["personal"]] == ["name"]


# ---------------------------------------------------------------- previews


def test_a_preview_of_a_member_masks_the_name_and_of_somebody_made_up_has_none(api: Api, member: MemberId) -> None:
    path = f"/v1/templates/{made(api)['template_id']}/previews"
    nobody = api.as_("marketer").post(path, {}).json
    assert (nobody["text"], nobody["masked"]) == ("李小明您好，您有1,280积分。拒收请回复R", False)
    seen = api.as_("marketer").post(path, {"member_id": member}).json
    assert (seen["text"], seen["masked"]) == ("卡**您好，您有0积分。拒收请回复R", True)
    assert seen["sms"]["parts"] == 1


def test_a_preview_is_in_the_members_language_unless_another_is_asked_for(api: Api, member: MemberId) -> None:
    english = {"text": "Hello {{name}}, {{tier}}, {{points}} points."}
    both = made(api, "both", contents={**an_sms(), "en": english})["template_id"]
    path = f"/v1/members/{member}"
    assert api.patch(path, {"version": api.get(path).json["version"], "language": "en"}).json["language"] == "en"

    def seen(template: str, **asked: Any) -> tuple[str, str]:
        reply = api.as_("marketer").post(f"/v1/templates/{template}/previews", asked).json
        return reply["language"], reply["text"]

    assert seen(both, member_id=member) == ("en", "Hello 卡**, Basic, 0 points. Reply STOP to opt out")
    assert seen(both, member_id=member, language="zh") == ("zh", "卡**您好，您有0积分。拒收请回复R")
    assert seen(both)[0] == "zh", "the program's"
    assert seen(made(api)["template_id"], member_id=member)[0] == "zh", "it says nothing in English"


def test_a_name_is_shown_to_who_may_unmask_and_says_why_and_that_is_kept(
    api: Api, look: Look, member: MemberId
) -> None:
    path = f"/v1/templates/{made(api)['template_id']}/previews"
    asked = {"member_id": member, "unmask_reason": "the member asked what we sent"}
    before = look()
    refused = api.as_("marketer").post(path, asked)
    assert (refused.status, refused.code) == (403, "permission_missing")
    assert look() == before
    shown = api.post(path, asked).json
    assert (shown["text"], shown["masked"]) == ("卡娜丽您好，您有0积分。拒收请回复R", False)
    (entry,) = api.get("/v1/audit-entries", action="preview_template", member_id=member).json["items"]
    assert [each["item"] for each in entry["changes"]] == ["showing of personal data"]
    assert any(key.pk.startswith("UM#") for key in look())


def test_a_preview_has_no_link_that_works(api: Api, house: House, member: MemberId) -> None:
    path = f"/v1/templates/{made(api, contents=an_email())['template_id']}/previews"
    html = api.post(path, {"member_id": member}).json["html"]
    assert "https://shop.example.com/o/sample0" in html
    assert "/v1/opt-outs/" not in html


# ---------------------------------------------------------------- suppressions


def test_an_address_is_suppressed_listed_and_lifted_and_the_audit_tells(
    api: Api, house: House, look: Look, member: MemberId
) -> None:
    def allowed() -> bool:
        return reach.find_reach(house.table, house.keyring, member, "marketing", ContactChannel.SMS).allowed

    assert allowed()
    body = {"channel": "sms", "address": "138 0013 8000", "reason": "asked at the till"}
    first = api.as_("agent").post("/v1/suppressions", body)
    assert (first.status, first.json["reason_code"], first.json["by"]) == (201, "asked", "stf_agent")
    assert not allowed()
    path = f"/v1/suppressions/{first.json['suppression_id']}"
    assert api.get("/v1/suppressions").json["items"] == [first.json] == [api.get(path).json]
    again = api.as_("agent").post("/v1/suppressions", body)
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first.json, "true")
    lifted = api.as_("agent").post(f"{path}/lifts", {"reason": "changed their mind"})
    assert (lifted.status, lifted.json["lifted_at"] is None, allowed()) == (201, False, True)
    (entry,) = api.get("/v1/audit-entries", action="suppress_address").json["items"]
    assert entry["reason"] == "asked at the till"
    assert {each["item"] for each in entry["changes"]} == {"profile", "suppression", "line of the log of reach"}
    assert "13800138000" not in str(look())


# ---------------------------------------------------------------- preferences


def preferences(house: House, member_id: str, issued_on: date = date(2026, 3, 15)) -> str:
    return PREFERENCES_PATH + preferences_token_of(Preferences(MemberId(member_id), issued_on), house.keyring)


def states(page: str) -> list[str]:
    """The switches of a page in order: on or off."""
    return re.findall(r'<span class="(on|off)">', page)


def test_the_page_shows_each_topic_and_channel_and_a_press_holds_at_once(
    api: Api, house: House, member: MemberId
) -> None:
    nobody, path = api.with_(""), preferences(house, member)

    def allowed(purpose: str, channel: ContactChannel) -> bool:
        return reach.find_reach(house.table, house.keyring, member, purpose, channel).allowed

    page = nobody.send("GET", path, Accept_Language="zh")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert re.findall(r"<h2>(.*?)</h2>", page.text) == ["优惠与活动", "新品", "会员账户通知"]
    assert states(page.text) == ["on"] * 9, "three topics by text, mail and app"
    assert "<title>消息偏好 · 常客会员</title>" in page.text
    said = set(re.findall(r'<span class="(?:on|off)">(.*?)</span>', page.text))
    pressed = set(re.findall(r"<button aria-label[^>]*>(.*?)</button>", page.text))
    assert (said, pressed) == ({"正在接收"}, {"不再接收"}), "what is so, and what a press does"
    for personal in (member, "卡娜丽", "13800138000", "k@example.com"):
        assert personal not in page.text
    ended = nobody.send(
        "POST",
        f"{path}?purpose=marketing_news&channel=sms&granted=false&language=en",
        Content_Type="application/x-www-form-urlencoded",
    )
    assert (ended.status, states(ended.text)[3:6]) == (200, ["off", "on", "on"])
    assert "Saved" in ended.text
    assert (allowed("marketing_news", ContactChannel.SMS), allowed("marketing", ContactChannel.SMS)) == (False, True)
    api.clock.forward(seconds=1)
    again = nobody.send("POST", f"{path}?purpose=marketing_news&channel=sms&granted=true")
    assert (again.status, allowed("marketing_news", ContactChannel.SMS)) == (200, True)
    (change, *_) = api.get(f"/v1/members/{member}/consent-changes").json["items"]
    assert (change["text_version"], change["source"], change["by"]) == ("1", "link", "link"), "the text beside it"
    api.clock.forward(seconds=1)
    done = nobody.send("POST", path)
    assert states(done.text) == ["off"] * 6 + ["on"] * 3
    assert allowed("notices", ContactChannel.SMS)


@pytest.mark.parametrize("purpose", ["id_number", "terms", "marketing_", "offers"])
def test_members_are_written_to_by_no_consent_to_something_else(api: Api, purpose: str) -> None:
    refused = api.post("/v1/templates", {**NEW, "purpose": purpose}, key="t")
    assert refused.status == 422
    assert [each["pointer"] for each in refused.json["errors"]] == ["/purpose"]


def test_the_page_is_about_messages_only_and_in_one_language(api: Api, house: House, member: MemberId) -> None:
    texts = [
        {"purpose": "terms", "title_zh": "会员章程", "title_en": "Terms", "zh": "我已阅读。", "en": "I accept."},
        {"purpose": "marketing", "channel": "sms", "zh": "短信", "en": "text messages"},
    ]  # fmt: skip
    for text in texts:
        assert api.post("/v1/consent-texts", {**text, "text_version": "2"}).status == 201
    agreed = [{"purpose": name, "granted": True, "text_version": "2"} for name in ("terms", "marketing")]
    agreed[1]["channel"] = "sms"
    assert api.post(f"/v1/members/{member}/consents", {"consents": agreed}).status in (200, 201)
    page = api.with_("").send("GET", preferences(house, member), Accept_Language="zh")
    assert re.findall(r"<h2>(.*?)</h2>", page.text) == ["优惠与活动", "新品", "会员账户通知"]
    assert "会员章程" not in page.text
    refused = api.with_("").send("POST", f"{preferences(house, member)}?purpose=terms&channel=sms&granted=true")
    assert refused.code == "consent_not_offered"


def test_a_topic_has_a_name_in_both_languages_or_none(api: Api) -> None:
    text = {"purpose": "marketing_tea", "text_version": "1", "zh": "茶", "en": "tea", "title_en": "Tea"}
    assert api.post("/v1/consent-texts", text).status == 422


def test_by_an_old_link_messages_can_be_ended_and_not_allowed_any_more(
    api: Api, house: House, member: MemberId, look: Look
) -> None:
    path = preferences(house, member, api.clock().date() - timedelta(days=181))
    nobody = api.with_("")
    assert nobody.send("POST", f"{path}?purpose=marketing&channel=sms").status == 200
    before = look()
    refused = nobody.send("POST", f"{path}?purpose=marketing&channel=sms&granted=true")
    assert (refused.status, refused.code) == (409, "consent_not_offered")
    told = nobody.send("POST", f"{path}?purpose=marketing&channel=sms&granted=true&language=en", Accept="text/html")
    assert (told.status, "This cannot be switched on here" in told.text) == (409, True)
    assert look() == before
    page = nobody.send("GET", path, Accept_Language="en").text
    assert ("granted=true" in page, "This link is rather old" in page) == (False, True)
    assert "rather old" not in nobody.send("GET", preferences(house, member), Accept_Language="en").text


def test_a_browser_is_led_on_after_a_press_so_a_reload_does_nothing_again(
    api: Api, house: House, member: MemberId, look: Look
) -> None:
    nobody, path = api.with_(""), preferences(house, member)

    def pressed(query: str) -> str:
        """Press, follow, and say what the page tells of it."""
        reply = nobody.send("POST", f"{path}?{query}", Accept="text/html", Accept_Language="zh")
        assert (reply.status, reply.text, reply.headers["Cache-Control"]) == (303, "", "no-store")
        assert reply.headers["Location"].startswith("?saved=true")
        api.clock.forward(seconds=1)
        return shown(path + reply.headers["Location"])

    def shown(where: str) -> str:
        page = nobody.send("GET", where, Accept="text/html", Accept_Language="zh")
        (told,) = re.findall(r'role="status">(.*?)</p>', page.text)
        return str(told)

    one = "purpose=marketing_news&channel=sms"
    assert pressed(f"{one}&granted=false&language=en") == "Saved. New things (text messages): off."
    assert pressed(f"{one}&granted=true") == "已保存。新品（短信）：正在接收。"
    before = look()
    assert shown(f"{path}?saved=true&{one}") == "已保存。新品（短信）：正在接收。"
    assert look() == before, "a reload changes nothing"
    assert pressed("language=zh") == "已退订全部优惠与活动消息。"
    assert shown(f"{path}?saved=true&{one}") == "已保存。新品（短信）：未接收。", "it says how it is now"
    pressed(f"{one}&granted=true")
    assert shown(f"{path}?saved=true") == "已保存，立即生效。"
    hung_on = nobody.send("GET", f"{path}?saved=true&purpose=<b>&channel=sms", Accept="text/html")
    assert (hung_on.status, "<b>" in hung_on.text) == (422, False)


@pytest.mark.parametrize(
    "query",
    [
        "purpose=unheard_of&channel=sms&granted=true",
        "granted=true",
        "purpose=marketing&granted=true",
        "purpose=id_number&channel=sms&granted=true",
    ],
)
def test_what_is_not_asked_for_cannot_be_allowed(
    api: Api, house: House, member: MemberId, look: Look, query: str
) -> None:
    before = look()
    assert api.with_("").send("POST", f"{preferences(house, member)}?{query}").code == "consent_not_offered"
    assert look() == before


def test_forged_links_and_links_of_another_kind_lead_nowhere(
    api: Api, house: House, member: MemberId, look: Look
) -> None:
    good = preferences(house, member).removeprefix(PREFERENCES_PATH)
    opt_out = link(house, member).rpartition("/")[2]
    before = look()
    for path in (
        f"{PREFERENCES_PATH}{opt_out}",
        f"/v1/opt-outs/{good}",
        f"{PREFERENCES_PATH}{good}A",
        f"{PREFERENCES_PATH}x",
        f"{PREFERENCES_PATH}{good[1:]}",
    ):
        for method in ("GET", "POST"):
            reply = api.with_("").send(method, path)
            assert (reply.status, reply.code) == (404, "opt_out_unknown"), path
    assert look() == before


def test_the_page_of_who_is_gone_tells_nothing(api: Api, house: House, member: MemberId) -> None:
    path, nobody = preferences(house, member), api.with_("")
    never = nobody.send("GET", preferences(house, "mem_aaaaaaaaaaaaaaaa"))
    assert api.post(f"/v1/members/{member}/erasures", {"reason": "asked"}).status == 201
    for method in ("GET", "POST"):
        gone = nobody.send(method, path)
        assert (gone.status, gone.text) == (200, never.text)


@pytest.mark.parametrize("channel", list(ContactChannel))
@pytest.mark.parametrize("purpose", ["marketing", "marketing_news", "notices", "offers_of_partners"])
def test_one_click_ends_any_purpose_by_any_channel(
    api: Api, house: House, member: MemberId, purpose: str, channel: ContactChannel
) -> None:
    path = link(house, member, purpose=purpose, channel=channel)
    page = api.with_("").send("GET", path, Accept_Language="zh")
    assert page.status == 200
    assert '<a href="../preferences/' in page.text
    done = api.with_("").send(
        "POST", path, b"List-Unsubscribe=One-Click", Content_Type="application/x-www-form-urlencoded"
    )
    assert done.status == 200
    found = reach.find_reach(house.table, house.keyring, member, purpose, channel)
    assert found.barred == "no_consent"


def test_the_page_of_a_link_names_the_topic(api: Api, house: House, member: MemberId) -> None:
    page = api.with_("").send("GET", link(house, member, purpose="marketing_news"), Accept_Language="zh")
    assert "「新品」" in page.text
    more = re.search(r'href="\.\./preferences/([^?"]+)', page.text)
    assert more is not None
    assert api.with_("").send("GET", PREFERENCES_PATH + more[1]).status == 200
