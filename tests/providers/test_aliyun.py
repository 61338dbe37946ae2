"""Text messages by Alibaba Cloud: its documented shape and codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.kernel.texts import sms_parts
from chalicelib.providers.aliyun import mark_of
from chalicelib.providers.port import ProviderBusy, ProviderMisconfigured
from tests.providers.fake import Answer, FakeServer, Reply, Request, aliyun_signed, serving
from tests.providers.makers import a_text, an_aliyun

Said = Callable[[Request], dict[str, Any]]


def ok(biz_id: str = "900619746936498440^0") -> dict[str, Any]:
    return {"Message": "OK", "RequestId": "873043ac-bcda-44db-9052-2e204c6ed20f", "Code": "OK", "BizId": biz_id}


def no(code: str) -> dict[str, Any]:
    return {"Message": "触发了什么", "RequestId": "R", "Code": code}


def answering(said: Said) -> Callable[[Request], Answer]:
    """A server that checks the signature, as theirs does."""

    def behave(request: Request) -> Answer:
        if not aliyun_signed(request, "LTAI-id", "ali-secret"):
            return Reply(400, no("SignatureDoesNotMatch"))
        return Reply(200, said(request))

    return behave


def actions(server: FakeServer) -> list[str]:
    return [each.headers["x-acs-action"] for each in server.asked]


def test_one_message_is_sent_with_its_delivery_id() -> None:
    with serving(answering(lambda _: ok())) as server:
        (result,) = an_aliyun(server.host).send([a_text(7)])
    assert (result.status, result.cost_micro) == ("sent", 45_000)
    assert result.provider_ref == mark_of("900619746936498440^0", "13800000007")
    (request,) = server.asked
    assert request.headers["x-acs-action"] == "SendSms"
    assert request.headers["x-acs-version"] == "2017-05-25"
    assert request.asked == {
        "PhoneNumbers": "13800000007",
        "SignName": "一家店",
        "TemplateCode": "SMS_1234",
        "TemplateParam": '{"name": "王女士", "points": "20"}',
        "OutId": f"dlv_{7:032d}",
    }


def test_numbers_of_the_mainland_go_together_and_each_has_its_own_words() -> None:
    batch = [a_text(n, params={"name": f"会员{n}", "points": "1"}) for n in range(100)]
    with serving(answering(lambda _: ok())) as server:
        results = an_aliyun(server.host).send(batch)
    assert {each.status for each in results} == {"sent"}
    (request,) = server.asked
    assert request.headers["x-acs-action"] == "SendBatchSms"
    assert request.asked == {"TemplateCode": "SMS_1234"}
    assert json.loads(request.form["PhoneNumberJson"]) == [f"138{n:08d}" for n in range(100)]
    assert json.loads(request.form["SignNameJson"]) == ["一家店"] * 100
    assert json.loads(request.form["TemplateParamJson"])[3] == {"name": "会员3", "points": "1"}
    assert len({each.provider_ref for each in results}) == 100


def test_templates_and_numbers_abroad_go_apart() -> None:
    batch = [a_text(1), a_text(2, template_code="SMS_2"), a_text(3), a_text(4, to="+85251234567", signature="Shop")]
    with serving(answering(lambda _: ok())) as server:
        results = an_aliyun(server.host).send(batch)
    assert [each.status for each in results] == ["sent"] * 4
    assert sorted(actions(server)) == ["SendBatchSms", "SendSms", "SendSms"]
    abroad = [each.asked for each in server.asked if each.asked.get("PhoneNumbers", "").startswith("852")]
    assert [(each["PhoneNumbers"], each["SignName"]) for each in abroad] == [("85251234567", "Shop")]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", "not_sent"),
        ("isv.MOBILE_NUMBER_ILLEGAL", "refused"),
        ("isv.SMS_TEMPLATE_ILLEGAL", "refused"),
        ("isv.BLACK_KEY_CONTROL_LIMIT", "refused"),
        ("isv.TEMPLATE_MISSING_PARAMETERS", "refused"),
        ("isp.SYSTEM_ERROR", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_a_code_says_of_a_message(code: str, status: str) -> None:
    with serving(answering(lambda _: no(code))) as server:
        (result,) = an_aliyun(server.host).send([a_text()])
    assert (result.status, result.code) == (status, code or "AnswerUnclear")
    assert result.cost_micro == (45_000 if status == "unknown" else 0)


@pytest.mark.parametrize("code", ["isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE", "isp.RAM_PERMISSION_DENY"])
def test_what_is_wrong_with_the_account_is_for_somebody_to_mend(code: str) -> None:
    with serving(answering(lambda _: no(code))) as server, pytest.raises(ProviderMisconfigured) as wrong:
        an_aliyun(server.host).send([a_text()])
    assert wrong.value.code == code


def test_a_wrong_secret_is_told_by_the_gateway() -> None:
    with (
        serving(lambda _: Reply(400, no("SignatureDoesNotMatch"))) as server,
        pytest.raises(ProviderMisconfigured),
    ):
        an_aliyun(server.host).send([a_text()])


@pytest.mark.parametrize(("code", "wait"), [("Throttling.User", 1), ("isv.DAY_LIMIT_CONTROL", 3600)])
def test_limits_of_the_account_ask_for_patience(code: str, wait: int) -> None:
    with serving(lambda _: Reply(400, no(code))) as server, pytest.raises(ProviderBusy) as busy:
        an_aliyun(server.host).send([a_text(), a_text(1)])
    assert (busy.value.throttled, busy.value.retry_after) == (True, wait)
    assert len(server.asked) == 1


def test_a_batch_that_is_turned_down_for_one_number_is_sent_without_it() -> None:
    bad = "13800000005"

    def said(request: Request) -> dict[str, Any]:
        numbers = request.asked.get("PhoneNumbers") or request.form["PhoneNumberJson"]
        return no("isv.MOBILE_NUMBER_ILLEGAL") if bad in numbers else ok(f"biz{len(numbers)}")

    with serving(answering(said)) as server:
        results = an_aliyun(server.host).send([a_text(n) for n in range(16)])
    assert [each.status for each in results] == ["sent"] * 5 + ["refused"] + ["sent"] * 10
    assert len(server.asked) == 9  # 16, 8, 4, 2, then the rest of each half
    accepted = [n for each in server.asked if bad not in str(each) for n in _numbers(each)]
    assert len(accepted) == len(set(accepted)) == 15  # nobody twice


def _numbers(request: Request) -> list[str]:
    if "PhoneNumbers" in request.asked:
        return [request.asked["PhoneNumbers"]]
    found: list[str] = json.loads(request.form["PhoneNumberJson"])
    return found


def test_a_template_that_is_not_approved_is_asked_for_once_and_refused_for_all() -> None:
    with serving(answering(lambda _: no("isv.SMS_TEMPLATE_ILLEGAL"))) as server:
        results = an_aliyun(server.host).send([a_text(n) for n in range(50)])
    assert {each.status for each in results} == {"refused"}
    assert len(server.asked) == 1


def test_a_mark_tells_apart_and_does_not_tell_the_number() -> None:
    assert mark_of("b", "+8613800000001") == mark_of("b", "13800000001") == mark_of("b", "8613800000001")
    assert mark_of("b", "13800000001") != mark_of("b", "13800000002")
    assert mark_of("b", "13800000001").partition(".")[2] != mark_of("c", "13800000001").partition(".")[2]
    assert len(mark_of("b", "13800000001").partition(".")[2]) == 5  # 25 bits: some hundred numbers share each


def test_the_same_number_twice_in_a_batch_has_no_reference_that_would_be_anothers() -> None:
    with serving(answering(lambda _: ok())) as server:
        results = an_aliyun(server.host).send([a_text(1), a_text(2, to=a_text(1).to), a_text(3)])
    assert [bool(each.provider_ref) for each in results] == [False, False, True]


@pytest.mark.parametrize(
    ("text", "mainland", "parts"),
    [
        ("a" * 160, False, 1),
        ("a" * 161, False, 2),
        ("a" * 307, False, 3),
        ("€" * 80, False, 1),
        ("€" * 81, False, 2),
        ("a" * 71, True, 2),
        ("字" * 70, True, 1),
        ("字" * 71, False, 2),
        ("字" * 135, False, 3),
        ("😀" * 36, False, 2),
    ],
)
def test_parts_that_are_paid_for(text: str, mainland: bool, parts: int) -> None:
    assert sms_parts(text, mainland=mainland) == parts
