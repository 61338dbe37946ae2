"""Receipts, their keys and the liability over HTTP."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from chalicelib.jobs import service as jobs
from chalicelib.jobs.models import Job, Part
from chalicelib.jobs.service import Yard
from chalicelib.programs.service import book_of
from chalicelib.proof.service import roots_of
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from local.verify import check_receipt
from tests.makers import Api, Clock, Tray


def walked(house: House, clock: Clock, day: date) -> None:
    """The job `verify`, done."""
    tray = Tray()
    yard = Yard(house.table, house.ops, book_of(house.table), tray, "jobs", "test", roots_of(house.roots), house.signer)
    jobs.start_run(yard, Job.VERIFY, day, dry_run=False, by="stf_test", now=clock())
    while records := tray.taken():
        for record in records:
            part = Part.model_validate_json(record["body"])
            jobs.do_part(yard, part, now=clock(), attempt=lambda work: (True, work()))


@pytest.fixture
def member(api: Api, house: House, clock: Clock) -> str:
    """A member who bought and spent yesterday; the ledger was walked since."""
    member_id: str = api.enrol()["member_id"]
    api.buy(member_id, 50_000)
    api.post(f"/v1/members/{member_id}/point-spends", {"points": 120, "reference": "secret"}, key="s1")
    clock.forward(days=1)
    walked(house, clock, date(2026, 3, 16))
    return member_id


def entries(api: Api, member_id: str) -> list[dict[str, Any]]:
    """A member's statement, oldest first."""
    found: list[dict[str, Any]] = api.get(f"/v1/members/{member_id}/point-entries").json["items"]
    return found[::-1]


def test_a_receipt_is_checked_with_nothing_but_it_and_the_public_keys(api: Api, member: str) -> None:
    known = api.send("GET", "/v1/receipt-keys", Authorization="").json["items"]
    for entry in entries(api, member):
        reply = api.as_("auditor").get(f"/v1/point-entries/{entry['entry_id']}/receipt")
        assert reply.status == 200
        lines = check_receipt().check(reply.json, known)
        assert reply.json["hash"] == entry["hash"]
        assert "under the root of 2026-03-16, which test signed:" in "".join(lines)
        assert "secret" not in reply.text


def test_of_an_entry_that_is_not_there_is_no_receipt(api: Api) -> None:
    reply = api.get("/v1/point-entries/ent_AAAA/receipt")
    assert (reply.status, reply.code) == (404, "entry_unknown")
    assert api.get("/v1/point-entries/x/receipt").code == "id_malformed"
    assert api.as_("marketer").get("/v1/point-entries/ent_AAAA/receipt").status == 403


def test_a_server_without_a_key_says_so(api: Api, house: House, member: str) -> None:
    wiring.use(replace(house, settings=replace(house.settings, signing_key=None)))
    assert api.get("/v1/receipt-keys").code == "receipts_unavailable"
    entry = entries(api, member)[0]["entry_id"]
    assert api.get(f"/v1/point-entries/{entry}/receipt").status == 503


def test_the_liability_is_what_members_have(api: Api, member: str) -> None:
    report = api.as_("analyst").get("/v1/analytics/liability").json
    (table,) = report["tables"]
    assert (report["day"], report["accounts_left_out"]) == ("2026-03-16", 0)
    assert (table["kind"], table["outstanding_points"], table["outstanding_minor"]) == ("member", 380, 380)
    assert table["lots"] == [{"expires": "2027-03", "issued": "2026-03", "points": 380, "value_minor": 380}]
    (row,) = table["months"]
    assert (row["opening"], row["issued"], row["spent"], row["closing"]) == (0, 500, -120, 380)
    assert table["breakage"]["expected_points"] is None


def test_a_months_report_is_the_first_after_its_end(api: Api, house: House, clock: Clock, member: str) -> None:
    for day in ("2026-04-02", "2026-04-03"):
        clock.at(day)
        api.buy(member, 1_000, occurred_at=f"{day}T09:00:00+08:00")
        walked(house, clock, date.fromisoformat(day))
    report = api.get("/v1/analytics/liability", month="2026-03").json
    assert report["day"] == "2026-04-02"
    (row,) = report["tables"][0]["months"]
    assert (row["month"], row["closing"]) == ("2026-03", 380)
    newest = api.get("/v1/analytics/liability").json
    assert (newest["day"], newest["tables"][0]["balance"]) == ("2026-04-03", 390)
    assert api.get("/v1/analytics/liability", month="2026-04").json["day"] == "2026-04-03"
    assert api.get("/v1/analytics/liability", month="2026-13").code == "request_invalid"


def test_a_month_that_no_report_reaches_is_refused_with_the_newest_that_one_does(
    api: Api, clock: Clock, member: str
) -> None:
    for path in ("/v1/analytics/liability", "/v1/analytics/liability.csv"):
        assert api.get(path, month="2026-03").status == 200
        for month in ("2026-04", "2027-01", "2099-12"):
            reply = api.get(path, month=month)
            assert (reply.status, reply.code) == (400, "month_not_reached")
            assert reply.json["facts"] == {"month": month, "newest": "2026-03"}
    clock.at("2026-04-01")  # before the job has run
    assert api.get("/v1/analytics/liability", month="2026-04").code == "month_not_reached"


def test_the_sheet_says_the_same(api: Api, member: str) -> None:
    reply = api.get("/v1/analytics/liability.csv", month="2026-03")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.text.startswith("\ufeffas_of,")
    assert ",member,roll_forward,2026-03,,closing,380,,CNY" in reply.text


def test_before_the_first_walk_there_is_no_report(api: Api) -> None:
    for path in ("/v1/analytics/liability", "/v1/analytics/liability.csv"):
        reply = api.get(path)
        assert (reply.status, reply.code) == (404, "liability_unknown")
        assert api.as_("clerk").get(path).status == 403
