"""Events and contexts as API Gateway (REST, proxy integration) and Lambda make them."""

import base64
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

from local.settings import REGION

_TIME_LIMIT = 29.0
"""Seconds: API Gateway waits no longer."""


class LambdaContext:
    """What Lambda tells a handler about its invocation."""

    __slots__ = ("_deadline", "aws_request_id", "function_name", "invoked_function_arn", "log_group_name")

    function_version = "$LATEST"
    memory_limit_in_mb = 1024
    log_stream_name = "local"
    identity = None
    client_context = None

    def __init__(self, function: str = "regulars-local-api", seconds: float = _TIME_LIMIT) -> None:
        self.function_name = function
        self.invoked_function_arn = f"arn:aws:lambda:{REGION}:000000000000:function:{function}"
        self.log_group_name = f"/aws/lambda/{function}"
        self.aws_request_id = str(uuid4())
        self._deadline = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the function, or API Gateway stop waiting."""
        return int((self._deadline - time.monotonic()) * 1000)


def proxy_event(
    scope: dict[str, Any],
    *,
    resource: str,
    path: str,
    params: dict[str, str] | None,
    body: bytes,
    binary_types: frozenset[str],
    request_id: str,
) -> dict[str, Any]:
    """The event for one request.

    Args:
        scope: ASGI's; header names arrive in lower case, which HTTP allows.
        path: as it was sent, still encoded.
        params: the decoded path parameters, or None.
    """
    method: str = scope["method"]
    headers, multi_headers = _headers(scope["headers"])
    query, multi_query = _query(scope["query_string"])
    text, encoded = _body(body, headers.get("content-type", ""), binary_types)
    client = scope.get("client")
    now = time.time()
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": query,
        "multiValueQueryStringParameters": multi_query,
        "pathParameters": params,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "resourceId": "local",
            "resourcePath": resource,
            "httpMethod": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "stage": "local",
            "domainName": headers.get("host", ""),
            "domainPrefix": "local",
            "requestId": request_id,
            "extendedRequestId": request_id,
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "requestTimeEpoch": int(now * 1000),
            "identity": {
                "sourceIp": client[0] if client else "127.0.0.1",
                "userAgent": headers.get("user-agent"),
            },
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def _headers(sent: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Headers with the last value of each name, and with all of them."""
    single: dict[str, str] = {}
    multi: dict[str, list[str]] = {}
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in single:
            multi[name].append(value)
        else:
            multi[name] = [value]
        single[name] = value
    return single, multi


def _query(sent: bytes) -> tuple[dict[str, str] | None, dict[str, list[str]] | None]:
    """Decoded query parameters with the last value of each name, and with all; None twice without any."""
    if not sent:
        return None, None
    multi: dict[str, list[str]] = {}
    for name, value in parse_qsl(sent.decode("latin-1"), keep_blank_values=True):
        multi.setdefault(name, []).append(value)
    if not multi:
        return None, None
    return {name: values[-1] for name, values in multi.items()}, multi


def _body(sent: bytes, content_type: str, binary_types: frozenset[str]) -> tuple[str | None, bool]:
    """A body as text, or as base64 when its type is binary.

    What is not UTF-8 becomes U+FFFD, as API Gateway has it; the app refuses bodies that hold it.
    """
    if not sent:
        return None, False
    if content_type.partition(";")[0].strip().lower() in binary_types:
        return base64.b64encode(sent).decode("ascii"), True
    return sent.decode("utf-8", "replace"), False


@lru_cache(maxsize=256)  # a few dozen names, a dozen of them in every answer
def _spelt(name: str) -> bytes:
    return name.lower().encode("latin-1")


def answered(response: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of a handler's answer, in ASGI's shape."""
    body: bytes = base64.b64decode(response["body"]) if response.get("isBase64Encoded") else response["body"].encode()
    single: dict[str, Any] = response.get("headers") or {}
    multi: dict[str, Sequence[Any]] = response.get("multiValueHeaders") or {}
    pairs = [*single.items(), *((name, value) for name, values in multi.items() for value in values)]
    headers = [(_spelt(name), str(value).encode("latin-1")) for name, value in pairs]
    if body and not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/json"))  # API Gateway's default
    return int(response["statusCode"]), headers, body
