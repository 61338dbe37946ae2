"""A small client for AWS services that speak JSON: one POST, signed, over one kept connection.

It serves DynamoDB (`dynamo.py`), SQS (`queues.py`) and EventBridge (`bus.py`), which differ in a name, a target prefix
and a content type. Its signing is checked against botocore's in `tests/unit/test_dynamo.py`. Nothing is retried here;
what may be retried is decided by those who know what a repeat would do.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json, to_json

from chalicelib.storage.wire import READ_SECONDS, ProtocolBroken, Wire


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request is signed with."""

    access_key: str
    secret_key: str
    session_token: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """What one service calls itself.

    Attributes:
        name: in its endpoint and in the signature's scope.
        prefix: of `X-Amz-Target`, before the operation.
        content_type: the version of the JSON protocol.
    """

    name: str
    prefix: str
    content_type: str = "application/x-amz-json-1.0"


class ServiceFault(Exception):
    """A service answered with an error.

    Attributes:
        code: the error's short name, `TransactionCanceledException`.
        status: HTTP status.
        body: the error in full.
    """

    def __init__(self, code: str, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(f"{code} ({status}): {body.get('message') or body.get('Message') or ''}")
        self.code = code
        self.status = status
        self.body = body


class Unreachable(Exception):
    """No answer came: it is not known whether the request was carried out."""


class SignedClient:
    """Calls operations of one endpoint. Each thread gets a connection of its own.

    Args:
        service: whom it calls.
        region: AWS region, which names the endpoint and the signature's scope.
        endpoint: `https://…` or `http://…`; the region's own when None.
        credentials: gives what to sign with, asked for on each call, so that rotated credentials take effect.
        clock: gives the time to sign with.
        patience: seconds that an answer may take.
    """

    def __init__(
        self,
        service: Service,
        region: str,
        endpoint: str | None,
        credentials: Callable[[], Credentials],
        clock: Callable[[], datetime],
        *,
        patience: float = READ_SECONDS,
    ) -> None:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        target = urlsplit(endpoint or f"https://{service.name}.{region}.{suffix}")
        self._service = service.name
        self._prefix = service.prefix
        self._content_type = service.content_type
        self._https = target.scheme == "https"
        self._host = target.hostname or ""
        self._port = target.port or (443 if self._https else 80)
        self._netloc = target.netloc
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self._patience = patience
        self._signing_key: tuple[str, str, bytes] = ("", "", b"")
        self._local = threading.local()

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Perform an operation.

        Raises:
            ServiceFault: the service answered with an error.
            Unreachable: no answer came.
        """
        body = to_json(payload)
        headers = self.signed(operation, body, self._credentials(), self._clock())
        status, answer, _ = self._exchange(body, headers, "/")
        try:
            parsed: dict[str, Any] = from_json(answer) if answer else {}
        except ValueError:
            if status == 200:
                raise Unreachable("the answer is not JSON") from None
            parsed = {"message": answer[:200].decode(errors="replace")}
        if status == 200:
            return parsed
        code = str(parsed.get("__type") or f"Http{status}").rpartition("#")[2]
        raise ServiceFault(code, status, parsed)

    def post(self, path: str, payload: Mapping[str, Any]) -> tuple[int, bytes, Mapping[bytes, bytes]]:
        """What a service answers that tells its operations apart by paths: status, body, fields of its head.

        Args:
            path: of characters that stand for themselves in a URL.

        Raises:
            Unreachable: no answer came.
        """
        body = to_json(payload)
        return self._exchange(body, self.signed("", body, self._credentials(), self._clock(), path), path)

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        wire: Wire | None = getattr(self._local, "wire", None)
        if wire is not None:
            wire.close()
            self._local.wire = None

    def signed(
        self, operation: str, body: bytes, credentials: Credentials, now: datetime, path: str = "/"
    ) -> dict[str, str]:
        """The headers of a request, with its signature (AWS Signature Version 4)."""
        utc = now.astimezone(UTC)
        stamp = f"{utc.year:04d}{utc.month:02d}{utc.day:02d}T{utc.hour:02d}{utc.minute:02d}{utc.second:02d}Z"
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        headers = {
            "content-type": self._content_type,
            "host": self._netloc,
            "x-amz-date": stamp,
            **({"x-amz-target": f"{self._prefix}.{operation}"} if operation else {}),
        }
        if credentials.session_token:
            headers["x-amz-security-token"] = credentials.session_token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
        key = self._key_of(credentials.secret_key, stamp[:8])
        signature = hmac.digest(key, to_sign.encode(), hashlib.sha256).hex()
        credential = f"{credentials.access_key}/{scope}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _key_of(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._signing_key
        if (known_secret, known_day) == (secret, day):
            return key
        key = ("AWS4" + secret).encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = hmac.digest(key, part.encode(), hashlib.sha256)
        self._signing_key = (secret, day, key)
        return key

    def _exchange(self, body: bytes, headers: Mapping[str, str], path: str) -> tuple[int, bytes, Mapping[bytes, bytes]]:
        wire: Wire | None = getattr(self._local, "wire", None)
        try:
            if wire is None or not wire.kept:
                self.close()
                wire = self._local.wire = Wire(self._host, self._port, https=self._https, patience=self._patience)
            status, answer = wire.exchange(body, headers, path)
            return status, answer, wire.said
        except (OSError, ProtocolBroken) as fault:
            self.close()
            raise Unreachable(f"{type(fault).__name__}: {fault}") from fault
        except BaseException:
            self.close()  # stopped half-way: what comes next on this connection would be taken for another answer
            raise
