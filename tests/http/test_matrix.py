"""Every route for every caller on things of every owner: thousands of cells, expected from the tables alone.

What a cell should answer follows from the policy (`api/policy.py`), the roles (`identity/permissions.py`) and from
whose the thing is, which is written down here a second time: by the part of the path that names it, and not by the
finder that the policy names. So a rule without a finder, or one that answers everybody, is a leak that is found; what
the answers say is searched for words and ids of other people's things. Planted leaks show that it finds them.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel

from chalicelib.api import bodies, routing
from chalicelib.api.routing import FINDERS, ROUTES, Finder, Route
from chalicelib.identity.errors import TokenMissing
from chalicelib.identity.models import Caller, Kind, Owner
from chalicelib.identity.permissions import ROLES, Grants, Scope, granted
from chalicelib.kernel.ids import AccountId, ApprovalId, MemberId, ShopId, StaffId
from chalicelib.kernel.records import Record
from chalicelib.purchases.models import ReturnOrder
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage import keys
from tests.makers import SOME_IDS, Api, a_purchase_body

MAIN, OTHER = ShopId("shp_main"), ShopId("shp_other")
SHOPS: dict[str, ShopId | None] = {"main": MAIN, "other": OTHER, "none": None}
MARKS = {"own": "markowna", "strange": "markstrangeb", "other": "markothershop"}
"""Words that stand in a member's own things, in a strange member's, and in another shop's purchases."""

# ---------------------------------------------------------------- who


@dataclass(frozen=True)
class Somebody:
    """A caller, as the matrix knows them."""

    name: str
    grants: Grants
    shop_ids: frozenset[ShopId] = frozenset()
    member_id: MemberId | None = None

    def caller(self) -> Caller:
        """As the gate gives them."""
        kind = Kind.MEMBER if self.member_id else Kind.STAFF
        return Caller(kind, f"stf_{self.name}", (self.name,), self.grants, self.shop_ids, member_id=self.member_id)


class NamedGate:
    """Takes a caller's name for a token."""

    def __init__(self, everybody: Sequence[Somebody]) -> None:
        self._callers = {each.name: each.caller() for each in everybody}

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`."""
        if not authorization:
            raise TokenMissing
        return self._callers[authorization]


def people(own: MemberId, strange: MemberId) -> list[Somebody]:
    """Every role, in the shop where it reaches to shops; each again as a custom role that ends at shops; both members;
    staff with two shops or none, without a role, and who sends no token."""
    found = []
    for role, grants in ROLES.items():
        if role == "member":
            found += [Somebody("own", grants, member_id=own), Somebody("strange", grants, member_id=strange)]
            continue
        shops = frozenset({MAIN}) if Scope.SHOP in grants.values() else frozenset[ShopId]()
        there = Somebody(f"{role}_there", granted(grants, Scope.SHOP), frozenset({OTHER}))
        found += [Somebody(role, grants, shops), there]
    clerk = ROLES["clerk"]
    both = Somebody("both", clerk, frozenset({MAIN, OTHER}))
    return [*found, both, Somebody("shopless", clerk), Somebody("roleless", {}), Somebody("", {})]


# ---------------------------------------------------------------- what


@dataclass(frozen=True)
class Thing:
    """Something that a path leads to, and whose it is."""

    name: str
    value: str
    owner: Owner
    sides: Mapping[str, AccountId] = field(default_factory=dict)
    """Of a transfer: who sends and who receives."""


@dataclass
class World:
    """Things of every owner, by the part of the path that names them."""

    own: MemberId
    strange: MemberId
    things: dict[str, list[Thing]]
    orders: dict[str, tuple[str, str]]


UNKNOWN = {
    "member_id": "mem_aaaaaaaaaaaaaaaa", "purchase_id": "pur_cG9zI25vYm9keXM", "entry_id": "ent_SyNhZGp1c3QjeA",
    "hold_id": "hld_bm9ib2R5cw", "transfer_id": "trf_bm9ib2R5cw", "pool_id": "pol_aaaaaaaaaaaaaaaa",
    "card_id": "crd_aaaaaaaaaaaaaaaa", "approval_id": "apr_aaaaaaaaaaaaaaaaaaaaaaaa", "merge_id": "mrg_eA",
}  # fmt: skip
OWNED = set(UNKNOWN) - {"merge_id"}
"""Parts of paths that name what belongs to somebody. Merges are for staff, who find every member."""


def arranged(api: Api) -> World:
    """A world in which everybody has everything."""
    program = api.get("/v1/program").json
    terms = {name: value for name, value in program.items() if name not in ("published_at", "former_ladders")}
    assert api.put("/v1/program", {**terms, "transfers": {"enabled": True}}).status == 200
    members = {
        name: api.enrol(name=MARKS[name], card_no=MARKS[name], source=MARKS[name]) for name in ("own", "strange")
    }
    ids = {name: MemberId(member["member_id"]) for name, member in members.items()}
    third = api.enrol()["member_id"]
    world = World(ids["own"], ids["strange"], {part: [] for part in OWNED}, {})
    for name, member_id in ids.items():
        _give(api, world, name, member_id, third)
    _transfers(api, world, third)
    _approvals(api, world)
    for part in OWNED:
        world.things[part].append(Thing("nobody's", UNKNOWN[part], Owner()))
    return world


def _give(api: Api, world: World, name: str, member_id: MemberId, third: str) -> None:
    """Give a member one of each."""
    whose, mark = Owner(frozenset({member_id})), MARKS[name]

    def add(part: str, value: str, owner: Owner = whose, of: str = "") -> None:
        world.things[part].append(Thing(f"{name} {of}".strip(), value, owner))

    add("member_id", member_id)
    gift = {"points": 5_000, "reason_code": mark}
    adjusted = api.post(f"/v1/members/{member_id}/point-adjustments", gift, key=f"{mark}-gift")
    add("entry_id", adjusted.json["entry_id"])
    for shop, shop_id in SHOPS.items():
        order = f"{mark}-{MARKS['other'] if shop == 'other' else shop}"
        body = a_purchase_body({"member_id": member_id}, shop_id=shop_id, order_no=order)
        purchase = api.post("/v1/purchases", body).json["purchase_id"]
        back = {"amount_minor": 100}
        assert api.post(f"/v1/purchases/{purchase}/returns", back, key=f"{order}-back").status == 201
        owner = Owner(frozenset({member_id}), shop_id)
        add("purchase_id", purchase, owner, shop)
        world.orders[f"{name} {shop}"] = ("pos", order)
        for entry in api.get(f"/v1/members/{member_id}/point-entries", limit=2).json["items"]:
            add("entry_id", entry["entry_id"], owner, f"{shop} {entry['reason']}")
    held = api.post(f"/v1/members/{member_id}/point-holds", {"points": 5, "reference": mark}, key=f"{mark}-h")
    add("hold_id", held.json["hold_id"])
    pool = api.post("/v1/pools", {"owner_id": member_id, "name": mark}, key=f"{mark}-pool").json["pool_id"]
    add("pool_id", pool)
    paid = {"member_id": member_id, "points": 50, "reason": "asked by them"}
    assert api.post(f"/v1/pools/{pool}/contributions", paid, key=f"{mark}-in").status == 201
    pooled = api.get(f"/v1/pools/{pool}/point-entries").json["items"][0]
    add("entry_id", pooled["entry_id"], of="pooled")
    card = api.post(f"/v1/members/{member_id}/cards", {"kind": "stored_value", "name": mark}, key=f"{mark}-c")
    add("card_id", card.json["card_id"])
    merged = api.enrol(name=mark)["member_id"]
    pair = {"from_member_id": merged, "into_member_id": third, "reason": mark}
    assert api.post("/v1/member-merges", pair, key=f"{mark}-m").status == 201


def _transfers(api: Api, world: World, third: str) -> None:
    """Transfers from one to the other, back, and among strangers."""
    strangers = MemberId(third)
    pairs = ((world.own, world.strange), (world.strange, world.own), (world.strange, strangers))
    for number, (giver, receiver) in enumerate(pairs):
        body = {"to": {"member_id": receiver}, "points": 1}
        made = api.post(f"/v1/members/{giver}/point-transfers", body, key=f"transfer-{number}").json
        sides = {"transfer": giver, "transfer_sender": giver, "transfer_receiver": receiver}
        world.things["transfer_id"].append(
            Thing(f"transfer {number}", made["transfer_id"], Owner(frozenset({giver, receiver})), sides)
        )


def _approvals(api: Api, world: World) -> None:
    """What was asked in one shop, in the other, and at head office."""
    asked = {"points": 10_001, "reason_code": "large"}
    path = f"/v1/members/{world.own}/point-adjustments"
    for shop, shop_id in SHOPS.items():
        role = "shop_manager" if shop_id else "agent"
        token = api.as_(role).send("POST", path, asked, Idempotency_Key=f"a-{shop}", **_at(api, role, shop_id))
        assert token.status == 202, token.text
        # What head office asked for is no shop's.
        owner = Owner(shop_id=shop_id or ShopId("head office"))
        world.things["approval_id"].append(Thing(f"asked in {shop}", token.json["approval_id"], owner))


def _at(api: Api, role: str, shop_id: ShopId | None) -> dict[str, str]:
    """The header of somebody in a shop."""
    from tests.makers import a_token

    shop = {"shop_id": shop_id} if shop_id else {}
    token = a_token(api.token_key, api.issuer, api.audience, api.clock(), role, **shop)
    return {"Authorization": f"Bearer {token}"}


# ---------------------------------------------------------------- what is expected


@dataclass(frozen=True)
class Cell:
    """One caller, one route, one thing."""

    who: Somebody
    route: Route
    thing: Thing | None
    parts: Mapping[str, str]
    body: BaseModel | None
    expected: str

    def __str__(self) -> str:
        """As it is named when it leaks."""
        about = f" on {self.thing.name}" if self.thing else ""
        return f"{self.who.name}: {self.route.method} {self.route.path}{about}"


LET_IN = "let in"


def reach(scope: Scope, who: Somebody, owner: Owner) -> bool:
    """Whether a scope reaches, written down a second time."""
    if scope == Scope.ALL:
        return True
    if scope == Scope.SHOP:
        return owner.shop_id is None or owner.shop_id in who.shop_ids
    return who.member_id in owner.account_ids


def expected(who: Somebody, route: Route, owner: Owner | None) -> str:
    """What a cell should come to."""
    if route.rule.open:
        return LET_IN
    if not who.name:
        return "401 token_missing"
    if route.rule.needs is None:
        return LET_IN
    scope = who.grants.get(route.rule.needs)
    if scope is None or scope < route.rule.least or route.rule.by not in (None, who.caller().kind):
        return "403 permission_missing"
    if scope is Scope.SHOP and not who.shop_ids:
        return "403 permission_missing"
    if owner is not None and not reach(scope, who, owner):
        return "404"
    return LET_IN


def cells(world: World, routes: list[Route]) -> Iterator[Cell]:
    """All cells."""
    for route, who in itertools.product(routes, people(world.own, world.strange)):
        part = next((part for part in route.path_types if part in OWNED), None)
        others = {name: {**SOME_IDS, **UNKNOWN}.get(name, "x") for name in route.path_types}
        if part is not None:
            for thing in world.things[part]:
                sides = thing.sides.get(route.rule.of) if route.rule.of != "transfer" else None
                owner = Owner(frozenset({sides})) if sides else thing.owner
                # Of what does not exist the use case tells, as of what is not theirs; of a member the edge can tell.
                known = None if thing.name == "nobody's" and part != "member_id" else owner
                yield Cell(who, route, thing, {**others, part: thing.value}, _body(route), expected(who, route, known))
        elif route.body is not None and {"channel", "order_no"} <= set(route.body.model_fields) and not _sells(route):
            for name, (channel, order_no) in world.orders.items():
                member = world.own if name.startswith("own") else world.strange
                owner = Owner(frozenset({member}), SHOPS[name.split()[1]])
                body = _body(route, channel=channel, order_no=order_no)
                yield Cell(who, route, Thing(name, order_no, owner), others, body, expected(who, route, owner))
        elif route.body is not None and "shop_id" in route.body.model_fields:
            for shop, named in SHOPS.items():
                yield Cell(who, route, Thing(f"shop {shop}", shop, Owner()), others, _body(route, shop_id=named),
                           _at_shop(who, route, named))  # fmt: skip
        else:
            yield Cell(who, route, None, others, _body(route), expected(who, route, None))


def _sells(route: Route) -> bool:
    return route.body is not None and "shop_id" in route.body.model_fields


def _at_shop(who: Somebody, route: Route, shop_id: ShopId | None) -> str:
    """What a command in a shop should come to: who works in one shop need not name it."""
    found = expected(who, route, None)
    if found != LET_IN or route.rule.needs is None or who.grants[route.rule.needs] != Scope.SHOP:
        return found
    named = shop_id or (next(iter(who.shop_ids)) if len(who.shop_ids) == 1 else None)
    return LET_IN if named in who.shop_ids else "403 shop_not_yours"


def _body(route: Route, **values: str | None) -> BaseModel | None:
    """A body that is not read any further than the edge does."""
    if route.body is None:
        return None
    named: dict[str, Any] = {name: None for name in ("shop_id", "version") if name in route.body.model_fields}
    return route.body.model_construct(**(named | values))


# ---------------------------------------------------------------- what is found


class LetIn(Record):
    """What every command of the matrix answers: it was let in, and does nothing."""

    shop_id: ShopId | None = None


def _stub(route: Route) -> Route:
    """A route that goes through the whole edge and carries nothing out."""

    def let_in(**arguments: Any) -> LetIn:
        return LetIn(shop_id=getattr(arguments.get("body"), "shop_id", None))

    let_in.__name__ = route.function.__name__
    return replace(route, function=let_in)


def dispatched(route: Route, cell: Cell, query: Mapping[str, str] | None = None) -> tuple[int, str]:
    """A cell's status and answer, through the edge as a request goes."""
    headers = {"authorization": cell.who.name, "idempotency-key": "matrix", "content-type": "application/json"}
    request = SimpleNamespace(headers=headers, query_params=dict(query or {}), raw_body=b"{}", context={})
    answer = routing._answer(route, cast(Any, request), dict(cell.parts))
    return answer.status_code, answer.body


class Matrix:
    """Runs cells and collects what leaks."""

    def __init__(self, house: House, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.count = 0
        self._body: BaseModel | None = None
        wiring.use(replace(house, gate=NamedGate(people(world.own, world.strange))))
        monkeypatch.setattr(bodies, "body_of", lambda *_: self._body)
        self._quiet(monkeypatch)

    @staticmethod
    def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(routing, "_log", lambda *_: None)

    def leaks(self, routes: list[Route] | None = None) -> list[str]:
        """What is let in or kept out against what the tables say, or says what it should not."""
        found: list[str] = []
        for cell in cells(self.world, sorted(routes or ROUTES, key=lambda each: (each.path, each.method))):
            self.count += 1
            self._body = cell.body
            real = cell.route.method == "GET"
            for query in _queries(cell.route):
                status, text = dispatched(cell.route if real else _stub(cell.route), cell, query)
                told = _told(status, text, cell, real=real) or _said(text, cell, self.world)
                if told:
                    found.append(f"{cell}: {told}")
        return found


def _queries(route: Route) -> list[dict[str, str]]:
    """Queries that ask for what there is; one without where none is needed."""
    if route.path == "/members" and route.method == "GET":
        return [{"card_no": MARKS["own"]}, {"card_no": MARKS["strange"]}]
    if route.path == "/cards":
        return [{"card_number": "x"}]
    return [{}]


def _told(status: int, text: str, cell: Cell, *, real: bool) -> str | None:
    """What is wrong with a status, or None."""
    code = json.loads(text).get("code", "") if status >= 400 else ""
    if status >= 500 and code not in ("receipts_unavailable", "jobs_unavailable"):
        return f"{status} {code}"
    if cell.expected == LET_IN:
        missing = cell.thing is None or cell.thing.name == "nobody's"
        ok = status < 300 or (real and (missing or code == "receipts_unavailable") and status not in (401, 403))
        return None if ok else f"kept out, {status} {code}"
    if cell.expected == "404":
        return None if status == 404 and code.endswith("_unknown") else f"leaks: {status} {code or text[:80]}"
    return None if f"{status} {code}" == cell.expected else f"leaks: {status} {code or text[:80]}"


def _said(text: str, cell: Cell, world: World) -> str | None:
    """What an answer tells of things that the caller cannot reach, or None."""
    who, asked = cell.who, "".join(cell.parts.values())
    if isinstance(cell.body, ReturnOrder):
        asked += keys.purchase_id(cell.body.channel, cell.body.order_no)  # who knows the order number knows the id
    if who.member_id is not None:
        scope, marks = Scope.SELF, {MARKS["strange" if who.member_id == world.own else "own"]}
    elif who.grants and all(each == Scope.SHOP for each in who.grants.values()):
        scope, marks = Scope.SHOP, set() if OTHER in who.shop_ids else {MARKS["other"]}
    else:
        return None
    beyond = {
        thing.value for part, things in world.things.items() for thing in things
        if part != "member_id" and thing.name != "nobody's" and not reach(scope, who, thing.owner)
    }  # fmt: skip
    told = [each for each in sorted(beyond | marks) if each in text and each not in asked]
    return f"tells of {told[0]}" if told else None


def known(path: str, method: str = "GET") -> Route:
    """The route of a path."""
    return next(route for route in ROUTES if (route.path, route.method) == (path, method))


@pytest.fixture
def matrix(api: Api, house: House, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    """A matrix over a world of its own."""
    return Matrix(house, arranged(api), monkeypatch)


def test_nothing_leaks_in_any_cell(matrix: Matrix) -> None:
    assert matrix.leaks() == []
    assert matrix.count > 6_000
    print(f"\n{matrix.count} cells, 0 leaks")  # noqa: T201 - the figure that is asked for


def test_every_part_of_a_path_that_names_something_of_somebody_is_in_the_matrix() -> None:
    """A new kind of id is put into the world, or named here as nobody's in particular."""
    nobodys = {
        "merge_id",
        "job",
        "day",
        "staff_id",
        "role",
        "key_id",
        "audit_id",
        "alert_id",
        "template_id",
        "suppression_id",
        "segment_id",
        "export_id",
        "campaign_id",
        "journey_id",
    }
    nobodys |= {"session_id"}  # of whoever is signed in: looked up among theirs alone
    nobodys |= {"token"}  # of an opt-out link: who has it may use it
    nobodys |= {"provider", "secret"}  # of a callback's address: who knows the secret may call it
    nobodys |= {"run_id"}  # of a campaign or a journey
    assert {part for route in ROUTES for part in route.path_types} == OWNED | nobodys


def test_a_till_that_names_no_shop_sells_in_its_own(matrix: Matrix) -> None:
    route = known("/purchases", "POST")
    who = next(each for each in people(matrix.world.own, matrix.world.strange) if each.name == "clerk")
    matrix._body = _body(route, shop_id=None)
    cell = Cell(who, route, None, {}, matrix._body, LET_IN)
    status, text = dispatched(_stub(route), cell)
    assert (status, json.loads(text)) == (201, {"shop_id": MAIN})


# ---------------------------------------------------------------- planted leaks


def _everybodys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = FINDERS[name]
    monkeypatch.setitem(FINDERS, name, Finder(finder.part, lambda *_: None, finder.unknown))


def _callers_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = FINDERS[name]

    def callers(house: House, asked: Any, who: Caller) -> Owner:
        return Owner(frozenset({who.member_id}) if who.member_id else frozenset())

    monkeypatch.setitem(FINDERS, name, Finder(finder.part, callers, finder.unknown))


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_rule_without_a_finder_is_found(matrix: Matrix, method: str) -> None:
    route = known("/purchases/{purchase_id}", method)
    assert matrix.leaks([route]) == []
    assert matrix.leaks([replace(route, rule=replace(route.rule, of=""))])


@pytest.mark.parametrize("name", sorted({"purchase", "order", "entry", "hold", "transfer", "pool", "card", "approval"}))
def test_a_finder_that_answers_everybody_is_found(matrix: Matrix, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    routes = [route for route in ROUTES if route.rule.of == name]
    _everybodys(name, monkeypatch)
    assert matrix.leaks(routes)


@pytest.mark.parametrize("name", ["member", "hold", "card", "transfer_sender", "transfer_receiver"])
def test_a_finder_that_takes_the_callers_word_is_found(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    routes = [route for route in ROUTES if route.rule.of == name]
    _callers_own(name, monkeypatch)
    assert matrix.leaks(routes)


def test_the_wrong_side_of_a_transfer_is_found(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FINDERS, "transfer_receiver", FINDERS["transfer"])
    assert matrix.leaks([known("/point-transfers/{transfer_id}/accept", "POST")])


def test_a_look_up_that_is_open_to_members_is_found(matrix: Matrix) -> None:
    route = known("/members")
    assert matrix.leaks([route]) == []
    assert matrix.leaks([replace(route, rule=replace(route.rule, least=Scope.SELF))])


@pytest.mark.parametrize("path", ["purchases", "point-entries", "timeline"])
def test_a_list_that_shows_other_shops_is_found(matrix: Matrix, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    route = known("/members/{member_id}/" + path)
    assert matrix.leaks([route]) == []
    monkeypatch.setattr(Caller, "within", lambda *_: None)
    assert matrix.leaks([route])


def test_an_id_of_another_shops_entry_is_found_in_a_list(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    route = known("/members/{member_id}/point-entries")
    full = route.function

    def planted(**arguments: Any) -> Any:
        everything = replace(arguments["call"].caller, grants=ROLES["admin"])
        return full(**{**arguments, "call": replace(arguments["call"], caller=everything)})

    assert matrix.leaks([replace(route, function=planted)])


def test_a_reach_that_ends_nowhere_is_found(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(how: Callable[..., bool]) -> list[str]:
        monkeypatch.setattr(routing, "reaches", how)
        return matrix.leaks([known("/purchases/{purchase_id}"), known("/members/{member_id}")])

    assert planted(lambda *_: True)
    assert planted(lambda caller, scope, owner: scope is not Scope.SELF or bool(owner.account_ids))


def test_a_shop_of_others_that_is_taken_is_found(matrix: Matrix) -> None:
    route = known("/purchases", "POST")
    assert matrix.leaks([route]) == []
    assert matrix.leaks([replace(route, rule=replace(route.rule, at_shop=False))])


def test_the_world_holds_what_it_says(matrix: Matrix) -> None:
    assert all(len(things) >= 3 for things in matrix.world.things.values())
    assert ApprovalId(UNKNOWN["approval_id"])
    assert StaffId(SOME_IDS["staff_id"])
