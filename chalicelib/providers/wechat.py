"""Template messages of a WeChat official account, one a request.

There is no idempotency key. The token of access is the stable one, which all workers may ask for without ending each
other's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone
from chalicelib.providers.tokens import Api, Token, with_token

_WRONG = {40001, 40002, 40013, 40014, 40125, 40164, 40243, 42001, 48001, 48004, 50001, 50002, 61024}
"""The account, its secret, its rights or the addresses it may be asked from."""
_PATIENCE = {45009: calls.RETRY_AFTER_MAX, 45011: 60, 43108: 1}
"""Asked too often: today, this minute, at once."""


@dataclass(frozen=True)
class Wechat:
    """See the module.

    Args:
        base: where WeChat answers; another in tests.
    """

    app_id: str
    app_secret: str = field(repr=False)
    clock: Callable[[], datetime]
    price_micro: int = 0
    base: str = "https://api.weixin.qq.com"
    seconds: float = calls.SECONDS
    name: str = "wechat"
    channel: str = "wechat"
    batch_max: int = 20
    idempotent: bool = False

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return self.price_micro

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        return calls.in_calls(batch, calls.singly(batch), self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        (each,) = group
        message: dict[str, Any] = {
            "touser": each.to,
            "template_id": each.template_code,
            "data": {name: {"value": value} for name, value in each.params.items()},
            # Within some minutes, WeChat brings the same one once. It takes 32 characters of it.
            "client_msg_id": sha256(each.delivery_id.encode()).hexdigest()[:32],
        }
        path = "/cgi-bin/message/template/send"
        code, said = with_token(
            self._token, lambda token: self._api.ask("POST", path, {"access_token": token}, message)
        )
        if code != 0:
            raise _meant(code)
        return [Result(each.delivery_id, "sent", "", str(said.get("msgid") or ""), self.price_micro)]

    @cached_property
    def _api(self) -> Api:
        return Api(self.base, self.seconds)

    @cached_property
    def _token(self) -> Token:
        def fetch(anew: bool) -> dict[str, Any]:
            asked = {
                "grant_type": "client_credential",
                "appid": self.app_id,
                "secret": self.app_secret,
                "force_refresh": anew,
            }
            return self._api.ask("POST", "/cgi-bin/stable_token", {}, asked)

        return Token(fetch, self.clock)


def _meant(code: int) -> Exception:
    """What a code of WeChat says of a message."""
    if code in _WRONG:
        return ProviderMisconfigured(str(code))
    if code in _PATIENCE:
        return NotSent(str(code), throttled=True, retry_after=_PATIENCE[code])
    if code < 0 and code != -41000:
        return Lost(str(code))  # -1: the system is busy, which does not say that it did nothing
    return Turned(str(code))
