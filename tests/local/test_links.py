"""The pages behind a message's links with a browser, with its scripts and without them."""

import json
import subprocess
from datetime import date
from typing import cast

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId
from chalicelib.reach.links import PATH, PREFERENCES_PATH, OptOut, Preferences, preferences_token_of, token_of
from chalicelib.storage.keyring import ContactCodec, Keyring
from local.keys import ensure_keys
from local.settings import ROOT
from tests.local.stand import Stack
from tests.local.test_run import asked
from tests.local.test_sign_in import CHROMIUM


def member_of(stack: Stack) -> MemberId:
    """A member with a mobile number and an e-mail address, who agreed to offers."""
    text = {
        "purpose": "marketing",
        "text_version": "1",
        "zh": "我同意接收优惠信息。",
        "en": "I agree to be told of offers.",
    }
    asked(stack, "POST", "/v1/consent-texts", text)
    agreed = {"purpose": "marketing", "granted": True, "text_version": "1"}
    person = {"name": "李小明", "email": "li.xiaoming@example.com", "mobile": "13800138000", "consents": [agreed]}
    status, _, answer = asked(stack, "POST", "/v1/members", person)
    assert status == 201, answer
    return MemberId(json.loads(answer)["member_id"])


def links_of(stack: Stack, member_id: MemberId) -> tuple[str, str]:
    """A link that ends offers by e-mail, and one to the preferences."""
    key = bytes.fromhex(ensure_keys(stack.data_dir / "keys.json")["index_key"])
    keys = Keyring(key, key, cast(ContactCodec, None))  # links hold nothing of contacts
    today = date.today()  # noqa: DTZ011 - a link of today's, whatever the zone
    ended = token_of(OptOut(member_id, "marketing", ContactChannel.EMAIL, today), keys)
    return PATH + ended, PREFERENCES_PATH + preferences_token_of(Preferences(member_id, today), keys)


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_a_press_holds_and_a_reload_does_nothing_again(stack: Stack) -> None:
    member_id, host = member_of(stack), f"http://127.0.0.1:{stack.port}"
    for locale, scripts in (("zh-CN", "no-js"), ("en-GB", "js")):
        assert asked(stack, "POST", f"/v1/members/{member_id}/consents", {"consents": [
            {"purpose": "marketing", "channel": channel, "granted": True, "text_version": "1"}
            for channel in (None, "sms", "email")
        ]})[0] in (200, 201)  # fmt: skip
        links = [host + each for each in links_of(stack, member_id)]
        command = ["node", "tests/local/links.mjs", CHROMIUM, *links, locale, scripts]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
        seen = json.loads(done.stdout)
        assert seen.get("problem") is None, done.stderr
        zh = locale == "zh-CN"
        question = "要停止通过电子邮件接收「优惠与活动」吗？" if zh else "Stop offers and news by e-mail?"
        finished = ("已停止", "Stopped") if zh else ("Stopped", "已停止")
        assert (seen["asks"], seen["anew"]) == (question, question)
        assert (seen["done"], seen["reloaded"], seen["turned"]) == (finished[0], [finished[0], 1], finished[1])
        on, off = ("正在接收", "未接收") if zh else ("on", "off")
        named = "已保存。优惠与活动（短信）：{}。" if zh else "Saved. Offers and news (text messages): {}."
        assert seen["before"] == "on off on on on on", "two topics by text message, mail and app"
        first, second = seen["first"], seen["second"]
        assert (first[0], second[0]) == (named.format(off), named.format(on))
        assert (first[1], second[1]) == ("off off on on on on", seen["before"])
        assert (seen["again"], seen["back"]) == ([second[1], 0], [named.format(on), 0])
        assert "已退订全部" in seen["all"][0] if zh else "no offers and news" in seen["all"][0]
        assert (seen["lost"], seen["nothing"]) == (
            ("这个链接打不开", "这里没有页面") if zh else ("This link does not work", "There is nothing here")
        )
        assert all(seen["fits"])
        assert all("status of 404" in each for each in seen["console"]), seen["console"]


def test_who_asks_for_no_page_is_told_the_problem_of_an_unknown_address(stack: Stack) -> None:
    for accept, kind in (("text/html", "text/html; charset=utf-8"), ("*/*", "application/problem+json")):
        for path in ("/nothing", "/v1/nothing", "/v1/opt-outs/", "/v1/preferences"):
            status, headers, _ = asked(stack, "GET", path, accept=accept)
            assert (status, headers["content-type"]) == (404, kind)
            assert "default-src 'none'" in headers["content-security-policy"]
