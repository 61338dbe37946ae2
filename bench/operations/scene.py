"""Where an operation is metered: one member as they stand on a day, in tables of their own.

Three members stand for all: a newcomer who has bought once, a regular of a coffee chain after a year, and one who has
shopped in a supermarket for three. Each lived through the product and was written down, and the tables
are put back to that before every operation, so that no operation changes what another costs. Nothing is left to chance
or to the time of day: ids, baskets and the clock are the same each time, and so are the units.
"""

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from bench.catalogues import Catalogue, coffee, purchase_body, supermarket
from bench.http_app import call, event_for
from bench.stack import AUDIENCE, ISSUER, KEYS, REGION, Clock, Meter, item_bytes, keyring_over, make_table
from chalicelib.api.routing import ROUTES
from chalicelib.jobs import jobs
from chalicelib.jobs.models import Part
from chalicelib.kernel.ids import MemberId, SessionId
from chalicelib.members import routes as member_routes
from chalicelib.members.rules import Misses
from chalicelib.points import store as points_store
from chalicelib.points.models import Account, Due
from chalicelib.points.service import bring_up_to_date
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.providers.settings import Callback
from chalicelib.runtime import wiring
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Credentials, Dynamo, DynamoFault, unmarshalled
from chalicelib.storage.signing import FileSigner, PublicKey
from chalicelib.storage.table import DynamoTable

TODAY = datetime(2026, 3, 15, 4, tzinfo=UTC)
"""Noon in Shanghai, on the members' birthday."""

MOBILE, EMAIL, CARD = "+8613912345678", "wang.xiaoming@example.com", "622100001234"

Typed = dict[str, Any]
"""An item in DynamoDB's types."""

Items = dict[tuple[str, str], Typed]
"""Items by their keys."""

CALLBACK_SECRET = "bench-callback-secret-of-a-provider"


@dataclass(frozen=True)
class Person:
    """A member who stands for others.

    Attributes:
        months: for how long they have bought twice a month; 0 for once, a week ago.
    """

    name: str
    months: int
    catalogue: Callable[[], Catalogue]
    lines_max: int


PEOPLE = (
    Person("newcomer", 0, coffee, 3),
    Person("regular", 12, coffee, 3),
    Person("old customer", 36, supermarket, 40),
)


class Watch(Dynamo):
    """A client that counts its calls and weighs the items that it writes."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(REGION, endpoint, lambda: Credentials("bench", "bench"), lambda: datetime.now(UTC))
        self.reset()

    def reset(self) -> None:
        """Start from nothing."""
        self.trips, self.refused, self.largest = 0, 0, 0

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        self.trips += 1
        try:
            answer = super().call(operation, payload)
        except DynamoFault:
            self.refused += 1
            raise
        for action in payload.get("TransactItems", ()):
            if "Put" in action:
                self.largest = max(self.largest, item_bytes(plain(action["Put"]["Item"])))
        return answer


class Tray:
    """A queue in this process."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:  # noqa: ARG002 - the port's shape
        """See `Queues.send`."""
        self.bodies += bodies


class Shelf:
    """A store of files in this process."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, key: str, content: bytes, *, kind: str) -> None:  # noqa: ARG002 - the port's shape
        """See `Objects.put`."""
        self.files[key] = content

    def put_once(self, key: str, content: bytes, *, kind: str) -> bool:
        """See `Objects.put_once`."""
        if key in self.files:
            return False
        self.put(key, content, kind=kind)
        return True

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        return self.files.get(key)

    def delete(self, keys: Sequence[str]) -> None:
        """See `Files.delete`."""
        for key in keys:
            self.files.pop(key, None)

    def list(self, prefix: str, *, after: str | None, limit: int) -> list[str]:
        """See `Objects.list`."""
        return sorted(key for key in self.files if key.startswith(prefix) and key > (after or ""))[:limit]


class Stamp:
    """Signs nothing: what a signature costs is no matter of the table."""

    def public(self) -> PublicKey:
        """See `Signer.public`."""
        return PublicKey(bytes(32), bytes(32))

    def sign(self, message: bytes) -> bytes:  # noqa: ARG002 - the port's shape
        """See `Signer.sign`."""
        return bytes(64)


class Pen(FileSigner):
    """Signs with a key of its own: members' access tokens are verified."""

    def __init__(self) -> None:
        self.__dict__["_private"] = ec.generate_private_key(ec.SECP256R1())


_PEN = Pen()


@dataclass
class Scene:
    """A member in tables of their own, and what an operation does with them.

    Attributes:
        member: the member's id.
        taken: the ways into the product that were taken, in order.
    """

    house: House
    clock: Clock
    meter: Meter
    watch: Watch
    person: Person
    member: MemberId = field(default_factory=lambda: MemberId(""))
    tray: Tray = field(default_factory=Tray)
    taken: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(11))
    _orders: Iterator[int] = field(default_factory=lambda: itertools.count(500_000))

    # ------------------------------------------------------------ ways in

    def get(self, path: str) -> Any:
        """GET; what it answers."""
        return self.send("GET", path)

    def post(self, path: str, body: Mapping[str, Any], *, key: str = "") -> Any:
        """POST, with an Idempotency-Key if given; what it answers."""
        return self.send("POST", path, body, **({"idempotency_key": key} if key else {}))

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Any:
        """Any request that succeeds; what it answers."""
        raw = b"" if body is None else json.dumps(body).encode()
        event = event_for(method, path, raw, at=self.clock(), **headers)
        self.taken.append(_route(method, event["resource"]))
        answer = call(event)
        return json.loads(answer["body"]) if "json" in answer["headers"]["Content-Type"] else answer["body"]

    def handle(self, way: str, function: Callable[[dict[str, Any], None], Any], event: dict[str, Any]) -> Any:
        """Call a function as a schedule or a queue does; what it answers."""
        self.taken.append(way)
        answer = function(event, None)
        assert not answer.get("batchItemFailures"), answer
        return answer

    def as_member(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Any request of the member's own that succeeds; what it answers."""
        session = SessionId("ses_" + "a" * 26)
        token = self.house.issuer.issue(self.member, session, now=self.clock())
        return self.send(method, path, body, authorization=f"Bearer {token}")

    def code(self, request_id: str) -> str:
        """The code that was sent for a request."""
        assert isinstance(self.house.objects, Shelf)
        name = next(each for each in self.house.objects.files if request_id.replace("otp_", "dlv_") in each)
        found = re.search(r"(?<![0-9])[0-9]{6}(?![0-9])", json.loads(self.house.objects.files[name])["text"])
        assert found is not None
        return found[0]

    def work(self, body: str) -> None:
        """Do a message of the queue of job work."""
        way = f"jobs.jobs.work_job {Part.model_validate_json(body).job}"
        self.handle(way, jobs.work_job, {"Records": [{"messageId": "m", "body": body}]})

    def beside(self, way: str, function: Callable[[], Any]) -> None:
        """Do what belongs to no one way in."""
        self.taken.append(way)
        function()

    # ------------------------------------------------------------ what happens before

    def enrol(self, number: int = 0, *, key: str = "", **fields: Any) -> MemberId:
        """Enrol somebody: the member of the scene, or a further one by a number above 0."""
        return MemberId(self.post("/v1/members", enrolment(number, **fields), key=key)["member_id"])

    def basket(self, lines: int = 3, *, member: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A purchase as a till sends it, under an order number of its own."""
        bought = _catalogue(self.person.catalogue).lines(self.chance, lines)
        whom = dict(member or {"member_id": self.member})
        return purchase_body(whom, bought, at=self.clock(), number=next(self._orders), **fields)

    def buy(self, lines: int = 3, **fields: Any) -> dict[str, Any]:
        """Record a purchase; what it answers."""
        bought: dict[str, Any] = self.post("/v1/purchases", self.basket(lines, **fields))
        return bought

    def adjust(self, points: int, *, key: str, **fields: Any) -> None:
        """Correct the member's balance."""
        body = {"points": points, "reason_code": "goodwill", **fields}
        self.post(f"/v1/members/{self.member}/point-adjustments", body, key=key)

    def publish(self, **terms: Any) -> None:
        """Put a version of the program in force that differs from the one before in some terms, and let it spread."""
        program = self.get("/v1/program")
        del program["published_at"], program["former_ladders"]
        self.send("PUT", "/v1/program", program | terms)
        self.clock.forward(seconds=11)

    def account(self) -> Account:
        """The member's account."""
        found = points_store.find_account(self.house.table, self.member, consistent=True)
        assert found is not None
        return found

    def book_all(self, *but: Due) -> None:
        """Book all that time has brought, as the jobs of a day do."""
        for due in Due:
            if due not in but:
                bring_up_to_date(self.house.table, self.book, self.member, due, now=self.clock())

    def wait_until(self, due: Due) -> date:
        """Live from one day on which something is due to the next, up to that on which this is; that day."""
        for _ in range(100):
            day = self.account().due_on
            assert day is not None, f"nothing is due to the {self.person.name} any more, {due} never was"
            self.clock.now = max(self.clock.now, datetime(day.year, day.month, day.day, 4, tzinfo=UTC))
            now, book = self.clock(), self.book
            if bring_up_to_date(self.house.table, book, self.member, due, now=now, on=day, dry_run=True) is not None:
                self.book_all(due)
                return day
            self.book_all()
        raise AssertionError(f"{due} did not come to the {self.person.name}")

    @property
    def book(self) -> ProgramBook:
        """The process's program."""
        return book_of(self.house.table)

    def start_anew(self) -> None:
        """Go on as another process, which remembers nothing."""
        self.house = replace(self.house, table=DynamoTable(self.watch, self.core, meter=self.meter))
        wiring.use(self.house)

    @property
    def core(self) -> str:
        """The name of table `core`."""
        assert isinstance(self.house.table, DynamoTable)
        return self.house.table.name

    def ready(self) -> None:
        """Have the program read now, as a process does each ten seconds, and meter what comes next."""
        self.book.current(self.clock())
        self.meter.reset()
        self.watch.reset()
        self.taken.clear()


def enrolment(number: int = 0, **fields: Any) -> dict[str, Any]:
    """What a till sends to enrol somebody with three identifiers, a birthday and a consent; null leaves a field out."""
    mine = {"mobile": MOBILE, "email": EMAIL, "card_no": CARD}
    theirs = {
        "mobile": f"+8613800{number:06d}",
        "email": f"member{number:06d}@example.com",
        "card_no": f"{number:012d}",
    }
    values = {
        "name": "王小明",
        **(theirs if number else mine),
        "birthday": "1990-03-15",
        "shop_id": "shp_sh_0231",
        "source": "till",
        "consents": [{"purpose": "marketing", "granted": True, "text_version": "2026-01"}],
        **fields,
    }
    return {name: value for name, value in values.items() if value is not None}


# ---------------------------------------------------------------- lives, written down


@dataclass(frozen=True)
class Tables:
    """Tables `core`, `vault` and `ops` that are put back to how they were after each operation."""

    watch: Watch
    core: str

    @property
    def ops(self) -> str:
        """The name of table `ops`."""
        return self.core.removesuffix("core") + "ops"

    @property
    def vault(self) -> str:
        """The name of table `vault`."""
        return self.core.removesuffix("core") + "vault"

    def restore(self, core: Items, vault: Items) -> None:
        """Have tables `core` and `vault` hold just these items, and table `ops` none."""
        for name, wanted in ((self.core, core), (self.vault, vault), (self.ops, Items())):
            there = items_of(self.watch, name)
            changes: list[Typed] = [
                {"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in there.keys() - wanted
            ]
            changes += ({"PutRequest": {"Item": item}} for key, item in wanted.items() if there.get(key) != item)
            for first in range(0, len(changes), 25):
                answer = self.watch.call("BatchWriteItem", {"RequestItems": {name: changes[first : first + 25]}})
                assert not answer.get("UnprocessedItems")


@dataclass(frozen=True)
class Life:
    """A member with all that is stored of them, and when."""

    tables: Tables
    person: Person
    member: MemberId
    items: Items
    vault: Items
    now: datetime


def lived(watch: Watch, person: Person) -> Life:
    """Let a person live through the product until today."""
    tables = Tables(watch, make_table(watch))
    start = TODAY - timedelta(days=person.months * 30.4375 + 7)
    with _scene(tables, person, start - timedelta(days=60)) as scene:
        text = {"purpose": "marketing", "text_version": "2026-01", "zh": "同意接收优惠", "en": "I agree"}
        scene.post("/v1/consent-texts", text)
        scene.member = scene.enrol()
        scene.clock.now = start
        scene.buy(person.lines_max)
        for visit in range(2 * person.months):
            scene.clock.forward(days=15, hours=5, minutes=16)
            scene.book_all()
            tender = {"points_tender": 10} if visit % 4 == 3 else {}
            scene.buy(scene.chance.randint(1, person.lines_max), **tender)
        scene.clock.now = TODAY
        scene.book_all()
        core, vault = items_of(watch, tables.core), items_of(watch, tables.vault)
        return Life(tables, person, scene.member, core, vault, scene.clock())


@contextmanager
def scene_of(life: Life) -> Iterator[Scene]:
    """A person's scene, as it was when it was written down."""
    life.tables.restore(life.items, life.vault)
    with _scene(life.tables, life.person, life.now) as scene:
        scene.member = life.member
        scene.book.current(scene.clock())
        yield scene


@contextmanager
def _scene(tables: Tables, person: Person, now: datetime) -> Iterator[Scene]:
    meter, clock, tray, draws = Meter(), Clock(now), Tray(), itertools.count(1)
    settings = Settings(
        stage="test", stack="bench", region=REGION, dynamodb_endpoint=None,
        index_key=bytes.fromhex(KEYS["index_key"]), cursor_key=bytes.fromhex(KEYS["cursor_key"]),
        token_key=bytes.fromhex(KEYS["token_key"]), issuer=ISSUER, audience=AUDIENCE, job_queue="jobs",
        retention_queue="retention",
        roots="shelf", signing_key="stamp", callbacks={"tencent": Callback(secret=CALLBACK_SECRET)},
    )  # fmt: skip
    core, issuer = DynamoTable(tables.watch, tables.core, meter=meter), wiring.issuer(settings, _PEN)
    ops = DynamoTable(tables.watch, tables.ops, meter=meter)
    house = House(
        settings,
        core,
        keyring_over(DynamoTable(tables.watch, tables.vault, meter=meter)),
        clock,
        gate=wiring.gate(settings, core, issuer, ops),
        issuer=issuer,
        draw=lambda: next(draws) * 104_729 + int(now.timestamp()),
        ops=ops,
        queues=tray,
        objects=Shelf(),
        roots=Shelf(),
        signer=Stamp(),
    )
    wiring.use(house)
    member_routes.MISSES = Misses()  # as in a process that has just begun
    try:
        yield Scene(house, clock, meter, tables.watch, person, tray=tray)
    finally:
        wiring.use(None)


def items_of(watch: Watch, name: str) -> Items:
    """Every item of a table, by its key."""
    items = Items()
    request: dict[str, Any] = {"TableName": name, "ConsistentRead": True}
    while True:
        answer = watch.call("Scan", request)
        items |= {(each["pk"]["S"], each["sk"]["S"]): each for each in answer["Items"]}
        if "LastEvaluatedKey" not in answer:
            return items
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def plain(item: Typed) -> dict[str, Any]:
    """An item in plain Python."""
    return {name: unmarshalled(value) for name, value in item.items()}


@cache
def _catalogue(make: Callable[[], Catalogue]) -> Catalogue:
    return make()


def _route(method: str, resource: str) -> str:
    return next(route.function.__name__ for route in ROUTES if (route.method, "/v1" + route.path) == (method, resource))
