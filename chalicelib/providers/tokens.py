"""JSON interfaces of WeChat and WeCom: an access token that is had for a secret, kept and had anew."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent
from chalicelib.providers.port import ProviderMisconfigured
from chalicelib.storage.egress import Answer, Limits, Line, NotSpoken, answered

EARLIER = timedelta(seconds=300)
"""A token is had anew so long before it is over."""
_OLD = {40001, 40014, 42001, 40082}
"""Codes that say: this token is no more."""
_SIZE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Api:
    """Where one of them answers.

    Attributes:
        base: `https://host`; `http://127.0.0.1:port` in tests.
    """

    base: str
    seconds: float = calls.SECONDS

    def ask(self, method: str, path: str, query: dict[str, str], body: Any = None) -> dict[str, Any]:
        """What it answers, an object with `errcode` where something is wrong.

        Raises:
            NotSent, Lost: it did not answer.
        """
        parts = urlsplit(self.base)
        https, host = parts.scheme == "https", parts.hostname or ""
        # Its words are sent as they are: WeChat shows \\u escapes of some characters as they stand.
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() if body is not None else b""
        head = (
            f"{method} {path}?{urlencode(query)} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: regulars\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        line = Line(host, parts.port or (443 if https else 80), host, https)
        try:
            answer = answered(line, head.encode("ascii") + content, method, Limits(self.seconds, _SIZE))
        except NotSpoken as fault:
            raise (Lost("NoAnswer") if fault.written else NotSent("Unreachable")) from None
        return _read(answer)


def _read(answer: Answer) -> dict[str, Any]:
    calls.require_taken(answer.status, answer.headers)
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    if answer.status != 200 or not isinstance(said, dict):
        raise Lost("AnswerUnclear")
    return said


Fetch = Callable[[bool], dict[str, Any]]
"""Asks for a token, given whether one that is good by its date is to be replaced; `access_token` and `expires_in`."""


@dataclass
class Token:
    """An access token, as long as it is good.

    Args:
        fetch: asks for one.
    """

    fetch: Fetch
    clock: Callable[[], datetime]
    _text: str = field(default="", repr=False)
    _until: datetime | None = None

    def text(self) -> str:
        """The token.

        Raises:
            NotSent: there was no answer; nothing was sent yet.
            ProviderMisconfigured: there is none for this secret.
        """
        if self._until is None or self.clock() >= self._until - EARLIER:
            self._renew(anew=False)
        return self._text

    def renew(self) -> bool:
        """Have another token in place of one that was turned down; whether there is another."""
        before = self._text
        self._renew(anew=False)
        if self._text == before:
            self._renew(anew=True)
        return self._text != before

    def _renew(self, *, anew: bool) -> None:
        try:
            said = self.fetch(anew)
        except Lost as lost:
            raise NotSent(lost.code) from None  # a message was not even tried
        code = said.get("errcode") or 0
        text, seconds = said.get("access_token"), said.get("expires_in")
        if code in (-1, 45009, 45011):
            raise NotSent(str(code), throttled=code != -1, retry_after=60)
        if code or not isinstance(text, str) or not isinstance(seconds, int):
            raise ProviderMisconfigured(f"token {code}")
        self._text, self._until = text, self.clock() + timedelta(seconds=seconds)


def with_token(token: Token, ask: Callable[[str], dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """What an interface answers, asked once more with another token where the first was turned down: code and all.

    Raises:
        NotSent, Lost, ProviderMisconfigured: see `Api.ask` and `Token.text`.
    """
    said = ask(token.text())
    if said.get("errcode") in _OLD and token.renew():
        said = ask(token.text())
    code = said.get("errcode")
    if not isinstance(code, int):
        raise Lost("AnswerUnclear")
    return code, said
