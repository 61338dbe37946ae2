"""Makes providers from settings. Each is loaded only where it is chosen."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import formataddr

from chalicelib.providers import settings as told
from chalicelib.providers.calls import SECONDS
from chalicelib.providers.outbox import Outbox
from chalicelib.providers.port import Provider
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table


@dataclass(frozen=True, slots=True)
class Means:
    """What providers need from outside.

    Attributes:
        ops: where it is put down which delivery a provider's name of a message stands for.
        objects: the archive, where the outbox is.
        endpoint: where AWS answers, when not at its own place.
        local: on a laptop.
    """

    ops: Table
    objects: Objects
    clock: Callable[[], datetime]
    region: str
    endpoint: str | None = None
    local: bool = False


def made(channel: str, by: told.By, means: Means) -> Provider:
    """The provider of a channel; its names of messages are kept where its receipts say nothing else."""
    provider = _made(channel, by, means)
    if isinstance(by, told.Aliyun | told.Tencent | told.Wechat):
        from chalicelib.providers.refs import Referenced  # noqa: PLC0415 - where it is needed

        return Referenced(provider, means.ops, means.clock)
    return provider


def _made(channel: str, by: told.By, means: Means) -> Provider:
    # Each is imported where it is chosen: a function that sends mail by SMTP loads nothing else.
    match by:
        case told.Outbox():
            return Outbox(means.objects, means.clock, channel, by.price_micro)
        case told.Aliyun():
            from chalicelib.providers.aliyun import Aliyun  # noqa: PLC0415

            return Aliyun(by.access_key_id, by.access_key_secret, by.signature, by.region, by.price_micro)
        case told.Tencent():
            from chalicelib.providers.tencent import Tencent  # noqa: PLC0415

            return Tencent(by.secret_id, by.secret_key, by.app_id, by.signature, by.region, by.price_micro)
        case told.Sns():
            from chalicelib.providers.aws import client_of  # noqa: PLC0415
            from chalicelib.providers.sns import Sns  # noqa: PLC0415

            client = client_of("sns", means.region, means.endpoint, SECONDS)
            return Sns(client, by.sender, by.entity, by.template, by.promotional, by.prefixes, by.price_micro)
        case told.Ses():
            from chalicelib.providers.aws import client_of  # noqa: PLC0415
            from chalicelib.providers.ses import Ses  # noqa: PLC0415

            client = client_of("sesv2", means.region, means.endpoint, 2 * SECONDS)
            return Ses(
                client, formataddr((by.sender_name, by.sender)), by.configuration_set, by.reply_to or "", by.price_micro
            )
        case told.Smtp():
            from chalicelib.providers.smtp import Smtp  # noqa: PLC0415

            return Smtp(
                by.host, by.port, by.security, by.sender, means.clock,
                user=by.user, password=by.password, sender_name=by.sender_name,
                reply_to=by.reply_to or "", price_micro=by.price_micro,
            )  # fmt: skip
        case told.Wechat():
            from chalicelib.providers.wechat import Wechat  # noqa: PLC0415

            return Wechat(by.app_id, by.app_secret, means.clock, by.price_micro)
        case told.Wecom():
            from chalicelib.providers.wecom import Wecom  # noqa: PLC0415

            return Wecom(by.corp_id, by.agent_id, by.corp_secret, means.clock, by.price_micro)
        case told.Webhook():
            from chalicelib.providers.webhook import Webhook  # noqa: PLC0415

            key = bytes.fromhex(by.key)
            return Webhook(by.url, key, means.clock, channel, by.price_micro, local=means.local)
