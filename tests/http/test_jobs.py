"""Jobs over HTTP: seen, run by hand, looked at without doing."""

from collections.abc import Iterator

import pytest

from chalicelib.jobs.jobs import work_job
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from tests.makers import Api, Tray


@pytest.fixture
def tray(house: House) -> Iterator[Tray]:
    """The queue of job work."""
    assert isinstance(house.queues, Tray)
    yield house.queues


def work_off(tray: Tray) -> None:
    """Do everything that waits in the queue."""
    while records := tray.taken():
        assert work_job({"Records": records}, None) == {"batchItemFailures": []}


def test_a_run_by_hand_is_taken_up_at_once_and_told_when_it_is_through(api: Api, tray: Tray) -> None:
    member = api.enrol(birthday="1990-03-15")["member_id"]
    started = api.post("/v1/jobs/birthday/runs", {})
    assert (started.status, started.json["state"], started.json["date"]) == (202, "running", "2026-03-15")
    assert started.json["started_by"] == "stf_admin"
    work_off(tray)
    run = api.get("/v1/jobs/birthday/runs/2026-03-15")
    assert run.status == 200
    figures = {name: run.json[name] for name in ("state", "due", "done", "changed", "unchanged", "waiting", "points")}
    assert figures == {
        "state": "done", "due": 1, "done": 1, "changed": 1, "unchanged": 0, "waiting": 0, "points": 50,
    }  # fmt: skip
    entry = api.get(f"/v1/members/{member}/point-entries").json["items"][0]
    assert (entry["reason"], entry["points"], entry["reference"]) == ("earn", 50, "2026")
    assert entry["why"][0]["rule_id"] == "birthday.basic"
    assert entry["why"][0]["text"] in ("普通会员生日礼，送 50 分", "Basic birthday gift: 50 points")


def test_a_dry_run_stands_beside_the_real_one(api: Api, tray: Tray) -> None:
    api.enrol(birthday="1990-03-15")
    assert api.post("/v1/jobs/birthday/runs", {"date": "2026-03-15", "dry_run": True}).status == 202
    work_off(tray)
    assert api.get("/v1/jobs/birthday/runs/2026-03-15").code == "run_unknown"
    dry = api.get("/v1/jobs/birthday/runs/2026-03-15", dry_run="true").json
    assert (dry["dry_run"], dry["changed"], dry["points"]) == (True, 1, 50)
    assert api.get("/v1/jobs/birthday/runs/2026-03-15", dry_run="false").code == "run_unknown"
    assert api.get("/v1/jobs/birthday/runs/2026-03-15", dry_run="1").code == "request_invalid"


def test_all_jobs_are_listed_before_any_ran(api: Api) -> None:
    jobs = api.get("/v1/jobs").json["items"]
    assert [(each["job"], each["starts_at"], each["last_run"]) for each in jobs] == [
        ("birthday", "08:00", None), ("expire", "00:00", None), ("expiring_soon", "10:00", None),
        ("release", "09:00", None), ("tier_review", "00:00", None), ("verify", "03:00", None),
        ("audit", "10:00", None), ("retention", "04:00", None),
    ]  # fmt: skip
    assert all(each["description"] for each in jobs)


def test_runs_are_paged(api: Api, tray: Tray) -> None:
    for day in range(1, 6):
        api.post("/v1/jobs/expire/runs", {"date": f"2026-03-0{day}"})
    work_off(tray)
    first = api.get("/v1/jobs/expire/runs", limit=3).json
    assert [run["date"] for run in first["items"]] == ["2026-03-05", "2026-03-04", "2026-03-03"]
    rest = api.get("/v1/jobs/expire/runs", limit=3, cursor=first["next_cursor"]).json
    assert ([run["date"] for run in rest["items"]], rest["next_cursor"]) == (["2026-03-02", "2026-03-01"], None)
    assert api.get("/v1/jobs/birthday/runs", limit=3, cursor=first["next_cursor"]).code == "cursor_invalid"


@pytest.mark.parametrize(
    "body", [{"date": "2026-03-16"}, {"date": "2020-01-01"}, {"date": "2027-01-01", "dry_run": True}]
)
def test_a_day_that_cannot_be_run_is_refused_and_nothing_is_queued(
    api: Api, tray: Tray, body: dict[str, object]
) -> None:
    reply = api.post("/v1/jobs/expire/runs", body)
    assert (reply.status, reply.code) == (400, "run_day_wrong")
    assert set(reply.json["facts"]) == {"date", "first", "last"}
    assert tray.bodies == []


def test_an_unknown_job_and_an_impossible_day_are_not_found(api: Api) -> None:
    assert api.get("/v1/jobs/payday/runs").code == "id_malformed"
    assert api.get("/v1/jobs/expire/runs/2026-02-30").code == "id_malformed"
    assert api.get("/v1/jobs/expire/runs/2026-02-28").code == "run_unknown"


def test_where_there_is_no_queue_a_run_is_not_started_and_jobs_can_still_be_seen(api: Api, house: House) -> None:
    from dataclasses import replace

    wiring.use(replace(house, settings=replace(house.settings, job_queue=None)))
    reply = api.post("/v1/jobs/expire/runs", {})
    assert (reply.status, reply.code) == (503, "jobs_unavailable")
    assert reply.headers["Retry-After"]
    assert api.get("/v1/jobs").status == 200
