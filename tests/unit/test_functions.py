"""Lambda's own call, as the small client makes it, against what answers it on a laptop."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.functions import LAMBDA, FunctionFailed, LambdaFunctions
from chalicelib.storage.signed import Credentials, SignedClient
from local.pump.asked import Asked


def _busy(question: dict[str, Any], context: Any) -> dict[str, Any]:
    raise StorageBusy


HANDLERS = {
    "echo": lambda question, context: {"asked": question, "by": context.function_name},
    "busy": _busy,
    "broken": lambda question, context: question["missing"],
}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where functions answer."""
    monkeypatch.setattr(Asked, "handlers", HANDLERS)
    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _functions(endpoint: str, patience: float = 3.0) -> LambdaFunctions:
    clock = lambda: datetime(2026, 3, 15, tzinfo=UTC)  # noqa: E731
    client = SignedClient(LAMBDA, "us-east-1", endpoint, lambda: Credentials("a", "s"), clock, patience=patience)
    return LambdaFunctions(client, "regulars")


def test_a_question_is_answered_and_trouble_told_from_faults(endpoint: str) -> None:
    functions = _functions(endpoint)
    for _ in range(2):
        assert functions.ask("echo", {"数": 1}) == {"asked": {"数": 1}, "by": "regulars-echo"}
    with pytest.raises(StorageBusy):
        functions.ask("busy", {})
    with pytest.raises(FunctionFailed, match="KeyError"):
        functions.ask("broken", {})
    with pytest.raises(FunctionFailed, match="Http404"):
        functions.ask("nobody", {})


def test_nobody_there_is_trouble() -> None:
    with pytest.raises(StorageBusy):
        _functions("http://127.0.0.1:9").ask("echo", {})


def test_the_call_is_signed_as_botocore_signs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 3, 15, 4, 5, 6, tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: at.replace(tzinfo=None), raising=False)
    client = SignedClient(LAMBDA, "us-east-1", None, lambda: Credentials("AK", "secret"), lambda: at)
    path = "/2015-03-31/functions/regulars-lake-status/invocations"
    ours = client.signed("", b"{}", Credentials("AK", "secret"), at, path)
    request = AWSRequest("POST", f"https://lambda.us-east-1.amazonaws.com{path}", data=b"{}")
    request.headers["content-type"] = "application/json"
    signer = SigV4Auth(BotoCredentials("AK", "secret"), "lambda", "us-east-1")
    request.context["timestamp"] = "20260315T040506Z"
    request.headers["X-Amz-Date"] = "20260315T040506Z"
    request.headers["host"] = "lambda.us-east-1.amazonaws.com"
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert ours["authorization"].endswith(f"Signature={signature}")
    assert "x-amz-target" not in ours
