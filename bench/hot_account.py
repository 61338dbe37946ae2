"""Spends from one pool by the lane, against spends from as many pools as there are clients, each directly.

Every transaction has one chance in five to be refused for a conflict that somebody else is said to have caused. Both
sides run the product's own use cases on one dynoxide, by turns, from as many threads of one process. The line is a FIFO
in this process with one worker, which is what a FIFO queue allows a group: ministack would be measured otherwise, which
is slower than SQS and runs beside us on the same two cores. So what SQS takes to hand a message on is not in these
figures; it makes answers later, not fewer, until a group's 300 messages a second are used up (ADR 0031).
"""

import random
import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.report import Figure, percentile, table
from bench.stack import REGION, Stack, database, stack_on
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.lane import service as lane_service
from chalicelib.points.models import AdjustPoints, EntryView
from chalicelib.points.service import adjust_points
from chalicelib.pools import service as pools
from chalicelib.pools.models import Contribute, OpenPool, PoolId, SetMembership, SpendFromPool
from chalicelib.storage.dynamo import Credentials, Dynamo, DynamoFault
from chalicelib.storage.line import Asked, Lane
from chalicelib.storage.table import DynamoTable

CONFLICTS = 0.2
_ENOUGH = 1_000_000
_BATCH = 10


@dataclass(frozen=True)
class Plan:
    """How much is sent.

    Attributes:
        clients: threads, each of which has one spend under way.
        spends: of each client in a round.
    """

    rounds: int
    clients: int
    spends: int


@dataclass(frozen=True)
class Round:
    """One turn.

    Attributes:
        failed: answers that were trouble, by their code.
        batches: commands in a transaction of the lane, on the average; 0 for the direct way.
    """

    rate: float
    p99_ms: float
    failed: dict[str, int]
    batches: float = 0.0


class Conflicting(Dynamo):
    """A client whose transactions meet a conflict now and then."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(REGION, endpoint, lambda: Credentials("bench", "bench"), lambda: datetime.now(UTC))
        self.share = 0.0
        self.injected = 0
        self._chance = random.Random(7)

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        if operation == "TransactWriteItems" and self._chance.random() < self.share:
            self.injected += 1
            reasons = [{"Code": "TransactionConflict"}]
            raise DynamoFault("TransactionCanceledException", 400, {"CancellationReasons": reasons})
        return super().call(operation, payload)


class Fifo:
    """A line in this process: one account, one worker."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._came = threading.Condition()
        self._closed = False

    def send(self, group: str, body: str, *, once: str) -> None:  # noqa: ARG002 - the port's shape
        """See `Line.send`."""
        with self._came:
            self._waiting.append(body)
            self._came.notify()

    def take(self) -> list[str]:
        """Up to ten messages, when there are any; none when the line is closed."""
        with self._came:
            self._came.wait_for(lambda: self._waiting or self._closed)
            return [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]

    def close(self) -> None:
        """Let the worker go."""
        with self._came:
            self._closed = True
            self._came.notify()


def run(*, quick: bool = False) -> Figure:
    """Take turns; the value is the median rate of the one pool by the lane ÷ that of many pools directly."""
    plan = Plan(1, 4, 5) if quick else Plan(3, 32, 40)
    with database() as server:
        dynamo = Conflicting(server.endpoint)
        stack = stack_on(dynamo, datetime.now(UTC), metered=False)
        members = [stack.enrol() for _ in range(plan.clients)]
        own = [_pool(stack, f"own-{number}", [member]) for number, member in enumerate(members)]
        shared, straight = _pool(stack, "shared", members), _pool(stack, "straight", members)
        dynamo.share = CONFLICTS
        many, lane, one = [], [], []
        for number in range(plan.rounds):
            many.append(_directly(stack, plan, members, own, f"m{number}"))
            lane.append(_by_lane(stack, plan, members, shared, f"l{number}"))
            one.append(_directly(stack, plan, members, [straight] * plan.clients, f"o{number}"))
        dynamo.share = 0.0
        total = plan.rounds * plan.clients * plan.spends
        _require_balances(stack, plan, {shared: total, straight: total - _failures(one)}, own)
        dynamo.close()
    return _figure(plan, many, lane, one, dynamo.injected)


def _figure(plan: Plan, many: list[Round], lane: list[Round], one: list[Round], injected: int) -> Figure:
    rows = {"many pools, directly": many, "one pool, by the lane": lane, "one pool, directly": one}
    table(
        [f"{plan.clients} clients", "per s", "p99 ms", "failed"],
        [
            [name, _median(rounds), statistics.median(each.p99_ms for each in rounds), _failures(rounds)]
            for name, rounds in rows.items()
        ],
    )
    details = {
        name: {
            "per_second": _median(rounds),
            "rounds": [each.rate for each in rounds],
            "p99_ms": [each.p99_ms for each in rounds],
            "failed": dict(sum((Counter(each.failed) for each in rounds), Counter[str]())),
        }
        for name, rounds in rows.items()
    }
    details["lane"] = {
        "commands_per_transaction": round(statistics.mean(each.batches for each in lane), 2),
        "wru_per_command": {size: 3 + 2 / size for size in (1, 5, 10)},
        "injected_conflicts": injected,
    }
    failed = _failures(lane)
    return Figure(
        "hot_account", "spends per second from one pool by the lane ÷ from many pools directly, 20 % conflicts"
        + (f"; {failed} FAILED" if failed else ", none failed"),
        0.0 if failed else _median(lane) / _median(many), 0.5, "×", lower_is_better=False, details=details,
    )  # fmt: skip


def _median(rounds: Sequence[Round]) -> float:
    return statistics.median(each.rate for each in rounds)


def _failures(rounds: Sequence[Round]) -> int:
    return sum(sum(each.failed.values()) for each in rounds)


# ---------------------------------------------------------------- the two ways


def _directly(stack: Stack, plan: Plan, members: Sequence[MemberId], from_pools: Sequence[PoolId], name: str) -> Round:
    def spend(client: int, number: int) -> None:
        pools.spend_from_pool(
            stack.table, stack.book, from_pools[client], f"{name}-{client}-{number}", _command(members[client]),
            now=datetime.now(UTC), language=Language.ZH,
        )  # fmt: skip

    return _turn(stack, plan, spend)


def _by_lane(stack: Stack, plan: Plan, members: Sequence[MemberId], pool: PoolId, name: str) -> Round:
    ops, line = _ops(stack), Fifo()
    lane = Lane(line, ops)
    sizes: list[int] = []

    def work() -> None:
        while bodies := line.take():
            asked = [Asked.model_validate_json(body) for body in bodies]
            lane_service.carry_out(stack.table, ops, stack.book, asked, now=datetime.now(UTC))
            sizes.append(len(asked))
        stack.dynamo.close()

    def spend(client: int, number: int) -> None:
        key, command, token = f"{name}-{client}-{number}", _command(members[client]), f"{name}{client}-{number}"
        asked = Asked(
            kind="pool_spend", account_id=pool, key=key, command=command.model_dump_json(), language=Language.ZH,
            token=token, asked_at=datetime.now(UTC),
        )  # fmt: skip

        def find() -> EntryView | None:
            found = pools.find_spend(stack.table, stack.book, pool, key, command, token=token, language=Language.ZH)
            assert found is None or not found.replayed
            return found.value if found else None

        lane.hand_over(asked)
        lane.answer(asked, find)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        done = _turn(stack, plan, spend)
    finally:
        line.close()
        worker.join()
    return Round(done.rate, done.p99_ms, done.failed, statistics.mean(sizes))


def _turn(stack: Stack, plan: Plan, spend: Callable[[int, int], None]) -> Round:
    """Every client spends one after the other, all clients at once."""
    latencies: list[float] = []
    failed: Counter[str] = Counter()
    bugs: list[BaseException] = []
    ready = threading.Barrier(plan.clients + 1)

    def client(number: int) -> None:
        ready.wait()
        try:
            for each in range(plan.spends):
                started = time.perf_counter()
                try:
                    spend(number, each)
                except Trouble as trouble:
                    failed[trouble.code] += 1
                latencies.append(time.perf_counter() - started)
        except BaseException as bug:  # noqa: BLE001 - told below
            bugs.append(bug)
        finally:
            stack.dynamo.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(plan.clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if bugs:
        raise bugs[0]
    done = len(latencies) - failed.total()
    return Round(round(done / seconds, 1), round(percentile(latencies, 99) * 1000, 1), dict(failed))


# ---------------------------------------------------------------- pools


def _command(member: MemberId) -> SpendFromPool:
    return SpendFromPool(member_id=member, points=1)


def _ops(stack: Stack) -> DynamoTable:
    return DynamoTable(stack.dynamo, stack.table.name.removesuffix("core") + "ops")


def _pool(stack: Stack, name: str, members: Sequence[MemberId]) -> PoolId:
    """A pool with points enough, in which all may spend without a limit."""
    now, owner = datetime.now(UTC), members[0]
    given = AdjustPoints(points=_ENOUGH, reason_code="bench")
    adjust_points(stack.table, stack.book, owner, name, given, now=now, language=Language.ZH)
    command = OpenPool(owner_id=owner, name=name)
    pool = pools.open_pool(stack.table, stack.book, command, name, now=now).value.pool_id
    moved = Contribute(member_id=owner, points=_ENOUGH)
    pools.contribute(stack.table, stack.book, pool, name, moved, now=now, language=Language.ZH)
    for member in members[1:]:
        pools.set_member(stack.table, stack.book, pool, member, SetMembership(), now=now)
    return pool


def _require_balances(stack: Stack, plan: Plan, spent: Mapping[PoolId, int], own: Sequence[PoolId]) -> None:
    each = plan.rounds * plan.spends
    for pool, points in {**spent, **dict.fromkeys(own, each)}.items():
        found = pools.find_points(stack.table, stack.book, pool, now=datetime.now(UTC)).available
        assert found == _ENOUGH - points, f"{pool} holds {found} points, and should hold {_ENOUGH - points}"
