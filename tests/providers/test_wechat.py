"""WeChat and WeCom: tokens, documented shapes and codes."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest

from chalicelib.providers.port import ProviderBusy, ProviderMisconfigured
from chalicelib.providers.wechat import Wechat
from tests.providers.fake import Answer, Reply, Request, serving
from tests.providers.makers import NOW, SECONDS, a_text, a_wechat, a_wecom

SEND = "/cgi-bin/message/template/send"


class WeChatWorld:
    """WeChat's server, which knows one token at a time."""

    def __init__(self, code_of: Callable[[str], int] = lambda _: 0, *, stale: bool = False) -> None:
        self.code_of = code_of
        self.token = 1
        self.given = 0
        self.forced = 0
        self.stale = stale
        """Whether it hands out an old token until it is forced to make another."""

    def __call__(self, request: Request) -> Answer:
        if request.path == "/cgi-bin/stable_token":
            assert request.json == {
                "grant_type": "client_credential",
                "appid": "wx-app",
                "secret": "wx-secret",
                "force_refresh": request.json["force_refresh"],
            }
            self.given += 1
            if request.json["force_refresh"]:
                self.forced += 1
                self.stale = False
            return Reply(200, {"access_token": "old" if self.stale else f"T{self.token}", "expires_in": 7200})
        assert request.path == SEND
        if request.asked["access_token"] != f"T{self.token}":
            return Reply(200, {"errcode": 40001, "errmsg": "invalid credential"})
        code = self.code_of(request.json["touser"])
        return Reply(200, {"errcode": code, "errmsg": "m", **({"msgid": 200163836} if not code else {})})


def test_a_template_message_is_sent_with_a_token_that_is_had_once() -> None:
    world = WeChatWorld()
    with serving(world) as server:
        results = a_wechat(server.host).send([a_text(n, to=f"openid-{n}") for n in range(3)])
    assert [(each.status, each.provider_ref) for each in results] == [("sent", "200163836")] * 3
    assert world.given == 1
    said = server.asked[1]
    assert said.json == {
        "touser": "openid-0",
        "template_id": "SMS_1234",
        "data": {"name": {"value": "王女士"}, "points": {"value": "20"}},
        "client_msg_id": sha256(a_text(0).delivery_id.encode()).hexdigest()[:32],
    }
    assert "王女士" in said.body.decode()  # as it is, not escaped


def test_a_token_that_another_replaced_is_had_anew_without_ending_anybody_elses() -> None:
    world = WeChatWorld()
    with serving(world) as server:
        provider = a_wechat(server.host)
        provider.send([a_text(to="o")])
        world.token = 2
        (result,) = provider.send([a_text(to="o")])
    assert (result.status, world.given, world.forced) == ("sent", 2, 0)


def test_a_token_that_is_dead_and_handed_out_all_the_same_is_replaced_by_force() -> None:
    world = WeChatWorld(stale=True)
    with serving(world) as server:
        (result,) = a_wechat(server.host).send([a_text(to="o")])
    assert (result.status, world.forced) == ("sent", 1)


def test_a_token_is_had_anew_before_it_is_over() -> None:
    world, clock = WeChatWorld(), [NOW]
    with serving(world) as server:
        provider = Wechat("wx-app", "wx-secret", lambda: clock[0], base=server.url, seconds=SECONDS)
        provider.send([a_text(to="o")])
        clock[0] += timedelta(seconds=6_899)
        provider.send([a_text(to="o")])
        assert world.given == 1
        clock[0] += timedelta(seconds=1)
        provider.send([a_text(to="o")])
    assert world.given == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (40003, "refused"),
        (43004, "refused"),
        (43101, "refused"),
        (40037, "refused"),
        (47003, "refused"),
        (-41000, "refused"),
        (-1, "unknown"),
    ],
)
def test_what_a_code_of_wechat_says_of_a_message(code: int, status: str) -> None:
    with serving(WeChatWorld(lambda _: code)) as server:
        (result,) = a_wechat(server.host).send([a_text(to="o")])
    assert (result.status, result.code) == (status, str(code))


@pytest.mark.parametrize(("code", "wait"), [(45009, 3600), (45011, 60)])
def test_wechats_limits_ask_for_patience(code: int, wait: int) -> None:
    with serving(WeChatWorld(lambda _: code)) as server, pytest.raises(ProviderBusy) as busy:
        a_wechat(server.host).send([a_text(to="o")])
    assert (busy.value.throttled, busy.value.retry_after) == (True, wait)


@pytest.mark.parametrize("code", [48001, 40164, 40013])
def test_an_account_that_may_not_is_for_somebody_to_mend(code: int) -> None:
    with serving(WeChatWorld(lambda _: code)) as server, pytest.raises(ProviderMisconfigured):
        a_wechat(server.host).send([a_text(to="o")])


@pytest.mark.parametrize("answer", ["silent", "reset", Reply(500, b""), Reply(200, b"<html>")])
def test_without_a_token_nothing_went_out_whatever_befell_the_question_for_it(answer: Answer) -> None:
    with serving(lambda _: answer) as server, pytest.raises(ProviderBusy):
        a_wechat(server.host).send([a_text(to="o")])
    assert {each.path for each in server.asked} == {"/cgi-bin/stable_token"}


def test_a_secret_that_is_wrong_is_for_somebody_to_mend() -> None:
    with (
        serving(lambda _: Reply(200, {"errcode": 40125, "errmsg": "invalid appsecret"})) as server,
        pytest.raises(ProviderMisconfigured) as wrong,
    ):
        a_wechat(server.host).send([a_text(to="o")])
    assert wrong.value.code == "token 40125"


# ---------------------------------------------------------------- WeCom


def wecom(said: Callable[[Request], dict[str, object]]) -> Callable[[Request], Answer]:
    def behave(request: Request) -> Answer:
        if request.path == "/cgi-bin/gettoken":
            assert (request.method, request.asked) == ("GET", {"corpid": "ww-corp", "corpsecret": "ww-secret"})
            return Reply(200, {"errcode": 0, "errmsg": "ok", "access_token": "W", "expires_in": 7200})
        assert (request.method, request.path, request.asked["access_token"]) == ("POST", "/cgi-bin/message/send", "W")
        return Reply(200, said(request))

    return behave


def test_all_who_are_told_the_same_are_told_in_one_request_and_the_unknown_are_named() -> None:
    batch = [a_text(n, to=f"User{n}") for n in range(5)] + [a_text(9, to="User9", text="别的话")]
    with serving(
        wecom(
            lambda _: {"errcode": 0, "errmsg": "ok", "invaliduser": "user1|user3", "unlicenseduser": "", "msgid": "x1"}
        )
    ) as server:
        results = a_wecom(server.host).send(batch)
    assert [each.status for each in results] == ["sent", "refused", "sent", "refused", "sent", "sent"]
    assert server.asked[1].json == {
        "touser": "User0|User1|User2|User3|User4",
        "msgtype": "text",
        "agentid": 1000002,
        "text": {"content": a_text().text},
    }
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("code", "status"), [(81013, "refused"), (60111, "refused"), (44004, "refused"), (-1, "unknown")]
)
def test_what_a_code_of_wecom_says(code: int, status: str) -> None:
    with serving(wecom(lambda _: {"errcode": code, "errmsg": "m"})) as server:
        results = a_wecom(server.host).send([a_text(1, to="a"), a_text(2, to="b")])
    assert results[0].status == status


@pytest.mark.parametrize("code", [45009, 45033])
def test_wecoms_limits_ask_for_patience(code: int) -> None:
    with serving(wecom(lambda _: {"errcode": code, "errmsg": "m"})) as server, pytest.raises(ProviderBusy) as busy:
        a_wecom(server.host).send([a_text(to="a")])
    assert busy.value.throttled


@pytest.mark.parametrize("to", ["@all", "a|b", ""])
def test_a_user_id_that_would_reach_others_is_refused_and_not_asked(to: str) -> None:
    with serving(wecom(lambda _: {"errcode": 0, "msgid": "x"})) as server:
        results = a_wecom(server.host).send([a_text(1, to=to), a_text(2, to="fine")])
    assert [each.status for each in results] == ["refused", "sent"]
    assert [each.json["touser"] for each in server.asked if each.body] == ["fine"]


def test_an_application_that_may_not_is_for_somebody_to_mend() -> None:
    with (
        serving(wecom(lambda _: {"errcode": 60020, "errmsg": "not allow ip"})) as server,
        pytest.raises(ProviderMisconfigured),
    ):
        a_wecom(server.host).send([a_text(to="a")])
