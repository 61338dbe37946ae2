"""Who tries numbers to see which are members' is stopped after twenty that are nobody's, and told nothing by it."""

import threading

import pytest

from chalicelib.members import routes
from chalicelib.members.rules import Misses
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.http.test_audit import api_terms
from tests.http.test_integration_keys import make
from tests.makers import Api, Reply
from tests.table.stand import scan

MOBILE = "+8613800138000"


def look(api: Api, number: int) -> Reply:
    """Look up a number that nobody has."""
    return api.get("/v1/members", mobile=f"+86139000{number:05d}")


def test_the_twenty_first_miss_is_refused_and_so_is_every_hit_after_it(api: Api) -> None:
    api.enrol(mobile=MOBILE)
    clerk = api.as_("clerk")
    for number in range(20):
        assert len(clerk.get("/v1/members", mobile=MOBILE).json["items"]) == 1
        assert look(clerk, number).json["items"] == []
    miss, hit = look(clerk, 21), clerk.get("/v1/members", mobile=MOBILE)
    assert (miss.status, miss.code, miss.headers["Retry-After"]) == (429, "look_ups_too_many", "600")
    assert (hit.status, hit.json) == (miss.status, miss.json), "which it is, nobody is told"
    assert look(api, 21).status == 200, "others look up"
    (alert,) = api.get("/v1/alerts").json["items"]
    assert (alert["kind"], alert["about"]) == ("look_ups_missed", "stf_clerk")
    api.clock.forward(minutes=10)
    assert look(clerk, 22).status == 200


def test_numbers_of_cards_that_are_tried_count_in_the_same_window(api: Api) -> None:
    api.enrol(mobile=MOBILE)
    clerk = api.as_("clerk")
    for number in range(10):
        assert look(clerk, number).status == 200
        assert clerk.get("/v1/cards", card_number=f"CARD-{number}").json["items"] == []
    tried = clerk.get("/v1/cards", card_number="CARD-10")
    assert (tried.status, tried.code) == (429, "look_ups_too_many")
    assert look(clerk, 11).status == 429


def test_an_integration_key_that_many_tills_share_has_a_limit_of_its_own(api: Api) -> None:
    till = api.with_(make(api, permissions=["members:read"], rate_per_minute=600).json["key"])
    for number in range(40):
        assert look(till, number).status == 200
    terms = {"version": 1, "velocity": {"missed_look_ups_of_keys": 5}}
    assert api.put("/v1/program", {**api_terms(api), **terms}).status == 200
    api.clock.forward(minutes=10)
    assert [look(till, number).status for number in range(6)] == [200] * 5 + [429]


def test_processes_count_together_and_a_new_one_refuses_with_its_first_miss(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.enrol(mobile=MOBILE)
    clerk = api.as_("clerk")
    for number in range(20):
        monkeypatch.setattr(routes, "MISSES", Misses())
        assert look(clerk, number).status == 200
    monkeypatch.setattr(routes, "MISSES", Misses())
    assert look(clerk, 20).status == 429
    assert clerk.get("/v1/members", mobile=MOBILE).status == 429
    early = Misses()
    early.note("stf_clerk", api.clock(), full=False)
    monkeypatch.setattr(routes, "MISSES", early)
    assert clerk.get("/v1/members", mobile=MOBILE).status == 429, "one that knows of a miss asks before it answers"


def test_however_many_try_at_once_twenty_are_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    clerk = api.as_("clerk")
    told: list[int] = []
    monkeypatch.setattr(Misses, "of", lambda *_: None)  # each its own process

    def try_some(first: int) -> None:
        told.extend(look(clerk, first + number).status for number in range(8))

    threads = [threading.Thread(target=try_some, args=(first,)) for first in range(0, 32, 8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(told) == [200] * 20 + [429] * 12


def test_a_hit_leaves_nothing_behind(api: Api, dynamo: Dynamo, ops: DynamoTable) -> None:
    api.enrol(mobile=MOBILE)
    for _ in range(30):
        assert api.get("/v1/members", mobile=MOBILE).status == 200
    assert scan(dynamo, ops.name) == {}
