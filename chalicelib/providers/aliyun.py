"""Text messages by Alibaba Cloud (SendBatchSms and SendSms of its official SDK).

It knows no idempotency key: the same message twice is two. Of a batch it answers one BizId, and its receipts name that
and the number. So that a receipt finds its message, the reference has a mark of the number, too short to tell the
number from some hundred others and long enough to tell apart those of one batch.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone

_WRONG = {
    "isp.RAM_PERMISSION_DENY", "isv.OUT_OF_SERVICE", "isv.PRODUCT_UN_SUBSCRIPT", "isv.PRODUCT_UNSUBSCRIBE",
    "isv.ACCOUNT_NOT_EXISTS", "isv.ACCOUNT_ABNORMAL", "isv.AMOUNT_NOT_ENOUGH", "isv.BILLING_DEDUCTION_ERROR",
    "isv.RAM_CHECK_FAILED", "isp.RES_OWNER_ID_UNKNOWN", "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive",
    "SignatureDoesNotMatch", "IncompleteSignature", "InvalidTimeStamp.Expired", "Forbidden.RAM", "NoPermission",
    "MissingAccessKeyId", "InvalidVersion", "InvalidAction.NotFound",
}  # fmt: skip
"""Somebody has to mend the account, its key or its balance; nothing is sent before."""
_LIMITS = {"isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL", "isv.SMS_DAY_LIMIT_CONTROL"}
"""The account may send no more today, or this month."""
_OF_THE_NUMBER = {
    "isv.BUSINESS_LIMIT_CONTROL", "BUSINESS_LIMIT_CONTROL_MINUTE", "isv.BUSINESS_LIMIT_HOUR",
}  # fmt: skip
"""This number got too many just now: another try later may do better."""
_OF_THE_TEMPLATE = {
    "isv.SMS_TEMPLATE_ILLEGAL", "isv.SMS_SIGNATURE_ILLEGAL", "isv.SMS_SIGN_ILLEGAL", "isv.SIGN_STATE_ILLEGAL",
    "isv.TEMPLATE_STATE_ILLEGAL", "isv.SMS_SIGNATURE_SCENE_ILLEGAL", "isv.SMS_CONTENT_ILLEGAL",
    "isv.MOBILE_COUNT_OVER_LIMIT", "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
}  # fmt: skip
"""What holds for every message of the template."""
_UNKNOWN = {"isp.SYSTEM_ERROR", "isp.UNKNOWN", "isp.GATEWAY_ERROR", "InternalError", "ServiceUnavailable"}
"""Nobody says whether it went out."""


def mark_of(biz_id: str, number: str) -> str:
    """A BizId with a mark of 25 bits for one of its numbers.

    Args:
        number: in E.164, or as Alibaba Cloud writes it.
    """
    digits = "".join(filter(str.isdigit, number))
    national = digits[2:] if len(digits) == 13 and digits.startswith("861") else digits
    digest = hashlib.sha256(f"{biz_id}\n{national}".encode()).digest()
    return f"{biz_id}.{base64.b32encode(digest[:4]).decode()[:5].lower()}"


@dataclass(frozen=True)
class Aliyun:
    """See the module.

    Args:
        signature: who signs, where a message does not say.
        endpoint: `host:port` without TLS, in place of Alibaba Cloud's own; for tests.
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    signature: str
    region: str = "cn-hangzhou"
    price_micro: int = 0
    endpoint: str | None = None
    seconds: float = calls.SECONDS
    name: str = "aliyun"
    channel: str = "sms"
    batch_max: int = 100
    idempotent: bool = False

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return calls.text_cost(self.price_micro, outgoing)

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`. Numbers of the mainland go together, template by template; others one by one.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        groups: dict[tuple[str, ...], list[Outgoing]] = {}
        for place, each in enumerate(batch):
            own = () if calls.is_mainland(each.to) else (str(place),)
            groups.setdefault((each.template_code, *sorted(each.params), *own), []).append(each)
        return calls.in_calls(batch, list(groups.values()), self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        if len(group) == 1:
            return self._one(group)
        biz_id = self._asked("send_batch_sms_with_options", self._together(group))
        refs = [mark_of(biz_id, each.to) for each in group]
        return [
            # Of two that a receipt could not tell apart, neither has a reference: better none than another's.
            Result(each.delivery_id, "sent", "", ref if refs.count(ref) == 1 else "", self.cost_micro(each))
            for each, ref in zip(group, refs, strict=True)
        ]

    def _one(self, group: Sequence[Outgoing]) -> list[Result]:
        (each,) = group
        from alibabacloud_dysmsapi20170525 import models  # noqa: PLC0415 - an SDK of its own

        request = models.SendSmsRequest(
            phone_numbers=_written(each.to),
            sign_name=each.signature or self.signature,
            template_code=each.template_code,
            template_param=_params(each),
            out_id=each.delivery_id,
        )
        biz_id = self._asked("send_sms_with_options", request)
        return [Result(each.delivery_id, "sent", "", mark_of(biz_id, each.to), self.cost_micro(each))]

    def _together(self, group: Sequence[Outgoing]) -> Any:
        from alibabacloud_dysmsapi20170525 import models  # noqa: PLC0415 - an SDK of its own

        return models.SendBatchSmsRequest(
            phone_number_json=json.dumps([_written(each.to) for each in group]),
            sign_name_json=json.dumps([each.signature or self.signature for each in group], ensure_ascii=False),
            template_code=group[0].template_code,
            template_param_json=json.dumps([dict(each.params) for each in group], ensure_ascii=False),
        )

    def _asked(self, operation: str, request: Any) -> str:
        """The BizId of a request that was taken."""
        from darabonba.runtime import RuntimeOptions  # noqa: PLC0415 - an SDK of its own

        milliseconds = int(self.seconds * 1000)
        options = RuntimeOptions(
            autoretry=False, max_attempts=1, connect_timeout=milliseconds, read_timeout=milliseconds
        )
        outer, code, status, wait = calls.handled(), "", 0, None
        try:
            answer = getattr(self._client, operation)(request, options)
        except Exception as fault:  # noqa: BLE001 - the SDK raises what it likes; what it says in words stays here
            code = str(getattr(fault, "code", "") or "")
            status = int(getattr(fault, "status_code", 0) or 0)
            wait = getattr(fault, "retry_after", None)
            unsent, kind = calls.nothing_written(fault, outer), type(fault).__name__
        else:
            return _biz_id(answer)
        if unsent:
            raise NotSent("Unreachable")
        if not code or code == "None":
            raise Lost(f"Http{status}" if status else kind)
        raise _meant(code, status, wait)

    @cached_property
    def _client(self) -> Any:
        from alibabacloud_dysmsapi20170525.client import Client  # noqa: PLC0415 - an SDK of its own
        from alibabacloud_tea_openapi.utils_models import Config  # noqa: PLC0415

        # The number is in the address that the SDK asks, which urllib3 would quote when an answer's head is garbled.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        config = Config(
            access_key_id=self.access_key_id,
            access_key_secret=self.access_key_secret,
            region_id=self.region,
            endpoint=self.endpoint,
            protocol="HTTP" if self.endpoint else "HTTPS",
        )
        return Client(config)


def _written(number: str) -> str:
    """A number as Alibaba Cloud wants it: those of the mainland without their country's code, none with a plus."""
    return number[3:] if calls.is_mainland(number) else number.lstrip("+")


def _params(outgoing: Outgoing) -> str | None:
    return json.dumps(dict(outgoing.params), ensure_ascii=False) if outgoing.params else None


def _biz_id(answer: Any) -> str:
    """The BizId of what was answered with status 200.

    Raises:
        Lost: the answer makes no sense.
        NotSent, Turned, ProviderMisconfigured: it says that the request was not taken.
    """
    said = getattr(answer, "body", None)
    code, biz_id = getattr(said, "code", None), getattr(said, "biz_id", None)
    if not isinstance(code, str) or not code:
        raise Lost("AnswerUnclear")
    if code == "OK":
        return biz_id if isinstance(biz_id, str) else ""
    raise _meant(code, 200, None)


def _meant(code: str, status: int, wait: Any) -> Exception:
    """What a code of Alibaba Cloud says of the request."""
    if code in _WRONG:
        return ProviderMisconfigured(code)
    if code.startswith("Throttling") or status == 429:
        # Its own wait is in milliseconds.
        seconds = -(-int(wait) // 1000) if isinstance(wait, int) and wait > 0 else 1
        return NotSent(code, throttled=True, retry_after=min(seconds, calls.RETRY_AFTER_MAX))
    if code in _LIMITS:
        return NotSent(code, throttled=True, retry_after=calls.RETRY_AFTER_MAX)
    if code in _OF_THE_NUMBER:
        return NotSent(code, everything=False)
    if code in _UNKNOWN or status >= 500:
        return Lost(code)
    return Turned(code, everything=code in _OF_THE_TEMPLATE)
