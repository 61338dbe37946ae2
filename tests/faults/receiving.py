"""A provider for `test_sends.py`, in a process of its own that nobody kills: `python -m tests.faults.receiving FILE`.

It takes messages by HTTP, and puts down each before it answers, in the order in which they came. Slowly, so that many
kills find a call under way.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECONDS = 0.02


def main() -> None:
    """Serve until the process is ended; the port is the first line of output."""
    file, lock = Path(sys.argv[1]).open("a"), threading.Lock()  # noqa: SIM115 - until the process ends

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            names = json.loads(body)
            with lock:
                file.write("".join(f"{self.path[1:]} {name}\n" for name in names))
                file.flush()
            time.sleep(SECONDS)
            answer = json.dumps(names).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    print(server.server_address[1], flush=True)  # noqa: T201
    server.serve_forever()


if __name__ == "__main__":
    main()
