"""A hot account over HTTP: the lane answers what the direct way answers, and where it is out of order, it is left."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy, WriteContended
from chalicelib.lane.jobs import work_line
from chalicelib.pools import service
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.line import Lane
from tests.http.conftest import Look
from tests.makers import Api, Queued, Reply


@dataclass
class Stand:
    """A pool of 100 points behind the API, whose lane is worked while somebody waits."""

    api: Api
    queue: Queued
    lane: Lane
    pool: str
    owner: str
    failed: list[str]

    def spend(self, points: Any, key: str | None, who: str | None = None, **more: Any) -> Reply:
        body = {"member_id": who or self.owner, "points": points, **more}
        return self.api.post(f"/v1/pools/{self.pool}/spends", body, key=key)

    def heat(self, account: str | None = None) -> None:
        for _ in range(2):
            self.lane.thermometer.note(account or self.pool, 3, self.api.clock())


@pytest.fixture
def stand(house: House, api: Api) -> Iterator[Stand]:
    queue, failed = Queued(), list[str]()

    def worked(_: float) -> None:
        failed.extend(each["itemIdentifier"] for each in work_line(queue.taken(), None)["batchItemFailures"])

    lane = Lane(queue, house.ops, pause=worked)
    wiring.use(replace(house, lane=lane))
    owner = api.enrol()["member_id"]
    api.post(f"/v1/members/{owner}/point-adjustments", {"points": 200, "reason_code": "gift"}, key="gift")
    pool = api.post("/v1/pools", {"owner_id": owner, "name": "Home"}, key="pool").json["pool_id"]
    api.post(
        f"/v1/pools/{pool}/contributions", {"member_id": owner, "points": 100, "reason": "asked by them"}, key="all"
    )
    yield Stand(api, queue, lane, pool, owner, failed)
    assert failed == []


def without_ids(reply: Reply) -> tuple[int, Any, bool, dict[str, str]]:
    """What an answer says, but for what differs from one command to the next."""
    body = {name: value for name, value in reply.json.items() if name not in ("entry_id", "seq", "hash", "reference")}
    headers = {name: value for name, value in reply.headers.items() if name not in ("ETag", "X-Request-Id")}
    return reply.status, {**body, "balance_after": None, "recorded_at": None}, reply.replayed, headers


def asked(stand: Stand, round_: int) -> list[Reply]:
    """Every kind of answer that a spend from a pool can get, each time for the same balance or the same lack of it."""
    key, stranger = f"round-{round_}", "mem_" + "a" * 16
    return [
        stand.spend(5, f"{key}-a"),
        stand.spend(5, f"{key}-a"),
        stand.spend(6, f"{key}-same"),
        stand.spend(7, f"{key}-same"),
        stand.spend(1, f"{key}-b", who=stranger),
        stand.spend(1, None),
        stand.spend(-1, f"{key}-c"),
        stand.spend(5, f"{key}-d", dry_run=True),
    ]


def test_every_answer_is_the_one_of_the_direct_way(stand: Stand) -> None:
    direct = asked(stand, 0)
    assert stand.queue.records == []
    stand.heat()
    lane = asked(stand, 1)
    assert [reply.status for reply in direct] == [201, 201, 201, 409, 404, 400, 422, 200]

    def plain(replies: list[Reply]) -> list[Any]:
        return [json.loads(json.dumps(without_ids(each)).replace("round-1", "round-0")) for each in replies]

    assert plain(lane) == plain(direct)
    assert [reply.replayed for reply in lane[:3]] == [False, True, False]
    assert lane[1].json == lane[0].json


def test_problems_have_the_same_bodies(stand: Stand) -> None:
    stand.api.post(f"/v1/members/{stand.owner}/suspensions", {"reason": "lost"})
    direct = stand.spend(1, "a")
    stand.heat()
    assert stand.spend(1, "b").json == direct.json
    stand.api.post(f"/v1/members/{stand.owner}/reinstatements", {"reason": "found"})
    too_many = stand.spend(1_000, "c")
    assert (too_many.status, too_many.code) == (409, "points_insufficient")
    assert too_many.json["facts"] == {"asked": 1_000, "available": 100}
    assert too_many.json["title"]
    nowhere = replace(stand, pool="pol_" + "a" * 16)
    direct = nowhere.spend(1, "d")
    nowhere.heat()
    assert nowhere.spend(1, "e").json == direct.json
    assert direct.code == "pool_unknown"


def test_a_members_own_points_go_by_the_lane(stand: Stand) -> None:
    stand.heat(stand.owner)
    path = f"/v1/members/{stand.owner}/point-spends"
    first = stand.api.post(path, {"points": 100, "reference": "R"}, key="s")
    again = stand.api.post(path, {"points": 100, "reference": "R"}, key="s")
    other = stand.api.post(path, {"points": 99}, key="s")
    assert (first.status, first.json["balance_after"], first.json["reference"], first.replayed) == (201, 0, "R", False)
    assert (again.json, again.replayed) == (first.json, True)
    assert (other.status, other.code) == (409, "entry_differs")


def test_conflicts_make_an_account_hot_and_time_cools_it(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    real = service.spend_from_pool

    def contended(*args: Any, **more: Any) -> Any:
        if args[3] == "gave-up":
            raise WriteContended
        return replace(real(*args, **more), attempts=3)

    monkeypatch.setattr(service, "spend_from_pool", contended)
    assert stand.spend(1, "a").status == 201
    reply = stand.spend(1, "gave-up")
    assert (reply.status, reply.code) == (503, "write_contended")
    monkeypatch.setattr(service, "spend_from_pool", real)
    assert stand.queue.sent == 0
    assert stand.spend(1, "gave-up").status == 201
    assert stand.queue.sent == 1
    stand.api.clock.forward(seconds=61)
    assert stand.spend(1, "cool").status == 201
    assert stand.queue.sent == 1


def test_a_lane_that_is_not_worked_says_when_to_come_again_and_is_then_left_for_a_while(
    stand: Stand, house: House
) -> None:
    waited: list[float] = []
    lane = Lane(stand.queue, house.ops, pause=waited.append)
    wiring.use(replace(house, lane=lane))
    stand.lane = lane
    stand.heat()
    reply = stand.spend(5, "k")
    assert (reply.status, reply.code, reply.headers["Retry-After"]) == (503, "lane_slow", "2")
    assert 6 <= sum(waited) < 7
    assert len(waited) < 25

    direct = stand.spend(5, "k")
    assert (direct.status, direct.replayed) == (201, False), "nobody carried it out, and the direct way is open"
    assert work_line(stand.queue.taken(), None) == {"batchItemFailures": []}
    assert stand.spend(5, "k").json == direct.json, "what comes out of the line later changes nothing"


def test_a_line_that_takes_nothing_is_gone_round(stand: Stand, house: House) -> None:
    class Shut:
        def send(self, group: str, body: str, *, once: str) -> None:
            raise StorageBusy("The line is busy.")

    stand.lane = Lane(Shut(), house.ops)
    wiring.use(replace(house, lane=stand.lane))
    stand.heat()
    assert stand.spend(5, "k").status == 201


# ---------------------------------------------------------------- how a batch fails


def test_one_bad_message_takes_only_those_behind_it_of_its_own_account_along(stand: Stand, house: House) -> None:
    for account in (stand.pool, stand.owner):
        stand.heat(account)
    records = _records(stand, house)
    bad = {**records[1], "messageId": "bad", "body": '{"kind": "no_such"}'}
    event = {"Records": [records[0], bad, records[2], records[3]]}
    failed = {each["itemIdentifier"] for each in work_line(event, None)["batchItemFailures"]}
    assert failed == {"bad", records[2]["messageId"]}
    assert stand.api.get(f"/v1/pools/{stand.pool}/points").json["available"] == 99
    assert stand.api.get(f"/v1/members/{stand.owner}/points").json["available"] == 99


def test_trouble_ends_the_batch_and_all_come_again(stand: Stand, house: House) -> None:
    for account in (stand.pool, stand.owner):
        stand.heat(account)
    records = _records(stand, house)

    class Busy:
        def __getattr__(self, name: str) -> Any:
            raise StorageBusy

    here = wiring.house()
    wiring.use(replace(here, ops=Busy(), table=_Commits(here.table)))
    failed = [each["itemIdentifier"] for each in work_line({"Records": records}, None)["batchItemFailures"]]
    assert failed == [each["messageId"] for each in records]
    wiring.use(here)
    again = [{**each, "attributes": {**each["attributes"], "ApproximateReceiveCount": "2"}} for each in records]
    assert work_line({"Records": again}, None) == {"batchItemFailures": []}
    assert stand.api.get(f"/v1/pools/{stand.pool}/points").json["available"] == 97


class _Commits:
    """A table that reads and does not write."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name == "commit":
            raise StorageBusy
        return getattr(self._real, name)


def _records(stand: Stand, house: House) -> list[dict[str, Any]]:
    """Three spends from the pool and one of the owner's own, still in the line."""
    for number in range(3):
        stand.lane = Lane(stand.queue, house.ops, pause=lambda _: None, wait=0.01)
        wiring.use(replace(house, lane=stand.lane))
        stand.heat()
        assert stand.spend(1, f"k{number}").status == 503
    stand.heat(stand.owner)
    reply = stand.api.post(f"/v1/members/{stand.owner}/point-spends", {"points": 1}, key="own")
    assert reply.status == 503
    records: list[dict[str, Any]] = stand.queue.taken()["Records"]
    assert len(records) == 4
    return records


def test_the_entry_names_who_had_it_made_whichever_way_it_went(stand: Stand, look: Look) -> None:
    assert stand.spend(5, "cold").status == 201
    stand.heat()
    assert stand.spend(5, "hot").status == 201
    spends = {key.pk.rpartition("#")[2]: item for key, item in look().items() if key.pk.startswith("K#pool_spend#")}
    assert {key: (item["sb"], "rq" in item) for key, item in spends.items()} == {
        "cold": ("stf_admin", False), "hot": ("stf_admin", True),
    }  # fmt: skip
