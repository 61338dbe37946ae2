"""HTTP of receipts: where providers tell what became of messages."""

import json

from chalicelib.api.routing import Call, Routes, Verbatim
from chalicelib.lake.store import patching
from chalicelib.receipts import service
from chalicelib.receipts.errors import CallbackMalformed, CallbackUnknown, CallbackUnsigned
from chalicelib.receipts.models import CallbackSecret, ProviderName, Signed
from chalicelib.receipts.service import Desk
from chalicelib.runtime.observe import logger

receipts = Routes("receipts")

_ANSWERS = {
    "aliyun": json.dumps({"code": 0, "msg": "接收成功"}, ensure_ascii=False),
    "tencent": json.dumps({"result": 0, "errmsg": "OK"}),
    "wechat": "success",
    "ses": "taken",
}
"""What each of them wants to hear; else it tells the same again."""


@receipts.get("/provider-callbacks/{provider}/{secret}", refuses=(CallbackUnknown, CallbackUnsigned))
def confirm_callback(provider: ProviderName, secret: CallbackSecret, query: Signed, call: Call) -> Verbatim:
    """Say to WeChat that this address is ours."""
    callback = call.house.settings.callbacks.get(provider)
    return Verbatim(service.echoed(callback, secret, query, now=call.now))


@receipts.post(
    "/provider-callbacks/{provider}/{secret}", refuses=(CallbackUnknown, CallbackUnsigned, CallbackMalformed)
)
def take_callback(provider: ProviderName, secret: CallbackSecret, query: Signed, raw: bytes, call: Call) -> Verbatim:
    """Take what a provider tells of messages: receipts, bounces, complaints, replies.

    The last part of the address is a secret that only the provider was given; SES and WeChat sign besides. The same
    told again changes nothing.
    """
    house = call.house
    callback = house.settings.callbacks.get(provider)
    told = service.told_by(callback, house.ops, provider, secret, query, raw, now=call.now)
    ask = patching(house.queues, house.settings.lake_queue, house.clock)
    desk = Desk.of(house.table, house.ops, house.keyring, house.objects, ask)
    taken = service.take(desk, provider, told, now=call.now)
    facts = {name: getattr(taken, name) for name in taken.__slots__ if getattr(taken, name)}
    logger().info("receipts", provider=str(provider), **facts)
    return Verbatim(_ANSWERS[provider])
