"""Operations of providers, who tell what became of messages."""

import json
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import CALLBACK_SECRET, Scene
from chalicelib.providers.models import Result
from chalicelib.providers.refs import kept
from chalicelib.receipts.jobs import take_mail_events
from chalicelib.storage import keys
from chalicelib.storage.writes import Anyway, Put


def _delivery(scene: Scene) -> str:
    """A single message that was sent to the member."""
    own = f"dlv_one-{scene.member.partition('_')[2]}-{'a' * 32}"
    item = {"source_id": "jrn_1", "step": "s1", "channel": "sms"}
    scene.house.ops.commit([Put(keys.single(scene.member, own), item, Anyway(), lambda _: AssertionError())])
    return own


def _tell(scene: Scene, provider: str, said: Any) -> Metered:
    path = f"/v1/provider-callbacks/{provider}/{CALLBACK_SECRET}"
    return lambda: scene.send("POST", path, said)


def _status(scene: Scene, ref: str) -> dict[str, str]:
    at = scene.house.clock()
    return {
        "user_receive_time": f"{at:%Y-%m-%d %H:%M:%S}", "nationcode": "86", "mobile": "13800138000",
        "report_status": "SUCCESS", "errmsg": "DELIVRD", "description": "", "sid": ref,
    }  # fmt: skip


@operation("take_callback", "a receipt of a text message")
def receipt(scene: Scene) -> Metered:
    sent = Result(_delivery(scene), "sent", provider_ref="500:1")
    scene.house.ops.commit(kept("tencent", [sent], now=scene.house.clock()))
    return _tell(scene, "tencent", [_status(scene, "500:1")])


@operation("take_callback", "a receipt of a text message, told again")
def receipt_again(scene: Scene) -> Metered:
    call = receipt(scene)
    call()
    return call


@operation("take_callback", "a reply that ends offers")
def reply(scene: Scene) -> Metered:
    at = int(scene.house.clock().timestamp())
    said = {"extend": "", "mobile": "13900000001", "nationcode": "86", "sign": "", "text": "TD", "time": at}
    return _tell(scene, "tencent", said)


@operation("receipts.jobs.take_mail_events", "an e-mail that bounced for good")
def bounce(scene: Scene) -> Metered:
    at = scene.house.clock().isoformat()
    detail = {
        "eventType": "Bounce",
        "mail": {"timestamp": at, "messageId": "m", "tags": {"delivery_id": [_delivery(scene)]}},
        "bounce": {
            "timestamp": at,
            "bounceType": "Permanent",
            "bouncedRecipients": [{"emailAddress": "x@example.com"}],
        },
    }
    event = {"Records": [{"messageId": "m", "body": json.dumps(detail)}]}
    return lambda: scene.handle("receipts.jobs.take_mail_events", take_mail_events, event)
