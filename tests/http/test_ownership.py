"""What is a member's own: nobody else finds it, whoever was merged still does. Made from the policy, route by route."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.api.policy import POLICY, Rule
from chalicelib.api.routing import FINDERS, ROUTES, Route
from chalicelib.identity.models import Kind
from chalicelib.identity.permissions import Scope
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.http.test_hostile import TERMS
from tests.makers import SOME_IDS, Api, Reply
from tests.signing_in import as_member

NONE = {
    "member_id": "mem_" + "a" * 16, "purchase_id": "pur_cG9zI25vbmU", "entry_id": "ent_SyNhZGp1c3QjbG9uZQ",
    "hold_id": "hld_bm9uZQ", "transfer_id": "trf_bm9uZQ", "pool_id": "pol_" + "a" * 16, "card_id": "crd_" + "a" * 16,
}  # fmt: skip


@dataclass(frozen=True)
class Things:
    """Somebody's things, one of each kind, by the part of a path that names them."""

    member_id: str
    ids: dict[str, str]

    def path(self, route: Route, *, none: bool = False) -> str:
        """A route's path to these things, or to such that nobody has."""
        path = "/v1" + route.path
        for name, value in {**SOME_IDS, **(NONE if none else self.ids)}.items():
            path = path.replace("{" + name + "}", value)
        assert "{" not in path, path
        return path


def things(api: Api, name: str, partner: str) -> Things:
    """A member with one thing of each kind; a transfer is offered to the partner, who shares the pool."""
    member = api.enrol(card_no=name)["member_id"]
    own = f"/v1/members/{member}"
    assert api.post(f"{own}/point-adjustments", {"points": 500, "reason_code": "x"}, key=f"a-{name}").status == 201
    bought = api.buy(member, order_no=f"o-{name}")
    held = api.post(f"{own}/point-holds", {"points": 5}, key=f"h-{name}").json["hold_id"]
    gift = {"to": {"member_id": partner}, "points": 10}
    given = api.post(f"{own}/point-transfers", gift, key=f"t-{name}").json["transfer_id"]
    pool = api.post("/v1/pools", {"owner_id": member, "name": "Home"}, key=f"p-{name}").json["pool_id"]
    assert api.put(f"/v1/pools/{pool}/members/{partner}", {"reason": "asked by both"}).status == 200
    card = api.post(f"{own}/cards", {"kind": "stored_value"}, key=f"c-{name}").json["card_id"]
    entry = api.get(f"{own}/point-entries").json["items"][-1]["entry_id"]
    ids = {
        "member_id": member, "purchase_id": bought["purchase_id"], "entry_id": entry, "hold_id": held,
        "transfer_id": given, "pool_id": pool, "card_id": card,
    }  # fmt: skip
    return Things(member, ids)


@pytest.fixture
def town(api: Api) -> tuple[Things, str, str]:
    """Somebody with things, a partner in some of them, and a stranger."""
    assert api.put("/v1/program", {**TERMS, "version": 1}).status == 200
    api.clock.forward(seconds=11)
    partner, stranger = (api.enrol(card_no=name)["member_id"] for name in ("partner", "stranger"))
    return things(api, "one", partner), partner, stranger


def owned_routes() -> list[Route]:
    """The routes that members reach, to things that are somebody's."""
    import app

    assert app.app.app_name == "regulars"
    found = [route for route in ROUTES if route.rule.of and route.rule.least is Scope.SELF]
    assert len(found) >= 20
    return sorted(found, key=lambda route: (route.path, route.method))


def call(api: Api, who: str, route: Route, path: str) -> Reply:
    """Call a route as a member; a command changes nothing."""
    dry: dict[str, Any] = {"dry_run": True}
    body = {**dry, "to": {"card_no": "stranger"}, "points": 1} if route.path.endswith("/point-transfers") else dry
    if route.path.endswith("/contributions"):
        body = dict(dry, points=1)
    key = {"Idempotency_Key": "new"} if route.keyed else {}
    me = as_member(api, wiring.house(), who)
    return me.send(route.method, path, body if route.body is not None else None, **key)


def seen(reply: Reply) -> str:
    """What a caller makes of an answer: there is something, or not."""
    return "nothing" if reply.status == 404 else "something" if reply.status != 403 else "forbidden"


def test_a_stranger_finds_nothing_and_is_told_what_is_told_of_nothing(
    api: Api, look: Look, town: tuple[Things, str, str]
) -> None:
    theirs, _, stranger = town
    before, leaks = look(), []
    for route in owned_routes():
        refused, none = (call(api, stranger, route, theirs.path(route, none=each)) for each in (False, True))
        name = f"{route.method} {route.path}"
        if (refused.status, refused.code) != (404, none.code):
            leaks.append(f"{name}: {refused.status} {refused.text[:80]}")
            continue
        said = refused.text
        for part, ours in theirs.ids.items():
            said = said.replace(ours, NONE[part])
        assert json.loads(said) == none.json, name
    assert leaks == []
    assert look() == before


def test_the_owner_finds_everything_and_a_partner_what_is_shared(api: Api, town: tuple[Things, str, str]) -> None:
    theirs, partner, _ = town
    for route in owned_routes():
        path = theirs.path(route)
        of = route.rule.of
        assert seen(call(api, theirs.member_id, route, path)) == (
            "nothing" if of == "transfer_receiver" else "something"
        ), path
        shared = of in ("pool", "transfer", "transfer_receiver")
        assert seen(call(api, partner, route, path)) == ("something" if shared else "nothing"), path


def test_what_is_for_staff_is_forbidden_to_a_member_whose_thing_it_is(api: Api, town: tuple[Things, str, str]) -> None:
    theirs, _, _ = town
    for route in ROUTES:
        if route.rule.of and route.rule.least is not Scope.SELF and FINDERS[route.rule.of].part != "body":
            path = theirs.path(route)
            assert seen(call(api, theirs.member_id, route, path)) == "forbidden", f"{route.method} {path}"


@pytest.mark.parametrize("by", ["the one who stays", "the one who was merged"])
def test_after_a_merge_the_things_of_both_are_found_by_either_token(
    api: Api, town: tuple[Things, str, str], by: str
) -> None:
    stays, partner, stranger = town
    goes = things(api, "two", partner)
    api.post(f"/v1/point-holds/{goes.ids['hold_id']}/release", {})
    api.post(f"/v1/point-transfers/{goes.ids['transfer_id']}/cancel", {})
    body = {"from_member_id": goes.member_id, "into_member_id": stays.member_id, "reason": "the same person"}
    merged = api.post("/v1/member-merges", body, key="m")
    assert merged.status == 201, merged.text
    who = stays.member_id if by == "the one who stays" else goes.member_id
    for each in (stays, goes):
        for route in owned_routes():
            found = seen(call(api, who, route, each.path(route)))
            assert found == ("nothing" if route.rule.of == "transfer_receiver" else "something"), each.path(route)
            if route.rule.of != "transfer_receiver":
                assert seen(call(api, stranger, route, each.path(route))) == "nothing"
    me = as_member(api, wiring.house(), who)
    assert len(me.get("/v1/me/purchases").json["items"]) == 2
    assert len(me.get("/v1/me/cards").json["items"]) == 2
    assert len(me.get("/v1/me/pools").json["items"]) == 2


def test_my_own_routes_say_what_the_members_routes_say(api: Api, house: House, town: tuple[Things, str, str]) -> None:
    theirs, _, stranger = town
    me, other = as_member(api, house, theirs.member_id), as_member(api, house, stranger)
    names = ("points", "tier", "point-entries", "point-transfers", "purchases", "cards", "pools")
    for name in names:
        mine = me.get(f"/v1/me/{name}")
        assert mine.json == api.get(f"/v1/members/{theirs.member_id}/{name}").json, name
        assert other.get(f"/v1/me/{name}").json == api.get(f"/v1/members/{stranger}/{name}").json, name
    page = me.get("/v1/me/point-entries", limit=1).json["next_cursor"]
    assert me.get("/v1/me/point-entries", limit=1, cursor=page).status == 200
    assert other.get("/v1/me/point-entries", limit=1, cursor=page).code == "cursor_invalid"
    own: list[Rule] = [rule for name, rule in POLICY.items() if name.partition(" ")[2].split("/")[1] == "me"]
    assert own
    assert all(rule.by is Kind.MEMBER for rule in own)


def test_a_leak_would_be_found(api: Api, town: tuple[Things, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a finder that takes everybody for the owner."""
    from dataclasses import replace

    from chalicelib.identity.models import Owner

    theirs, _, stranger = town
    anyone: Any = lambda house, card_id, caller: Owner(caller.account_ids)  # noqa: E731
    monkeypatch.setitem(FINDERS, "card", replace(FINDERS["card"], find=anyone))
    leaking = [route for route in owned_routes() if seen(call(api, stranger, route, theirs.path(route))) != "nothing"]
    assert {route.rule.of for route in leaking} == {"card"}
