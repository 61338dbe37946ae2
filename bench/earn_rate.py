"""Purchases a second over HTTP, against what the emulator can do at all in the same run.

The peer is dynoxide itself, sent the very transactions that the purchases cause (recorded beforehand: same items,
conditions, indexes, stream) over as many connections by the same generator. The two take turns on one database.
"""

import json
import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import load
from bench.catalogues import Catalogue, coffee, purchase_body
from bench.report import Figure, percentile, table
from bench.server import Server, serving
from bench.stack import REGION, Stack, client, database, make_table, stack_on, usage
from chalicelib.storage.dynamo import Credentials, Dynamo

CLIENTS = 16
LINES_MAX = 5
_MEMBERS_PER_CLIENT = 8


@dataclass(frozen=True)
class Plan:
    """How much is sent.

    Attributes:
        rounds: how often server and emulator take turns.
        purchases: of each client in a round.
        writes: of each client in a round sent straight to the emulator.
    """

    rounds: int
    purchases: int
    writes: int


@dataclass
class Round:
    """One turn: answers per second, and CPU milliseconds per answer."""

    rate: float
    p99_ms: float
    api_ms: float
    database_ms: float
    generator_ms: float


def run(*, quick: bool = False) -> Figure:
    """Take turns; the value is the median rate of the server ÷ the median rate of the emulator."""
    plan = Plan(1, 10, 10) if quick else Plan(5, 80, 80)
    payloads = recorded(plan)
    with serving() as server:
        straight = raw_lanes(server.dynamodb, payloads)
        bodies = _bodies(server, plan)
        through, raw = [], []
        turn(server, server.url, [lane[:20] for lane in bodies], b"HTTP/1.1 201")  # caches fill
        bodies = [lane[20:] for lane in bodies]
        for number in range(plan.rounds):
            part = slice(number * plan.writes, (number + 1) * plan.writes)
            raw.append(turn(server, server.dynamodb, [lane[part] for lane in straight], b"HTTP/1.1 200"))
            part = slice(number * plan.purchases, (number + 1) * plan.purchases)
            through.append(turn(server, server.url, [lane[part] for lane in bodies], b"HTTP/1.1 201"))
    return _figure(through, raw)


def _figure(through: list[Round], raw: list[Round]) -> Figure:
    served, straight = _median(through), _median(raw)
    table(
        [f"{CLIENTS} clients", "per s", "p99 ms", "CPU ms: API", "dynoxide", "generator"],
        [
            [name, each.rate, each.p99_ms, each.api_ms, each.database_ms, each.generator_ms]
            for name, each in (("purchases over HTTP", served), ("transactions straight to dynoxide", straight))
        ],
    )
    ratios = [a.rate / b.rate for a, b in zip(through, raw, strict=True)]
    details = {
        "http": served.__dict__,
        "raw": straight.__dict__,
        "ratio_of_each_round": [round(each, 3) for each in ratios],
    }
    return Figure(
        "earn_rate", "purchases per second over HTTP ÷ the emulator's own two-item transactions",
        served.rate / straight.rate, 0.6, "×", lower_is_better=False, details=details,
    )  # fmt: skip


def turn(server: Server, url: str, lanes: list[list[bytes]], expect: bytes) -> Round:
    api, base = server.api_usage().cpu_seconds, usage(server.database).cpu_seconds
    outcome = load.send(url, lanes, expect=expect)
    count = len(outcome.latencies)
    return Round(
        rate=round(outcome.rate, 1),
        p99_ms=round(percentile(outcome.latencies, 99) * 1000, 2),
        api_ms=round((server.api_usage().cpu_seconds - api) / count * 1000, 3),
        database_ms=round((usage(server.database).cpu_seconds - base) / count * 1000, 3),
        generator_ms=round(outcome.cpu_seconds / count * 1000, 3),
    )


def _median(rounds: list[Round]) -> Round:
    return Round(**{name: statistics.median(getattr(each, name) for each in rounds) for name in Round.__annotations__})


def _bodies(server: Server, plan: Plan) -> list[list[bytes]]:
    """Purchases as bytes, one list for each client; its members are its own."""
    catalogue, chance, now = coffee(), random.Random(5), datetime.now(UTC)
    headers = {"content-type": "application/json", "authorization": f"Bearer {server.token}"}
    lanes = []
    for lane in range(CLIENTS):
        people = [_enrolled(server, lane * 100 + number) for number in range(_MEMBERS_PER_CLIENT)]
        lanes.append(
            [
                load.request(
                    server.url + "/v1/purchases",
                    json.dumps(_body(catalogue, chance, people, now, lane, number), ensure_ascii=False).encode(),
                    headers,
                )
                for number in range(20 + plan.rounds * plan.purchases)
            ]
        )
    return lanes


def _enrolled(server: Server, number: int) -> str:
    member: dict[str, Any] = server.post("/v1/members", {"name": "王小明", "mobile": f"+86137{number:08d}"})
    return str(member["member_id"])


def _body(
    catalogue: Catalogue, chance: random.Random, people: list[str], now: datetime, lane: int, number: int
) -> dict[str, Any]:
    lines = catalogue.lines(chance, chance.randint(1, LINES_MAX))
    member = {"member_id": people[number % len(people)]}
    return purchase_body(member, lines, at=now - timedelta(seconds=1), number=lane * 10_000 + number)


# ---------------------------------------------------------------- straight to the emulator


class Recorder(Dynamo):
    """A client that also keeps each transaction it sends."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(REGION, endpoint, lambda: Credentials("bench", "bench"), lambda: datetime.now(UTC))
        self.sent: list[Mapping[str, Any]] = []

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        if operation == "TransactWriteItems":
            self.sent.append(payload)
        return super().call(operation, payload)


def recorded(plan: Plan) -> tuple[str, list[Mapping[str, Any]], list[list[Mapping[str, Any]]]]:
    """The table's name, what opens the accounts, and each client's transactions: from purchases really carried out."""
    with database() as server:
        recorder = Recorder(server.endpoint)
        stack = stack_on(recorder, datetime.now(UTC), metered=False)
        people = [[stack.enrol() for _ in range(_MEMBERS_PER_CLIENT)] for _ in range(CLIENTS)]
        opening = [sent for sent in recorder.sent if stack.table.name in json.dumps(sent)]  # not the keys of members
        lanes = [_lane(stack, recorder, [str(each) for each in own], lane, plan) for lane, own in enumerate(people)]
        recorder.close()
    return stack.table.name, opening, lanes


def _lane(stack: Stack, recorder: Recorder, people: list[str], lane: int, plan: Plan) -> list[Mapping[str, Any]]:
    catalogue, chance = coffee(), random.Random(lane)
    recorder.sent.clear()
    for number in range(plan.rounds * plan.writes):
        now = stack.clock.forward(milliseconds=1)
        stack.buy(_body(catalogue, chance, people, now, lane, number))
    return [*recorder.sent]


def raw_lanes(
    endpoint: str, payloads: tuple[str, list[Mapping[str, Any]], list[list[Mapping[str, Any]]]]
) -> list[list[bytes]]:
    """A fresh table with the same accounts, and the transactions as bytes for it."""
    name, opening, lanes = payloads
    dynamo = client(endpoint)
    fresh = make_table(dynamo)
    for payload in opening:
        dynamo.call("TransactWriteItems", json.loads(json.dumps(payload).replace(f'"{name}"', f'"{fresh}"')))
    dynamo.close()
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "DynamoDB_20120810.TransactWriteItems",
        "x-amz-date": f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        "authorization": "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64,
    }
    return [
        [load.request(endpoint, _rendered(payload, name, fresh), headers) for payload in payloads] for payloads in lanes
    ]


def _rendered(payload: Mapping[str, Any], name: str, fresh: str) -> bytes:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.replace(f'"{name}"', f'"{fresh}"').encode()
