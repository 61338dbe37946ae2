"""What a provider is handed, what it answers, and what it tells later. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

Status = Literal["sent", "refused", "not_sent", "unknown"]
"""`sent`: the provider took it. `refused`: it does not bring this message there, now or later. `not_sent`: it is
certain that nothing went out, and another try may do better. `unknown`: nobody knows; of a provider that is not
idempotent it must never be sent again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as a provider takes it.

    Attributes:
        delivery_id: the same one again is the same message, where the provider is idempotent.
        channel: `sms`, `email`, `wechat`, `app`, `webhook`, …
        to: mobile number in E.164, e-mail address, openid or user id: what the channel calls an address.
        language: `zh` or `en`.
        subject: empty where the channel has none.
        text: what is to be read; of text messages the whole of it, also where a provider is sent only a template's
            code, because it is what is paid for.
        html: empty where there is only text.
        template_code: the provider's own name of the template, where it has such.
        params: what is filled into that template, in the order of its places.
        opt_out_url: `https://…`, ends messages of this kind by one click; empty where none is needed.
        sent_for: what it is sent for, `campaign:cmp_…`: no personal data, it is shown to the provider as a tag.
        signature: who signs a text message in China; empty for the one of the provider's settings.
    """

    delivery_id: str
    channel: str
    to: str
    language: str
    subject: str
    text: str
    html: str = ""
    template_code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    opt_out_url: str = ""
    sent_for: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one message.

    Attributes:
        code: the provider's word for it, never its sentence, which may quote an address; empty when it was sent.
        provider_ref: what the provider calls the message, by which its receipts name it; empty where it has no name.
        cost_micro: what it costs, as far as known, in millionths of the money that the provider is paid in; of what
            is `unknown` it is assumed to be paid for.
    """

    delivery_id: str
    status: Status
    code: str = ""
    provider_ref: str = ""
    cost_micro: int = 0


class ReceiptKind(StrEnum):
    """What a provider tells of a message after it took it."""

    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OPTED_OUT = "opted_out"
    FAILED = "failed"


_TELL_OF_ARRIVAL = frozenset({"aliyun", "tencent", "wechat", "ses"})

TOLD_BY: Mapping[ReceiptKind, frozenset[str]] = {
    ReceiptKind.DELIVERED: _TELL_OF_ARRIVAL,
    ReceiptKind.OPENED: frozenset({"ses"}),
    ReceiptKind.CLICKED: frozenset({"ses"}),
    ReceiptKind.BOUNCED: _TELL_OF_ARRIVAL,
    ReceiptKind.COMPLAINED: frozenset({"ses"}),
    ReceiptKind.OPTED_OUT: frozenset({"ses"}),
    ReceiptKind.FAILED: _TELL_OF_ARRIVAL,
}
"""Which providers tell of what. Of a message that another one took, that nothing was heard says nothing."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message later, as its provider tells it.

    Attributes:
        receipt_id: follows from what the provider sent: the same receipt again has the same id.
        delivery_id: of the message, where the provider says it; else empty, and `provider_ref` names it.
        provider_ref: what the provider calls the message; see `Result`.
        at: when it happened, by the provider's clock.
        code: the provider's word for why, of what failed.
        for_good: whether the address is of no use from now on: a hard bounce, a complaint, a number that is unknown.
        address: whom it was about, where the provider says so, else empty. It is personal: it goes no further than to
            suppressions, never to a log or to the lake.
    """

    receipt_id: str
    provider: str
    channel: str
    kind: ReceiptKind
    at: datetime
    delivery_id: str = ""
    provider_ref: str = ""
    code: str = ""
    for_good: bool = False
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody answered to a text message.

    Attributes:
        reply_id: follows from what the provider sent: the same reply again has the same id.
        sender: the number that answered, in E.164. Personal, as is the text.
        signature: under whose name the message was that was answered, where the provider says so.
    """

    reply_id: str
    provider: str
    channel: str
    sender: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime
    signature: str = ""
