"""Dry runs of commands that move no points, and If-Match."""

import pytest

from tests.makers import Api, a_purchase_body


@pytest.mark.parametrize("command", ["suspensions", "reinstatements", "closures"])
def test_a_dry_run_says_what_would_be_and_changes_nothing(api: Api, command: str) -> None:
    member = api.enrol(birthday="1990-05-01")
    before = api.get(f"/v1/members/{member['member_id']}").text
    reply = api.post(f"/v1/members/{member['member_id']}/{command}", {"reason": "to see", "dry_run": True})
    would_be = {"suspensions": "suspended", "reinstatements": "active", "closures": "closed"}[command]
    assert (reply.status in (200, 201), reply.json["status"]) == (True, would_be)
    assert api.get(f"/v1/members/{member['member_id']}").text == before


def test_every_answer_to_a_dry_run_says_that_it_is_one(api: Api) -> None:
    member = api.enrol(card_no="dry")
    path = f"/v1/members/{member['member_id']}"
    body = a_purchase_body({"member_id": member["member_id"]}, dry_run=True)
    tries = [
        api.post(f"{path}/suspensions", {"reason": "to see", "dry_run": True}),
        api.post(f"{path}/erasures", {"reason": "asked", "dry_run": True}),
        api.post("/v1/purchases", body),
        api.put(
            "/v1/roles/barista",
            {"version": 0, "name": "B", "permissions": {"points:read": "shop"}, "reason": "x", "dry_run": True},
        ),
    ]
    assert [(each.status, each.headers.get("Dry-Run")) for each in tries] == [(200, "true")] * 4
    assert tries[1].json["done"] is False
    done = [api.post("/v1/purchases", {**body, "dry_run": False}), api.get(path)]
    assert [each.headers.get("Dry-Run") for each in done] == [None] * 2
    erased = api.post(f"{path}/erasures", {"reason": "asked", "forfeit": True})
    assert (erased.status, erased.json["done"], erased.headers.get("Dry-Run")) == (201, True, None)
    again = api.post(f"{path}/erasures", {"reason": "asked", "dry_run": True})
    assert (again.json["done"], again.headers["Idempotency-Replayed"]) == (True, "true")


def test_a_program_can_be_tried_before_it_is_published(api: Api) -> None:
    read = api.get("/v1/program").json
    body = {name: value for name, value in read.items() if name not in ("published_at", "former_ladders")}
    tried = api.put("/v1/program", {**body, "language": "en", "dry_run": True})
    assert (tried.status, tried.json["version"], tried.json["language"]) == (200, 2, "en")
    assert api.get("/v1/program").json == read


@pytest.mark.parametrize(
    ("if_match", "status"), [('"v1"', 200), ('W/"v1-0123456789abcdef"', 200), ("*", 200), ('"v2"', 400), ("junk", 400)]
)
def test_an_if_match_that_names_another_version_or_none_is_refused(api: Api, if_match: str, status: int) -> None:
    member = api.enrol()
    reply = api.patch(f"/v1/members/{member['member_id']}", {"version": 1, "name": "李四"}, If_Match=if_match)
    assert reply.status == status
    expected = "李四" if status == 200 else "张三"
    assert api.unmasked(member["member_id"], "name")["name"] == expected


def test_an_unchanged_answer_is_not_sent_again(api: Api) -> None:
    path = f"/v1/members/{api.enrol()['member_id']}"
    tag = api.get(path).headers["ETag"]
    for sent in (tag, f'"other", {tag}', f"W/{tag}"):
        reply = api.send("GET", path, If_None_Match=sent)
        assert (reply.status, reply.text) == (304, "")
    assert api.send("GET", path, If_None_Match='"other"').status == 200
