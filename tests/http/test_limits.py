"""What a till gives no more than it took: purchases, cards, and debts that somebody else has to pay."""

from typing import Any

import pytest

from chalicelib.identity.permissions import FOR_INTEGRATIONS, ROLES, Permission
from chalicelib.storage import keys
from tests.http.conftest import Look
from tests.http.test_audit import api_terms
from tests.makers import Api, a_purchase_body


def publish(api: Api, **terms: Any) -> None:
    """Publish the program with other terms, and wait until every process has read it."""
    reply = api.put("/v1/program", {**api_terms(api), **terms})
    assert reply.status == 200, reply.text
    api.clock.forward(seconds=11)


# ---------------------------------------------------------------- purchases


@pytest.mark.parametrize("paid", [5_000_001, 10**12])
@pytest.mark.parametrize("role", ["clerk", "shop_manager", "integration"])
def test_a_till_records_no_purchase_over_the_limit(api: Api, look: Look, role: str, paid: int) -> None:
    member = api.enrol()["member_id"]
    before, till = look(), api.as_(role)
    refused = till.post("/v1/purchases", a_purchase_body({"member_id": member}, paid_minor=paid, lines=[]))
    assert (refused.status, refused.code) == (422, "purchase_too_large"), refused.text
    assert refused.json["facts"] == {
        "paid_minor": paid, "limit_minor": 5_000_000, "permission": "purchases:record_large",
    }  # fmt: skip
    assert "at most 5000000" in refused.json["detail"]
    assert "admin" in refused.json["detail"]
    assert look() == before
    assert till.buy(member, paid_minor=5_000_000)["points_earned"] > 0


def test_who_may_records_a_large_purchase_and_a_program_may_set_no_limit(api: Api) -> None:
    member = api.enrol()["member_id"]
    assert api.buy(member, paid_minor=5_000_001)["points_earned"] > 0
    publish(api, purchase_max_minor=None)
    assert api.as_("clerk").buy(member, paid_minor=6_000_000)["points_earned"] > 0


def test_what_was_recorded_before_the_limit_is_answered_as_it_was(api: Api) -> None:
    member = api.enrol()["member_id"]
    body = a_purchase_body({"member_id": member}, paid_minor=4_000_000, lines=[])
    first = api.as_("clerk").post("/v1/purchases", body)
    publish(api, purchase_max_minor=1_000_000)
    again = api.as_("clerk").post("/v1/purchases", body)
    assert (again.status, again.replayed, again.json) == (first.status, True, first.json)
    differs = api.as_("clerk").post("/v1/purchases", {**body, "paid_minor": 4_000_001})
    assert differs.code == "purchase_differs"


def test_no_restatement_goes_over_the_limit_but_one_may_come_down(api: Api, look: Look) -> None:
    member, manager = api.enrol()["member_id"], api.as_("shop_manager")
    small, large = api.buy(member), api.buy(member, paid_minor=9_000_000)
    path, before = f"/v1/purchases/{small['purchase_id']}", look()
    refused = manager.put(path, {"paid_minor": 5_000_001})
    assert (refused.status, refused.code) == (422, "purchase_too_large"), refused.text
    assert look() == before
    assert manager.put(path, {"paid_minor": 5_000_000}).status == 200
    of_large = f"/v1/purchases/{large['purchase_id']}"
    assert manager.put(of_large, {"paid_minor": 9_000_001}).code == "purchase_too_large"
    assert manager.put(of_large, {"paid_minor": 8_000_000}).status == 200
    assert api.put(of_large, {"paid_minor": 9_000_001}).status == 200


# ---------------------------------------------------------------- returns before their purchase

BACK = {"channel": "pos", "order_no": "early", "reason": "broken"}


@pytest.mark.parametrize("by_id", [False, True])
def test_a_return_that_waited_takes_nothing_from_another_shops_purchase(api: Api, *, by_id: bool) -> None:
    member, manager = api.enrol()["member_id"], api.as_("shop_manager")
    purchase = keys.purchase_id("pos", "early")
    path, body = (f"/v1/purchases/{purchase}/returns", {"reason": "broken"}) if by_id else ("/v1/returns", BACK)
    assert manager.post(path, body, key="r").status == 202
    assert manager.post(path, body, key="r").status == 202, "it waits on, the same again"
    bought = api.buy(member, order_no="early", shop_id="shp_other")
    assert bought["balance_after"] == bought["points_earned"] == 38
    assert api.get(f"/v1/members/{member}/points").json["available"] == 38
    (refused,) = api.get(f"/v1/purchases/{purchase}/returns").json["items"]
    assert (refused["status"], refused["code"], refused["facts"]) == ("refused", "return_elsewhere", {})
    theirs, foreign = manager.post(path, body, key="r"), manager.post(path, body, key="another")
    assert (theirs.status, theirs.code, theirs.json["facts"]) == (404, "purchase_unknown", {"purchase_id": purchase})
    assert theirs.json["detail"] == foreign.json["detail"]
    again = api.post(path, body, key="r")
    assert (again.status, again.code) == (409, "return_elsewhere")
    assert api.post(path, body, key="own").status == 201, "who reaches the shop returns it all the same"


@pytest.mark.parametrize(
    ("role", "shop"), [("shop_manager", "shp_main"), ("shop_manager", None), ("admin", "shp_other")]
)
def test_a_return_that_waited_is_carried_out_where_its_sender_reaches(api: Api, role: str, shop: str | None) -> None:
    member = api.enrol()["member_id"]
    assert api.as_(role).post("/v1/returns", BACK, key="r").status == 202
    api.buy(member, order_no="early", shop_id=shop)
    assert api.get(f"/v1/members/{member}/points").json["available"] == 0


def test_who_may_record_large_purchases_and_give_on_cards() -> None:
    def held_by(permission: Permission) -> set[str]:
        return {role for role, grants in ROLES.items() if permission in grants}

    assert held_by(Permission.PURCHASES_RECORD_LARGE) == {"admin"}
    assert Permission.PURCHASES_RECORD_LARGE not in FOR_INTEGRATIONS
