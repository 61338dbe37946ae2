"""SES and SNS of AWS: the documented shape and codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.providers.port import ProviderBusy, ProviderMisconfigured
from tests.providers.fake import Answer, Reply, Request, aws_signed, serving
from tests.providers.makers import a_mail, a_ses, a_text, an_sns


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # which remembers those of another test


def ses(status_of: Callable[[str], str]) -> Callable[[Request], Answer]:
    """A server that checks the signature and answers for each destination."""

    def behave(request: Request) -> Answer:
        if not aws_signed(request, "AKIA", "aws-secret", "ses"):
            return error(403, "SignatureDoesNotMatch")
        results = []
        for entry in request.json["BulkEmailEntries"]:
            to = entry["Destination"]["ToAddresses"][0]
            status = status_of(to)
            results.append({"Status": status, "MessageId": f"01-{to}"} if status == "SUCCESS" else {"Status": status})
        return Reply(200, {"BulkEmailEntryResults": results})

    return behave


def error(status: int, code: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, {"message": "m"}, {"x-amzn-ErrorType": code, **(headers or {})})


def test_fifty_mails_go_in_one_request_each_with_its_own_words_tags_and_way_out() -> None:
    batch = [a_mail(n, subject=f"生日快乐 {n}") for n in range(50)]
    with serving(ses(lambda _: "SUCCESS")) as server:
        results = a_ses(server.host, configuration_set="receipts", reply_to="ask@example.com").send(batch)
    (request,) = server.asked
    assert (request.method, request.path) == ("POST", "/v2/email/outbound-bulk-emails")
    said = request.json
    assert said["FromEmailAddress"] == "shop@example.com"
    assert said["ConfigurationSetName"] == "receipts"
    assert said["ReplyToAddresses"] == ["ask@example.com"]
    template = said["DefaultContent"]["Template"]
    assert template["TemplateContent"] == {"Subject": "{{subject}}", "Text": "{{text}}", "Html": "{{html}}"}
    entry = said["BulkEmailEntries"][3]
    data = json.loads(entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"])
    assert data == {"subject": "生日快乐 3", "text": batch[3].text, "html": batch[3].html}
    assert {each["Name"]: each["Value"] for each in entry["ReplacementTags"]} == {
        "delivery_id": batch[3].delivery_id,
        "sent_for": "campaign_cmp_1",
    }
    assert entry["ReplacementHeaders"] == [
        {"Name": "List-Unsubscribe", "Value": "<https://shop.example/v1/opt-outs/abc>"},
        {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
    ]
    assert [each.provider_ref for each in results] == [f"01-{each.to}" for each in batch]
    assert {(each.status, each.cost_micro) for each in results} == {("sent", 100)}


def test_mails_without_html_go_apart_and_large_ones_in_several_requests() -> None:
    large = "x" * 200_000
    batch = [a_mail(0, html=""), *(a_mail(n, html=large) for n in range(1, 41))]
    with serving(ses(lambda _: "SUCCESS")) as server:
        results = a_ses(server.host).send(batch)
    assert [each.status for each in results] == ["sent"] * 41
    assert sorted(len(each.json["BulkEmailEntries"]) for each in server.asked) == [1, 11, 29]


def test_a_mail_that_is_too_large_is_refused_and_the_others_go() -> None:
    with serving(ses(lambda _: "SUCCESS")) as server:
        results = a_ses(server.host).send([a_mail(0), a_mail(1, html="x" * 300_000), a_mail(2)])
    assert [(each.status, each.code) for each in results] == [
        ("sent", ""),
        ("refused", "MessageTooLarge"),
        ("sent", ""),
    ]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("MESSAGE_REJECTED", "refused"),
        ("INVALID_PARAMETER", "refused"),
        ("FAILED", "refused"),
        ("TRANSIENT_FAILURE", "not_sent"),
        ("ACCOUNT_THROTTLED", "not_sent"),
        ("MAIL_FROM_DOMAIN_NOT_VERIFIED", "not_sent"),
        ("WHAT_IS_THIS", "unknown"),
    ],
)
def test_what_a_status_says_of_a_mail_beside_others(code: str, status: str) -> None:
    with serving(ses(lambda to: code if to.startswith("m1@") else "SUCCESS")) as server:
        results = a_ses(server.host).send([a_mail(n) for n in range(3)])
    assert [each.status for each in results] == ["sent", status, "sent"]
    assert (results[1].code, results[1].cost_micro) == (code, 100 * (status == "unknown"))


def test_when_all_are_throttled_nothing_went_out() -> None:
    with serving(ses(lambda _: "ACCOUNT_DAILY_QUOTA_EXCEEDED")) as server, pytest.raises(ProviderBusy) as busy:
        a_ses(server.host).send([a_mail(1), a_mail(2)])
    assert (busy.value.throttled, busy.value.retry_after) == (True, 3600)


def test_when_the_account_may_not_send_somebody_has_to_mend_it() -> None:
    with serving(ses(lambda _: "ACCOUNT_SENDING_PAUSED")) as server, pytest.raises(ProviderMisconfigured) as wrong:
        a_ses(server.host).send([a_mail(1), a_mail(2)])
    assert wrong.value.code == "ACCOUNT_SENDING_PAUSED"


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDeniedException"), (400, "SendingPausedException"), (404, "NotFoundException")]
)
def test_what_is_wrong_with_the_account_is_for_somebody_to_mend(status: int, code: str) -> None:
    with serving(lambda _: error(status, code)) as server, pytest.raises(ProviderMisconfigured) as wrong:
        a_ses(server.host).send([a_mail()])
    assert wrong.value.code == code


@pytest.mark.parametrize(("status", "code"), [(429, "TooManyRequestsException"), (400, "LimitExceededException")])
def test_sending_too_fast_asks_for_patience(status: int, code: str) -> None:
    with serving(lambda _: error(status, code, {"Retry-After": "4"})) as server, pytest.raises(ProviderBusy) as busy:
        a_ses(server.host).send([a_mail()])
    assert (busy.value.throttled, busy.value.retry_after) == (True, 4)


def test_a_request_that_is_turned_down_for_one_mail_is_sent_without_it() -> None:
    def behave(request: Request) -> Answer:
        if "m5@example.com" in request.body.decode():
            return error(400, "BadRequestException")
        return ses(lambda _: "SUCCESS")(request)

    with serving(behave) as server:
        results = a_ses(server.host).send([a_mail(n) for n in range(8)])
    assert [each.status for each in results] == ["sent"] * 5 + ["refused"] + ["sent"] * 2


# ---------------------------------------------------------------- SNS


def sns_error(status: int, code: str) -> Reply:
    xml = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>+8613800000000 no</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
    return Reply(status, xml.encode(), kind="text/xml")


def sns_ok(request: Request) -> Answer:
    if not aws_signed(request, "AKIA", "aws-secret", "sns"):
        return sns_error(403, "SignatureDoesNotMatch")
    xml = (
        '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
        "<MessageId>567910cd</MessageId></PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
        "</PublishResponse>"
    )
    return Reply(200, xml.encode(), kind="text/xml")


def test_a_text_goes_to_sns_with_its_attributes() -> None:
    with serving(sns_ok) as server:
        (result,) = an_sns(server.host, sender="SHOP").send([a_text(1, template_code="")])
    (request,) = server.asked
    form: dict[str, Any] = request.form
    assert (form["Action"], form["PhoneNumber"], form["Message"]) == ("Publish", "+8613800000001", a_text(1).text)
    named = {
        form[f"MessageAttributes.entry.{n}.Name"]: form[f"MessageAttributes.entry.{n}.Value.StringValue"]
        for n in (1, 2)
    }
    assert named == {"AWS.SNS.SMS.SMSType": "Promotional", "AWS.SNS.SMS.SenderID": "SHOP"}
    assert (result.status, result.provider_ref, result.cost_micro) == ("sent", "567910cd", 7_000)


@pytest.mark.parametrize(
    ("status", "code", "found"),
    [
        (400, "InvalidParameter", "refused"),
        (400, "OptedOut", "refused"),
        (500, "InternalError", "unknown"),
        (503, "ServiceUnavailable", "unknown"),
    ],
)
def test_what_a_code_of_sns_says_of_a_text(status: int, code: str, found: str) -> None:
    with serving(lambda _: sns_error(status, code)) as server:
        (result,) = an_sns(server.host).send([a_text()])
    assert (result.status, result.code) == (found, code)


@pytest.mark.parametrize(("status", "code"), [(400, "Throttling"), (400, "Throttled"), (429, "ThrottledException")])
def test_sns_asks_for_patience(status: int, code: str) -> None:
    with serving(lambda _: sns_error(status, code)) as server, pytest.raises(ProviderBusy) as busy:
        an_sns(server.host).send([a_text()])
    assert busy.value.throttled


def test_sns_without_the_right_is_for_somebody_to_mend() -> None:
    with serving(lambda _: sns_error(403, "AuthorizationError")) as server, pytest.raises(ProviderMisconfigured):
        an_sns(server.host).send([a_text()])


def test_sns_is_not_asked_for_numbers_that_may_not_be_written_to() -> None:
    with serving(sns_ok) as server:
        results = an_sns(server.host, prefixes=("+65",)).send([a_text(1), a_text(2, to="+6581234567")])
    assert [each.status for each in results] == ["refused", "sent"]
    assert len(server.asked) == 1
