"""Providers tell what became of messages: proved, each once, and what follows from it holds at once."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from chalicelib.api import routing
from chalicelib.providers.models import Result
from chalicelib.providers.refs import kept
from chalicelib.providers.settings import callbacks_from
from chalicelib.receipts import jobs, service, sns
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage import keys
from chalicelib.storage.egress import Answer
from chalicelib.storage.writes import Anyway, Item, Put
from tests.makers import Api, Clock, Reply

SECRET = "s" * 30
TOPIC = "arn:aws:sns:eu-west-1:123456789012:receipts"
TOKEN = "wechattoken"
CALLBACKS = callbacks_from(
    json.dumps(
        {
            "aliyun": {"secret": SECRET},
            "tencent": {"secret": SECRET},
            "wechat": {"secret": SECRET, "token": TOKEN},
            "ses": {"secret": SECRET, "topics": [TOPIC]},
        }
    )
)


@pytest.fixture
def told(house: House) -> House:
    """The house, with all callbacks set up."""
    made = replace(house, settings=replace(house.settings, callbacks=CALLBACKS))
    wiring.use(made)
    return made


def tell(api: Api, provider: str, body: Any, *, secret: str = SECRET, query: str = "", **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    path = f"/v1/provider-callbacks/{provider}/{secret}"
    # Providers sign in with nothing.
    return api.send("POST", path + (f"?{query}" if query else ""), raw, authorization="", **headers)


def a_delivery(house: House, member_id: str) -> str:
    """A single message that was sent to a member."""
    own = f"dlv_one-{member_id.partition('_')[2]}-{'a' * 32}"
    item: Item = {"source_id": "jrn_1", "step": "s1", "channel": "sms"}
    house.ops.commit([Put(keys.single(member_id, own), item, Anyway(), lambda _: AssertionError())])
    return own


def a_ref(house: House, provider: str, ref: str, delivery_id: str) -> None:
    house.ops.commit(kept(provider, [Result(delivery_id, "sent", provider_ref=ref)], now=house.clock()))


def lake(house: House) -> list[dict[str, Any]]:
    """The rows that the lake was told."""
    rows = []
    for key in house.objects.list("facts/", after=None, limit=100):
        content = house.objects.get(key)
        assert content is not None
        rows += [json.loads(line)["receipt"] for line in gzip.decompress(content).splitlines()]
    return rows


def a_report(**given: Any) -> dict[str, Any]:
    return {
        "phone_number": "13800138000",
        "send_time": "2026-03-15 11:58:00",
        "report_time": "2026-03-15 11:59:00",
        "success": True,
        "err_code": "DELIVERED",
        "err_msg": "用户接收成功",
        "sms_size": "1",
        "biz_id": "900619746936498440^0",
        "out_id": "",
        **given,
    }


# ---------------------------------------------------------------- who may tell


@pytest.mark.parametrize("provider", ["aliyun", "tencent", "wechat", "ses", "nobody"])
def test_a_wrong_secret_and_a_provider_that_is_not_set_up_are_answered_alike(
    api: Api, told: House, provider: str
) -> None:
    assert tell(api, provider, [], secret="x" * 30).code == "callback_unknown"
    assert tell(api, "nobody", []).code == "callback_unknown"


def test_without_settings_nobody_may_tell(api: Api) -> None:
    assert (tell(api, "aliyun", []).status, tell(api, "aliyun", []).code) == (404, "callback_unknown")


@pytest.mark.parametrize("provider", ["aliyun", "tencent", "ses"])
@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN', b"null", b'"x"', b"1e999", b"9" * 10_000, b"<xml/>"]
)
def test_garbage_is_refused_and_is_no_bug(api: Api, told: House, provider: str, body: bytes) -> None:
    reply = tell(api, provider, body)
    assert reply.status == 400, reply.text


@pytest.mark.parametrize("body", [[1, None, "x", {}, {"phone_number": 5}, {"phone_number": "1", "biz_id": "b"}]])
def test_parts_that_make_no_sense_are_passed_over(api: Api, told: House, body: Any) -> None:
    assert tell(api, "aliyun", body).json == {"code": 0, "msg": "接收成功"}
    assert tell(api, "tencent", body).json == {"result": 0, "errmsg": "OK"}
    assert lake(told) == []


def test_a_body_that_is_too_large_is_refused(api: Api, told: House) -> None:
    assert tell(api, "aliyun", b" " * 300_000).code == "body_too_large"


def test_many_from_one_address_are_not_counted_against_it(
    api: Api, told: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(type(told.pace), "count", never)
    assert tell(api, "tencent", []).status == 200


def test_the_secret_is_not_logged(
    api: Api, told: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[Any] = []

    class Log:
        def info(self, *said: Any, **more: Any) -> None:
            lines.append((said, more))

        warning = info

    monkeypatch.setattr(routing, "logger", Log)
    tell(api, "aliyun", [a_report()])
    assert SECRET not in repr(lines) + capsys.readouterr().out
    assert "13800138000" not in repr(lines)


# ---------------------------------------------------------------- Alibaba Cloud


def test_a_report_finds_its_delivery_by_our_own_id_and_is_told_to_the_lake_once(api: Api, told: House) -> None:
    member = api.enrol(mobile="+8613800138000")["member_id"]
    own = a_delivery(told, member)
    for _ in range(3):
        assert tell(api, "aliyun", [a_report(out_id=own)]).json == {"code": 0, "msg": "接收成功"}
    (row,) = lake(told)
    assert (row["delivery_id"], row["kind"], row["member_id"]) == (own, "delivered", member)


def test_a_report_of_a_batch_finds_its_delivery_by_number(api: Api, told: House) -> None:
    from chalicelib.providers.aliyun import mark_of

    member = api.enrol(mobile="+8613800138000")["member_id"]
    own = a_delivery(told, member)
    a_ref(told, "aliyun", mark_of("900619746936498440^0", "+8613800138000"), own)
    tell(api, "aliyun", [a_report(success=False, err_code="BLACK"), a_report(phone_number="13800138001")])
    (row,) = lake(told)
    assert (row["delivery_id"], row["kind"]) == (own, "failed")


def test_of_a_number_that_we_never_wrote_to_nothing_is_believed(api: Api, told: House) -> None:
    from chalicelib.providers.aliyun import mark_of

    a_ref(told, "aliyun", mark_of("900619746936498440^0", "+8613800138001"), a_delivery(told, api.enrol()["member_id"]))
    for out_id in ("", "dlv_one-aaaaaaaaaaaaaaaa-" + "a" * 32):
        report = a_report(success=False, err_code="MOBILE_NOT_ON_SERVICE", out_id=out_id)
        assert tell(api, "aliyun", [report]).status == 200
    assert api.get("/v1/suppressions").json["items"] == []


def test_a_number_that_does_not_exist_is_not_written_to_any_more(api: Api, told: House) -> None:
    from chalicelib.providers.aliyun import mark_of

    own = a_delivery(told, api.enrol(mobile="+8613800138000")["member_id"])
    a_ref(told, "aliyun", mark_of("900619746936498440^0", "+8613800138000"), own)
    tell(api, "aliyun", [a_report(success=False, err_code="MOBILE_NOT_ON_SERVICE")])
    (found,) = api.get("/v1/suppressions").json["items"]
    assert (found["channel"], found["reason_code"], found["source"]) == ("sms", "bounced", "receipt")
    tell(api, "aliyun", [a_report(success=False, err_code="MOBILE_NOT_ON_SERVICE")])
    assert len(api.get("/v1/suppressions").json["items"]) == 1


@pytest.mark.parametrize("at", ["2026-03-01 11:59:00", "2026-03-15 12:30:00"])
def test_what_is_told_too_late_or_of_the_future_is_not_taken(api: Api, told: House, at: str) -> None:
    own = a_delivery(told, api.enrol()["member_id"])
    assert tell(api, "aliyun", [a_report(out_id=own, report_time=at)]).status == 200
    assert lake(told) == []


def a_reply(words: str, **given: Any) -> dict[str, Any]:
    return {
        "phone_number": "13800138000",
        "send_time": "20260315115900",
        "content": words,
        "sign_name": "一家店",
        "dest_code": "1234",
        "sequence_id": 1234567890,
        **given,
    }


def consents(api: Api, member: str) -> list[tuple[str, str | None, bool]]:
    found = api.get(f"/v1/members/{member}/consents").json["consents"]
    return [(each["purpose"], each["channel"], each["granted"]) for each in found]


def test_a_reply_ends_offers_at_once_and_told_again_later_does_not_end_them_again(
    api: Api, told: House, clock: Clock
) -> None:
    api.publish_texts("marketing")
    member = api.enrol(mobile="+8613800138000")["member_id"]
    granted = {"purpose": "marketing", "channel": "sms", "granted": True, "text_version": "1"}
    assert api.post(f"/v1/members/{member}/consents", {"consents": [granted]}).status in (200, 201)
    tell(api, "aliyun", [a_reply("退订")])
    assert not any(held for purpose, channel, held in consents(api, member) if channel in ("sms", None))

    clock.forward(minutes=5)
    assert api.post(f"/v1/members/{member}/consents", {"consents": [granted]}).status in (200, 201)
    tell(api, "aliyun", [a_reply("退订")])  # the same reply, told again
    assert ("marketing", "sms", True) in consents(api, member)
    tell(api, "aliyun", [a_reply("退订", sequence_id=2, send_time="20260315120400")])
    assert ("marketing", "sms", True) not in consents(api, member)


@pytest.mark.parametrize("at", ["20260301115900", "20260320115900", "x", "", None, 7])
def test_a_withdrawal_is_never_late_and_needs_no_time(api: Api, told: House, at: Any) -> None:
    api.publish_texts("marketing")
    granted = {"purpose": "marketing", "granted": True, "text_version": "1"}
    member = api.enrol(mobile="+8613800138000", consents=[granted])["member_id"]
    assert tell(api, "aliyun", [a_reply("TD", send_time=at)]).status == 200
    assert ("marketing", "sms", False) in consents(api, member)
    (row,) = lake(told)
    assert (row["kind"], row["at"]) == ("opted_out", int(told.clock().timestamp() * 1000))


def test_a_reply_from_a_number_of_nobody_is_suppressed(api: Api, told: House) -> None:
    tell(api, "aliyun", [a_reply("T", phone_number="13800138999")])
    (found,) = api.get("/v1/suppressions").json["items"]
    assert (found["reason_code"], found["source"]) == ("opted_out", "reply")


# ---------------------------------------------------------------- Tencent Cloud


def test_a_status_of_tencent_finds_its_delivery_by_its_serial_number(api: Api, told: House) -> None:
    own = a_delivery(told, api.enrol()["member_id"])
    a_ref(told, "tencent", "500:1045", own)
    status = {
        "user_receive_time": "2026-03-15 11:59:04",
        "nationcode": "86",
        "mobile": "13800138000",
        "report_status": "SUCCESS",
        "errmsg": "DELIVRD",
        "description": "用户短信送达成功",
        "sid": "500:1045",
    }
    assert tell(api, "tencent", [status, {**status, "sid": "another"}]).json == {"result": 0, "errmsg": "OK"}
    (row,) = lake(told)
    assert (row["delivery_id"], row["kind"], row["channel"]) == (own, "delivered", "sms")


@pytest.mark.parametrize("seconds", [10**18, -(10**18), -1, 2**63])
def test_a_reply_of_no_time_that_there_is_is_passed_over(api: Api, told: House, seconds: int) -> None:
    said = {"nationcode": "86", "mobile": "13800138000", "text": "TD", "sign": "x", "time": seconds}
    assert tell(api, "tencent", said).status == 200


def test_a_reply_to_tencent_is_one_object(api: Api, told: House, clock: Clock) -> None:
    reply = {
        "extend": "",
        "mobile": "13800138999",
        "nationcode": "86",
        "sign": "一家店",
        "text": "TD",
        "time": int(clock().timestamp()),
    }
    assert tell(api, "tencent", reply).json == {"result": 0, "errmsg": "OK"}
    assert len(api.get("/v1/suppressions").json["items"]) == 1


# ---------------------------------------------------------------- WeChat


def signed(clock: Clock, *, token: str = TOKEN, nonce: str = "n1", **more: str) -> str:
    stamp = str(int(clock().timestamp()))
    signature = hashlib.sha1("".join(sorted((token, stamp, nonce))).encode()).hexdigest()
    return urlencode({"signature": signature, "timestamp": stamp, "nonce": nonce, **more})


def an_event(clock: Clock, status: str = "success", msg_id: str = "200163836") -> bytes:
    return (
        "<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>"
        "<FromUserName><![CDATA[oia2TjuEGTNoeX76QEjQNrcURxG8]]></FromUserName>"
        f"<CreateTime>{int(clock().timestamp())}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        f"<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>{msg_id}</MsgID><Status><![CDATA[{status}]]></Status></xml>"
    ).encode()


def test_wechat_is_told_that_the_address_is_ours(api: Api, told: House, clock: Clock) -> None:
    path = f"/v1/provider-callbacks/wechat/{SECRET}"
    reply = api.send("GET", f"{path}?{signed(clock, echostr='12345')}", authorization="")
    assert (reply.status, reply.text, reply.headers["Content-Type"]) == (200, "12345", "text/plain; charset=utf-8")
    for query in (
        signed(clock, token="other", echostr="1"),
        signed(clock, echostr="<script>alert(1)</script>"),
        urlencode({"echostr": "1"}),
        "",
    ):
        assert api.send("GET", f"{path}?{query}", authorization="").code == "callback_unsigned"


@pytest.mark.parametrize(
    ("status", "kind"), [("success", "delivered"), ("failed:user block", "failed"), ("failed: system failed", "failed")]
)
def test_what_became_of_a_template_message(api: Api, told: House, clock: Clock, status: str, kind: str) -> None:
    own = a_delivery(told, api.enrol()["member_id"])
    a_ref(told, "wechat", "200163836", own)
    for _ in range(2):  # WeChat tells again what it got no answer to
        reply = tell(api, "wechat", an_event(clock, status), query=signed(clock), content_type="text/xml")
        assert (reply.status, reply.text) == (200, "success")
    (row,) = lake(told)
    assert (row["delivery_id"], row["kind"], row["channel"]) == (own, kind, "wechat")


def test_what_wechat_did_not_sign_lately_or_for_this_body_is_refused(api: Api, told: House, clock: Clock) -> None:
    good = signed(clock)
    assert tell(api, "wechat", an_event(clock), query=good).status == 200
    assert tell(api, "wechat", an_event(clock, msg_id="other"), query=good).code == "callback_unsigned"
    assert tell(api, "wechat", an_event(clock), query=signed(clock, token="guess")).code == "callback_unsigned"
    assert tell(api, "wechat", an_event(clock)).code == "callback_unsigned"
    clock.forward(seconds=301)
    assert tell(api, "wechat", an_event(clock), query=good).code == "callback_unsigned"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml></xml>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>',
        b"<xml><MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event></xml>",
        b"<a>" * 20_000,
    ],
)
def test_garbage_of_wechat_is_refused_and_is_no_bug(api: Api, told: House, clock: Clock, body: bytes) -> None:
    assert tell(api, "wechat", body, query=signed(clock, nonce=hashlib.md5(body).hexdigest())).status == 400


# ---------------------------------------------------------------- SES by SNS


@dataclass
class Amazon:
    """SNS, with a key of its own, and what was asked of its hosts."""

    clock: Clock
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    asked: list[str] = field(default_factory=list)

    url = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"

    def reach(self, _method: str, url: str, *_: Any, **__: Any) -> Answer:
        self.asked.append(url)
        return Answer(200, {}, self.pem() if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>")

    def pem(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        now = self.clock()
        built = (
            built.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        )
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def message(self, inner: Any, *, kind: str = "Notification", version: str = "2", **given: str) -> dict[str, str]:
        said = {
            "Type": kind,
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": inner if isinstance(inner, str) else json.dumps(inner),
            "Timestamp": "2026-03-15T03:59:00.000Z",
            **given,
        }
        names = sorted(name for name in said if name != "UnsubscribeURL")
        text = "".join(f"{name}\n{said[name]}\n" for name in names)
        how: Callable[[], hashes.HashAlgorithm] = {"1": hashes.SHA1, "2": hashes.SHA256}[version]
        signature = base64.b64encode(self.key.sign(text.encode(), PKCS1v15(), how())).decode()
        return {**said, "SignatureVersion": version, "Signature": signature, "SigningCertURL": self.url}


@pytest.fixture
def amazon(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Amazon:
    made = Amazon(clock)
    told_by = service.told_by
    monkeypatch.setattr(sns, "_CERTIFICATES", {})
    monkeypatch.setattr(service, "told_by", lambda *given, **named: told_by(*given, **named, fetch=made.reach))
    return made


def an_ses_event(kind: str, part: str, about: dict[str, Any], delivery_id: str) -> dict[str, Any]:
    return {
        "eventType": kind,
        "mail": {
            "timestamp": "2026-03-15T03:58:00.000Z",
            "messageId": "0107-1",
            "destination": ["wang@example.com"],
            "tags": {"delivery_id": [delivery_id], "ses:configuration-set": ["receipts"]},
        },
        part: {"timestamp": "2026-03-15T03:59:00.000Z", **about},
    }


BOUNCE = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [{"emailAddress": "wang@example.com", "action": "failed", "status": "5.1.1"}],
}


COMPLAINT = {"complainedRecipients": [{"emailAddress": "wang@example.com"}]}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_hard_bounce_is_told_and_the_address_is_not_written_to_any_more(
    api: Api, told: House, amazon: Amazon, version: str
) -> None:
    own = a_delivery(told, api.enrol(email="wang@example.com")["member_id"])
    event = an_ses_event("Bounce", "bounce", BOUNCE, own)
    reply = tell(api, "ses", amazon.message(event, version=version), content_type="text/plain; charset=UTF-8")
    assert (reply.status, reply.text) == (200, "taken")
    (row,) = lake(told)
    assert (row["delivery_id"], row["kind"], row["channel"]) == (own, "bounced", "email")
    (found,) = api.get("/v1/suppressions").json["items"]
    assert (found["channel"], found["reason_code"]) == ("email", "bounced")
    assert amazon.asked == [amazon.url]


@pytest.mark.parametrize(
    ("kind", "part", "about", "row", "suppressed"),
    [
        ("Delivery", "delivery", {"recipients": ["wang@example.com"]}, "delivered", None),
        ("Open", "open", {"ipAddress": "192.0.2.1"}, "opened", None),
        ("Click", "click", {"link": "https://shop.example/"}, "clicked", None),
        ("Bounce", "bounce", {**BOUNCE, "bounceType": "Transient"}, "failed", None),
        ("Complaint", "complaint", COMPLAINT, "complained", "complained"),
        ("Reject", "reject", {"reason": "Bad content"}, "failed", None),
        ("Send", "send", {}, None, None),
        ("DeliveryDelay", "deliveryDelay", {}, None, None),
    ],
)  # fmt: skip
def test_every_kind_of_event(
    api: Api,
    told: House,
    amazon: Amazon,
    kind: str,
    part: str,
    about: dict[str, Any],
    row: str | None,
    suppressed: str | None,
) -> None:
    own = a_delivery(told, api.enrol(email="wang@example.com")["member_id"])
    assert tell(api, "ses", amazon.message(an_ses_event(kind, part, about, own))).status == 200
    assert [each["kind"] for each in lake(told)] == ([row] if row else [])
    assert [each["reason_code"] for each in api.get("/v1/suppressions").json["items"]] == (
        [suppressed] if suppressed else []
    )


def test_a_subscription_is_confirmed_once_it_is_proved(api: Api, told: House, amazon: Amazon) -> None:
    url = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37fb"
    said = amazon.message("You have chosen", kind="SubscriptionConfirmation", SubscribeURL=url, Token="2336412f37fb")
    assert tell(api, "ses", said).status == 200
    assert amazon.asked == [amazon.url, url]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription&TopicArn=x&Token=1",
        "https://sns.eu-west-1.amazonaws.com.evil.example/?Action=ConfirmSubscription&TopicArn=x&Token=1",
        "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=1",
        "https://sns.eu-west-1.amazonaws.com/?Action=DeleteTopic&TopicArn=x&Token=1",
        "https://169.254.169.254/",
    ],
)
def test_nothing_else_is_called_in_the_name_of_a_subscription(api: Api, told: House, amazon: Amazon, url: str) -> None:
    said = amazon.message("x", kind="SubscriptionConfirmation", SubscribeURL=url, Token="1")
    assert tell(api, "ses", said).code == "callback_unsigned"
    assert amazon.asked == [amazon.url]


def test_what_sns_did_not_sign_is_refused(api: Api, told: House, amazon: Amazon, clock: Clock) -> None:
    good = amazon.message(an_ses_event("Bounce", "bounce", BOUNCE, "dlv_x"))
    stranger = Amazon(clock).message(an_ses_event("Bounce", "bounce", BOUNCE, "dlv_x"))
    tampered: list[dict[str, Any]] = [
        {**good, "Message": good["Message"].replace("wang", "li")},
        {**good, "Timestamp": "2026-03-15T03:59:01.000Z"},
        {**good, "Subject": "added"},
        {**good, "Signature": "AAAA"},
        {**good, "Signature": "not base64!"},
        {**good, "SignatureVersion": "3"},
        {**good, "TopicArn": TOPIC + "-other"},
        {**amazon.message({}, TopicArn="arn:aws:sns:eu-west-1:999999999999:receipts")},
        stranger,
    ]
    for each in tampered:
        assert tell(api, "ses", each).code == "callback_unsigned", each
    assert api.get("/v1/suppressions").json["items"] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com/../x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem",
        "file:///etc/passwd",
    ],
)
def test_a_certificate_is_had_from_sns_itself_only(api: Api, told: House, amazon: Amazon, url: str) -> None:
    said = {**amazon.message({}), "SigningCertURL": url}
    assert tell(api, "ses", said).code == "callback_unsigned"
    assert amazon.asked == []


def test_what_an_operator_publishes_to_try_a_topic_out_says_nothing(api: Api, told: House, amazon: Amazon) -> None:
    assert tell(api, "ses", amazon.message("hello")).status == 200
    assert lake(told) == []


# ---------------------------------------------------------------- SES by EventBridge


def bridged(detail: Any) -> dict[str, Any]:
    body = json.dumps(detail)
    return {"messageId": hashlib.sha256(body.encode()).hexdigest(), "body": body}


def test_events_of_ses_come_by_a_queue_too_and_bad_ones_fail_alone(api: Api, told: House) -> None:
    own = a_delivery(told, api.enrol(email="wang@example.com")["member_id"])
    good = bridged(an_ses_event("Bounce", "bounce", BOUNCE, own))
    bad = [bridged([]), {"messageId": "m2", "body": "no"}, bridged({"mail": 5, "eventType": "Bounce"})]
    answer = jobs.take_mail_events({"Records": [bad[0], good, *bad[1:]]}, None)
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == [each["messageId"] for each in bad]
    (row,) = lake(told)
    assert (row["delivery_id"], row["kind"]) == (own, "bounced")
