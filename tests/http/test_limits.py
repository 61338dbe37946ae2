"""What a till gives no more than it took: purchases, cards, and debts that somebody else has to pay."""

from typing import Any

import pytest

from chalicelib.identity.permissions import FOR_INTEGRATIONS, ROLES, Permission
from chalicelib.storage import keys
from tests.http.conftest import Look
from tests.http.test_audit import api_terms, watched
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


# ---------------------------------------------------------------- cards


def a_top_up(paid: int, bonus: int, **fields: Any) -> dict[str, Any]:
    """The body of a top-up, paid in cash."""
    means = [{"kind": "cash", "amount_minor": paid}]
    return {"amount_minor": paid, "bonus_minor": bonus, "means": means, **fields}


def a_count_card(uses: int, price: int, **fields: Any) -> dict[str, Any]:
    """The body that opens a card of so many visits, paid in cash."""
    means = [{"kind": "cash", "amount_minor": price}] if price else []
    return {"kind": "count", "uses": uses, "price_minor": price, "means": means, **fields}


def a_card(api: Api) -> str:
    """An empty card that holds money; its id."""
    member = api.enrol()["member_id"]
    opened = api.as_("clerk").post(f"/v1/members/{member}/cards", {"kind": "stored_value"}, key=f"c{member}")
    assert opened.status == 201, opened.text
    return str(opened.json["card_id"])


@pytest.mark.parametrize(("paid", "bonus", "given"), [(1, 400_000, 400_000), (10_000, 5_001, 1), (1, 1, 1)])
@pytest.mark.parametrize("role", ["clerk", "integration"])
def test_no_till_gives_more_bonus_than_the_program_lets_it(
    api: Api, look: Look, role: str, paid: int, bonus: int, given: int
) -> None:
    path, till = f"/v1/cards/{a_card(api)}/top-ups", api.as_(role)
    before = look()
    for reason in ({}, {"reason": "she is so nice"}):
        refused = till.post(path, a_top_up(paid, bonus, **reason), key="k")
        assert (refused.status, refused.code) == (403, "card_gift_forbidden"), refused.text
        assert refused.json["facts"] == {"given_minor": given, "permission": "cards:gift"}
        assert "admin and shop_manager" in refused.json["detail"]
    assert look() == before


@pytest.mark.parametrize(("uses", "price", "given"), [(10_000, 0, 1_000_000), (10_000, 1, 999_999), (10, 999, 1)])
@pytest.mark.parametrize("role", ["clerk", "integration"])
def test_no_till_gives_visits_for_nothing(api: Api, look: Look, role: str, uses: int, price: int, given: int) -> None:
    member, till = api.enrol()["member_id"], api.as_(role)
    before = look()
    refused = till.post(f"/v1/members/{member}/cards", a_count_card(uses, price, reason="nice"), key="k")
    assert (refused.status, refused.code) == (403, "card_gift_forbidden"), refused.text
    assert refused.json["facts"] == {"given_minor": given, "permission": "cards:gift"}
    assert look() == before


def test_what_is_paid_for_a_till_gives_as_ever_and_leaves_no_audit_entry(api: Api) -> None:
    path, clerk = f"/v1/cards/{a_card(api)}/top-ups", api.as_("clerk")
    assert clerk.post(path, a_top_up(10_000, 5_000), key="k").status == 201
    assert api.get("/v1/audit-entries", action="top_up_card").json["items"] == []
    member = api.enrol()["member_id"]
    assert clerk.post(f"/v1/members/{member}/cards", a_count_card(10, 1_000), key="k").status == 201


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_gift_needs_a_reason(api: Api, look: Look, *, dry_run: bool) -> None:
    path, manager, member = f"/v1/cards/{a_card(api)}/top-ups", api.as_("shop_manager"), api.enrol()["member_id"]
    before = look()
    for refused in (
        manager.post(path, a_top_up(100, 51, dry_run=dry_run), key="k"),
        manager.post(f"/v1/members/{member}/cards", a_count_card(1, 0, dry_run=dry_run), key="k"),
    ):
        assert (refused.status, refused.code) == (400, "card_gift_unexplained"), refused.text
    assert look() == before


def test_a_gift_is_in_the_audit_trail_and_what_is_much_raises_an_alert(api: Api, look: Look) -> None:
    card, manager, member = a_card(api), api.as_("shop_manager"), api.enrol()["member_id"]
    body = a_top_up(100, 25_050, reason="spilt on 13912345678")
    first = manager.post(f"/v1/cards/{card}/top-ups", body, key="k")
    assert (first.status, first.json["bonus_minor"]) == (201, 25_050), first.text
    again = manager.post(f"/v1/cards/{card}/top-ups", {**body, "reason": "in other words"}, key="k")
    assert (again.replayed, again.json) == (True, first.json)
    (entry,) = api.get("/v1/audit-entries", action="top_up_card").json["items"]
    assert (entry["who"]["subject"], entry["reason"]) == ("stf_shop_manager", "spilt on …")
    assert next(each for each in entry["changes"] if each["item"] == "entry")["after"]["gv"] == 25_000
    watched(look())
    assert api.get("/v1/alerts").json["items"] == []
    path, command = f"/v1/members/{member}/cards", a_count_card(251, 0, reason="a prize")
    opened = manager.post(path, command, key="k")
    assert opened.status == 201, opened.text
    assert manager.post(path, {**command, "reason": "the prize"}, key="k").json == opened.json
    (entry,) = api.get("/v1/audit-entries", action="open_card", member_id=member).json["items"]
    assert entry["reason"] == "a prize"
    watched(look())
    watched(look())
    (alert,) = api.get("/v1/alerts").json["items"]
    assert (alert["kind"], alert["about"], alert["count"], alert["limit"]) == (
        "card_gifts", "stf_shop_manager", 50_100, 50_000,
    )  # fmt: skip


def test_a_program_says_what_any_till_may_give(api: Api) -> None:
    publish(api, card_gifts={"bonus_percent_max": 100, "visit_minor_min": 0})
    clerk, member = api.as_("clerk"), api.enrol()["member_id"]
    assert clerk.post(f"/v1/cards/{a_card(api)}/top-ups", a_top_up(100, 100), key="k").status == 201
    assert clerk.post(f"/v1/members/{member}/cards", a_count_card(10, 0), key="k").status == 201


# ---------------------------------------------------------------- debts


def give(api: Api, member: str, points: int) -> None:
    """Give points by hand; below nought, take them."""
    body = {"points": points, "reason_code": "moved"}
    done = api.post(f"/v1/members/{member}/point-adjustments", body, key=f"{member}{points}")
    assert done.status == 201, done.text


def spent_after_a_merge(api: Api, points: int = 1_000) -> tuple[str, str, str]:
    """Two members who were merged, and what the one brought spent by the other; both, and the merge."""
    one, other = (api.enrol(shop_id="shp_main")["member_id"] for _ in range(2))
    give(api, one, points)
    merged = api.post("/v1/member-merges", {"from_member_id": one, "into_member_id": other, "reason": "one"}, key=one)
    assert merged.status == 201, merged.text
    assert api.post(f"/v1/members/{other}/point-spends", {"points": points}, key=one).status == 201
    return one, other, merged.json["merge_id"]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("role", ["shop_manager", "agent"])
def test_an_undoing_that_leaves_a_debt_is_for_who_may(api: Api, look: Look, role: str, *, dry_run: bool) -> None:
    one, other, merge = spent_after_a_merge(api)
    path, before = f"/v1/member-merges/{merge}/undo", look()
    refused = api.as_(role).post(path, {"reason": "two", "dry_run": dry_run})
    assert (refused.status, refused.code) == (403, "undo_leaves_debt"), refused.text
    assert refused.json["facts"] == {
        "member_id": other, "owed_before": 0, "owed_after": 1_000, "permission": "members:undo_owing",
    }  # fmt: skip
    assert look() == before
    done = api.post(path, {"reason": "two"})
    assert (done.status, done.json["from_balance"], done.json["into_balance"]) == (201, 1_000, -1_000)
    again = api.as_(role).post(path, {"reason": "two"})
    assert (again.replayed, again.json) == (True, done.json), "what was done is answered to whoever asks"
    assert one != other


def test_points_on_hold_count_as_spent_when_a_merge_is_undone(api: Api) -> None:
    one, other = (api.enrol(shop_id="shp_main")["member_id"] for _ in range(2))
    give(api, one, 1_000)
    body = {"from_member_id": one, "into_member_id": other, "reason": "one"}
    merge = api.post("/v1/member-merges", body, key="m").json["merge_id"]
    assert api.post(f"/v1/members/{other}/point-holds", {"points": 1_000, "minutes": 60}, key="h").status == 201
    refused = api.as_("shop_manager").post(f"/v1/member-merges/{merge}/undo", {"reason": "two"})
    assert (refused.status, refused.code) == (403, "undo_leaves_debt"), refused.text


def test_what_goes_home_leaves_no_debt_there_either(api: Api) -> None:
    one, other = (api.enrol(shop_id="shp_main")["member_id"] for _ in range(2))
    give(api, one, 200)
    spend = api.post(f"/v1/members/{one}/point-spends", {"points": 200}, key="s").json["entry_id"]
    back = api.post(f"/v1/point-entries/{spend}/reversals", {"reason_code": "r"}).json["entry_id"]
    assert api.post(f"/v1/members/{one}/point-spends", {"points": 200}, key="t").status == 201
    give(api, other, 1_000)
    body = {"from_member_id": one, "into_member_id": other, "reason": "one"}
    merge = api.post("/v1/member-merges", body, key="m").json["merge_id"]
    assert api.post(f"/v1/point-entries/{back}/reversals", {"reason_code": "r"}).status == 201
    refused = api.as_("shop_manager").post(f"/v1/member-merges/{merge}/undo", {"reason": "two"})
    assert (refused.status, refused.code) == (403, "undo_leaves_debt"), refused.text
    assert refused.json["facts"]["member_id"] == one


def test_an_undoing_that_leaves_no_more_debt_than_there_was_is_for_all_who_merge(api: Api) -> None:
    one, other = (api.enrol(shop_id="shp_main")["member_id"] for _ in range(2))
    give(api, one, 500)
    give(api, other, -300)
    body = {"from_member_id": one, "into_member_id": other, "reason": "one"}
    merge = api.post("/v1/member-merges", body, key="m").json["merge_id"]
    owes = api.as_("shop_manager").post(f"/v1/member-merges/{merge}/undo", {"reason": "two"})
    assert owes.code == "undo_leaves_debt", "the 300 were paid by the merge"
    give(api, other, 300)
    undone = api.as_("shop_manager").post(f"/v1/member-merges/{merge}/undo", {"reason": "two"})
    assert (undone.status, undone.json["into_balance"]) == (201, 0), undone.text


def test_a_debt_over_the_limit_of_one_is_forgiven_by_two(api: Api, look: Look) -> None:
    publish(api, approvals={"adjustment_points_max": 1_000}, velocity={"staff_points_per_day": 1_000})
    manager, small, large = api.as_("shop_manager"), api.enrol()["member_id"], api.enrol()["member_id"]
    give(api, small, -1_000)
    for points in (-600, -401):
        give(api.as_("agent" if points == -401 else "admin"), large, points)
    body = {"reason": "moved away", "forfeit_points": True}
    assert manager.post(f"/v1/members/{small}/closures", body).status == 201
    path, before = f"/v1/members/{large}/closures", look()
    dry = manager.post(path, {**body, "dry_run": True})
    assert (dry.status, dry.code) == (409, "approval_needed"), dry.text
    assert look() == before
    asked = manager.post(path, body)
    assert (asked.status, asked.json["kind"], asked.json["amount"]) == (202, "closure", 1_001), asked.text
    assert manager.post(path, body).json == asked.json
    blocked = api.post(f"/v1/members/{large}/erasures", {"reason": "asked", "forfeit": True})
    assert [each["what"] for each in blocked.json["facts"]["blockers"]] == ["points_owed"]
    assert api.get(f"/v1/members/{large}").json["status"] == "active"
    approve = f"/v1/approvals/{asked.json['approval_id']}/approvals"
    assert manager.post(approve, {}).code == "approval_own"
    done = api.post(approve, {"reason": "seen"})
    assert (done.status, done.json["status"]) == (201, "approved"), done.text
    assert done.json["entry_id"]
    assert api.get(f"/v1/members/{large}").json["status"] == "closed"
    assert manager.post(path, body).replayed
    assert api.post(f"/v1/members/{large}/erasures", {"reason": "asked", "forfeit": True}).status == 201
    watched(look())
    kinds = {(each["kind"], each["about"]): each["count"] for each in api.get("/v1/alerts").json["items"]}
    assert kinds["staff_velocity", "stf_admin"] == 1_001


@pytest.mark.parametrize("owed", [1_000, 1_001])
def test_who_erases_forgives_no_more_than_by_an_adjustment(api: Api, look: Look, owed: int) -> None:
    publish(api, approvals={"adjustment_points_max": 1_000})
    member = api.enrol()["member_id"]
    api.clock.forward(seconds=1)
    give(api, member, -owed + 1)
    give(api.as_("agent"), member, -1)
    api.clock.forward(days=2)
    path, body = f"/v1/members/{member}/erasures", {"reason": "asked", "forfeit": True}
    before = look()
    for dry_run in (True, False):
        answer = api.post(path, {**body, "dry_run": dry_run})
        if owed > 1_000:
            assert (answer.status, answer.code) == (409, "erasure_blocked"), answer.text
            assert "second" in answer.json["facts"]["blockers"][0]["detail"]
            assert look() == before
        else:
            assert answer.status in (200, 201), answer.text


def test_who_may_record_large_purchases_and_give_on_cards() -> None:
    def held_by(permission: Permission) -> set[str]:
        return {role for role, grants in ROLES.items() if permission in grants}

    assert held_by(Permission.PURCHASES_RECORD_LARGE) == {"admin"}
    assert held_by(Permission.MEMBERS_UNDO_OWING) == {"admin"}
    assert held_by(Permission.CARDS_GIFT) == {"admin", "shop_manager"}
    assert not FOR_INTEGRATIONS & {Permission.PURCHASES_RECORD_LARGE, Permission.CARDS_GIFT}
