"""Codes are handed to SNS, SES or the merchant's gateway in the shapes that they document, twice at the most."""

import hmac
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.carriers import (
    Carrier,
    Gateway,
    Message,
    MessageRefused,
    SesMails,
    SnsTexts,
    aws_client,
)
from chalicelib.storage.egress import NotSpoken
from chalicelib.storage.signed import ServiceFault

NOW = datetime(2026, 3, 15, 4, 0, tzinfo=UTC)
TEXT = Message("dlv_abc", "sms", "+6591234567", "en", "", "Coffee: 123456 is your code.")
MAIL = replace(TEXT, channel="email", to="wang@example.com", subject="Your code")
KEY = b"k" * 32


def stubbed(service: str) -> tuple[Any, Stubber]:
    """A client of botocore's that knows the service's model, and calls nobody."""
    client = botocore.session.get_session().create_client(
        service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    return client, Stubber(client)


def sns(stub_of: Callable[[Stubber], None], **said: Any) -> tuple[SnsTexts, Stubber, list[float]]:
    """Text messages over a stub, and the pauses they made."""
    client, stub = stubbed("sns")
    stub_of(stub)
    stub.activate()
    pauses: list[float] = []
    return SnsTexts(lambda: client, pause=pauses.append, **said), stub, pauses


SENT = {
    "PhoneNumber": "+6591234567",
    "Message": TEXT.text,
    "MessageAttributes": {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
}


def test_a_text_message_is_published_as_a_transactional_one() -> None:
    texts, stub, pauses = sns(lambda stub: stub.add_response("publish", {"MessageId": "1"}, SENT))
    texts.carry(TEXT)
    stub.assert_no_pending_responses()
    assert pauses == []


def test_a_sender_and_what_indias_registry_wants_are_said_where_they_are_set() -> None:
    said = {
        "AWS.SNS.SMS.SMSType": "Transactional", "AWS.SNS.SMS.SenderID": "COFFEE",
        "AWS.MM.SMS.EntityId": "110", "AWS.MM.SMS.TemplateId": "220",
    }  # fmt: skip
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items()}
    wanted = {**SENT, "MessageAttributes": attributes}
    texts, stub, _ = sns(
        lambda stub: stub.add_response("publish", {"MessageId": "1"}, wanted),
        sender="COFFEE", entity="110", template="220",
    )  # fmt: skip
    texts.carry(TEXT)
    stub.assert_no_pending_responses()


def test_a_mail_is_sent_by_version_two_of_ses() -> None:
    client, stub = stubbed("sesv2")
    stub.add_response("send_email", {"MessageId": "1"}, {
        "FromEmailAddress": "no-reply@coffee.example",
        "Destination": {"ToAddresses": ["wang@example.com"]},
        "Content": {"Simple": {
            "Subject": {"Data": "Your code", "Charset": "UTF-8"},
            "Body": {"Text": {"Data": MAIL.text, "Charset": "UTF-8"}},
        }},
    })  # fmt: skip
    stub.activate()
    SesMails(lambda: client, "no-reply@coffee.example").carry(MAIL)
    stub.assert_no_pending_responses()


def test_only_numbers_with_the_stacks_prefixes_are_reached() -> None:
    texts = SnsTexts(lambda: None, prefixes=("+86", "+65"))
    assert texts.reaches("+6591234567") and not texts.reaches("+882991234")
    gateway = Gateway("https://g.example/", KEY, lambda: NOW, ("+86",))
    assert gateway.reaches("a@b.example") and gateway.reaches("+86138") and not gateway.reaches("+65")
    assert SnsTexts(lambda: None).reaches("+882991234"), "without them the program alone says where"


@pytest.mark.parametrize(("code", "status"), [("Throttling", 400), ("InternalError", 500), ("Throttled", 429)])
def test_what_may_pass_is_tried_once_more_and_then_given_up(code: str, status: int) -> None:
    def once(stub: Stubber) -> None:
        stub.add_client_error("publish", code, "Rate exceeded", status)
        stub.add_response("publish", {"MessageId": "1"}, SENT)

    texts, stub, pauses = sns(once)
    texts.carry(TEXT)
    stub.assert_no_pending_responses()
    assert pauses == [0.2]

    def twice(stub: Stubber) -> None:
        stub.add_client_error("publish", code, "Rate exceeded", status)
        stub.add_client_error("publish", code, "Rate exceeded", status)

    texts, stub, pauses = sns(twice)
    with pytest.raises(StorageBusy):
        texts.carry(TEXT)
    stub.assert_no_pending_responses()
    assert pauses == [0.2]


def test_a_service_out_of_reach_is_tried_once_more() -> None:
    calls = []

    class Away:
        def publish(self, **_: Any) -> None:
            calls.append(1)
            raise ConnectTimeoutError(endpoint_url="https://sns.invalid")

    with pytest.raises(StorageBusy):
        SnsTexts(Away, pause=lambda _: None).carry(TEXT)
    assert len(calls) == 2


@pytest.mark.parametrize("code", ["InvalidParameter", "OptedOut"])
def test_a_number_that_is_not_served_is_refused_and_not_tried_again(code: str) -> None:
    texts, stub, pauses = sns(lambda stub: stub.add_client_error("publish", code, f"{TEXT.to} is no number", 400))
    with pytest.raises(MessageRefused) as refused:
        texts.carry(TEXT)
    assert (refused.value.code, pauses) == (code, [])
    stub.assert_no_pending_responses()


def test_a_carrier_that_is_set_up_wrongly_is_a_bug_whose_words_quote_nobody() -> None:
    texts, _, _ = sns(lambda stub: stub.add_client_error("publish", "AuthorizationError", f"not to {TEXT.to}", 403))
    with pytest.raises(ServiceFault) as fault:
        texts.carry(TEXT)
    told = "".join(traceback.format_exception(fault.value))
    assert "AuthorizationError" in told
    assert TEXT.to not in told and "123456" not in told


def test_the_client_gives_up_in_time_and_leaves_trying_again_to_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    config = aws_client("sns", "eu-central-1", None)().meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (1.5, 3.0, 1)


# ---------------------------------------------------------------- a gateway of the merchant's own


@dataclass
class Merchant:
    """The other side of the signed form: it answers as it is told and keeps what it was sent."""

    answers: list[bytes] = field(default_factory=lambda: [b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"])
    asked: list[bytes] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Answer one connection for each answer, on this machine."""
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def run() -> None:
                for answer in self.answers:
                    connection, _ = listening.accept()
                    with connection:
                        self.asked.append(connection.recv(65_536))
                        connection.sendall(answer)

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/codes"
            thread.join(3)


def gateway(url: str, **more: Any) -> Carrier:
    """A gateway on this machine, as a laptop may have one."""
    return Gateway(url, KEY, lambda: NOW, local=True, pause=lambda _: None, **more)


def test_a_message_to_the_merchants_gateway_is_signed_over_time_and_body() -> None:
    merchant = Merchant()
    with merchant.listening() as url:
        gateway(url).carry(replace(TEXT, text="【咖啡】验证码 123456"))
    head, _, body = merchant.asked[0].partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert json.loads(body) == {
        "delivery_id": "dlv_abc", "channel": "sms", "to": "+6591234567", "language": "en", "subject": "",
        "text": "【咖啡】验证码 123456",
    }  # fmt: skip
    stamp = int(NOW.timestamp())
    mac = hmac.digest(KEY, f"{stamp}.".encode() + body, "sha256").hex()
    assert lines["Regulars-Signature"] == f"t={stamp},v1={mac}"
    assert lines["Idempotency-Key"] == "dlv_abc"


BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "raised"),
    [
        ([BUSY, FINE], None), ([b"", FINE], None), ([BUSY, BUSY], StorageBusy), ([b"what", b"what"], StorageBusy),
        ([b"HTTP/1.1 429 Slow\r\n\r\n", b"HTTP/1.1 429 Slow\r\n\r\n"], StorageBusy),
        ([b"HTTP/1.1 422 No\r\n\r\n"], MessageRefused), ([b"HTTP/1.1 401 Who\r\n\r\n"], ServiceFault),
        ([b"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1/\r\n\r\n"], ServiceFault),
    ],
)  # fmt: skip
def test_a_gateway_is_asked_twice_at_the_most_with_the_same_message(
    answers: list[bytes], raised: type[Exception] | None
) -> None:
    merchant = Merchant(answers)
    with merchant.listening() as url:
        if raised is None:
            gateway(url).carry(TEXT)
        else:
            with pytest.raises(raised):
                gateway(url).carry(TEXT)
    assert len(merchant.asked) == len(answers)
    assert len({each.partition(b"\r\n\r\n")[2] for each in merchant.asked}) == 1


def test_a_gateway_inside_of_the_network_is_never_called_and_never_tried_again() -> None:
    calls = []

    def post(*_: Any, **__: Any) -> int:
        calls.append(1)
        raise NotSpoken("gateway.example is no address of the public internet", passing=False)

    with pytest.raises(ServiceFault, match="GatewayNotAllowed"):
        Gateway("https://gateway.example/", KEY, lambda: NOW, post=post, pause=lambda _: None).carry(TEXT)
    assert len(calls) == 1


def test_neither_number_nor_code_is_logged_whatever_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for answers in ([BUSY, BUSY], [b"HTTP/1.1 422 No\r\n\r\n"], [b"HTTP/1.1 401 Who\r\n\r\n"]):
        merchant = Merchant(answers)
        with merchant.listening() as url, pytest.raises((StorageBusy, MessageRefused, ServiceFault)) as fault:
            gateway(url).carry(TEXT)
        told = caplog.text + "".join(traceback.format_exception(fault.value))
        assert TEXT.to not in told and "123456" not in told
