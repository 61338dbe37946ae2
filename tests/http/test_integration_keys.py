"""Integration keys over HTTP: made, shown once, used, rotated, revoked; what they may, and how often."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.identity.errors import RateExceeded
from chalicelib.identity.keys import KNOWN_FOR, KeyGate, UseKnown, find_key, use
from chalicelib.identity.permissions import FOR_INTEGRATIONS, ROLES
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import IntegrationKeyId
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.http.conftest import Look
from tests.makers import Api, Reply, a_purchase_body
from tests.table.stand import at_once

TILL: dict[str, Any] = {
    "name": "till 3, Nanjing Road", "permissions": ["members:read", "purchases:record", "purchases:read"],
    "scope": "shop", "shop_ids": ["shp_main"], "rate_per_minute": 60,
}  # fmt: skip


def make(api: Api, key: str = "k", **fields: Any) -> Reply:
    """Make an integration key."""
    return api.post("/v1/integration-keys", {**TILL, **fields}, key=key)


def rotate(api: Api, key_id: str, key: str = "r", **fields: Any) -> Reply:
    """Give it another secret."""
    return api.post(f"/v1/integration-keys/{key_id}/rotations", fields, key=key)


def revoke(api: Api, key_id: str) -> Reply:
    """Take it back."""
    return api.post(f"/v1/integration-keys/{key_id}/revocations", {"reason": "lost"})


def refused(reply: Reply) -> tuple[int, str]:
    """Status and code."""
    return reply.status, reply.code


def test_a_key_is_shown_once_and_calls_as_far_as_it_reaches(api: Api) -> None:
    made = make(api, expires_on="2026-12-31")
    assert made.status == 201, made.text
    key_id, key = made.json["key_id"], made.json["key"]
    assert made.json == {
        "key_id": key_id, "name": "till 3, Nanjing Road", "prefix": "rgk_" + key_id[4:], "last_four": key[-4:],
        "permissions": ["members:read", "purchases:read", "purchases:record"], "scope": "shop",
        "shop_ids": ["shp_main"], "rate_per_minute": 60, "status": "active", "expires_on": "2026-12-31",
        "former_secret_until": None,
        "last_used_on": None, "created_at": "2026-03-15T04:00:00Z", "created_by": "stf_admin", "version": 1, "key": key,
    }  # fmt: skip
    again = make(api, expires_on="2026-12-31")
    assert again.replayed
    assert again.json == {**made.json, "key": None}
    assert refused(make(api, name="another")) == (409, "integration_key_differs")

    till, member = api.with_(key), api.enrol()["member_id"]
    sold = till.post("/v1/purchases", a_purchase_body({"member_id": member}, shop_id=None))
    assert sold.json["purchase_id"]
    assert till.get(f"/v1/purchases/{sold.json['purchase_id']}").json["shop_id"] == "shp_main"
    elsewhere = till.post("/v1/purchases", a_purchase_body({"member_id": member}, shop_id="shp_other"))
    assert refused(elsewhere) == (403, "shop_not_yours")
    assert refused(till.get(f"/v1/members/{member}/points")) == (403, "permission_missing")
    assert refused(make(till, key="x")) == (403, "permission_missing")
    assert refused(till.get("/v1/me")) == (403, "permission_missing")
    seen = api.get(f"/v1/integration-keys/{key_id}").json
    assert (seen["last_used_on"], "key" in seen) == ("2026-03-15", False)
    assert api.get("/v1/integration-keys").json == {"items": [seen], "next_cursor": None}


def test_keys_are_listed_newest_first_in_pages(api: Api) -> None:
    made = []
    for number in range(3):
        made.append(make(api, key=f"k{number}").json["key_id"])
        api.clock.forward(minutes=1)
    first = api.get("/v1/integration-keys", limit=2).json
    second = api.get("/v1/integration-keys", limit=2, cursor=first["next_cursor"]).json
    assert [each["key_id"] for each in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    assert refused(api.get("/v1/integration-keys/key_" + "a" * 16)) == (404, "integration_key_unknown")


@pytest.mark.parametrize(
    "fields",
    [
        {"permissions": ["points:adjust"]},
        {"permissions": ["integrations:manage"]},
        {"permissions": ["program:publish", "program:read"]},
        {"permissions": ["members:merge"]},
        {"permissions": ["cards:refund"]},
    ],
)
def test_no_key_may_do_what_is_for_people(api: Api, look: Look, fields: dict[str, Any]) -> None:
    before = look()
    assert refused(make(api, **fields)) == (403, "rights_not_yours")
    assert look() == before


def test_nobody_gives_a_key_more_than_they_have(api: Api) -> None:
    """Only admins make keys so far; a custom role that may, reaches no further by it."""
    from chalicelib.identity.models import Caller, Kind
    from chalicelib.identity.permissions import Permission, Scope, granted
    from chalicelib.integrations.errors import RightsNotYours
    from chalicelib.integrations.models import MakeIntegrationKey
    from chalicelib.integrations.rules import require_grantable
    from chalicelib.kernel.ids import ShopId

    def asked(**fields: Any) -> MakeIntegrationKey:
        return MakeIntegrationKey.model_validate({**TILL, **fields}, strict=False)

    shop = frozenset({ShopId("shp_main")})
    grants = granted({Permission.MEMBERS_READ, Permission.PURCHASES_RECORD}, Scope.SHOP)
    manager = Caller(Kind.STAFF, "stf_x", (), grants, shop_ids=shop)
    require_grantable(manager, asked(permissions=["members:read"]))
    read: dict[str, Any] = {"permissions": ["members:read"]}
    for fields, beyond, foreign in (
        ({}, ["purchases:read"], []),
        ({**read, "scope": "all", "shop_ids": []}, ["members:read"], []),
        ({**read, "shop_ids": ["shp_main", "shp_b"]}, [], ["shp_b"]),
    ):
        with pytest.raises(RightsNotYours) as raised:
            require_grantable(manager, asked(**fields))
        assert raised.value.facts == {"permissions": beyond, "shop_ids": foreign}
    assert not FOR_INTEGRATIONS & {each for each in ROLES["admin"] if str(each).endswith((":manage", ":publish"))}


def test_a_rotated_key_has_two_secrets_for_the_overlap(api: Api) -> None:
    made = make(api).json
    key_id = made["key_id"]
    rotated = rotate(api, key_id, overlap_hours=2)
    assert rotated.status == 201, rotated.text
    assert rotated.json["former_secret_until"] == "2026-03-15T06:00:00Z"
    again = rotate(api, key_id, overlap_hours=2)
    assert (again.replayed, again.json["key"], again.json["version"]) == (True, None, 2)
    assert refused(rotate(api, key_id, overlap_hours=3)) == (409, "rotation_differs")
    for key in (made["key"], rotated.json["key"]):
        assert api.with_(key).get("/v1/members", card_no="x").status == 200
    api.clock.forward(hours=2)
    assert refused(api.with_(made["key"]).get("/v1/members", card_no="x")) == (401, "token_invalid")
    assert api.with_(rotated.json["key"]).get("/v1/members", card_no="x").status == 200
    at_once_ = rotate(api, key_id, key="r2", overlap_hours=0)
    api.clock.forward(seconds=30)
    assert refused(api.with_(rotated.json["key"]).get("/v1/members", card_no="x")) == (401, "token_invalid")
    assert api.with_(at_once_.json["key"]).get("/v1/members", card_no="x").status == 200


def test_a_new_secret_works_at_once_where_the_old_one_is_remembered_and_wrong_ones_cost_one_read_a_second(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(api).json
    till = api.with_(made["key"])
    assert till.get("/v1/members", card_no="x").status == 200
    api.clock.forward(seconds=2)
    rotated = rotate(api, made["key_id"], overlap_hours=0).json
    assert api.with_(rotated["key"]).get("/v1/members", card_no="x").status == 200
    reads = list[str]()

    def counted(table: DynamoTable, key_id: IntegrationKeyId) -> Any:
        reads.append(key_id)
        return find_key(table, key_id)

    monkeypatch.setattr("chalicelib.identity.keys.find_key", counted)
    for _ in range(5):
        assert refused(till.get("/v1/members", card_no="x")) == (401, "token_invalid")
    assert len(reads) <= 1


def test_a_revoked_key_is_out_within_half_a_minute_and_an_expired_one_at_once(api: Api) -> None:
    made = make(api).json
    last = make(api, key="k2", expires_on="2026-03-15").json
    tills = [api.with_(each["key"]) for each in (made, last)]
    assert [till.get("/v1/members", card_no="x").status for till in tills] == [200, 200]
    for _ in range(2):
        assert revoke(api, made["key_id"]).json["status"] == "revoked"
    assert timedelta(seconds=30) >= KNOWN_FOR
    api.clock.forward(seconds=30)
    assert refused(tills[0].get("/v1/members", card_no="x")) == (401, "token_invalid")
    assert refused(rotate(api, made["key_id"])) == (409, "integration_key_over")
    api.clock.forward(hours=12)
    assert refused(tills[1].get("/v1/members", card_no="x")) == (401, "token_invalid")
    assert refused(make(api, key="k3", expires_on="2026-03-15")) == (400, "expiry_over")


def test_what_is_no_key_is_refused_in_the_same_words(api: Api) -> None:
    key = make(api).json["key"]
    words = set()
    for wrong in (
        "rgk_", key[:-1], key + "a", key[:-52] + "a" * 52, "rgk_" + "a" * 16 + "_" + "a" * 52,
        key.replace("rgk_", "rgk__"), key[:20] + key[21:],
    ):  # fmt: skip
        reply = api.with_(wrong).get("/v1/members", card_no="x")
        assert refused(reply) == (401, "token_invalid"), wrong
        words.add(reply.json["detail"])
    assert words == {"The token is not accepted: the key is not good."}


def test_a_key_sends_its_rate_a_minute_and_then_waits(api: Api) -> None:
    till = api.with_(make(api, rate_per_minute=5).json["key"])
    for _ in range(5):
        assert till.get("/v1/members", card_no="x").status == 200
    api.clock.forward(seconds=12)
    full = till.get("/v1/members", card_no="x")
    assert (*refused(full), full.headers["Retry-After"]) == (429, "rate_exceeded", "48")
    api.clock.forward(seconds=47)
    assert till.get("/v1/members", card_no="x").status == 429
    api.clock.forward(seconds=1)
    assert till.get("/v1/members", card_no="x").status == 200
    api.clock.forward(minutes=10)
    assert [till.get("/v1/members", card_no="x").status for _ in range(6)] == [200] * 5 + [429]


class Counted(DynamoTable):
    """A table that counts what it is asked."""

    queries = commits = 0

    def query_partition(self, *args: Any, **more: Any) -> Any:
        """See `Table.query_partition`."""
        self.queries += 1
        return super().query_partition(*args, **more)

    def commit(self, *args: Any, **more: Any) -> None:
        """See `Table.commit`."""
        self.commits += 1
        super().commit(*args, **more)


def test_in_the_steady_state_a_key_costs_nothing(api: Api, table: DynamoTable, dynamo: Dynamo) -> None:
    key = make(api).json["key"]
    counted = Counted(dynamo, table.name)
    gate = KeyGate(counted)
    for _ in range(20):
        gate.caller_of(f"Bearer {key}", now=api.clock())
        api.clock.forward(seconds=1)
    assert (counted.queries, counted.commits) == (1, 1), "read once in half a minute, written down once a day"
    api.clock.forward(hours=1)
    gate.caller_of(f"Bearer {key}", now=api.clock())
    assert (counted.queries, counted.commits) == (2, 1)
    KeyGate(counted).caller_of(f"Bearer {key}", now=api.clock())
    assert (counted.queries, counted.commits) == (3, 1), "another process knows that it was used today"
    api.clock.forward(days=1)
    gate.caller_of(f"Bearer {key}", now=api.clock())
    assert counted.commits == 2


@pytest.mark.parametrize(("rate", "processes"), [(7, 8), (60, 8), (119, 3)])
def test_processes_together_let_through_the_rate_of_a_key_and_a_twentieth_each(
    api: Api, table: DynamoTable, ops: DynamoTable, dynamo: Dynamo, rate: int, processes: int
) -> None:
    key = make(api, rate_per_minute=rate).json["key"]
    gates = [KeyGate(table, ops) for _ in range(processes)]

    def hammer(gate: KeyGate) -> int:
        through = 0
        for _ in range(rate):
            with suppress(RateExceeded):
                gate.caller_of(f"Bearer {key}", now=api.clock())
                through += 1
        return through

    answers = at_once(dynamo, *[lambda each=each: hammer(each) for each in gates])
    through = sum(each for each in answers if not isinstance(each, Exception))
    assert rate <= through <= rate * 1.05 + 1 + processes * (rate // 20), answers
    alone = sum(hammer(KeyGate(table)) for _ in range(processes))
    assert alone == rate * processes, "what it would be without the counter"


def test_counting_together_costs_a_write_for_a_twentieth_and_nothing_for_who_is_slow(
    api: Api, table: DynamoTable, ops: DynamoTable, dynamo: Dynamo
) -> None:
    key = make(api, rate_per_minute=120).json["key"]
    counted = Counted(dynamo, ops.name)
    gate = KeyGate(table, counted)
    for number in range(126):
        gate.caller_of(f"Bearer {key}", now=api.clock())
        assert counted.commits == number // 6, "the first six of a minute are free"
    for _ in range(50):
        with pytest.raises(RateExceeded):
            gate.caller_of(f"Bearer {key}", now=api.clock())
    assert counted.commits == 21, "who hammers is refused without another write"
    for _ in range(10):
        api.clock.forward(minutes=1)
        gate.caller_of(f"Bearer {key}", now=api.clock())
    assert counted.commits == 21


def test_what_it_costs_to_take_a_part_of_a_minute(
    api: Api, table: DynamoTable, ops: DynamoTable, dynamo: Dynamo
) -> None:
    spent: list[tuple[str, float]] = []

    def meter(operation: str, consumed: Any) -> None:
        parts = consumed if isinstance(consumed, list) else [consumed]
        spent.append((operation, sum(part["CapacityUnits"] for part in parts)))

    key = make(api, rate_per_minute=600).json["key"]
    gate = KeyGate(table, DynamoTable(dynamo, ops.name, meter=meter))
    for _ in range(30 + 300):
        gate.caller_of(f"Bearer {key}", now=api.clock())
    assert spent == [("TransactWriteItems", 2.0)] * 10, "2 write units for 30 requests, one trip"


def test_tills_sell_on_while_the_counter_is_out_of_reach(
    api: Api, table: DynamoTable, ops: DynamoTable, dynamo: Dynamo
) -> None:
    tries = []

    class Away(DynamoTable):
        def commit(self, *args: Any, **more: Any) -> None:
            tries.append(1)
            raise StorageBusy

    key = make(api, rate_per_minute=10).json["key"]
    gate = KeyGate(table, Away(dynamo, ops.name))
    for _ in range(10):
        gate.caller_of(f"Bearer {key}", now=api.clock())
    with pytest.raises(RateExceeded):
        gate.caller_of(f"Bearer {key}", now=api.clock())
    assert len(tries) == 1, "it is asked once a minute while it is away"
    api.clock.forward(minutes=1)
    gate.caller_of(f"Bearer {key}", now=api.clock())
    assert len(tries) == 2


def test_many_processes_write_down_the_days_use_once(
    api: Api, house: House, table: DynamoTable, dynamo: Dynamo
) -> None:
    made = make(api).json
    gates = [KeyGate(table) for _ in range(8)]
    answers = at_once(
        dynamo, *[lambda each=each: each.caller_of(f"Bearer {made['key']}", now=api.clock()) for each in gates]
    )  # fmt: skip
    assert not [each for each in answers if isinstance(each, Exception)]
    today = api.clock().date()
    with pytest.raises(UseKnown):
        table.commit([use(IntegrationKeyId(made["key_id"]), None, today)])


def test_at_once_one_key_is_made_and_one_rotation_wins(api: Api, house: House, dynamo: Dynamo) -> None:
    from chalicelib.identity.models import Caller, Kind
    from chalicelib.integrations import service
    from chalicelib.integrations.models import MakeIntegrationKey, RotateIntegrationKey
    from chalicelib.programs.service import book_of

    admin = Caller(Kind.STAFF, "stf_admin", ("admin",), ROLES["admin"])
    command = MakeIntegrationKey.model_validate(TILL, strict=False)
    book = book_of(house.table)

    def made() -> Any:
        return service.make_key(house.table, book, "k", command, admin, draw=wiring.draw, now=api.clock())

    answers: list[Any] = at_once(dynamo, *[made] * 8)
    keys = [each.value.key for each in answers]
    assert len([each for each in keys if each]) == 1
    assert {each.value.key_id for each in answers} == {answers[0].value.key_id}

    def rotated() -> Any:
        key_id = answers[0].value.key_id
        return service.rotate_key(house.table, key_id, "r", RotateIntegrationKey(), draw=wiring.draw, now=api.clock())

    turned: list[Any] = at_once(dynamo, *[rotated] * 8)
    assert len([each.value.key for each in turned if each.value.key]) == 1
    assert {each.value.version for each in turned} == {2}
