"""The functions that are asked: Lambda's own call, answered on this machine by the deployed handlers."""

import json
import socket
import sys
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.gateway import LambdaContext
from local.pump.functions import Handler
from local.settings import STACK

_BEFORE, _AFTER = f"/2015-03-31/functions/{STACK}-", "/invocations"
_MOST = 6 * 1024 * 1024
"""What Lambda takes and gives."""


class Asked(BaseHTTPRequestHandler):
    """Answers POST …/functions/<name>/invocations as Lambda does: a fault is a 200, and a field of its head says so."""

    protocol_version = "HTTP/1.1"
    handlers: Mapping[str, Handler] = {}

    def do_POST(self) -> None:
        """Hand a question to its function."""
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), _MOST))
        name = self.path.removeprefix(_BEFORE).removesuffix(_AFTER)
        if self.path != f"{_BEFORE}{name}{_AFTER}" or name not in self.handlers:
            self._answer(404, {"Message": f"Function not found: {name}"})
            return
        try:
            answer = self.handlers[name](json.loads(body), LambdaContext(f"{STACK}-{name}", 30))
            self._answer(200, answer)
        except Exception as fault:  # noqa: BLE001 - the edge
            traceback.print_exc()
            self._answer(200, {"errorType": type(fault).__name__, "errorMessage": ""}, failed=True)

    def _answer(self, status: int, answer: Any, *, failed: bool = False) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if failed:
            self.send_header("x-amz-function-error", "Unhandled")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the functions have a log of their own."""


class _Server(ThreadingHTTPServer):
    """A server on a socket that listens already: who came before it was up is waiting there."""

    def __init__(self, held: socket.socket) -> None:
        super().__init__(held.getsockname(), Asked, bind_and_activate=False)
        self.socket.close()
        self.socket = held


def serve(held: int, handlers: Mapping[str, Handler]) -> None:
    """Answer questions until the process is ended, each in a thread of its own.

    Args:
        held: the number of a socket that listens; it outlives the process, and those who wait there with it.
    """
    Asked.handlers = handlers
    with _Server(socket.socket(fileno=held)) as server:
        print(f"Functions that are asked: {', '.join(handlers)}", file=sys.stderr, flush=True)
        server.serve_forever()
