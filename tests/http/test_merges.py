"""Merges over HTTP: answers, and the code of every refusal."""

from typing import Any

from tests.makers import Api


def pair(api: Api) -> dict[str, Any]:
    """A command to merge two members, the first of whom has points."""
    gone, kept = api.enrol(mobile="13800138000")["member_id"], api.enrol()["member_id"]
    api.buy(gone, 10_000)
    return {"from_member_id": gone, "into_member_id": kept, "reason": "同一人"}


def test_a_merge_is_answered_read_and_undone_and_the_old_id_answers_with_the_new(api: Api) -> None:
    command = pair(api)
    gone, kept = command["from_member_id"], command["into_member_id"]
    tried = api.post("/v1/member-merges", {**command, "dry_run": True}, key="m")
    done = api.post("/v1/member-merges", command, key="m")

    assert (tried.status, done.status, done.json) == (200, 201, tried.json)
    assert (done.json["points_moved"], done.json["tier_after"]) == (100, {"tier_id": "basic", "name": "普通会员"})
    again = api.post("/v1/member-merges", command, key="m")
    assert (again.replayed, again.json) == (True, done.json)
    member = api.get(f"/v1/members/{gone}").json
    assert (member["member_id"], member["merged_member_ids"]) == (kept, [gone])
    assert member["mobile"] == "+86138****8000"
    row = api.get(f"/v1/members/{gone}/point-entries").json["items"][0]
    assert (row["reason"], row["points"], row["reference"]) == ("merge", 100, done.json["merge_id"])
    first = api.get(f"/v1/members/{kept}/point-entries", limit=1).json
    assert first["items"][0]["account_id"] is None
    rest = api.get(f"/v1/members/{kept}/point-entries", cursor=first["next_cursor"]).json
    assert [(each["points"], each["account_id"]) for each in rest["items"]] == [(-100, gone), (100, gone)]
    path = f"/v1/member-merges/{done.json['merge_id']}"
    assert api.get(path).json == done.json

    undone = api.post(path + "/undo", {"reason": "doch nicht"})

    assert (undone.status, undone.json["from_balance"], undone.json["into_balance"]) == (201, 100, 0)
    assert api.post(path + "/undo", {"reason": "doch nicht"}).replayed
    assert api.get(path).json == {**done.json, "undone": undone.json}
    assert api.get(f"/v1/members/{gone}").json["member_id"] == gone


def test_every_refusal_of_a_merge_has_its_code(api: Api) -> None:
    command = pair(api)
    gone, kept = command["from_member_id"], command["into_member_id"]
    path = "/v1/member-merges"
    for fields, code in (
        ({"into_member_id": gone}, "members_same"),
        ({"into_member_id": "mem_aaaaaaaaaaaaaaaa"}, "member_unknown"),
        ({"from_member_id": "mem_aaaaaaaaaaaaaaaa"}, "member_unknown"),
        ({"reason": ""}, "request_invalid"),
    ):
        assert api.post(path, {**command, **fields}, key="m").code == code
    assert api.post(path, command).code == "key_missing"
    assert api.as_("clerk").post(path, command, key="m").code == "permission_missing"
    merge = api.post(path, command, key="m").json["merge_id"]
    assert api.post(path, {**command, "reason": "x"}, key="m").code == "merge_differs"
    assert api.post(path, {**command, "into_member_id": api.enrol()["member_id"]}, key="m2").code == "member_merged"
    other = api.enrol()["member_id"]
    last = api.post(path, {**command, "from_member_id": kept, "into_member_id": other}, key="m3").json["merge_id"]
    assert api.post(f"{path}/{merge}/undo", {"reason": "x"}).code == "survivor_merged"
    assert api.post(f"{path}/mrg_bm9uZQ/undo", {"reason": "x"}).code == "merge_unknown"
    assert api.get(f"{path}/mrg_bm9uZQ").code == "merge_unknown"
    assert api.post(f"{path}/{last}/undo", {"reason": "x"}).status == 201
    assert api.post(f"{path}/{last}/undo", {"reason": "y"}).code == "undo_differs"
    api.clock.forward(days=30)
    assert api.post(f"{path}/{merge}/undo", {"reason": "x"}).code == "undo_too_late"
