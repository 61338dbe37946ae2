"""What every provider that speaks HTTP answers when things go wrong: certain, or honestly unknown."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.providers.models import Outgoing, Status
from chalicelib.providers.port import Provider, ProviderBusy
from tests.providers.fake import Answer, Reply, Request, closed_port, serving
from tests.providers.makers import (
    a_mail,
    a_ses,
    a_tencent,
    a_text,
    a_webhook,
    a_wechat,
    a_wecom,
    an_aliyun,
    an_sns,
)


@dataclass(frozen=True)
class Case:
    """A provider, a message for it, and what it would answer to that if all were well."""

    made: Callable[[str], Provider]
    message: Callable[..., Outgoing]
    well: Callable[[Request], Reply]
    throttled: Callable[[], Reply] = lambda: Reply(429, {}, {"Retry-After": "7"})
    waits: int = 7
    before: Callable[[Request], Reply | None] = lambda _: None
    """What is asked before the message itself: a token."""


def _aliyun(_: Request) -> Reply:
    return Reply(200, {"Code": "OK", "Message": "OK", "BizId": "9006", "RequestId": "R"})


def _tencent(request: Request) -> Reply:
    said = [{"SerialNo": "s", "PhoneNumber": n, "Fee": 1, "Code": "Ok"} for n in request.json["PhoneNumberSet"]]
    return Reply(200, {"Response": {"SendStatusSet": said, "RequestId": "R"}})


def _ses(request: Request) -> Reply:
    return Reply(200, {"BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": "m"}] * _entries(request)})


def _entries(request: Request) -> int:
    return len(request.json["BulkEmailEntries"])


def _sns(_: Request) -> Reply:
    xml = (
        '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId>'
        "</PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"
    )
    return Reply(200, xml.encode(), kind="text/xml")


def _token(request: Request) -> Reply | None:
    if request.path in ("/cgi-bin/stable_token", "/cgi-bin/gettoken"):
        return Reply(200, {"access_token": "T", "expires_in": 7200})
    return None


CASES = {
    "aliyun": Case(
        an_aliyun, a_text, _aliyun, lambda: Reply(429, {"Code": "Throttling.User", "Message": "m"}), waits=1
    ),
    "tencent": Case(a_tencent, a_text, _tencent),
    "ses": Case(a_ses, a_mail, _ses, lambda: Reply(429, {"message": "m"}, {"Retry-After": "7"})),
    "sns": Case(an_sns, a_text, _sns, lambda: Reply(429, b"<a/>", {"Retry-After": "7"}, kind="text/xml")),
    "wechat": Case(a_wechat, a_text, lambda _: Reply(200, {"errcode": 0, "msgid": 5}), before=_token),
    "wecom": Case(a_wecom, a_text, lambda _: Reply(200, {"errcode": 0, "msgid": "5"}), before=_token),
    "webhook": Case(a_webhook, a_text, lambda _: Reply(200, {"ref": "x"})),
}

LOST: dict[str, Answer] = {
    "silent": "silent",
    "reset": "reset",
    "noise": "noise",
    "half": "half",
    "page": Reply(200, b"<html>we are busy</html>", kind="text/html"),
    "list": Reply(200, []),
    "empty": Reply(200, {}),
    "500": Reply(500, {}),
    "502": Reply(502, b"<html>bad gateway</html>", kind="text/html"),
    "503": Reply(503, b"upstream reset", kind="text/plain"),
    "504": Reply(504, b""),
}
TAKEN = {("webhook", "page"), ("webhook", "list"), ("webhook", "empty")}
"""To a merchant's gateway 2xx is enough."""


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")


def status(name: str, answer: Answer | None) -> tuple[Status, str, int]:
    """What one message becomes when it is answered so; and how often it was asked."""
    case = CASES[name]
    asked: list[Request] = []

    def behave(request: Request) -> Answer:
        if (first := case.before(request)) is not None:
            return first
        asked.append(request)
        return answer if answer is not None else case.well(request)

    with serving(behave) as server:
        (result,) = case.made(server.host).send([case.message()])
    return result.status, result.code, len(asked)


@pytest.mark.parametrize("name", CASES)
def test_what_is_taken_is_sent_and_asked_once(name: str) -> None:
    assert status(name, None) == ("sent", "", 1)


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("name", CASES)
def test_once_the_request_is_written_what_is_not_understood_is_unknown_and_never_asked_again(
    name: str, fault: str
) -> None:
    if (name, fault) in TAKEN:
        assert status(name, LOST[fault])[0] == "sent"
        return
    found, code, asked = status(name, LOST[fault])
    assert (found, asked) == ("unknown", 1)
    assert code


@pytest.mark.parametrize("name", CASES)
def test_before_a_connection_nothing_went_out(name: str) -> None:
    case = CASES[name]
    provider = case.made(f"127.0.0.1:{closed_port()}")
    with pytest.raises(ProviderBusy) as busy:
        provider.send([case.message(1), case.message(2)])
    assert (busy.value.reason, busy.value.throttled) == ("Unreachable", False)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"aliyun", "webhook"}))
def test_a_name_that_leads_nowhere_is_certain_too(name: str) -> None:
    case = CASES[name]
    with pytest.raises(ProviderBusy):
        case.made("nowhere.invalid:80").send([case.message()])


@pytest.mark.parametrize("name", CASES)
def test_a_provider_that_throttles_took_nothing_and_says_how_long_to_wait(name: str) -> None:
    with pytest.raises(ProviderBusy) as busy:
        status(name, CASES[name].throttled())
    assert (busy.value.throttled, busy.value.retry_after) == (True, CASES[name].waits)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"aliyun"}))
def test_a_server_that_says_when_to_come_back_took_nothing(name: str) -> None:
    with pytest.raises(ProviderBusy) as busy:
        status(name, replace(CASES[name].throttled(), status=503, headers={"Retry-After": "30"}))
    assert busy.value.retry_after == 30


@pytest.mark.parametrize("name", ["sns", "wechat", "webhook"])
def test_after_one_that_is_unknown_the_rest_of_a_batch_is_left_for_later(name: str) -> None:
    case = CASES[name]
    count: list[Any] = []

    def behave(request: Request) -> Answer:
        if (first := case.before(request)) is not None:
            return first
        count.append(request)
        return case.well(request) if len(count) == 1 else "silent"

    with serving(behave) as server:
        results = case.made(server.host).send([case.message(n) for n in range(4)])
    assert [each.status for each in results] == ["sent", "unknown", "not_sent", "not_sent"]
    assert [each.delivery_id for each in results] == [case.message(n).delivery_id for n in range(4)]
    assert len(count) == 2


@pytest.mark.parametrize("name", ["sns", "wechat", "webhook"])
def test_when_it_throttles_half_way_what_went_out_is_told_and_the_rest_left(name: str) -> None:
    case = CASES[name]
    count: list[Any] = []

    def behave(request: Request) -> Answer:
        if (first := case.before(request)) is not None:
            return first
        count.append(request)
        return case.well(request) if len(count) == 1 else case.throttled()

    with serving(behave) as server:
        results = case.made(server.host).send([case.message(n) for n in range(4)])
    assert [each.status for each in results] == ["sent", "not_sent", "not_sent", "not_sent"]
    assert len(count) == 2


@pytest.mark.parametrize("name", CASES)
def test_nothing_personal_is_in_what_it_raises(name: str) -> None:
    case = CASES[name]
    with pytest.raises(ProviderBusy) as busy:
        case.made(f"127.0.0.1:{closed_port()}").send([case.message()])
    told = f"{busy.value!r} {busy.value.reason} {busy.value.detail}"
    assert "138" not in told
    assert "example.com" not in told
    assert busy.value.__cause__ is None
    assert busy.value.__suppress_context__
