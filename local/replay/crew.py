"""The clients of a replay: some processes, some connections in each, every customer's purchases on one of them."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from local.replay.rows import Row, lines, occurred_at, read
from local.replay.wire import Silent, Wire
from local.tether import tether

CHANNEL = "cdnow"
SOURCE = "cdnow"
SHOP = "shp_cdnow"
CURRENCY = "USD"

PROCESSES = 2
"""More would only take cores from the server on the laptop that this is for."""


@dataclass(slots=True)
class Tally:
    """What the answers add up to; every field is a whole number."""

    rows: int = 0
    replayed: int = 0
    refused: int = 0
    cents: int = 0
    points: int = 0
    members: int = 0
    members_replayed: int = 0


NAMES = tuple(each.name for each in fields(Tally))


@dataclass(frozen=True, slots=True)
class Errand:
    """What every client is told."""

    path: Path
    shift_days: int
    host: str
    port: int
    token: str
    clients: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the server would not take."""

    line: int
    why: str


class Crew:
    """Clients at work.

    Args:
        errand: the same for all of them; each takes the customers that fall to its number.
    """

    def __init__(self, errand: Errand) -> None:
        context = multiprocessing.get_context("spawn")
        self._clients = errand.clients
        self._figures: Any = context.RawArray("q", errand.clients * len(NAMES))
        self._faults: Queue[Refused | str] = context.Queue()
        count = min(PROCESSES, errand.clients)
        self._processes = [
            context.Process(
                target=_work,
                args=(errand, range(number, errand.clients, count), self._figures, self._faults, os.getpid()),
                daemon=True,
            )
            for number in range(count)
        ]
        self.refused: list[Refused] = []
        self.troubles: list[str] = []

    def start(self) -> None:
        """Send them off."""
        for process in self._processes:
            process.start()

    def stop(self) -> None:
        """Call them back, wherever they are."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def attend(self) -> bool:
        """Take in what they report; whether any of them is still sending."""
        alive = any(process.is_alive() for process in self._processes)
        while not self._faults.empty():
            fault = self._faults.get()
            self.troubles.append(fault) if isinstance(fault, str) else self.refused.append(fault)
        return alive

    @property
    def failed(self) -> bool:
        """Whether one of them ended before its work did."""
        return bool(self.troubles) or any(process.exitcode not in (None, 0) for process in self._processes)

    @property
    def tally(self) -> Tally:
        """What the answers so far add up to."""
        sums = [sum(self._figures[i :: len(NAMES)]) for i in range(len(NAMES))]
        return Tally(*sums)


def _work(errand: Errand, numbers: Sequence[int], figures: Any, faults: "Queue[Refused | str]", parent: int) -> None:
    """One process: a thread for each of its clients."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which calls us back
    tether(parent)
    threads = [threading.Thread(target=_Client(errand, number, figures, faults).run, daemon=True) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _Client:
    """One connection and the customers that fall to it."""

    def __init__(self, errand: Errand, number: int, figures: Any, faults: "Queue[Refused | str]") -> None:
        self._errand = errand
        self._number = number
        self._figures = figures
        self._first = number * len(NAMES)
        self._faults = faults
        self._wire = Wire(errand.host, errand.port, errand.token)

    def run(self) -> None:
        """Enrol each customer, then send their purchases one after the other."""
        customer, member_id = "", ""
        try:
            for row in read(self._errand.path, share=self._number, of=self._errand.clients):
                if row.customer != customer:
                    customer, member_id = row.customer, self._enrol(row)
                taken = self._send(row, member_id) if member_id else False
                self._count(rows=1, refused=int(not taken))
        except Silent as silent:
            self._faults.put(f"The server did not answer for too long ({silent}).")
        finally:
            self._wire.close()

    def _enrol(self, row: Row) -> str:
        """Make a customer a member, or find that they are one already; no id when refused."""
        external = {"source": SOURCE, "id": row.customer}
        body = json.dumps({"external_ids": [external], "source": SOURCE, "shop_id": SHOP}).encode()
        answer = self._wire.insist("POST", "/v1/members", body, key=f"{SOURCE}-{row.customer}")
        if answer.status != 201:
            self._refused(row, answer.status, answer.body)
            return ""
        self._count(members=1, members_replayed=int(answer.replayed))
        return str(json.loads(answer.body)["member_id"])

    def _send(self, row: Row, member_id: str) -> bool:
        """Record a purchase, however often it takes; whether it was taken."""
        body = {
            "channel": CHANNEL,
            "order_no": row.order_no,
            "member": {"member_id": member_id},
            "shop_id": SHOP,
            "occurred_at": occurred_at(row, self._errand.shift_days).isoformat(),
            "currency": CURRENCY,
            "lines": lines(row),
            "paid_minor": row.cents,
        }
        answer = self._wire.insist("POST", "/v1/purchases", json.dumps(body).encode())
        if answer.status != 201:
            self._refused(row, answer.status, answer.body)
            return False
        told = json.loads(answer.body)
        self._count(replayed=int(answer.replayed), cents=told["paid_minor"], points=told["points_earned"])
        return True

    def _refused(self, row: Row, status: int, body: bytes) -> None:
        try:
            why = json.loads(body)["detail"]
        except (ValueError, KeyError, TypeError):
            why = body[:200].decode(errors="replace")
        self._faults.put(Refused(row.line, f"{status}: {why}"))

    def _count(self, **amounts: int) -> None:
        """Add to this client's own figures; nobody else writes them."""
        for name, amount in amounts.items():
            self._figures[self._first + NAMES.index(name)] += amount


def paced(crew: Crew, rows: int, *, say: Callable[[Tally, int, float], None]) -> float:
    """Wait until a crew is done, telling how far it is; seconds that it took."""
    started = time.monotonic()
    while crew.attend():
        time.sleep(0.25)
        say(crew.tally, rows, time.monotonic() - started)
    say(crew.tally, rows, time.monotonic() - started)
    return time.monotonic() - started
