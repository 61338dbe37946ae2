"""What a till sees in lists: its own shops' purchases, and of others what they did to the points."""

from typing import Any

from tests.http.conftest import Look
from tests.makers import Api, a_purchase_body


def sold(api: Api, member: str, shop: str | None, order_no: str) -> str:
    """A purchase in a shop, by somebody who reaches all; its id."""
    reply = api.post("/v1/purchases", a_purchase_body({"member_id": member}, shop_id=shop, order_no=order_no))
    assert reply.status == 201, reply.text
    return str(reply.json["purchase_id"])


def everything(api: Api, path: str, limit: int) -> list[Any]:
    """All items of a list, page by page."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    for _ in range(50):
        page = api.get(path, limit=limit, **cursor).json
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("it never ends")


def a_life(api: Api) -> tuple[str, list[str]]:
    """A member who bought here and there, and returned there; and what a till here may not see of it."""
    member = api.enrol()["member_id"]
    for number, shop in enumerate(["shp_main", "shp_other", "shp_other", None, "shp_main", "shp_other"]):
        name = "secret" if shop == "shp_other" else "seen"
        purchase = sold(api, member, shop, f"{name}-{number}")
        if number == 2:
            back = {"amount_minor": 100, "reason": "broken"}
            assert api.post(f"/v1/purchases/{purchase}/returns", back, key="secret-r").status == 201
    hidden = [each["purchase_id"] for each in api.get(f"/v1/members/{member}/purchases").json["items"]]
    return member, [each for each in hidden if api.as_("clerk").get(f"/v1/purchases/{each}").status == 404]


def test_purchases_of_other_shops_are_left_out_and_the_pages_go_on(api: Api) -> None:
    member, hidden = a_life(api)
    assert len(hidden) == 3
    path = f"/v1/members/{member}/purchases"
    for limit in (1, 2, 3, 100):
        seen = everything(api.as_("clerk"), path, limit)
        assert [each["order_no"] for each in seen] == ["seen-4", "seen-3", "seen-0"], limit
        assert len(everything(api, path, limit)) == 6


def test_the_statement_and_the_timeline_stay_whole_and_say_nothing_of_other_shops_purchases(api: Api) -> None:
    member, _ = a_life(api)
    for limit in (1, 2, 100):
        whole = everything(api, f"/v1/members/{member}/point-entries", limit)
        seen = everything(api.as_("clerk"), f"/v1/members/{member}/point-entries", limit)
        assert [each["balance_after"] for each in seen] == [each["balance_after"] for each in whole]
        bare = [each for each in seen if "entry_id" not in each]
        assert len(bare) == 4, "three purchases and a return"
        assert set(bare[0]) == {
            "seq", "reason", "points", "balance_after", "occurred_at", "recorded_at", "account_id",
        }  # fmt: skip
        assert [each for each in seen if "entry_id" in each] == [each for each in whole if "seen" in each["reference"]]
        happened = everything(api.as_("clerk"), f"/v1/members/{member}/timeline", limit)
        assert len(happened) == len(everything(api, f"/v1/members/{member}/timeline", limit)) == 8
        assert "secret" not in str((seen, happened))
        for entry in whole:
            theirs = api.as_("clerk").get(f"/v1/point-entries/{entry['entry_id']}")
            assert theirs.status == (404 if "secret" in entry["reference"] else 200)


def test_words_that_staff_typed_stand_in_the_timeline_without_numbers_and_addresses(api: Api) -> None:
    member = api.enrol()["member_id"]
    reason = "rang 139 1234 5678, wrote a@b.com: lost the phone"
    assert api.post(f"/v1/members/{member}/suspensions", {"reason": reason}).status == 201
    for caller in (api, api.as_("clerk"), api.as_("marketer")):
        (happened,) = (
            each for each in caller.get(f"/v1/members/{member}/timeline").json["items"] if each["type"] == "suspended"
        )
        assert happened["facts"]["reason"] == "rang …, wrote …@… lost the phone"


def test_what_follows_from_another_shops_purchase_is_hidden_with_it(api: Api) -> None:
    program = api.get("/v1/program").json
    terms = {name: value for name, value in program.items() if name not in ("published_at", "former_ladders")}
    assert api.put("/v1/program", {**terms, "negative_balance": "cap"}).status == 200
    member = api.enrol()["member_id"]
    purchase = sold(api, member, "shp_other", "secret-1")
    assert api.post(f"/v1/members/{member}/point-spends", {"points": 38}, key="s").status == 201
    assert api.post(f"/v1/purchases/{purchase}/returns", {"reason": "broken"}, key="secret-r").status == 201
    off = next(each for each in api.get(f"/v1/members/{member}/point-entries").json["items"] if each["reason_code"])
    assert off["reason_code"] == "write_off"
    undone = api.post(f"/v1/point-entries/{off['entry_id']}/reversals", {"reason_code": "mistake"}).json
    clerk = api.as_("clerk")
    assert "secret" not in clerk.get(f"/v1/members/{member}/point-entries").text
    assert "secret" not in clerk.get(f"/v1/members/{member}/timeline").text
    for entry in (off, undone):
        assert clerk.get(f"/v1/point-entries/{entry['entry_id']}").code == "entry_unknown"


def test_a_till_enrols_for_its_own_shop_and_need_not_name_it(api: Api, look: Look) -> None:
    clerk = api.as_("clerk")
    assert clerk.enrol()["shop_id"] == "shp_main"
    assert clerk.enrol(shop_id="shp_main")["shop_id"] == "shp_main"
    before = look()
    refused = clerk.post("/v1/members", {"card_no": "c", "shop_id": "shp_other"})
    assert (refused.status, refused.code) == (403, "shop_not_yours")
    assert look() == before
    assert api.enrol(shop_id="shp_other")["shop_id"] == "shp_other"
    assert api.enrol()["shop_id"] is None


def test_a_till_puts_nobody_into_another_shop(api: Api, look: Look) -> None:
    clerk = api.as_("clerk")
    here, there, nowhere = (api.enrol(shop_id=shop) for shop in ("shp_main", "shp_other", None))
    before = look()
    for member, shop, code in (
        (here, "shp_other", "shop_not_yours"),
        (here, None, "shop_not_yours"),
        (there, "shp_main", "home_shop_not_yours"),
        (there, "shp_third", "home_shop_not_yours"),
        (there, None, "home_shop_not_yours"),
        (nowhere, "shp_main", "home_shop_not_yours"),
        (nowhere, "shp_other", "home_shop_not_yours"),
    ):
        refused = clerk.patch(f"/v1/members/{member['member_id']}", {"version": 1, "shop_id": shop})
        assert (refused.status, refused.code) == (403, code), (member["shop_id"], shop)
    tried = clerk.patch(f"/v1/members/{here['member_id']}", {"version": 1, "shop_id": "shp_other", "dry_run": True})
    assert tried.code == "shop_not_yours"
    assert look() == before
    other = api.enrol(shop_id="shp_other")
    sent_back = clerk.patch(f"/v1/members/{other['member_id']}", {"version": 1, "shop_id": "shp_other", "name": "李四"})
    assert sent_back.status == 200, "what a form read and sends back changes nothing"
    assert api.patch(f"/v1/members/{here['member_id']}", {"version": 1, "shop_id": "shp_other"}).status == 200


def test_a_till_with_a_key_puts_nobody_into_another_shop(api: Api) -> None:
    member = api.enrol(shop_id="shp_main")["member_id"]
    key = {"name": "till", "permissions": ["members:read", "members:write"], "scope": "shop", "shop_ids": ["shp_main"]}
    made = api.post("/v1/integration-keys", key, key="k")
    assert made.status == 201, made.text
    till = api.with_(made.json["key"])
    refused = till.patch(f"/v1/members/{member}", {"version": 1, "shop_id": "shp_other"})
    assert (refused.status, refused.code) == (403, "shop_not_yours")
    assert till.patch(f"/v1/members/{member}", {"version": 1, "name": "李四"}).status == 200
