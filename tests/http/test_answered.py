"""Who answers a text message with TD is counted for the campaign that it was of, and found by segments."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.campaigns import jobs
from chalicelib.deliveries import jobs as sending
from chalicelib.lake import service
from chalicelib.providers.settings import callbacks_from
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from tests.campaigning import Post, a_body, fold
from tests.http.test_takeovers import merge
from tests.makers import Api, Tray

SECRET = "s" * 30
CONSENT = {"purpose": "marketing", "granted": True, "text_version": "1"}


class Texts(Post):
    """A provider of text messages that keeps what it got."""

    channel = "sms"


@pytest.fixture
def texting(marketing: Api, house: House, dynamo: Dynamo) -> Api:
    """Three members who agreed to text messages, in the lake."""
    callbacks = callbacks_from(json.dumps({"aliyun": {"secret": SECRET}}))
    here = wiring.house()
    settings = replace(here.settings, callbacks=callbacks)
    wiring.use(replace(here, settings=settings, providers={"sms": Texts()}))
    for number in range(3):
        marketing.enrol(mobile=f"1380013800{number}", consents=[CONSENT])
    fold(house, dynamo)
    return marketing


def _sent(api: Api, house: House, dynamo: Dynamo, key: str, **fields: Any) -> str:
    """A campaign by text message that everybody was sent; its id."""
    said = {"channel": "sms", "zh": {"text": "春天到了"}}
    template = api.post("/v1/templates", {"name": "s", "purpose": "marketing", "contents": said}, key="sms").json
    body = a_body(api, variants=[{"name": "a", "template_ids": [template["template_id"]]}], **fields)
    campaign_id: str = api.post("/v1/campaigns", body, key=key).json["campaign_id"]
    assert api.post(f"/v1/campaigns/{campaign_id}/launch", {"version": 1}).status == 201
    jobs.plan_campaigns({}, None)
    assert isinstance(house.queues, Tray)
    sending.send_parts({"Records": house.queues.taken()}, None)
    fold(house, dynamo)
    return campaign_id


def _answer(api: Api, house: House, dynamo: Dynamo, mobile: str, **given: Any) -> None:
    told = {
        "phone_number": mobile, "send_time": f"{api.clock():%Y%m%d}200000", "content": "TD", "sign_name": "店",
        "dest_code": "1", "sequence_id": 1, **given,
    }  # fmt: skip
    reply = api.send("POST", f"/v1/provider-callbacks/aliyun/{SECRET}", json.dumps([told]).encode(), authorization="")
    assert reply.status == 200, reply.text
    fold(house, dynamo)


def _results(api: Api, campaign_id: str) -> tuple[int, int]:
    """Who opted out by the results, and by a segment."""
    did = {"kind": "campaign", "did": "opted_out", "source_ids": [campaign_id]}
    counted = api.post("/v1/segment-counts", {"definition": did}).json["count"]
    return api.get(f"/v1/campaigns/{campaign_id}/results").json["all_variants"]["opted_out"], counted


def test_an_answer_counts_once_for_the_last_message(texting: Api, house: House, dynamo: Dynamo) -> None:
    first = _sent(texting, house, dynamo, "c1")
    texting.clock.forward(hours=4)
    second = _sent(texting, house, dynamo, "c2")
    texting.clock.forward(hours=5)  # 21:00 in Shanghai
    _answer(texting, house, dynamo, "13800138000")
    assert (_results(texting, first), _results(texting, second)) == ((0, 0), (1, 1))
    _answer(texting, house, dynamo, "13800138000")
    _answer(texting, house, dynamo, "13800138000", sequence_id=2)
    assert _results(texting, second) == (1, 1), "told again, and sent again"
    _answer(texting, house, dynamo, "13900139000", sequence_id=3)
    assert _results(texting, second) == (1, 1), "nobody of ours"


def test_an_answer_to_nothing_of_late_counts_for_nothing(texting: Api, house: House, dynamo: Dynamo) -> None:
    campaign = _sent(texting, house, dynamo, "c1")
    texting.clock.forward(days=8, hours=9)
    _answer(texting, house, dynamo, "13800138001")
    assert _results(texting, campaign) == (0, 0)
    anybody = {"definition": {"kind": "campaign", "did": "opted_out"}}
    assert texting.post("/v1/segment-counts", anybody).json["count"] == 0


def test_an_answer_stays_with_its_message_when_members_are_merged(texting: Api, house: House, dynamo: Dynamo) -> None:
    """One answered the first message; the other was sent a second one before that."""
    first = _sent(texting, house, dynamo, "c1")
    texting.clock.forward(minutes=5)
    ids = [texting.get("/v1/members", mobile=f"1380013800{each}").json["items"][0]["member_id"] for each in (0, 1)]
    listed = texting.post("/v1/segments", {"name": "One", "member_ids": ids[1:]}, key="one").json["segment_id"]
    second = _sent(texting, house, dynamo, "c2", segment_id=listed)
    texting.clock.forward(hours=9)
    _answer(texting, house, dynamo, "13800138000")
    assert (_results(texting, first), _results(texting, second)) == ((1, 1), (0, 0))
    assert merge(texting, ids[0], ids[1]).status == 201
    fold(house, dynamo)
    assert (_results(texting, first), _results(texting, second)) == ((1, 1), (0, 0))
    lake = service.Lake(house.ops, house.objects, house.place, house.draw)
    service.rebase(lake, today=house.clock().date(), now=house.clock())
    assert (_results(texting, first), _results(texting, second)) == ((1, 1), (0, 0))
