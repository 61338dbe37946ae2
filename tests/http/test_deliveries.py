"""Deliveries over HTTP: of a run by its parts, of a member by the lake and what is fresher than it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import Outcome, Part, PartState, Recipient, Run, RunStatus, Sent, Single, Wording
from chalicelib.deliveries.service import reading
from chalicelib.kernel.ids import MemberId
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.functions import LocalFunctions
from tests.makers import NOON, Api
from tests.memory import MemoryTable

RUN = "crn_aaaaaaaaaaaaaaaa_once"
MEMBERS = [MemberId("mem_aaaaaaaaaaaaaaa" + each) for each in "abcdefg"]


@pytest.fixture
def desk(api: Api, house: House) -> House:
    """A house with a run of two parts, one of which was begun and failed, and a lake that knows of one delivery."""
    objects = _files()
    made = replace(
        house, ops=MemoryTable(), objects=objects, functions=LocalFunctions({reading.ANSWER: _answer(MEMBERS[0])})
    )
    run = Run(
        RUN, "campaign", "cmp_aaaaaaaaaaaaaaaa", "once", RunStatus.SENDING, "marketing",
        (Wording("a", "email", "tpl_aaaaaaaaaaaaaaaa", 1),), NOON, NOON + timedelta(days=1), "UTC", parts=2, planned=7,
    )  # fmt: skip
    made.table.commit([store.add_run(run)])
    for number, some in enumerate((MEMBERS[:4], MEMBERS[4:])):
        part = Part(RUN, number, "email", tuple(Recipient(each, 0, "", "a", "") for each in some))
        objects.put(rules.part_key(RUN, number), rules.part_file(part), kind="application/gzip")
    made.ops.commit([store.keep_part(PartState(RUN, 0, "SuO."), NOON)])
    made.ops.commit([store.note_fault(RUN, 1, "PlanMissing", NOON)])
    wiring.use(made)
    return made


def _files() -> Any:
    from tests.faults.works import MemoryObjects

    return MemoryObjects()  # type: ignore[abstract,unused-ignore]


def _answer(known: MemberId) -> Callable[[dict[str, Any], Any], Any]:
    row = {
        "delivery_id": rules.delivery_id(RUN, "cmp_aaaaaaaaaaaaaaaa", "once", known, "email"), "source": "campaign",
        "source_id": "cmp_aaaaaaaaaaaaaaaa", "step": "once", "run_id": RUN, "channel": "email", "variant": "a",
        "outcome": "sent", "reason": "", "at": int(NOON.timestamp() * 1000),
    }  # fmt: skip
    return lambda question, context: {"items": [row] if question["member_id"] == known else []}


def test_the_deliveries_of_a_run_page_by_page(api: Api, desk: House) -> None:
    first = api.get("/v1/deliveries", run_id=RUN, limit="3")
    assert [(each["outcome"], each["reason"]) for each in first.json["items"]] == [
        ("sent", None), ("unknown", "unknown"), ("skipped", "no_consent"),
    ]  # fmt: skip
    second = api.get("/v1/deliveries", run_id=RUN, limit="25", cursor=first.json["next_cursor"])
    assert [each["member_id"] for each in second.json["items"]] == MEMBERS[3:]
    assert {each["outcome"] for each in second.json["items"]} == {"waiting"}
    assert second.json["next_cursor"] is None


def test_the_unknown_ones_of_a_run_are_listed(api: Api, desk: House) -> None:
    (found,) = api.get("/v1/deliveries", run_id=RUN, outcome="unknown").json["items"]
    assert (found["member_id"], found["run_id"], found["channel"]) == (MEMBERS[1], RUN, "email")


def test_how_far_a_run_is_and_what_is_stuck(api: Api, desk: House) -> None:
    state = PartState(RUN, 0, "SUOR", cost_micro=200, done=True, version=1)
    desk.ops.commit([store.keep_part(state, NOON), store.count_part(state, rules.counted(state.outcomes), NOON)])
    shown = api.get(f"/v1/delivery-runs/{RUN}").json
    assert (shown["parts"], shown["parts_done"], shown["planned"], shown["cost_micro"]) == (2, 1, 7, 200)
    assert shown["outcomes"] == {"sent": 1, "unknown": 1, "no_consent": 1, "refused": 1}
    assert [(each["part"], each["fault"], each["times"]) for each in shown["stuck"]] == [(1, "PlanMissing", 1)]


def test_what_a_member_was_sent_by_the_lake_and_by_what_it_does_not_know_yet(api: Api, desk: House) -> None:
    single = Single("journey", "jin_a", "1", MEMBERS[0], "sms", "marketing", "tpl_a", 1, NOON + timedelta(days=1))
    sent = Sent(rules.single_id(single), Outcome.SENT, NOON + timedelta(hours=1))
    desk.ops.commit([store.keep_single(single, sent, version=0, now=NOON)])
    found = api.get("/v1/deliveries", member_id=MEMBERS[0]).json["items"]
    assert [(each["source"], each["channel"], each["outcome"]) for each in found] == [
        ("journey", "sms", "sent"), ("campaign", "email", "sent"),
    ]  # fmt: skip
    assert api.get("/v1/deliveries", member_id=MEMBERS[1]).json["items"] == []


def test_what_is_refused(api: Api, desk: House) -> None:
    assert api.get("/v1/deliveries").code == "deliveries_asked_wrong"
    assert api.get("/v1/deliveries", run_id=RUN, member_id=MEMBERS[0]).code == "deliveries_asked_wrong"
    unknown = api.get("/v1/deliveries", run_id="crn_b_once")
    assert (unknown.status, unknown.code) == (404, "delivery_run_unknown")
    assert api.get("/v1/delivery-runs/crn_b_once").code == "delivery_run_unknown"
    cursor = api.get("/v1/deliveries", run_id=RUN, limit="1").json["next_cursor"]
    assert api.get("/v1/deliveries", run_id=RUN, outcome="sent", cursor=cursor).code == "cursor_invalid"
    assert api.as_("clerk").get("/v1/deliveries", run_id=RUN).code == "permission_missing"


def test_a_lake_that_does_not_answer_is_trouble(api: Api, desk: House) -> None:
    wiring.use(replace(desk, functions=LocalFunctions({})))
    reply = api.get("/v1/deliveries", member_id=MEMBERS[0])
    assert (reply.status, reply.code) == (503, "storage_busy")
