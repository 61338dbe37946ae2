"""How tests sign members in: by the codes that come to the outbox."""

import json
import re
from dataclasses import dataclass
from typing import Any

from chalicelib.runtime.wiring import House
from tests.makers import Api, Reply


@dataclass
class Phones:
    """Everybody's phones and mailboxes: what the outbox holds."""

    house: House

    def messages(self) -> list[dict[str, Any]]:
        """All messages, in no order."""
        names = self.house.objects.list("outbox/", after=None, limit=10_000)
        return [json.loads(self.house.objects.get(name) or b"") for name in names]

    def code(self, request_id: str) -> str:
        """The code that was sent for a request."""
        wanted = request_id.replace("otp_", "dlv_")
        (text,) = [each["text"] for each in self.messages() if each["delivery_id"] == wanted]
        found = re.search(r"[0-9]{6,8}", text.partition("】")[2] or text)
        assert found is not None
        return found[0]


def ask(api: Api, **address: str) -> Reply:
    """Ask for a code."""
    return api.post("/v1/auth/otp-requests", address)


def try_code(api: Api, request_id: str, code: str) -> Reply:
    """Ask for tokens with a code."""
    return api.post("/v1/auth/tokens", {"grant": "otp", "request_id": request_id, "code": code})


def refresh(api: Api, token: str) -> Reply:
    """Ask for tokens with a refresh token."""
    return api.post("/v1/auth/tokens", {"grant": "refresh", "refresh_token": token})


def signed_in(api: Api, house: House, **address: str) -> dict[str, Any]:
    """Sign in by a code; the tokens."""
    asked = ask(api, **address)
    assert asked.status == 202, asked.text
    reply = try_code(api, asked.json["request_id"], Phones(house).code(asked.json["request_id"]))
    assert reply.status == 200, reply.text
    tokens: dict[str, Any] = reply.json
    return tokens


def as_member(api: Api, house: House, member_id: str) -> Api:
    """The same API, called by a member with an access token of their own."""
    from chalicelib.kernel.ids import MemberId, SessionId

    session = SessionId("ses_" + "a" * 26)
    return api.with_(house.issuer.issue(MemberId(member_id), session, now=api.clock()))
