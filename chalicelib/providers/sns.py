"""Text messages by SNS of AWS, one a request. It knows no idempotency key for text messages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chalicelib.kernel.texts import sms_parts
from chalicelib.providers import calls
from chalicelib.providers.aws import asked
from chalicelib.providers.calls import Lost, Turned
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, everyone


@dataclass(frozen=True)
class Sns:
    """See the module.

    Args:
        client: makes boto3's client.
        sender, entity, template: see `storage.carriers.SnsTexts`.
        promotional: of the kind that is cheaper and less certain to arrive.
        prefixes: beginnings of numbers that may be written to; none: any.
    """

    client: Callable[[], Any]
    sender: str = ""
    entity: str = ""
    template: str = ""
    promotional: bool = True
    prefixes: tuple[str, ...] = ()
    price_micro: int = 0
    name: str = "sns"
    channel: str = "sms"
    batch_max: int = 20
    idempotent: bool = False

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return self.price_micro * sms_parts(outgoing.text)

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        return calls.in_calls(batch, calls.singly(batch), self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        (each,) = group
        if self.prefixes and not each.to.startswith(self.prefixes):
            raise Turned("PrefixNotAllowed")
        said = {
            "AWS.SNS.SMS.SMSType": "Promotional" if self.promotional else "Transactional",
            "AWS.SNS.SMS.SenderID": self.sender,
            "AWS.MM.SMS.EntityId": self.entity,
            "AWS.MM.SMS.TemplateId": each.template_code or self.template,
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items() if value}
        request = {"PhoneNumber": each.to, "Message": each.text, "MessageAttributes": attributes}
        ref = asked(self._made, "publish", request).get("MessageId")
        if not isinstance(ref, str) or not ref:
            raise Lost("AnswerUnclear")
        return [Result(each.delivery_id, "sent", "", ref, self.cost_micro(each))]

    @cached_property
    def _made(self) -> Any:
        return self.client()
