"""Text messages by Tencent Cloud: its documented shape and codes."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.providers.port import ProviderBusy, ProviderMisconfigured
from tests.providers.fake import Answer, Reply, Request, serving, tencent_signed
from tests.providers.makers import a_tencent, a_text


def each_is(code_of: Callable[[str], str]) -> Callable[[Request], Answer]:
    """A server that checks the signature and answers for each number."""

    def behave(request: Request) -> Answer:
        if not tencent_signed(request, "AKID-id", "tc-secret"):
            return Reply(200, failed("AuthFailure.SignatureFailure"))
        said = [
            {
                "SerialNo": f"500:{number}" if code_of(number) == "Ok" else "",
                "PhoneNumber": number,
                "Fee": int(code_of(number) == "Ok"),
                "SessionContext": request.json["SessionContext"],
                "Code": code_of(number),
                "Message": "m",
                "IsoCode": "CN",
            }
            for number in reversed(request.json["PhoneNumberSet"])
        ]
        return Reply(200, {"Response": {"SendStatusSet": said, "RequestId": "a0aabda6"}})

    return behave


def failed(code: str) -> dict[str, Any]:
    return {"Response": {"Error": {"Code": code, "Message": "m"}, "RequestId": "R"}}


def test_the_same_words_go_to_many_in_one_request_and_each_is_answered_for() -> None:
    batch = [a_text(n) for n in range(100)]
    with serving(each_is(lambda _: "Ok")) as server:
        results = a_tencent(server.host).send(batch)
    (request,) = server.asked
    assert request.headers["x-tc-action"] == "SendSms"
    assert request.headers["x-tc-version"] == "2021-01-11"
    assert request.headers["x-tc-region"] == "ap-guangzhou"
    assert request.json == {
        "PhoneNumberSet": [each.to for each in batch],
        "SmsSdkAppId": "1400006666",
        "SignName": "一家店",
        "TemplateId": "SMS_1234",
        "TemplateParamSet": ["王女士", "20"],
        "SessionContext": batch[0].delivery_id,
    }
    assert [each.provider_ref for each in results] == [f"500:{each.to}" for each in batch]
    assert {(each.status, each.cost_micro) for each in results} == {("sent", 45_000)}


def test_words_of_ones_own_and_numbers_abroad_go_apart_and_nobody_is_asked_for_twice_in_one() -> None:
    batch = [
        a_text(1),
        a_text(2, params={"name": "李先生", "points": "1"}),
        a_text(3, to="+85251234567"),
        a_text(4),
        a_text(5, to=a_text(1).to),
    ]
    with serving(each_is(lambda _: "Ok")) as server:
        results = a_tencent(server.host).send(batch)
    assert [each.status for each in results] == ["sent"] * 5
    asked = sorted(len(each.json["PhoneNumberSet"]) for each in server.asked)
    assert asked == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("LimitExceeded.PhoneNumberThirtySecondLimit", "not_sent"),
        ("LimitExceeded.PhoneNumberOneHourLimit", "not_sent"),
        ("LimitExceeded.PhoneNumberDailyLimit", "refused"),
        ("FailedOperation.PhoneNumberInBlacklist", "refused"),
        ("FailedOperation.ContainSensitiveWord", "refused"),
        ("InvalidParameterValue.IncorrectPhoneNumber", "refused"),
        ("InternalError.Timeout", "unknown"),
        ("InternalError.OtherError", "unknown"),
    ],
)
def test_what_a_code_says_of_a_number_beside_others(code: str, status: str) -> None:
    with serving(each_is(lambda number: code if number.endswith("1") else "Ok")) as server:
        results = a_tencent(server.host).send([a_text(n) for n in range(3)])
    assert [each.status for each in results] == ["sent", status, "sent"]
    assert results[1].code == code


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "LimitExceeded.DeliveryFrequencyLimit"])
@pytest.mark.parametrize("whole", [True, False])
def test_sending_too_fast_asks_for_patience(code: str, whole: bool) -> None:
    def behave(request: Request) -> Answer:
        return Reply(200, failed(code)) if whole else each_is(lambda _: code)(request)

    with serving(behave) as server, pytest.raises(ProviderBusy) as busy:
        a_tencent(server.host).send([a_text(1), a_text(2)])
    assert (busy.value.throttled, busy.value.reason) == (True, code)


@pytest.mark.parametrize(
    "code",
    [
        "AuthFailure.SecretIdNotFound",
        "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
        "FailedOperation.InsufficientBalanceInSmsPackage",
    ],
)
def test_what_is_wrong_with_the_account_is_for_somebody_to_mend(code: str) -> None:
    with serving(lambda _: Reply(200, failed(code))) as server, pytest.raises(ProviderMisconfigured) as wrong:
        a_tencent(server.host).send([a_text()])
    assert wrong.value.code == code


def test_a_wrong_secret_is_told() -> None:
    with serving(each_is(lambda _: "Ok")) as server, pytest.raises(ProviderMisconfigured):
        made = a_tencent(server.host)
        type(made)(made.secret_id, "another", made.app_id, "x", endpoint=server.host).send([a_text()])


def test_an_error_under_an_unusual_content_type_is_one_all_the_same() -> None:
    reply = Reply(200, failed("RequestLimitExceeded"), kind="application/json; charset=utf-8")
    with serving(lambda _: reply) as server, pytest.raises(ProviderBusy):
        a_tencent(server.host).send([a_text()])


def test_a_whole_request_that_is_turned_down_for_one_number_is_sent_without_it() -> None:
    def behave(request: Request) -> Answer:
        if a_text(2).to in request.json["PhoneNumberSet"]:
            return Reply(200, failed("InvalidParameterValue.IncorrectPhoneNumber"))
        return each_is(lambda _: "Ok")(request)

    with serving(behave) as server:
        results = a_tencent(server.host).send([a_text(n) for n in range(4)])
    assert [each.status for each in results] == ["sent", "sent", "refused", "sent"]


def test_a_number_that_is_not_answered_for_is_unknown() -> None:
    with serving(lambda _: Reply(200, {"Response": {"SendStatusSet": [], "RequestId": "R"}})) as server:
        (result,) = a_tencent(server.host).send([a_text()])
    assert (result.status, result.cost_micro) == ("unknown", 45_000)
