"""What an API process grows to: its peak memory after 1,000 and after 10,000 purchases over HTTP."""

import json
import random
from datetime import UTC, datetime, timedelta

from bench import load
from bench.catalogues import coffee, purchase_body, supermarket
from bench.report import Figure, table
from bench.server import Server, serving

LIMIT_MIB = 160
_MEMBERS = 200
_LANES = 4


def run(*, quick: bool = False) -> Figure:
    """Send purchases to one worker; the value is the growth, or more than the goal when the limit is passed."""
    first, last = (100, 300) if quick else (1_000, 10_000)
    with serving(workers=1) as server:
        people = [_enrolled(server, number) for number in range(20 if quick else _MEMBERS)]
        start = server.api_usage().peak_kib / 1024
        _buy(server, people, 0, first)
        after_first = server.api_usage().peak_kib / 1024
        _buy(server, people, first, last)
        after_last = server.api_usage().peak_kib / 1024
    table(
        ["peak memory of one API process", "MiB"],
        [["after enrolments", start], [f"after {first:,} purchases", after_first], [f"after {last:,}", after_last]],
    )
    growth = after_last / after_first
    print(f"  {after_last:.0f} MiB (goal ≤ {LIMIT_MIB}), growth ×{growth:.3f} (goal ≤ 1.05)")
    return Figure(
        "memory", f"peak after {last} purchases ÷ after {first} (and at most {LIMIT_MIB} MiB)",
        max(growth, 1.05 * after_last / LIMIT_MIB), 1.05, "×",
        details={"mib_at_start": start, "mib_after_first": after_first, "mib_after_last": after_last, "growth": growth},
    )  # fmt: skip


def _enrolled(server: Server, number: int) -> str:
    member: dict[str, str] = server.post("/v1/members", {"name": "王小明", "mobile": f"+86136{number:08d}"})
    return member["member_id"]


def _buy(server: Server, people: list[str], start: int, end: int) -> None:
    """Purchases of all kinds: small and large baskets, each with an order number of its own."""
    chance, shops, now = random.Random(start), (coffee(), supermarket()), datetime.now(UTC) - timedelta(seconds=1)
    headers = {"content-type": "application/json", "authorization": f"Bearer {server.token}"}
    lanes: list[list[bytes]] = [[] for _ in range(_LANES)]
    for number in range(start, end):
        lines = chance.choice(shops).lines(chance, min(int(chance.expovariate(1 / 5)) + 1, 40))
        body = purchase_body({"member_id": people[number % len(people)]}, lines, at=now, number=number)
        raw = json.dumps(body, ensure_ascii=False).encode()
        lanes[number % _LANES].append(load.request(server.url + "/v1/purchases", raw, headers))
    load.send(server.url, lanes, expect=b"HTTP/1.1 201")
