"""What providers tell, in our words. Pure.

Each shape is the provider's documented one. A part of a list that cannot be understood is counted and passed over: the
provider would send the whole list again for its sake, for ever.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from chalicelib.providers.aliyun import mark_of
from chalicelib.providers.models import Receipt, ReceiptKind, Reply
from chalicelib.receipts.errors import CallbackMalformed
from chalicelib.receipts.models import Told

_BEIJING = timezone(timedelta(hours=8))
"""Providers of mainland China write times without a zone, and mean this one."""
FRESH = timedelta(seconds=300)
"""A signature is good for so long, by either clock."""
AGE_MAX = timedelta(days=8)
"""What is told later than this is not taken any more: nobody remembers whether it was."""
AHEAD_MAX = timedelta(minutes=10)
_REPLY_MAX = 500

T = TypeVar("T")


def parsed(provider: str, raw: bytes) -> Any:
    """A body that is JSON.

    Raises:
        CallbackMalformed: it is not.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise CallbackMalformed(provider=provider) from None


def _id(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:40]


def _beijing(text: Any) -> datetime:
    written = text if isinstance(text, str) else ""
    form = "%Y%m%d%H%M%S" if written.isdecimal() else "%Y-%m-%d %H:%M:%S"
    return datetime.strptime(written, form).replace(tzinfo=_BEIJING).astimezone(UTC)


def _whenever(read: Callable[[], datetime]) -> datetime:
    """When a reply was made; long ago where nobody can read that, because what it asks for is done all the same."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def _at(seconds: int) -> datetime:
    """An instant of seconds since 1970. Of others nobody knows what the system's clock functions raise."""
    if not 0 <= seconds < 2**33:
        raise ValueError("seconds")
    return datetime.fromtimestamp(seconds, UTC)


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part[name]
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise ValueError(name)
    return value


def _each(provider: str, said: Any, read: Callable[[Mapping[str, Any]], T]) -> tuple[list[T], int]:
    """The parts of a list, and how many of them cannot be understood."""
    if not isinstance(said, list):
        raise CallbackMalformed(provider=provider)
    found: list[T] = []
    for part in said:
        try:
            found.append(read(part))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return found, len(said) - len(found)


# ---------------------------------------------------------------- Alibaba Cloud

_GONE = {
    "MOBILE_NOT_ON_SERVICE", "NO_ROUTE", "MK:0001", "UNDELIV:EMPTY", "MOBILE_NUMBER_ILLEGAL", "SP_UNKNOWN_ERROR_0001",
    "isv.MOBILE_NUMBER_ILLEGAL", "UNKNOWN_SUBSCRIBER", "MK:0000", "ID:0012", "MI:0001",
}  # fmt: skip
"""There is no such number."""


def aliyun(raw: bytes) -> Told:
    """SmsReport and SmsUp of Alibaba Cloud: both are lists, and a reply has words.

    Raises:
        CallbackMalformed: it is neither.
    """
    said = parsed("aliyun", raw)
    found, odd = _each("aliyun", said, _of_aliyun)
    receipts = tuple(each for each in found if isinstance(each, Receipt))
    return Told(receipts, tuple(each for each in found if isinstance(each, Reply)), odd)


def _of_aliyun(part: Mapping[str, Any]) -> Receipt | Reply:
    number = _text(part, "phone_number")
    if "content" in part:
        at = _whenever(lambda: _beijing(part["send_time"]))
        words = str(part["content"])[:_REPLY_MAX]
        number_id = part.get("sequence_id")
        own = _id("aliyun", "reply", number_id or str(part.get("send_time"))[:60], number, words)
        return Reply(own, "aliyun", "sms", _e164("86", number), words, at, str(part.get("sign_name") or "")[:40])
    well, code, biz_id = part["success"], str(part.get("err_code") or "")[:60], _text(part, "biz_id")
    if not isinstance(well, bool):
        raise ValueError("success")
    own_id = part.get("out_id")
    return Receipt(
        receipt_id=_id("aliyun", biz_id, number, code, part["report_time"]),
        provider="aliyun",
        channel="sms",
        kind=ReceiptKind.DELIVERED if well else ReceiptKind.FAILED,
        at=_beijing(part["report_time"]),
        delivery_id=own_id if isinstance(own_id, str) and own_id.startswith("dlv_") else "",
        provider_ref=mark_of(biz_id, number),
        code="" if well else code,
        for_good=not well and code in _GONE,
        address=_e164("86", number),
    )


def _e164(country: str, number: str) -> str:
    """A number with its country: those of the mainland come without theirs."""
    digits = number.lstrip("+")
    if not digits.isdecimal():
        raise ValueError("number")
    if number.startswith("+") or not (country == "86" and len(digits) == 11 and digits.startswith("1")):
        return f"+{digits}" if country == "86" or digits.startswith(country) else f"+{country}{digits}"
    return f"+86{digits}"


# ---------------------------------------------------------------- Tencent Cloud


def tencent(raw: bytes) -> Told:
    """Status notifications of Tencent Cloud, a list, and replies, one object each.

    Raises:
        CallbackMalformed: it is neither.
    """
    said = parsed("tencent", raw)
    if isinstance(said, dict):
        replies, odd = _each("tencent", [said], _reply_of_tencent)
        return Told((), tuple(replies), odd)
    receipts, odd = _each("tencent", said, _receipt_of_tencent)
    return Told(tuple(receipts), (), odd)


def _receipt_of_tencent(part: Mapping[str, Any]) -> Receipt:
    status, ref = part["report_status"], _text(part, "sid")
    if status not in ("SUCCESS", "FAIL"):
        raise ValueError("report_status")
    well, code = status == "SUCCESS", str(part.get("errmsg") or "")[:60]
    return Receipt(
        receipt_id=_id("tencent", ref, status, part["user_receive_time"]),
        provider="tencent",
        channel="sms",
        kind=ReceiptKind.DELIVERED if well else ReceiptKind.FAILED,
        at=_beijing(part["user_receive_time"]),
        provider_ref=ref,
        code="" if well else code,
        for_good=not well and code in _GONE,
        address=_of_country(part),
    )


def _reply_of_tencent(part: Mapping[str, Any]) -> Reply:
    seconds = str(part.get("time"))[:60]
    words, number = str(part["text"])[:_REPLY_MAX], _of_country(part)
    own = _id("tencent", "reply", seconds, number, words)
    at = _whenever(lambda: _at(int(seconds)))
    return Reply(own, "tencent", "sms", number, words, at, str(part.get("sign") or "")[:40])


def _of_country(part: Mapping[str, Any]) -> str:
    country, number = _text(part, "nationcode"), _text(part, "mobile").lstrip("+")
    if not (country.isdecimal() and number.isdecimal()):
        raise ValueError("mobile")
    return f"+{country}{number}"


# ---------------------------------------------------------------- SES

_KINDS = {
    "Delivery": (ReceiptKind.DELIVERED, "delivery"),
    "Bounce": (ReceiptKind.BOUNCED, "bounce"),
    "Complaint": (ReceiptKind.COMPLAINED, "complaint"),
    "Open": (ReceiptKind.OPENED, "open"),
    "Click": (ReceiptKind.CLICKED, "click"),
    "Reject": (ReceiptKind.FAILED, "reject"),
    "Rendering Failure": (ReceiptKind.FAILED, "failure"),
    "Subscription": (ReceiptKind.OPTED_OUT, "subscription"),
}
_SILENT = {"Send", "DeliveryDelay"}


def ses(said: Any) -> Told:
    """An event of SES: of a configuration set, by whatever way, or of an identity.

    Raises:
        CallbackMalformed: it is none.
    """
    if not isinstance(said, dict):
        raise CallbackMalformed(provider="ses")
    name = str(said.get("eventType") or said.get("notificationType"))
    if name in _SILENT or "mail" not in said:
        return Told()
    try:
        return Told(_of_ses(said, name))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError):
        raise CallbackMalformed(provider="ses") from None


def _of_ses(said: Mapping[str, Any], name: str) -> tuple[Receipt, ...]:
    kind, part = _KINDS[name]
    mail, about = said["mail"], said.get(part) or {}
    at = datetime.fromisoformat(str(about.get("timestamp") or mail["timestamp"])).astimezone(UTC)
    ours = (mail.get("tags") or {}).get("delivery_id") or [""]
    bounced = str(about.get("bounceType") or "")
    if kind is ReceiptKind.BOUNCED and bounced != "Permanent":
        kind = ReceiptKind.FAILED  # it may arrive another time
    if kind is ReceiptKind.COMPLAINED and about.get("complaintSubType") == "OnAccountSuppressionList":
        kind = ReceiptKind.FAILED  # SES did not send it
    named = about.get("bouncedRecipients") or about.get("complainedRecipients") or ()
    addresses = [str(each["emailAddress"]) for each in named] or [""]
    return tuple(
        Receipt(
            receipt_id=_id("ses", mail["messageId"], name, at.isoformat(), address),
            provider="ses",
            channel="email",
            kind=kind,
            at=at,
            delivery_id=str(ours[0]),
            provider_ref=str(mail["messageId"]),
            code=(bounced + " " + str(about.get("bounceSubType") or "")).strip()[:60],
            for_good=kind in (ReceiptKind.BOUNCED, ReceiptKind.COMPLAINED),
            address=address,
        )
        for address in addresses
    )


# ---------------------------------------------------------------- WeChat

_OPENING = re.compile(r"<(\w{1,40})>")
_WECHAT_MAX = 64 * 1024
"""Bytes. What WeChat sends has a few hundred, and a text that somebody wrote at most 2,048 characters."""


def _parts(text: str) -> dict[str, str]:
    """The parts that have a name and hold text, looked at once from the beginning to the end."""
    found: dict[str, str] = {}
    position = 0
    while (tag := _OPENING.search(text, position)) is not None:
        start, marked = tag.end(), text.startswith("<![CDATA[", tag.end())
        end = text.find("]]>" if marked else "<", start)
        if end == -1:
            break
        value, position = (text[start + 9 : end], end + 3) if marked else (text[start:end], end)
        if text.startswith(f"</{tag[1]}>", position):
            found[tag[1]] = value
    return found


def wechat_signed(token: str, timestamp: str, nonce: str, signature: str, *, now: datetime) -> bool:
    """Whether WeChat signed a request, and lately. It signs what is in the query, and not the body."""
    if not (timestamp.isdecimal() and len(timestamp) < 12 and nonce and len(nonce) < 100):
        return False
    own = hashlib.sha1("".join(sorted((token, timestamp, nonce))).encode()).hexdigest()  # noqa: S324 - WeChat's choice  # nosec B324
    fresh = abs(now.timestamp() - int(timestamp)) <= FRESH.total_seconds()
    return same(signature, own) and fresh


def wechat(raw: bytes) -> Told:
    """An event or a message of WeChat, in the clear. It is flat, so no parser of XML is asked.

    Raises:
        CallbackMalformed: it is neither.
    """
    if len(raw) > _WECHAT_MAX:
        raise CallbackMalformed(provider="wechat")
    try:
        parts = _parts(raw.decode())
        if parts.get("MsgType") == "text":
            own = _id("wechat", "reply", _text(parts, "MsgId"))
            words, sender = _text(parts, "Content")[:_REPLY_MAX], _text(parts, "FromUserName")
            return Told((), (Reply(own, "wechat", "wechat", sender, words, _whenever(lambda: _seconds(parts))),))
        if parts.get("Event") != "TEMPLATESENDJOBFINISH":
            _text(parts, "MsgType")
            return Told()
        ref, status = _text(parts, "MsgID"), _text(parts, "Status")
        well = status == "success"
        receipt = Receipt(
            receipt_id=_id("wechat", ref, status),
            provider="wechat",
            channel="wechat",
            kind=ReceiptKind.DELIVERED if well else ReceiptKind.FAILED,
            at=_seconds(parts),
            provider_ref=ref,
            code="" if well else status[:60],
        )
    except (KeyError, ValueError, OverflowError):
        raise CallbackMalformed(provider="wechat") from None
    return Told((receipt,))


def _seconds(parts: Mapping[str, str]) -> datetime:
    return _at(int(_text(parts, "CreateTime")))


# ---------------------------------------------------------------- all


def timely(at: datetime, *, now: datetime) -> bool:
    """Whether something is told in time."""
    return now - AGE_MAX <= at <= now + AHEAD_MAX


def same(given: str, known: str) -> bool:
    """Whether two secrets are one; takes as long whatever the difference."""
    return hmac.compare_digest(given.encode(errors="replace"), known.encode())


def together(parts: Iterable[Told]) -> Told:
    """What was told in several pieces, as one."""
    pieces = list(parts)
    return Told(
        tuple(each for piece in pieces for each in piece.receipts),
        tuple(each for piece in pieces for each in piece.replies),
        sum(piece.odd for piece in pieces),
    )
