"""Messages and providers for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from chalicelib.providers.aliyun import Aliyun
from chalicelib.providers.aws import client_of
from chalicelib.providers.models import Outgoing
from chalicelib.providers.ses import Ses
from chalicelib.providers.sns import Sns
from chalicelib.providers.tencent import Tencent
from chalicelib.providers.webhook import Webhook
from chalicelib.providers.wechat import Wechat
from chalicelib.providers.wecom import Wecom

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
KEY = bytes.fromhex("0123456789abcdef0123456789abcdef")
SECONDS = 0.4

_KEPT: list[Any] = []
"""Providers live as long as their process; the connections that their SDKs keep are never closed."""

P = TypeVar("P")


def kept(provider: P) -> P:
    """A provider that lives as long as the test process."""
    _KEPT.append(provider)
    return provider


def now() -> datetime:
    """The clock, which stands."""
    return NOW


def a_text(number: int = 0, **given: Any) -> Outgoing:
    """A text message to a number of the mainland."""
    message = Outgoing(
        delivery_id=f"dlv_{number:032d}",
        channel="sms",
        to=f"+86138{number:08d}",
        language="zh",
        subject="",
        text="【一家店】王女士，您有 20 积分即将过期，退订回T",
        template_code="SMS_1234",
        params={"name": "王女士", "points": "20"},
        sent_for="campaign:cmp_1",
    )
    return replace(message, **given)


def a_mail(number: int = 0, **given: Any) -> Outgoing:
    """An e-mail with HTML."""
    message = Outgoing(
        delivery_id=f"dlv_{number:032d}",
        channel="email",
        to=f"m{number}@example.com",
        language="zh",
        subject="生日快乐",
        text="祝您天天开心。\n.\n",
        html="<p>祝您天天开心。</p>",
        opt_out_url="https://shop.example/v1/opt-outs/abc",
        sent_for="campaign:cmp_1",
    )
    return replace(message, **given)


def an_aliyun(host: str) -> Aliyun:
    """Alibaba Cloud at `host:port`."""
    return kept(Aliyun("LTAI-id", "ali-secret", "一家店", price_micro=45_000, endpoint=host, seconds=SECONDS))


def a_tencent(host: str) -> Tencent:
    """Tencent Cloud at `host:port`."""
    return kept(
        Tencent("AKID-id", "tc-secret", "1400006666", "一家店", price_micro=45_000, endpoint=host, seconds=SECONDS)
    )


def a_ses(host: str, **given: Any) -> Ses:
    """SES at `host:port`."""
    client = client_of("sesv2", "eu-west-1", f"http://{host}", SECONDS)
    return kept(Ses(client, "shop@example.com", price_micro=100, **given))


def an_sns(host: str, **given: Any) -> Sns:
    """SNS at `host:port`."""
    return kept(Sns(client_of("sns", "eu-west-1", f"http://{host}", SECONDS), price_micro=7_000, **given))


def a_wechat(host: str) -> Wechat:
    """WeChat at `host:port`."""
    return Wechat("wx-app", "wx-secret", now, base=f"http://{host}", seconds=SECONDS)


def a_wecom(host: str) -> Wecom:
    """WeCom at `host:port`."""
    return Wecom("ww-corp", 1000002, "ww-secret", now, base=f"http://{host}", seconds=SECONDS)


def a_webhook(host: str) -> Webhook:
    """A merchant's gateway at `host:port`."""
    return Webhook(f"http://{host}/in", KEY, now, "sms", price_micro=1, local=True, seconds=SECONDS)
