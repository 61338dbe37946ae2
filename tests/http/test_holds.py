"""Holds over HTTP: one happy case, and each refusal."""

from typing import Any

import pytest

from tests.http.conftest import Look
from tests.http.test_routes import give, refused
from tests.makers import Api, a_purchase_body


def hold(api: Api, member: str, points: int, key: str = "h", **fields: Any) -> dict[str, Any]:
    """Points held for a member."""
    reply = api.post(f"/v1/members/{member}/point-holds", {"points": points, **fields}, key=key)
    assert reply.status == 201, reply.text
    made: dict[str, Any] = reply.json
    return made


def test_points_are_held_captured_and_seen(api: Api) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 500)
    made = hold(api, member, 300, reference="cart-1")
    assert made == {
        "hold_id": "hld_aA", "member_id": member, "status": "held", "points": 300, "captured_points": 0,
        "reference": "cart-1", "held_at": "2026-03-15T04:00:00Z", "held_until": "2026-03-15T04:15:00Z", "seq": 2,
        "hash": made["hash"], "end": None,
    }  # fmt: skip
    again = api.post(f"/v1/members/{member}/point-holds", {"points": 300, "reference": "cart-1"}, key="h")
    assert (again.status, again.json, again.replayed) == (201, made, True)
    assert api.get(f"/v1/point-holds/{made['hold_id']}").json == made
    assert api.get(f"/v1/members/{member}/point-holds").json == {"items": [made], "next_cursor": None}
    assert api.get(f"/v1/members/{member}").json["points"]["held"] == 300

    captured = api.post(f"/v1/point-holds/{made['hold_id']}/capture", {"points": 100})
    assert (captured.status, captured.json["status"], captured.json["captured_points"]) == (201, "captured", 100)
    assert captured.json["end"]["balance_after"] == 400
    assert api.post(f"/v1/point-holds/{made['hold_id']}/capture", {"points": 100}).replayed
    assert api.get(f"/v1/members/{member}/point-holds").json["items"] == []


def test_a_hold_that_timed_out_is_released_without_a_fuss(api: Api) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 500)
    made = hold(api, member, 300, minutes=1)
    api.clock.forward(minutes=1)
    path = f"/v1/point-holds/{made['hold_id']}"
    assert api.get(path).json["status"] == "timed_out"
    assert refused(api.post(path + "/capture", {})) == (409, "hold_over")
    released = api.post(path + "/release", {})
    assert (released.status, released.json["status"], released.json["end"]["at"]) == (
        201, "timed_out", made["held_until"],
    )  # fmt: skip
    assert api.post(path + "/release", {}).replayed


def test_what_holds_refuse(api: Api, look: Look) -> None:
    member, other = api.enrol()["member_id"], api.enrol()["member_id"]
    give(api, member, 500)
    made = hold(api, member, 300)
    closed = api.enrol()["member_id"]
    assert api.post(f"/v1/members/{closed}/closures", {"reason": "x"}).status == 201
    give(api, other, 5, key="g2")
    assert api.post(f"/v1/members/{other}/suspensions", {"reason": "x"}).status == 201
    before = look()

    def asked(member: str, points: int = 1, key: str = "new") -> tuple[int, str]:
        return refused(api.post(f"/v1/members/{member}/point-holds", {"points": points}, key=key))

    assert asked(member, 201) == (409, "points_insufficient")
    assert asked(member, 301, key="h") == (409, "entry_differs")
    assert asked(other) == (409, "member_suspended")
    assert asked(closed) == (409, "member_closed")
    assert asked("mem_" + "a" * 16) == (404, "member_unknown")
    assert refused(api.post(f"/v1/members/{member}/point-holds", {"points": 1})) == (400, "key_missing")
    assert refused(api.post(f"/v1/members/{member}/point-holds", {"points": 1, "minutes": 43_201}, key="n")) == (
        422, "request_invalid",
    )  # fmt: skip
    assert refused(api.post(f"/v1/point-holds/{made['hold_id']}/capture", {"points": 301})) == (
        409, "capture_too_large",
    )  # fmt: skip
    for end in ("capture", "release"):
        for unknown in ("hld_bm9uZQ", "hld_____", "hld_bm9uZR"):
            assert refused(api.post(f"/v1/point-holds/{unknown}/{end}", {})) == (404, "hold_unknown")
    assert refused(api.get("/v1/members/mem_" + "a" * 16 + "/point-holds")) == (404, "member_unknown")
    assert refused(api.post(f"/v1/members/{member}/closures", {"reason": "x", "forfeit_points": True})) == (
        409, "holds_open",
    )  # fmt: skip
    body = a_purchase_body({"member_id": member}, points_hold_id="hld_bm9uZQ")
    assert refused(api.post("/v1/purchases", body)) == (404, "hold_unknown")
    assert look() == before


@pytest.mark.parametrize("letter", ["%", "#", "~", "/"])
def test_the_longest_key_makes_a_hold_whatever_its_letters(api: Api, letter: str) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 500)
    made = hold(api, member, 300, key=letter * 128)
    assert api.get(f"/v1/point-holds/{made['hold_id']}").json == made
    captured = api.post(f"/v1/point-holds/{made['hold_id']}/capture", {})
    assert captured.status == 201, captured.text
    assert api.get(f"/v1/point-holds/{made['hold_id']}").json == captured.json
