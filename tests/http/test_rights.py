"""The rights of members over HTTP: consents, erasure, export, opt-out."""

import base64
import re
from datetime import date
from html import unescape
from typing import Any

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.identity.permissions import ROLES
from chalicelib.kernel.ids import MemberId
from chalicelib.members.rules import may_contact
from chalicelib.members.store import find_items, profile_from
from chalicelib.reach.links import PATH, PREFERENCES_PATH, OptOut, Preferences, preferences_token_of, token_of
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.makers import Api
from tests.signing_in import signed_in

MOBILE = "+8613800138000"


@pytest.fixture
def member(api: Api) -> dict[str, Any]:
    """A member who can sign in."""
    return api.enrol(mobile=MOBILE, name="卡娜丽")


def test_members_say_themselves_what_they_consent_to(api: Api, house: House, member: dict[str, Any]) -> None:
    me = api.with_(signed_in(api, house, mobile=MOBILE)["access_token"])
    said = {"purpose": "offers", "channel": "sms", "granted": True, "text_version": "1", "source": "paper"}
    unknown = me.post("/v1/me/consents", {"consents": [said]})
    assert (unknown.status, unknown.code) == (400, "consent_text_unknown")
    api.publish_texts("offers")
    (text,) = me.get("/v1/consent-texts", purpose="offers").json["items"]
    assert text.pop("in_force") is True
    first = me.post("/v1/me/consents", {"consents": [said]})
    expected = {**said, "source": "member", "at": "2026-03-15T04:00:00Z", "text": text}
    assert (first.status, first.json) == (200, {"member_id": member["member_id"], "consents": [expected]})
    assert me.get("/v1/me/consents").json == first.json
    path = f"/v1/members/{member['member_id']}"
    api.clock.forward(seconds=1)
    other = api.as_("clerk").post(f"{path}/consents", {"consents": [{**said, "granted": False}]})
    assert other.json["consents"][0]["source"] == "paper"
    changes = me.get("/v1/me/consent-changes").json["items"]
    assert [(each["granted"], each["source"], each["by"]) for each in changes] == [
        (False, "paper", "stf_clerk"), (True, "member", member["member_id"]),
    ]  # fmt: skip
    assert api.get(f"{path}/consent-changes").json["items"] == changes


def test_an_erased_member_is_gone_for_everybody(api: Api, house: House, look: Look, member: dict[str, Any]) -> None:
    path = f"/v1/members/{member['member_id']}"
    me = api.with_(signed_in(api, house, mobile=MOBILE)["access_token"])
    erased = api.post(f"{path}/erasures", {"reason": "asked"})
    assert erased.status == 201, erased.text
    assert (erased.json["member_ids"], erased.json["by"]) == ([member["member_id"]], "stf_admin")
    for sub in ("", "/consents"):
        gone = api.get(path + sub)
        assert (gone.status, gone.code) == (410, "member_erased")
    assert api.get("/v1/members", mobile=MOBILE).json["items"] == []
    assert me.get("/v1/me").status == 401
    again = api.post(f"{path}/erasures", {"reason": "authority"})
    assert (again.json, again.headers["Idempotency-Replayed"]) == (erased.json, "true")
    assert not [item for item in look().values() if "卡娜丽" in str(item)]


def test_members_erase_themselves_after_a_fresh_sign_in_only(api: Api, house: House, member: dict[str, Any]) -> None:
    tokens = signed_in(api, house, mobile=MOBILE)
    api.clock.forward(minutes=9)
    later = api.post("/v1/auth/tokens", {"grant": "refresh", "refresh_token": tokens["refresh_token"]}).json
    api.clock.forward(minutes=2)
    stale = api.with_(later["access_token"]).post("/v1/me/erasures", {})
    assert (stale.status, stale.code) == (403, "sign_in_stale")
    fresh = signed_in(api, house, mobile=MOBILE)["access_token"]
    done = api.with_(fresh).post("/v1/me/erasures", {})
    assert (done.status, done.json["by"], done.json["reason"]) == (201, member["member_id"], "asked")


@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_an_admin_erases_others(api: Api, member: dict[str, Any], role: str) -> None:
    reply = api.as_(role).post(f"/v1/members/{member['member_id']}/erasures", {"reason": "asked", "dry_run": True})
    assert reply.status == (200 if role == "admin" else 403)


def test_what_stands_in_the_way_is_told(api: Api, member: dict[str, Any]) -> None:
    api.buy(member["member_id"])
    refused = api.post(f"/v1/members/{member['member_id']}/erasures", {"reason": "asked"})
    assert (refused.status, refused.code) == (409, "erasure_blocked")
    assert [each["what"] for each in refused.json["facts"]["blockers"]] == ["points_left"]


def test_an_export_is_decrypted_and_for_those_who_may(api: Api, house: House, member: dict[str, Any]) -> None:
    path = f"/v1/members/{member['member_id']}"
    made = api.post(f"{path}/exports", {"reason": "asked by letter"})
    assert (made.status, made.json["member"]["name"], made.json["member"]["mobile"]) == (201, "卡娜丽", MOBILE)
    page = api.post(f"{path}/export-pages", {"reason": "asked by letter"}, Accept_Language="zh")
    assert (page.status, page.headers["Content-Type"]) == (201, "text/html; charset=utf-8")
    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ), "a page has a policy of its own"
    assert "您的数据" in page.text
    assert "卡娜丽" in page.text
    me = api.with_(signed_in(api, house, mobile=MOBILE)["access_token"])
    assert me.post("/v1/me/exports", {}).json["member"]["name"] == "卡娜丽"
    assert me.post(f"{path}/exports", {"reason": "mine"}).status == 403
    for role in sorted(ROLES):
        allowed = role in ("admin", "agent")
        assert (api.as_(role).post(f"{path}/exports", {"reason": "asked"}).status == 201) is allowed, role


def link(house: House, member_id: str, **fields: Any) -> str:
    """The path of an opt-out link."""
    terms = {"purpose": "notices", "channel": ContactChannel.SMS, "issued_on": date(2020, 1, 1), **fields}
    return PATH + token_of(OptOut(MemberId(member_id), **terms), house.keyring)


def allowed(api: Api, house: House, member_id: str, channel: ContactChannel) -> bool:
    """Whether a member is told of their account by a channel."""
    item, _ = find_items(house.table, member_id, consistent=True)
    assert item is not None
    return may_contact(profile_from(item, house.keyring), "notices", channel)


def test_a_link_says_what_it_does_and_does_it_in_one_step(api: Api, house: House, member: dict[str, Any]) -> None:
    member_id, nobody = member["member_id"], api.with_("")
    path = link(house, member_id)
    for tongue, words in (("zh", "短信"), ("en", "text messages")):
        page = nobody.send("GET", path, Accept_Language=tongue)
        assert (page.status, words in page.text, '<form method="post"' in page.text) == (200, True, True)
        assert member_id not in page.text
        assert "卡娜丽" not in page.text
    assert allowed(api, house, member_id, ContactChannel.SMS)
    one_click = {"Content_Type": "application/x-www-form-urlencoded"}
    for _ in range(2):
        done = nobody.send("POST", path, b"List-Unsubscribe=One-Click", **one_click)
        assert (done.status, "<form" in done.text) == (200, False)
    assert not allowed(api, house, member_id, ContactChannel.SMS)
    assert allowed(api, house, member_id, ContactChannel.EMAIL)
    (change,) = api.get(f"/v1/members/{member_id}/consent-changes").json["items"]
    assert (change["source"], change["channel"], change["by"]) == ("link", "sms", "link")


def test_the_button_of_a_link_leads_on_and_one_click_of_a_mail_program_does_not(
    api: Api, house: House, member: dict[str, Any], look: Look
) -> None:
    nobody, path = api.with_(""), link(house, member["member_id"])
    tongue = {"Accept": BROWSER, "Accept_Language": "en"}
    asks = nobody.send("GET", path, **tongue).text
    assert "<h1>Stop notices of your account by text messages?</h1>" in asks
    for early in ("done=true", "done=true&language=en", "done=x", "done=1"):
        page = nobody.send("GET", f"{path}?{early}", **tongue).text
        assert "<h1>Stop notices" in page, "it does not say that something is done which is not"
    (action,) = re.findall(r'<form method="post" action="([^"]+)">', asks)
    pressed = nobody.send("POST", path + unescape(action), Content_Type="application/x-www-form-urlencoded", **tongue)
    assert (pressed.status, pressed.headers["Location"], pressed.text) == (303, "?done=true&language=en", "")
    before = look()
    done = nobody.send("GET", path + pressed.headers["Location"], **tongue).text
    assert ("<h1>Stopped</h1>" in done, "<form" in done, "You get no more" in done) == (True, False, True)
    assert look() == before, "a reload shows, and does nothing again"
    click = nobody.send("POST", path, b"List-Unsubscribe=One-Click", Accept=BROWSER)
    assert (click.status, "Location" in click.headers) == (200, False)


def old_link(house: House, member_id: str, channel: str = "sms") -> str:
    """The path of a link as messages had it at first: they are good for ever."""
    told = base64.urlsafe_b64encode(f"{member_id}\nnotices\n{channel}\n2020-01-01".encode())
    mac = house.keyring.opt_out_mac(f"{member_id}\nnotices\n{channel}\n2020-01-01")
    return f"{PATH}{told.decode().rstrip('=')}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_links_of_before_are_good_for_ever(api: Api, house: House, member: dict[str, Any]) -> None:
    path = old_link(house, member["member_id"])
    assert len(link(house, member["member_id"])) < len(path)
    assert api.with_("").send("POST", path).status == 200
    assert not allowed(api, house, member["member_id"], ContactChannel.SMS)
    text = f"preferences\n{member['member_id']}\n2026-03-15"
    parts = [text.encode(), house.keyring.opt_out_mac(text)]
    token = ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts)
    for where in (PREFERENCES_PATH, PATH):
        found = api.with_("").send("GET", where + token)
        assert found.status == (200 if where == PREFERENCES_PATH else 404)


@pytest.mark.parametrize("made", ["now", "before"])
def test_forged_links_are_answered_alike_and_change_nothing(
    made: str, api: Api, house: House, look: Look, member: dict[str, Any]
) -> None:
    good = (link if made == "now" else old_link)(house, member["member_id"]).removeprefix(PATH)
    told, _, signed = good.partition(".")
    if made == "before":
        other = old_link(house, member["member_id"], "email").removeprefix(PATH)
        forged = [told, signed, f"{told}.", f".{signed}", f"{told}.{signed[:-2]}", f"{told}A.{signed}",
                  f"{other.partition('.')[0]}.{signed}"]  # fmt: skip
    else:
        other = link(house, member["member_id"], channel=ContactChannel.EMAIL).removeprefix(PATH)
        leads = preferences_token_of(Preferences(MemberId(member["member_id"]), date(2020, 1, 1)), house.keyring)
        forged = [good[:-2], good[:10], good + "AAAA", f"{good[:-22]}.{good[-22:]}", f"{good}.", leads,
                  other[:-22] + good[-22:], "AQ"]  # fmt: skip
    forged += [f"{good}=", good.swapcase(), "x", "%00", "a.b", f"{good}.{good[-22:]}", "é.é", "é"]
    forged += [good[:at] + ("B" if good[at] == "A" else "A") + good[at + 1 :] for at in range(len(good))]
    before = look()
    answers = {
        (reply.status, reply.code, reply.json["detail"])
        for each in forged
        for method in ("GET", "POST")
        for reply in [api.with_("").send(method, PATH + each)]
    }
    assert len(answers) == 1
    assert next(iter(answers))[:2] == (404, "opt_out_unknown")
    assert look() == before


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def test_a_link_that_does_not_work_tells_a_browser_what_to_do_and_a_machine_the_problem(
    api: Api, house: House, look: Look, member: dict[str, Any]
) -> None:
    good = link(house, member["member_id"]).removeprefix(PATH)
    of_preferences = preferences_token_of(Preferences(MemberId(member["member_id"]), date(2020, 1, 1)), house.keyring)
    nobody, before = api.with_(""), look()
    wrong = [f"{PATH}{each}" for each in (good[:-3], good[1:], f"{good}A", "x", "x" * 401, of_preferences)]
    wrong += [f"{PREFERENCES_PATH}{each}" for each in (good, of_preferences[:-1], "x", "x" * 401)]
    for tongue, words in (("zh-CN,zh;q=0.9", "这个链接打不开"), ("en-GB", "This link does not work")):
        replies = [
            nobody.send(method, each, Accept=BROWSER, Accept_Language=tongue)
            for each in wrong
            for method in ("GET", "POST")
        ]
        assert {(reply.status, reply.headers["Content-Type"]) for reply in replies} == {
            (404, "text/html; charset=utf-8")
        }
        (page,) = {reply.text for reply in replies}
        assert words in page
        assert "urn:" not in page
        policy = nobody.send("GET", PATH + good).headers["Content-Security-Policy"]
        assert {reply.headers["Content-Security-Policy"] for reply in replies} == {policy}
        assert {reply.headers["Cache-Control"] for reply in replies} == {"no-store"}
    both = nobody.send("GET", wrong[0], Accept=BROWSER, Accept_Language="fr").text
    assert both.index("这个链接打不开") < both.index("This link does not work")
    turned = nobody.send("GET", f"{wrong[0]}?language=en", Accept=BROWSER, Accept_Language="zh").text
    assert ("This link does not work" in turned, "打不开" in turned) == (True, False)
    for accept in ("*/*", "application/json", "application/json, text/html", "text/html;q=0", "text/html;q=x", ""):
        reply = nobody.send("GET", wrong[0], Accept=accept)
        assert (reply.status, reply.code) == (404, "opt_out_unknown"), accept
    other = api.send("GET", "/v1/members/mem_aaaaaaaaaaaaaaaa", Accept=BROWSER)
    assert (other.status, other.code) == (404, "member_unknown"), "a route that has no pages has no page of faults"
    assert look() == before


def test_the_page_of_a_link_says_whose_it_is_and_turns_over_without_a_script(
    api: Api, house: House, member: dict[str, Any]
) -> None:
    path, nobody = link(house, member["member_id"]), api.with_("")
    chinese = nobody.send("GET", path, Accept_Language="zh").text
    assert "常客会员" in chinese
    assert '<a href="?language=en"' in chinese
    english = nobody.send("GET", f"{path}?language=en", Accept_Language="zh").text
    assert "Regulars" in english
    assert '<html lang="en">' in english
    assert '<a href="?language=zh"' in english
    for hung_on in ("language=fr", "utm_source=mail&utm_source=mail", "language=zh&language=en", "%00=1"):
        done = nobody.send("POST", f"{path}?{hung_on}", b"List-Unsubscribe=One-Click", Content_Type="text/plain")
        assert done.status == 200, hung_on


def test_a_link_does_not_tell_whether_its_member_is_still_there(api: Api, house: House, member: dict[str, Any]) -> None:
    path = link(house, member["member_id"])
    first = api.with_("").send("POST", path)
    api.post(f"/v1/members/{member['member_id']}/erasures", {"reason": "asked"})
    gone = api.with_("").send("POST", path)
    assert (gone.status, gone.text) == (first.status, first.text)
