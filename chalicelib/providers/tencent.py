"""Text messages by Tencent Cloud (SendSms of its official SDK).

One request takes 200 numbers with the same words; words of one's own make a request of one's own. It knows no
idempotency key. Each number is answered for, and `SerialNo` is what receipts name.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone

_WRONG = (
    "AuthFailure", "UnauthorizedOperation", "FailedOperation.InsufficientBalanceInSmsPackage",
    "FailedOperation.MissingTemplateList", "InvalidParameterValue.SdkAppIdNotExist", "InvalidAction", "NoSuchVersion",
    "IpInBlacklist", "IpNotInWhitelist", "UnsupportedRegion", "ResourceUnavailable",
)  # fmt: skip
"""Beginnings of codes for which somebody has to mend the account, its key or its balance."""
_PATIENCE = ("RequestLimitExceeded", "LimitExceeded.DeliveryFrequencyLimit")
"""The account sends too fast."""
_LIMITS = ("LimitExceeded.AppDailyLimit", "LimitExceeded.DailyLimit", "LimitExceeded.AppCountryOrRegionDailyLimit",
           "LimitExceeded.AppMainlandChinaDailyLimit", "LimitExceeded.AppGlobalDailyLimit",
           "LimitExceeded.AppCountryOrRegionInBlacklist")  # fmt: skip
"""The account may send no more today."""
_OF_THE_NUMBER = ("LimitExceeded.PhoneNumberThirtySecondLimit", "LimitExceeded.PhoneNumberOneHourLimit")
"""This number got too many just now: another try later may do better."""
_TURNED = ("FailedOperation", "InvalidParameter", "MissingParameter", "UnsupportedOperation", "LimitExceeded")
_OF_THE_TEMPLATE = ("FailedOperation.SignatureIncorrectOrUnapproved", "FailedOperation.TemplateIncorrectOrUnapproved",
                    "FailedOperation.TemplateUnapprovedOrNotExist", "FailedOperation.MissingSignature",
                    "InvalidParameterValue.ContentLengthLimit", "InvalidParameterValue.TemplateParameterLengthLimit",
                    "FailedOperation.MarketingSendTimeConstraint", "UnsupportedOperation")  # fmt: skip
"""What holds for every number of a request."""
_TOGETHER_MAX = 200


@dataclass(frozen=True)
class Tencent:
    """See the module.

    Args:
        app_id: `SmsSdkAppId` of its console.
        signature: who signs, where a message does not say.
        endpoint: `host:port` without TLS, in place of Tencent Cloud's own; for tests.
    """

    secret_id: str
    secret_key: str = field(repr=False)
    app_id: str
    signature: str
    region: str = "ap-guangzhou"
    price_micro: int = 0
    endpoint: str | None = None
    seconds: float = calls.SECONDS
    name: str = "tencent"
    channel: str = "sms"
    batch_max: int = 100
    idempotent: bool = False

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return calls.text_cost(self.price_micro, outgoing)

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        groups: dict[tuple[object, ...], list[Outgoing]] = {}
        for each in batch:
            words = (each.template_code, each.signature, *each.params.values())
            # Numbers of the mainland and others do not go in one request; nor does one number twice, because the
            # answer names numbers.
            kind: tuple[object, ...] = (calls.is_mainland(each.to), *words)
            turn = 0
            while any(other.to == each.to for other in groups.get((turn, *kind), ())):
                turn += 1
            groups.setdefault((turn, *kind), []).append(each)
        parts = [
            whole[start : start + _TOGETHER_MAX]
            for whole in groups.values()
            for start in range(0, len(whole), _TOGETHER_MAX)
        ]
        return calls.in_calls(batch, parts, self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        first = group[0]
        said = self._asked(
            {
                "PhoneNumberSet": [each.to for each in group],
                "SmsSdkAppId": self.app_id,
                "SignName": first.signature or self.signature,
                "TemplateId": first.template_code,
                "TemplateParamSet": list(first.params.values()),
                "SessionContext": first.delivery_id,
            }
        )
        answers = said.get("SendStatusSet")
        if not isinstance(answers, list) or not all(isinstance(each, dict) for each in answers):
            raise Lost("AnswerUnclear")
        found = {each.get("PhoneNumber"): each for each in answers}
        results = [self._result(each, found.get(each.to)) for each in group]
        _require_account({result.code for result in results})
        return results

    def _result(self, outgoing: Outgoing, answer: dict[str, Any] | None) -> Result:
        code = (answer or {}).get("Code")
        if not isinstance(code, str) or answer is None:
            return Result(outgoing.delivery_id, "unknown", "AnswerUnclear", cost_micro=self.cost_micro(outgoing))
        if code == "Ok":
            ref, fee = str(answer.get("SerialNo") or ""), answer.get("Fee")
            cost = self.price_micro * fee if type(fee) is int and 0 < fee < 100 else self.cost_micro(outgoing)
            return Result(outgoing.delivery_id, "sent", "", ref, cost)
        if code.startswith("InternalError"):
            return Result(outgoing.delivery_id, "unknown", code, cost_micro=self.cost_micro(outgoing))
        passing = code.startswith((*_PATIENCE, *_LIMITS, *_OF_THE_NUMBER, *_WRONG))
        return Result(outgoing.delivery_id, "not_sent" if passing else "refused", code)

    def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is under `Response`."""
        from tencentcloud.common.exception import TencentCloudSDKException  # noqa: PLC0415 - an SDK of its own

        outer = calls.handled()
        try:
            raw = self._client.call("SendSms", request)
        except TencentCloudSDKException as fault:
            code, unsent = str(fault.code or ""), calls.nothing_written(fault, outer)
        except (NotSent, Lost):
            raise
        except Exception as fault:  # noqa: BLE001 - it reads answers outside its own net
            code, unsent = type(fault).__name__, False
        else:
            return _read(raw)
        if unsent:
            raise NotSent("Unreachable")
        raise _meant(code)

    @cached_property
    def _client(self) -> Any:
        from tencentcloud.common.credential import Credential  # noqa: PLC0415 - an SDK of its own
        from tencentcloud.common.profile.client_profile import ClientProfile  # noqa: PLC0415
        from tencentcloud.common.profile.http_profile import HttpProfile  # noqa: PLC0415
        from tencentcloud.sms.v20210111.sms_client import SmsClient  # noqa: PLC0415

        http = HttpProfile(
            protocol="http" if self.endpoint else "https", endpoint=self.endpoint, reqTimeout=self.seconds
        )
        # Its own breaker would ask a second region, and swallow what went wrong in the first.
        profile = ClientProfile(httpProfile=http, disable_region_breaker=True)

        class Client(SmsClient):  # type: ignore[misc]
            """The SDK's, which would take every status but 200 for one and the same."""

            def _check_status(self, resp_inter: Any) -> None:
                headers = {name.lower(): value for name, value in resp_inter.headers.items()}
                calls.require_taken(resp_inter.status_code, headers)
                super()._check_status(resp_inter)

        return Client(Credential(self.secret_id, self.secret_key), self.region, profile)


def _read(raw: Any) -> dict[str, Any]:
    try:
        said = json.loads(raw)["Response"]
        error = said.get("Error")
        code = error["Code"] if error is not None else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Lost("AnswerUnclear") from None
    if code is not None:
        # The SDK looks for errors only under the very content types that it knows.
        raise _meant(str(code))
    known: dict[str, Any] = said
    return known


def _require_account(codes: set[str]) -> None:
    """See that not all of a request was turned down for what is wrong with the account."""
    if codes and all(code.startswith((*_WRONG, *_PATIENCE, *_LIMITS)) for code in codes):
        raise _meant(min(codes))


def _meant(code: str) -> Exception:
    """What a code of Tencent Cloud says of a whole request."""
    if code.startswith(_WRONG):
        return ProviderMisconfigured(code)
    if code.startswith(_PATIENCE):
        return NotSent(code, throttled=True)
    if code.startswith(_LIMITS):
        return NotSent(code, throttled=True, retry_after=calls.RETRY_AFTER_MAX)
    if code.startswith(_TURNED):
        return calls.Turned(code, everything=code.startswith(_OF_THE_TEMPLATE))
    return Lost(code or "AnswerUnclear")
