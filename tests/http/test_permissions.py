"""Every route for every role: the matrix is made from the routes and the roles, so that none is forgotten."""

import pytest

from chalicelib.api.routing import ROUTES, Route
from chalicelib.identity.permissions import ROLES, Permission, Scope
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.makers import Api, Reply, a_path, a_purchase_body
from tests.signing_in import as_member


def routes() -> list[Route]:
    """All routes; the app declares them when it is imported."""
    import app

    assert app.app.app_name == "regulars"
    return sorted(ROUTES, key=lambda route: (route.path, route.method))


def path_of(route: Route, member_id: str) -> str:
    """A path that leads to the route."""
    return a_path(route.path, member_id=member_id)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_gets_where_its_permissions_allow_and_nowhere_else(
    api: Api, house: House, look: Look, role: str
) -> None:
    member = api.enrol()["member_id"]
    before = look()
    expected, found = {}, {}
    for route in routes():
        name = f"{route.method} {route.path}"
        who = as_member(api, house, member) if role == "member" else api.as_(role)
        reply = who.send(route.method, path_of(route, member))
        rule = route.rule
        allowed = rule.needs is None or ROLES[role].get(rule.needs, 0) >= rule.least
        allowed = allowed and (rule.by is None or role == "member")
        expected[name] = "let in" if allowed else "403 permission_missing"
        let_in = reply.status not in (401, 403)
        found[name] = "let in" if let_in else f"{reply.status} {reply.code}"
        assert reply.status < 500, name
    assert found == expected
    raised = {key for key in look() if key.pk.startswith("AL#")}  # so many refusals do not go unnoticed
    assert {key: item for key, item in look().items() if key not in raised} == before, (
        "no body was sent, so nothing can have been written"
    )


def test_nobody_gets_anywhere_without_a_token_except_where_it_is_open(api: Api) -> None:
    member = api.enrol()["member_id"]
    for route in routes():
        reply = api.send(route.method, path_of(route, member), Authorization="")
        if route.rule.open:
            found = route.method == "GET" and "{" not in route.path
            assert reply.status in ((200,) if found else (400, 404)), route.path
        else:
            assert (reply.status, reply.code) == (401, "token_missing"), route.path


def test_a_command_that_is_not_allowed_is_refused_before_it_is_read(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    before = look()
    for body in ({"points": 5, "reason_code": "x"}, b"[" * 100_000, {"nonsense": 1}, None):
        reply = api.as_("clerk").send("POST", f"/v1/members/{member}/point-adjustments", body, Idempotency_Key="k")
        assert (reply.status, reply.code, reply.json["facts"]) == (
            403, "permission_missing", {"permission": "points:adjust"},
        )  # fmt: skip
    assert look() == before


def test_who_may_do_what_with_money_is_as_agreed() -> None:
    """Not derived: the roles' rights that matter most, written down a second time on purpose."""
    may = {permission: {role for role, rights in ROLES.items() if permission in rights} for permission in Permission}
    assert may[Permission.PROGRAM_PUBLISH] == {"admin"}
    assert may[Permission.POINTS_ADJUST] == {"admin", "agent", "shop_manager"}
    assert may[Permission.POINTS_SPEND] == {"admin", "clerk", "integration", "shop_manager"}
    assert may[Permission.POINTS_TRANSFER] == {"admin", "agent", "integration", "member", "shop_manager"}
    assert may[Permission.PURCHASES_RECORD] == {"admin", "clerk", "integration", "shop_manager"}
    assert may[Permission.PURCHASES_RESTATE] == {"admin", "integration", "shop_manager"}
    assert may[Permission.CARDS_TOP_UP] == may[Permission.CARDS_SPEND] == may[Permission.POINTS_SPEND]
    assert may[Permission.CARDS_REFUND] == {"admin", "shop_manager"}
    assert may[Permission.CARDS_STATUS] == {"admin", "agent", "shop_manager"}
    assert may[Permission.MEMBERS_STATUS] == {"admin", "agent", "shop_manager"}
    assert may[Permission.MEMBERS_WRITE] == {"admin", "agent", "clerk", "integration", "member", "shop_manager"}
    assert ROLES["member"][Permission.MEMBERS_WRITE] is Scope.SELF
    assert may[Permission.INTEGRATIONS_MANAGE] == {"admin"}
    assert may[Permission.MEMBERS_READ] == set(ROLES) - {"analyst"}


def sold(api: Api, member: str, shop: str | None, order_no: str) -> Reply:
    """A purchase in a shop."""
    return api.post("/v1/purchases", a_purchase_body({"member_id": member}, shop_id=shop, order_no=order_no))


def test_a_till_reaches_its_own_shops_things_and_sees_of_others_what_it_would_of_none(api: Api) -> None:
    member = api.enrol()["member_id"]
    theirs, own = (sold(api, member, f"shp_{name}", name).json["purchase_id"] for name in ("other", "main"))
    entries = api.get(f"/v1/members/{member}/point-entries").json["items"]
    clerk = api.as_("clerk")
    assert clerk.get(f"/v1/purchases/{own}").status == 200
    none = clerk.get("/v1/purchases/pur_cG9zI25vbmU")
    refused = clerk.get(f"/v1/purchases/{theirs}")
    assert (refused.status, refused.code) == (none.status, none.code) == (404, "purchase_unknown")
    assert refused.json["detail"] == none.json["detail"].replace("pur_cG9zI25vbmU", theirs)
    by_id = clerk.post(f"/v1/purchases/{theirs}/returns", {"reason": "broken"}, key="r")
    order = {"channel": "pos", "order_no": "other", "reason": "broken"}
    by_order = clerk.post("/v1/returns", order, key="r")
    assert {(each.status, each.code) for each in (by_id, by_order)} == {(404, "purchase_unknown")}
    assert clerk.post("/v1/returns", {**order, "order_no": "main"}, key="r").status == 201
    assert sorted(clerk.get(f"/v1/point-entries/{each['entry_id']}").status for each in entries) == [200, 404]


def test_a_till_sells_in_its_own_shop_and_need_not_name_it(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    before = look()
    refused = sold(api.as_("clerk"), member, "shp_other", "1")
    assert (refused.status, refused.code, refused.json["facts"]) == (403, "shop_not_yours", {"shop_id": "shp_other"})
    assert look() == before
    done = sold(api.as_("clerk"), member, None, "2").json["purchase_id"]
    assert api.get(f"/v1/purchases/{done}").json["shop_id"] == "shp_main"
