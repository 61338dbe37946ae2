"""Transfers over HTTP: one happy case, and each refusal."""

from typing import Any

import pytest

from tests.http.conftest import Look
from tests.http.test_hostile import TERMS
from tests.http.test_routes import give, refused
from tests.makers import Api

LIMITS = {"enabled": True, "min_points": 10, "max_points": 300, "max_points_per_month": 400, "fee_percent": 10}


@pytest.fixture
def town(api: Api) -> tuple[str, str]:
    """A giver with 500 points and a receiver, in a program that lets points be given."""
    assert api.put("/v1/program", {**TERMS, "version": 1, "transfers": LIMITS}).status == 200
    giver, receiver = api.enrol()["member_id"], api.enrol(card_no="to")["member_id"]
    give(api, giver, 500)
    return giver, receiver


def offer(api: Api, giver: str, points: int, key: str = "t", **fields: Any) -> Any:
    """Offer points to whom the card `to` belongs."""
    return api.post(
        f"/v1/members/{giver}/point-transfers", {"to": {"card_no": "to"}, "points": points, **fields}, key=key
    )


def test_points_are_offered_seen_by_both_and_accepted(api: Api, town: tuple[str, str]) -> None:
    giver, receiver = town
    made = offer(api, giver, 100, message="生日快乐")
    assert made.status == 201, made.text
    assert made.json == {
        "transfer_id": "trf_dA", "from_member_id": giver, "to_member_id": receiver, "status": "pending",
        "points": 100, "fee_points": 10, "message": "生日快乐", "offered_at": "2026-03-15T04:00:00Z",
        "expires_at": "2026-03-22T04:00:00Z", "ended_at": None, "seq": 2, "hash": made.json["hash"],
    }  # fmt: skip
    assert offer(api, giver, 100, message="生日快乐").replayed
    for member in town:
        listed = api.get(f"/v1/members/{member}/point-transfers")
        assert listed.json == {"items": [made.json], "next_cursor": None}
    accepted = api.post("/v1/point-transfers/trf_dA/accept", {})
    assert (accepted.status, accepted.json["status"]) == (201, "accepted")
    assert api.get("/v1/point-transfers/trf_dA").json == accepted.json
    assert [api.get(f"/v1/members/{member}/points").json["available"] for member in town] == [390, 100]
    assert refused(api.post("/v1/point-transfers/trf_dA/cancel", {})) == (409, "transfer_over")


def test_what_transfers_refuse(api: Api, look: Look, town: tuple[str, str]) -> None:
    giver, receiver = town
    assert offer(api, giver, 300, key="first").status == 201
    assert offer(api, giver, 20, key="second").status == 201
    assert api.post("/v1/point-transfers/trf_c2Vjb25k/decline", {}).json["status"] == "declined"
    api.post(f"/v1/members/{giver}/point-adjustments", {"points": -450, "reason_code": "x"}, key="taken")
    suspended = api.enrol(card_no="off")["member_id"]
    assert api.post(f"/v1/members/{suspended}/suspensions", {"reason": "x"}).status == 201
    before = look()

    def asked(points: int, key: str = "n", **to: str) -> tuple[int, str]:
        return refused(offer(api, giver, points, key=key, to=to or {"card_no": "to"}))

    assert asked(9) == (409, "transfer_too_small")
    assert asked(301) == (409, "transfer_too_large")
    assert asked(70) == (409, "transfer_limit_reached")
    assert asked(50) == (409, "points_insufficient")
    assert asked(299, key="first") == (409, "entry_differs")
    assert asked(50, card_no="nobody") == (404, "recipient_unknown")
    assert asked(50, member_id="mem_" + "a" * 16) == (404, "member_unknown")
    assert asked(50, member_id=giver) == (400, "transfer_to_self")
    assert asked(50, mobile="12345") == (400, "mobile_invalid")
    assert asked(50, card_no="off") == (409, "member_suspended")
    assert refused(offer(api, suspended, 50, key="m")) == (409, "member_suspended")
    assert refused(api.post("/v1/point-transfers/trf_Zmlyc3Q/accept", {})) == (409, "transfer_uncovered")
    assert refused(api.post("/v1/point-transfers/trf_c2Vjb25k/accept", {})) == (409, "transfer_over")
    for verb in ("accept", "cancel", "decline"):
        assert refused(api.post(f"/v1/point-transfers/trf_bm9uZQ/{verb}", {})) == (404, "transfer_unknown")
    assert refused(api.get("/v1/point-transfers/trf_bm9uZQ")) == (404, "transfer_unknown")
    assert refused(api.get("/v1/members/mem_" + "a" * 16 + "/point-transfers")) == (404, "member_unknown")
    assert refused(api.get(f"/v1/members/{receiver}/point-transfers", cursor="x")) == (400, "cursor_invalid")
    assert look() == before


def test_a_program_says_whether_points_can_be_given(api: Api) -> None:
    giver = api.enrol()["member_id"]
    give(api, giver, 500)
    api.enrol(card_no="to")
    assert api.get("/v1/program").json["transfers"]["enabled"] is False
    assert refused(offer(api, giver, 100)) == (409, "transfers_off")
    wrong = {**TERMS, "version": 1, "transfers": {**LIMITS, "max_points": 5}}
    assert refused(api.put("/v1/program", wrong)) == (422, "request_invalid")
