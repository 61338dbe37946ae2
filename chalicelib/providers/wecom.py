"""Messages of a WeCom application, by its HTTP interface: one request for all who are told the same.

There is no idempotency key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone
from chalicelib.providers.tokens import Api, Token, with_token

_WRONG = {40001, 40013, 40014, 40056, 41011, 42001, 48002, 48004, 60011, 60020, 301002, 40091, 50001}
"""The company, the application, its secret, its rights or the addresses it may be asked from."""
_PATIENCE = {45009: 60, 45011: 60, 45033: 1, 43009: calls.RETRY_AFTER_MAX}
"""Asked too often: this minute, at once; or it sent as much as it may."""
_NOBODY = {81013, 82001, 60111, 40031}
"""None of those who were to get it may, or exists."""
_TEXT_BYTES_MAX = 2048


@dataclass(frozen=True)
class Wecom:
    """See the module.

    Args:
        base: where WeCom answers; another in tests.
    """

    corp_id: str
    agent_id: int
    corp_secret: str = field(repr=False)
    clock: Callable[[], datetime]
    price_micro: int = 0
    base: str = "https://qyapi.weixin.qq.com"
    seconds: float = calls.SECONDS
    name: str = "wecom"
    channel: str = "wecom"
    batch_max: int = 100
    idempotent: bool = False

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return self.price_micro

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        groups: dict[tuple[int, str], list[Outgoing]] = {}
        for each in batch:
            turn = 0
            while any(other.to.lower() == each.to.lower() for other in groups.get((turn, each.text), ())):
                turn += 1
            groups.setdefault((turn, each.text), []).append(each)
        return calls.in_calls(batch, list(groups.values()), self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        # It would cut the text, and take `@all` and a bar for more people than one.
        if len(group[0].text.encode()) > _TEXT_BYTES_MAX:
            raise Turned("TextTooLong", everything=True)
        if any("|" in each.to or each.to.startswith("@") or not each.to for each in group):
            raise Turned("UserIdWrong")
        message = {
            "touser": "|".join(each.to for each in group),
            "msgtype": "text",
            "agentid": self.agent_id,
            "text": {"content": group[0].text},
        }
        code, said = with_token(
            self._token, lambda token: self._api.ask("POST", "/cgi-bin/message/send", {"access_token": token}, message)
        )
        if code != 0:
            raise _meant(code)
        # Whoever it does not know, or may not write to, it names in lower case.
        out = {
            name for key in ("invaliduser", "unlicenseduser") for name in str(said.get(key) or "").split("|") if name
        }
        ref = str(said.get("msgid") or "")
        return [
            Result(each.delivery_id, "refused", "UserInvalid")
            if each.to.lower() in out
            else Result(each.delivery_id, "sent", "", ref, self.price_micro)
            for each in group
        ]

    @cached_property
    def _api(self) -> Api:
        return Api(self.base, self.seconds)

    @cached_property
    def _token(self) -> Token:
        def fetch(_anew: bool) -> dict[str, Any]:
            # The same token until it is over, whoever asks.
            return self._api.ask("GET", "/cgi-bin/gettoken", {"corpid": self.corp_id, "corpsecret": self.corp_secret})

        return Token(fetch, self.clock)


def _meant(code: int) -> Exception:
    """What a code of WeCom says of a request."""
    if code in _WRONG:
        return ProviderMisconfigured(str(code))
    if code in _PATIENCE:
        return NotSent(str(code), throttled=True, retry_after=_PATIENCE[code])
    if code < 0:
        return Lost(str(code))
    return Turned(str(code), everything=code in _NOBODY)
