"""What brings a message to a phone or a mailbox: SNS, SES, or a gateway of the merchant's own.

A message is tried twice within some seconds, because somebody waits for it; a second try may bring it twice. boto3 is
loaded by the first message, so that only a process that sends pays for it. What goes wrong is told by the service's
code and never by its words, which may quote the number or the text.
"""

import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.batches import is_passing
from chalicelib.storage.egress import Limits, NotSpoken, posted
from chalicelib.storage.signed import ServiceFault

TRIES = 2
PAUSE = 0.2
"""Seconds between the two."""
CONNECT_SECONDS, READ_SECONDS = 1.5, 3.0
"""Of one try at AWS."""
GATEWAY = Limits(seconds=4.0, size=64 * 1024)
"""Of one try at a merchant's gateway. With everything before, two tries fit into the API function's 15 seconds."""

_NOT_THERE = {"InvalidParameter", "InvalidParameterValue", "OptedOut", "EndpointDisabled", "BadRequestException"}
"""Codes of AWS that say: not to this number or address. Whoever asks is told nothing of it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a carrier takes it.

    Attributes:
        delivery_id: the same one again is the same message.
        to: mobile number in E.164, or e-mail address.
        subject: empty for a text message.
    """

    delivery_id: str
    channel: str
    to: str
    language: str
    subject: str
    text: str


class MessageRefused(Exception):
    """The carrier does not bring messages to this number or address.

    Attributes:
        code: the carrier's word for why.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Carrier(Protocol):
    """All that the product asks of whoever brings messages."""

    def reaches(self, to: str) -> bool:
        """Whether messages may be sent there at all, by the stack's own settings."""

    def carry(self, message: Message) -> None:
        """Hand a message over.

        Raises:
            MessageRefused: it is not brought there.
            StorageBusy: the carrier is throttling, failing or out of reach; nobody knows whether it will come.
            ServiceFault: the carrier is set up wrongly.
        """


Client = Callable[[], Any]


@dataclass(frozen=True)
class SnsTexts:
    """Text messages by SNS, of the transactional kind.

    Args:
        client: makes boto3's client.
        sender: sender id, where the country has such; empty for AWS' choice.
        entity, template: what India's registry of senders wants, else empty.
        prefixes: beginnings of numbers that may be written to; none: whatever the program allows.
        pause: waits before the second try.
    """

    client: Client
    sender: str = ""
    entity: str = ""
    template: str = ""
    prefixes: tuple[str, ...] = ()
    pause: Callable[[float], None] = time.sleep

    def reaches(self, to: str) -> bool:
        """See `Carrier.reaches`."""
        return not self.prefixes or to.startswith(self.prefixes)

    def carry(self, message: Message) -> None:
        """See `Carrier.carry`."""
        said = {
            "AWS.SNS.SMS.SMSType": "Transactional",
            "AWS.SNS.SMS.SenderID": self.sender,
            "AWS.MM.SMS.EntityId": self.entity,
            "AWS.MM.SMS.TemplateId": self.template,
        }
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items() if value}
        request = {"PhoneNumber": message.to, "Message": message.text, "MessageAttributes": attributes}
        _twice(lambda: _asked(self._made, "publish", request), self.pause)

    @cached_property
    def _made(self) -> Any:
        return self.client()


@dataclass(frozen=True)
class SesMails:
    """E-mail by SES, version 2 of its interface.

    Args:
        client: makes boto3's client.
        sender: the address that it comes from; SES must know it.
        pause: waits before the second try.
    """

    client: Client
    sender: str
    pause: Callable[[float], None] = time.sleep

    def reaches(self, to: str) -> bool:  # noqa: ARG002 - the port's shape
        """See `Carrier.reaches`."""
        return True

    def carry(self, message: Message) -> None:
        """See `Carrier.carry`."""
        request = {
            "FromEmailAddress": self.sender,
            "Destination": {"ToAddresses": [message.to]},
            "Content": {"Simple": {"Subject": _utf8(message.subject), "Body": {"Text": _utf8(message.text)}}},
        }
        _twice(lambda: _asked(self._made, "send_email", request), self.pause)

    @cached_property
    def _made(self) -> Any:
        return self.client()


Post = Callable[..., int]


@dataclass(frozen=True)
class Gateway:
    """A gateway of the merchant's own, which is sent each message as JSON, signed.

    `Regulars-Signature` is `t=<seconds since 1970>,v1=<HMAC-SHA-256 in hex>` over the seconds, a full stop and the body
    as it was sent. Who takes it should refuse what is older than 300 seconds, and bring one `delivery_id` once.

    Args:
        url: where it listens: https, and in the public internet.
        key: of the signature.
        clock: gives the time to sign with.
        local: on a laptop it may be the laptop itself.
        post: for tests.
    """

    url: str
    key: bytes
    clock: Callable[[], datetime]
    prefixes: tuple[str, ...] = ()
    local: bool = False
    pause: Callable[[float], None] = time.sleep
    post: Post = posted

    def reaches(self, to: str) -> bool:
        """See `Carrier.reaches`."""
        return not self.prefixes or not to.startswith("+") or to.startswith(self.prefixes)

    def carry(self, message: Message) -> None:
        """See `Carrier.carry`."""
        said = {
            "delivery_id": message.delivery_id,
            "channel": message.channel,
            "to": message.to,
            "language": message.language,
            "subject": message.subject,
            "text": message.text,
        }
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()

        def send() -> None:
            stamp = int(self.clock().timestamp())
            signature = hmac.digest(self.key, f"{stamp}.".encode() + body, "sha256").hex()
            headers = {
                "Content-Type": "application/json",
                "Idempotency-Key": message.delivery_id,
                "Regulars-Signature": f"t={stamp},v1={signature}",
            }
            try:
                status = self.post(self.url, body, headers, GATEWAY, local=self.local)
            except NotSpoken as fault:
                if fault.passing:
                    raise _busy() from None
                raise ServiceFault("GatewayNotAllowed", 0, {"message": str(fault)}) from None
            if status == 422:
                raise MessageRefused("Http422")
            if status == 429 or status >= 500:
                raise _busy()
            if not 200 <= status < 300:
                raise ServiceFault(f"Http{status}", status, {})

        _twice(send, self.pause)


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _busy() -> StorageBusy:
    return StorageBusy("The message could not be handed over. Ask again later.")


def _twice(send: Callable[[], None], pause: Callable[[float], None]) -> None:
    """Try, and once more where that may do better."""
    for left in reversed(range(TRIES)):
        try:
            return send()
        except StorageBusy:
            if not left:
                raise
        pause(PAUSE)
    return None


def _asked(client: Any, operation: str, request: dict[str, Any]) -> None:
    """Ask AWS. What it answers in words stays here: nothing is chained to what is raised."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415 - as boto3

    try:
        getattr(client, operation)(**request)
    except ParamValidationError:
        raise MessageRefused("ParamValidationError") from None
    except ClientError as fault:
        code = fault.response["Error"]["Code"]
        status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    except BotoCoreError:
        raise _busy() from None
    else:
        return
    if code in _NOT_THERE:
        raise MessageRefused(code)
    if status >= 500 or status == 429 or is_passing(code):
        raise _busy()
    raise ServiceFault(code, status, {})


def aws_client(service: str, region: str, endpoint: str | None) -> Client:
    """Makes a client that gives up in time and tries once; we try again ourselves."""

    def made() -> Any:
        import boto3  # noqa: PLC0415 - slow to import, and few come here
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        )
        return boto3.client(service, region_name=region, endpoint_url=endpoint, config=config)

    return made
