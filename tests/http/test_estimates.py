"""What a draft would reach and cost, before it is launched: as its plan will say, with nothing written or sent."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.campaigns import jobs
from chalicelib.deliveries import jobs as sending
from chalicelib.kernel.ids import CampaignId
from chalicelib.lake import service
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.functions import LocalFunctions
from tests.campaigning import Post, a_body, fold
from tests.http.conftest import Look
from tests.makers import Api, Tray

CONSENT = {"purpose": "marketing", "granted": True, "text_version": "1"}
PRICE = 45_000
"""Of a message, in millionths of a yuan: 4.5 fen."""


class Charging(Post):
    """A provider that charges."""

    def cost_micro(self, outgoing: Any) -> int:
        """See `Provider.cost_micro`."""
        return PRICE

    def send(self, batch: Any, look: Any = None) -> Any:
        """See `Provider.send`."""
        return tuple(replace(each, cost_micro=PRICE) for each in super().send(batch))


def _drafted(api: Api, key: str = "c1", **fields: Any) -> str:
    made = api.post("/v1/campaigns", a_body(api, **fields), key=key)
    assert made.status == 201, made.text
    return f"/v1/campaigns/{made.json['campaign_id']}"


def _sent(api: Api, house: House, dynamo: Dynamo, path: str) -> None:
    """Launch a campaign and let it be planned and sent."""
    assert api.post(f"{path}/launch", {"version": 1}).status == 201
    jobs.plan_campaigns({}, None)
    assert isinstance(house.queues, Tray)
    assert sending.send_parts({"Records": house.queues.taken()}, None) == {"batchItemFailures": []}
    jobs.plan_campaigns({}, None)
    fold(house, dynamo)


@pytest.fixture
def post() -> Charging:
    """A provider that charges."""
    return Charging()


@pytest.fixture
def crowd(marketing: Api, house: House, dynamo: Dynamo, post: Charging) -> Api:
    """Twelve members who can be written to, one who did not agree, one who has no address."""
    wiring.use(replace(wiring.house(), providers={"email": post}))
    for number in range(12):
        marketing.enrol(email=f"m{number}@example.com", consents=[CONSENT], birthday=f"1990-0{3 + number % 3}-20")
    marketing.enrol(email="no@example.com")
    marketing.enrol(consents=[CONSENT])
    fold(house, dynamo)
    return marketing


def test_it_says_what_the_plan_will_and_changes_nothing(crowd: Api, look: Look, post: Charging) -> None:
    body: dict[str, Any] = {"holdout_percent": 30, "gift": {"points": 10}}
    path = _drafted(crowd, **body)
    before = look()
    found = crowd.as_("marketer").get(f"{path}/estimate")
    assert found.status == 200, found.text
    assert look() == before
    told = found.json
    assert told["planned"]["in_segment"] == 14
    assert told["planned"]["left_out"] == {"no_consent": 1, "no_address": 1}
    assert told["planned"]["channels"] == {"email": told["planned"]["targeted"]}
    assert told["planned"]["held_out"] + told["planned"]["targeted"] == 12
    assert told["gift_points"] == told["points_cost_minor"] == 10 * told["planned"]["targeted"]
    assert (told["messages_cost_minor"], told["cost_minor"]) == (None, None), "nothing was ever sent by e-mail"
    assert (told["first_on"], told["last_on"], told["currency"]) == ("2026-03-15", "2026-03-15", "CNY")
    assert post.got == []
    assert crowd.post(f"{path}/launch", {"version": 1}).status == 201
    jobs.plan_campaigns({}, None)
    (run,) = crowd.get(path).json["latest_runs"]
    assert run["planned"] == told["planned"]
    over = crowd.get(f"{path}/estimate")
    assert (over.status, over.code) == (409, "campaign_not_draft")


def test_messages_cost_what_those_of_late_did(crowd: Api, house: House, dynamo: Dynamo) -> None:
    _sent(crowd, house, dynamo, _drafted(crowd))
    path = _drafted(crowd, "c2", gift={"points": 100})
    told = crowd.get(f"{path}/estimate").json
    assert told["planned"]["targeted"] == 12
    assert (told["messages_cost_minor"], told["points_cost_minor"], told["cost_minor"]) == (54, 1200, 1254)
    crowd.clock.forward(days=91)
    later = crowd.as_("admin").get(f"{path}/estimate").json
    assert (later["messages_cost_minor"], later["cost_minor"]) == (None, None)


def test_who_was_written_to_often_enough_is_not_reached_also_when_the_lake_does_not_know_it_yet(
    crowd: Api, house: House, dynamo: Dynamo
) -> None:
    cap = {"frequency_cap": {"sends": 1, "days": 7}}
    other = _drafted(crowd)
    path = _drafted(crowd, "c2", **cap)
    assert crowd.get(f"{path}/estimate").json["planned"]["targeted"] == 12
    assert crowd.post(f"{other}/launch", {"version": 1}).status == 201
    jobs.plan_campaigns({}, None)
    planned = crowd.get(f"{path}/estimate").json["planned"]
    assert (planned["targeted"], planned["left_out"]["capped"]) == (0, 12)
    later = _drafted(crowd, "c4", **cap, schedule={"kind": "once", "on": "2026-03-23", "at": "12:00"})
    assert crowd.get(f"{later}/estimate").json["planned"]["targeted"] == 12, "by then it is more than seven days ago"
    soon = _drafted(crowd, "c5", **cap, schedule={"kind": "once", "on": "2026-03-20", "at": "12:00"})
    assert crowd.get(f"{soon}/estimate").json["planned"]["targeted"] == 0
    free = crowd.get(f"{_drafted(crowd, 'c3')}/estimate").json["planned"]
    assert free["targeted"] == 12, "who asks for no cap has none"


def test_birthdays_are_counted_for_thirty_days_or_until_the_campaign_ends(crowd: Api) -> None:
    path = _drafted(crowd, schedule={"kind": "birthday", "at": "10:00"})
    told = crowd.get(f"{path}/estimate").json
    assert (told["first_on"], told["last_on"]) == ("2026-03-16", "2026-04-14"), "today's ten o'clock is over"
    assert told["planned"]["targeted"] == 4
    short = _drafted(crowd, "c2", schedule={"kind": "birthday", "at": "10:00", "until_on": "2026-03-19"})
    told = crowd.get(f"{short}/estimate").json
    assert (told["last_on"], told["planned"]["in_segment"]) == ("2026-03-19", 0)


def test_a_list_is_counted_as_well_as_a_definition(crowd: Api, house: House, dynamo: Dynamo) -> None:
    some = [crowd.enrol(email=f"listed{each}@example.com", consents=[CONSENT])["member_id"] for each in range(2)]
    listed = crowd.post("/v1/segments", {"name": "List", "member_ids": some}, key="list")
    assert listed.status == 201, listed.text
    path = _drafted(crowd, segment_id=listed.json["segment_id"])
    assert crowd.get(f"{path}/estimate").json["planned"]["in_segment"] == 0, "the lake does not know them yet"
    fold(house, dynamo)
    assert crowd.get(f"{path}/estimate").json["planned"]["targeted"] == 2


def test_what_could_not_be_launched_has_no_estimate(crowd: Api) -> None:
    nobody = crowd.get(f"/v1/campaigns/{CampaignId.of('none')}/estimate")
    assert (nobody.status, nobody.code) == (404, "campaign_unknown")
    path = _drafted(crowd)
    segment = crowd.get(path).json["definition"]["segment_id"]
    late = _drafted(crowd, "c2", schedule={"kind": "once", "on": "2026-03-15", "at": "13:00"})
    assert crowd.get(f"{late}/estimate").status == 200
    crowd.clock.forward(hours=3)
    refused = crowd.get(f"{late}/estimate")
    assert (refused.status, refused.code) == (409, "schedule_over")
    assert crowd.post(f"/v1/segments/{segment}/archivals", {}).status == 201
    refused = crowd.get(f"{path}/estimate")
    assert (refused.status, refused.code) == (422, "campaign_unfit")
    assert [each["pointer"] for each in refused.json["errors"]] == ["/segment_id"]


def test_faults_behind_it_are_named(crowd: Api, house: House) -> None:
    champions = _drafted(crowd, segment_id="seg_ready_champions")
    unready = crowd.get(f"{champions}/estimate")
    assert unready.code == "rfm_not_ready", "nobody bought anything"
    path = _drafted(crowd, "c2")
    silent = replace(wiring.house(), functions=LocalFunctions({}))
    spoken = wiring.house()
    wiring.use(silent)
    answer = crowd.get(f"{path}/estimate")
    assert (answer.status, answer.code) == (503, "estimate_silent")
    wiring.use(spoken)
    shutil.rmtree(Path(house.place.root) / "lake")
    answer = crowd.get(f"{path}/estimate")
    assert (answer.status, answer.code) == (503, "lake_missing")


def test_only_who_may_read_campaigns_is_told(crowd: Api) -> None:
    path = _drafted(crowd)
    for role, status in (("analyst", 200), ("clerk", 403), ("member", 403)):
        assert crowd.as_(role).get(f"{path}/estimate").status == status, role


def test_nobody_is_reached_by_a_lake_that_is_being_made_anew(crowd: Api, house: House, dynamo: Dynamo) -> None:
    path = _drafted(crowd)
    service.drop(service.Lake(house.ops, house.objects, house.place, house.draw), now=house.clock())
    for asked in (f"{path}/estimate", f"{path}/results"):
        answer = crowd.get(asked)
        assert (answer.status, answer.code) == (503, "lake_missing")
    assert crowd.post(f"{path}/launch", {"version": 1}).status == 201
    assert jobs.plan_campaigns({}, None) == {"begun": 1, "planned": 0, "failed": 1}
    assert crowd.get(path).json["state"] == "planning"
    fold(house, dynamo)
    assert jobs.plan_campaigns({}, None)["planned"] == 0, "a patch does not make it whole"
    lake = service.Lake(house.ops, house.objects, house.place, house.draw)
    service.rebase(lake, today=house.clock().date(), now=house.clock())
    assert jobs.plan_campaigns({}, None)["planned"] == 1
    assert crowd.get(path).json["latest_runs"][0]["planned"]["targeted"] == 12


def test_where_money_is_short_a_few_go_first(crowd: Api, house: House, dynamo: Dynamo) -> None:
    path = _drafted(crowd, cost_max_minor=1)
    _sent(crowd, house, dynamo, path)
    found = crowd.get(path).json
    assert (found["state"], found["ended_for"]) == ("sent", "cost")
    (run,) = found["latest_runs"]
    assert (run["progress"]["sent"], run["progress"]["parts"]) == (10, 2)


@pytest.mark.parametrize("schedule", [{"kind": "once", "on": "0001-01-01", "at": "00:00"},
                                      {"kind": "birthday", "at": "10:00", "until_on": "9999-12-31"}])  # fmt: skip
def test_a_day_before_or_after_all_time_is_refused(crowd: Api, schedule: dict[str, Any]) -> None:
    refused = crowd.post("/v1/campaigns", a_body(crowd, schedule=schedule), key="c1")
    assert (refused.status, refused.code) == (422, "request_invalid")
