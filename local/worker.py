"""One worker of the local server: `python -m local.worker PARENT NUMBER SOCKET COUNTS READY GATE`.

PARENT is a pid, NUMBER counts from 0, the rest are file descriptors. It loads the app,
waits at the gate until the tables are there, serves the shared socket, and tells READY so.
"""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn

from local.counts import Counts
from local.tether import tether

_POLITE = 0.002
"""Seconds that a new connection is left to a worker with fewer; an idle one takes it at once."""


class Server(uvicorn.Server):
    """A server that shares connections out evenly and tells its supervisor when it listens.

    Left to themselves, the processes on one socket take what they see first: one of them got 16 of 16.
    """

    def __init__(self, config: uvicorn.Config, listening: socket.socket, counts: Counts, ready: int) -> None:
        super().__init__(config)
        self._listening = listening
        self._counts = counts
        self._ready = ready
        self._waited = False
        self._opening: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections from now on, and write one byte to the supervisor."""
        await super().startup(sockets or [])
        self._listening.setblocking(False)
        self._attend()
        os.write(self._ready, b"1")
        os.close(self._ready)

    async def on_tick(self, counter: int) -> bool:
        """Publish the count ten times a second; connections end unseen."""
        self._counts.publish(len(self.server_state.connections))
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, finish those there are."""
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        await super().shutdown(sockets)

    def _attend(self) -> None:
        if self._listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        """Take one new connection, unless another worker should have it."""
        loop = asyncio.get_running_loop()
        count = len(self.server_state.connections) + len(self._opening)
        if not self._waited and self._counts.is_most(count):
            self._waited = True
            loop.remove_reader(self._listening)
            loop.call_later(_POLITE, self._attend)
            return
        self._waited = False
        try:
            connection, _ = self._listening.accept()
        except BlockingIOError:
            return  # another was quicker
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # answers are two small writes
        self._counts.publish(count + 1)
        opening = loop.connect_accepted_socket(self._protocol, connection)
        task: asyncio.Task[object] = loop.create_task(opening)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _protocol(self) -> asyncio.Protocol:
        """uvicorn's own protocol for one connection."""
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def config_of(app: Callable[..., Any]) -> uvicorn.Config:
    """How the app is served.

    No proxy stands before a laptop, so who calls is whoever connected: `X-Forwarded-For` says only what they like.
    """
    return uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )


def main() -> None:
    """Serve until told to stop."""
    parent, number, socket_fd, counts_fd, ready, gate = map(int, sys.argv[1:])
    tether(parent)

    # Only after the tether, so that not even a slow import outlives the parent.
    from app import app  # noqa: PLC0415
    from local.adapter import Adapter  # noqa: PLC0415
    from local.settings import settings  # noqa: PLC0415

    app.open()
    gc.freeze()  # as `app.py` does, with the rest of the routes
    listening = socket.socket(fileno=socket_fd)
    os.read(gate, 1)  # returns when the supervisor opens the gate by closing its end
    os.close(gate)
    Server(config_of(Adapter(app, settings().issuers)), listening, Counts(counts_fd, number), ready).run()


if __name__ == "__main__":
    main()
