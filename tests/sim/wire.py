"""The simulation over an emulator: the product's own client, with faults on the wire.

What the port of `port.py` only says, the client has to do here: wait and send again, tell a lost reply from a failure,
ask for the keys that a batch left out. Calls go to the emulator one at a time, so that the log knows their order.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from chalicelib.storage.dynamo import Dynamo, DynamoFault, Unreachable
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.writes import Item
from local.tables import TEMPLATE, table_calls
from tests.sim.clockwork import Clockwork
from tests.sim.port import MILLISECOND, SECOND, STALE_FOR, Commit, Crashed, Log
from tests.sim.weather import BATCHES, READS, WRITES, Kind, Weather
from tests.sim.world import Plan, World
from tests.table.stand import broken, conflict, scan, throttled

_WRITE, _BATCH = "TransactWriteItems", "BatchGetItem"
_OUT = 6 * SECOND
"""For so long nothing answers, when the port is to give up: longer than its patience."""


@dataclass
class Wired:
    """A table of an emulator, the log of it, the time and the weather."""

    clockwork: Clockwork
    weather: Weather
    dynamo: Dynamo
    name: str
    log: Log = field(default_factory=lambda: Log(remembers=False))
    tokens: set[str] = field(default_factory=set)
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """The newest answer to each read that may be old, and when it was true."""

    def port(self, attempt: int, chance: Random) -> Table:
        """See `Backing.port`."""
        return DynamoTable(
            FaultyWire(self, attempt, chance),
            self.name,
            pause=lambda seconds: self.clockwork.wait(1 + int(seconds * SECOND)),
            timer=lambda: self.clockwork.now / SECOND,
        )

    def items(self) -> dict[Key, Item]:
        """See `Backing.items`."""
        return scan(self.dynamo, self.name)

    def write(self, payload: Mapping[str, Any], by: int) -> dict[str, Any]:
        """Send a transaction, and note it if it takes effect and has not before."""
        answer = self.dynamo.call(_WRITE, payload)
        token = payload.get("ClientRequestToken")
        if token is None or token not in self.tokens:
            written = {key_of(each): each.get("Item", {}) for a in payload["TransactItems"] for each in a.values()}
            self.log.add(Commit(self.clockwork.now, by, dict.fromkeys(written)), written)
        if token is not None:
            self.tokens.add(token)
        return answer


class FaultyWire(Dynamo):
    """The client of one attempt at a command."""

    def __init__(self, wired: Wired, attempt: int, chance: Random) -> None:
        self._wired = wired
        self._attempt = attempt
        self._chance = chance
        self._out_until = 0

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        wired = self._wired
        wired.clockwork.wait(1 + self._chance.randrange(10 * MILLISECOND))
        if wired.clockwork.now < self._out_until:
            raise throttled()
        kinds = WRITES if operation == _WRITE else BATCHES if operation == _BATCH else READS
        fault = wired.weather.strikes(kinds, self._chance)
        self._before(fault, operation, payload)
        wrote = operation == _WRITE
        answer = wired.write(payload, self._attempt) if wrote else self._read(fault, operation, payload)
        return self._after(fault, answer, payload)

    def _before(self, fault: Kind | None, operation: str, payload: Mapping[str, Any]) -> None:
        """What befalls a call that never gets there."""
        match fault:
            case Kind.THROTTLE:
                raise throttled() if self._chance.random() < 0.5 else broken()
            case Kind.CONFLICT:
                raise conflict("TransactionConflict", *["None"] * (len(payload["TransactItems"]) - 1))
            case Kind.BUSY:
                self._go_out()
            case Kind.CRASH_BEFORE:
                raise Crashed
            case Kind.SLOW:
                self._wired.clockwork.wait(SECOND)
            case Kind.LATE:
                self._deliver_later(payload)
                self._go_out()

    def _after(self, fault: Kind | None, answer: dict[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
        """What befalls the answer of a call that was carried out."""
        match fault:
            case Kind.CRASH_AFTER:
                raise Crashed
            case Kind.LOST_REPLY:
                raise Unreachable("the reply was lost")
            case Kind.LOST_FOR_GOOD:
                self._go_out()
            case Kind.DUPLICATE:
                self._deliver_later(payload)
            case Kind.PARTIAL:
                return _in_part(answer, self._chance)
        return answer

    def _read(self, fault: Kind | None, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        wired = self._wired
        if payload.get("ConsistentRead"):
            return wired.dynamo.call(operation, payload)
        asked = operation + json.dumps(payload, sort_keys=True)
        at, old = wired.answers.get(asked, (-STALE_FOR - 1, {}))
        if fault is Kind.STALE and at >= wired.clockwork.now - STALE_FOR:
            return old
        answer = wired.dynamo.call(operation, payload)
        wired.answers[asked] = wired.clockwork.now, answer
        return answer

    def _go_out(self) -> None:
        self._out_until = self._wired.clockwork.now + _OUT
        raise Unreachable("nobody answers")

    def _deliver_later(self, payload: Mapping[str, Any]) -> None:
        wired, attempt = self._wired, self._attempt

        def deliver() -> None:
            with suppress(DynamoFault):  # nobody waits for the answer
                wired.write(payload, attempt)

        wired.clockwork.at(wired.clockwork.now + self._chance.randrange(2 * SECOND), deliver)


def key_of(action: Mapping[str, Any]) -> Key:
    """The key of the item that an action of a transaction writes."""
    typed = action.get("Key") or action["Item"]
    return Key(typed["pk"]["S"], typed["sk"]["S"])


def _in_part(answer: dict[str, Any], chance: Random) -> dict[str, Any]:
    """An answer to a batch that leaves some keys for another time."""
    ((name, items),) = answer["Responses"].items()
    kept = items[: chance.randrange(len(items) + 1)]
    left = [{"pk": item["pk"], "sk": item["sk"]} for item in items[len(kept) :]]
    return {"Responses": {name: kept}, "UnprocessedKeys": {name: {"Keys": left}} if left else {}}


def on_emulator(dynamo: Dynamo) -> Callable[[Plan], World]:
    """Makes worlds over tables of an emulator, each with one of its own."""

    def make(plan: Plan) -> World:
        random.seed(plan.seed)  # the client's jitter
        clockwork, weather = Clockwork(), Weather(dict(plan.odds))
        name = f"sim{plan.seed}-core"
        calls = table_calls(json.loads(TEMPLATE.read_text()), f"sim{plan.seed}")
        call = next(call for call in calls if call["TableName"] == name)
        with suppress(DynamoFault):
            dynamo.call("DeleteTable", {"TableName": name})
        dynamo.call("CreateTable", {each: value for each, value in call.items() if each != "TimeToLiveSpecification"})
        return World(plan, clockwork, weather, Wired(clockwork, weather, dynamo, name))

    return make


@contextmanager
def an_emulator() -> Iterator[Dynamo]:
    """A client of a dynoxide of our own that keeps everything in memory."""
    from datetime import UTC, datetime

    from chalicelib.storage.dynamo import Credentials
    from local.dynamo import Dynoxide

    with Dynoxide() as server:
        client = Dynamo("us-east-1", server.endpoint, lambda: Credentials("sim", "sim"), lambda: datetime.now(UTC))
        yield client
        client.close()
