"""E-mail by SES of AWS: SendBulkEmail of version 2 of its interface, fifty messages a request.

Each message is rendered by us, so the request's template is nothing but three places. SES knows no idempotency key.
Every message has its delivery id as a tag, by which the events of the configuration set name it.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.aws import asked
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.models import Outgoing, Result, Status
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone

_DATA_MAX = 262_144
"""Characters of one message's data."""
_BYTES_MAX = 6_000_000
"""Of the messages of one request, which may have 10 MB with what base64 and JSON add."""
_NOT_A_TAG = re.compile(r"[^A-Za-z0-9_.@-]")

_PATIENCE = {"ACCOUNT_THROTTLED": 1, "ACCOUNT_DAILY_QUOTA_EXCEEDED": calls.RETRY_AFTER_MAX}
_WRONG = {
    "MAIL_FROM_DOMAIN_NOT_VERIFIED", "CONFIGURATION_SET_NOT_FOUND", "CONFIGURATION_SET_DOES_NOT_EXIST",
    "TEMPLATE_NOT_FOUND", "TEMPLATE_DOES_NOT_EXIST", "ACCOUNT_SUSPENDED", "INVALID_SENDING_POOL_NAME",
    "ACCOUNT_SENDING_PAUSED", "CONFIGURATION_SET_SENDING_PAUSED",
}  # fmt: skip
_REFUSED = {"MESSAGE_REJECTED", "INVALID_PARAMETER", "INVALID_PARAMETER_VALUE", "FAILED"}


@dataclass(frozen=True)
class Ses:
    """See the module.

    Args:
        client: makes boto3's client.
        sender: the address that it comes from, `name@host` or `Name <name@host>`.
        configuration_set: whose events tell what became of a mail; empty for none.
    """

    client: Callable[[], Any]
    sender: str
    configuration_set: str = ""
    reply_to: str = ""
    price_micro: int = 0
    name: str = "ses"
    channel: str = "email"
    batch_max: int = 50
    idempotent: bool = False

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return self.price_micro

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`. Messages with and without HTML go in requests of their own.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        groups: list[list[Outgoing]] = []
        for with_html in (True, False):
            taken = _BYTES_MAX + 1
            for each in batch:
                if bool(each.html) is not with_html:
                    continue
                size = len(each.html.encode()) + len(each.text.encode()) + 2000
                if taken + size > _BYTES_MAX:
                    groups.append([])
                    taken = 0
                groups[-1].append(each)
                taken += size
        return calls.in_calls(batch, groups, self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        entries = [_entry(each) for each in group]
        places = {"Subject": "{{subject}}", "Text": "{{text}}"} | ({"Html": "{{html}}"} if group[0].html else {})
        request: dict[str, Any] = {
            "FromEmailAddress": self.sender,
            "DefaultContent": {
                "Template": {
                    "TemplateContent": places,
                    "TemplateData": json.dumps(dict.fromkeys((name.lower() for name in places), "")),
                }
            },
            "BulkEmailEntries": entries,
        }
        if self.configuration_set:
            request["ConfigurationSetName"] = self.configuration_set
        if self.reply_to:
            request["ReplyToAddresses"] = [self.reply_to]
        answers = asked(self._made, "send_bulk_email", request).get("BulkEmailEntryResults")
        if not isinstance(answers, list) or len(answers) != len(group):
            raise Lost("AnswerUnclear")
        codes = [str(answer.get("Status") or "") for answer in answers]
        _require_account(codes)
        return [self._result(each, code, answer) for each, code, answer in zip(group, codes, answers, strict=True)]

    def _result(self, outgoing: Outgoing, code: str, answer: dict[str, Any]) -> Result:
        if code == "SUCCESS":
            ref = str(answer.get("MessageId") or "")
            return Result(outgoing.delivery_id, "sent", "", ref, self.price_micro)
        status: Status = "unknown"
        if code in _REFUSED:
            status = "refused"
        elif code == "TRANSIENT_FAILURE" or code in _PATIENCE or code in _WRONG:
            status = "not_sent"
        return Result(
            outgoing.delivery_id, status, code or "AnswerUnclear", "", self.price_micro * (status == "unknown")
        )

    @cached_property
    def _made(self) -> Any:
        return self.client()


def _require_account(codes: Sequence[str]) -> None:
    """See that not all of a request was turned down for what is wrong with the account."""
    if codes and all(code in _WRONG for code in codes):
        raise ProviderMisconfigured(codes[0])
    if codes and all(code in _PATIENCE for code in codes):
        raise NotSent(codes[0], throttled=True, retry_after=max(_PATIENCE[code] for code in codes))


def _entry(outgoing: Outgoing) -> dict[str, Any]:
    data = {"subject": outgoing.subject, "text": outgoing.text} | ({"html": outgoing.html} if outgoing.html else {})
    written = json.dumps(data, ensure_ascii=False)
    if len(written) > _DATA_MAX:
        raise Turned("MessageTooLarge")
    tags = {"delivery_id": outgoing.delivery_id, "sent_for": _NOT_A_TAG.sub("_", outgoing.sent_for)[:256]}
    entry: dict[str, Any] = {
        "Destination": {"ToAddresses": [outgoing.to]},
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": written}},
        "ReplacementTags": [{"Name": name, "Value": value} for name, value in tags.items() if value],
    }
    if outgoing.opt_out_url:
        entry["ReplacementHeaders"] = [
            {"Name": "List-Unsubscribe", "Value": f"<{outgoing.opt_out_url}>"},
            {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
        ]
    return entry
