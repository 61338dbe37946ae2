"""What happens in the deployed stack without anybody waiting for it: schedules, queues, the stream, the bus."""

from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.jobs import service as jobs
from chalicelib.jobs.models import TIMETABLES, Job, JobView, RunState
from chalicelib.jobs.rules import last_day_begun
from chalicelib.runtime.wiring import utc_now
from chalicelib.storage.keys import program_version
from chalicelib.storage.signed import ServiceFault
from local.deploy.intrinsics import Json
from tests.e2e.stand import FUNCTIONS, Deployed, digest_of, until
from tests.makers import a_purchase
from tests.table.stand import faults_in, scan


def test_a_schedule_may_be_the_first_to_come_to_a_new_stack(stack: Deployed) -> None:
    assert stack.first["job"] == "release"
    assert len(stack.first["days"]) == 1
    assert program_version(1) in scan(stack.as_root, stack.core.name)


def test_a_deployed_schedule_gives_birthday_gifts_and_tells_members(stack: Deployed) -> None:
    last = last_day_begun(TIMETABLES[Job.BIRTHDAY], stack.given["TimeZone"], utc_now())  # before its hour: yesterday
    born = {day: stack.long_known(name="李生日", mobile=mobile(n), birthday=f"--{day:%m-%d}")
            for n, day in enumerate(last + timedelta(days=n) for n in (-1, 0, 1))}  # fmt: skip
    stack.emulator.hour()

    def through() -> list[JobView] | None:
        all_jobs = jobs.list_jobs(stack.yard, now=utc_now())
        done = {view.job for view in all_jobs if view.last_run and view.last_run.started_by == "schedule"
                and view.last_run.finished_at}  # fmt: skip
        return list(all_jobs) if done == set(Job) else None

    views = {view.job: view for view in until("all jobs done", through)}
    run = views[Job.BIRTHDAY].last_run
    assert run is not None
    assert (run.state, run.due, run.done) == (RunState.DONE, 2, 2), "the day before is looked at too"
    assert (run.date, run.changed, run.points) == (last, 1, 50)
    lucky = born.pop(run.date)
    assert stack.entries(lucky) == [("birthday", 50)]
    assert all(stack.entries(other) == [] for other in born.values())

    (notice,) = until("the notice", lambda: stack.notices(lucky))
    assert (notice["event_type"], notice["channel"]) == ("BirthdayGiftGiven", "sms")
    assert "50" in notice["text"]

    calls = len(stack.told("start-job"))
    stack.emulator.hour()
    until("all schedules fired again", lambda: len(stack.told("start-job")) == calls + len(Job))
    assert all(line["days"] == [] for line in stack.told("start-job")[calls:])
    assert stack.entries(lucky) == [("birthday", 50)]


def test_a_purchase_is_told_on_the_bus_kept_in_the_archive_and_a_new_tier_sent(stack: Deployed) -> None:
    desk, name = stack.desk, "王小明"
    member = desk.enrol(name=name, mobile=mobile(7)).member_id
    lines = [{"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 1, "unit_price_minor": 120_000}]
    sold = desk.buy(a_purchase(member, occurred_at=desk.clock().isoformat(), lines=lines, paid_minor=120_000)).value
    assert (sold.points_earned, sold.tier_after.tier_id) == (1200, "silver")
    assert [found.member_id for found in desk.look_up(mobile=mobile(7))] == [member]

    def told() -> dict[str, Json] | None:
        events = {event["type"]: event for event in stack.archived().values() if event["member_id"] == member}
        return events if len(events) >= 4 else None

    events = until("the events", told)
    assert set(events) == {"MemberEnrolled", "PurchaseRecorded", "PointsEarned", "TierChanged"}
    assert events["PointsEarned"]["data"]["points"] == 1200
    kept = "".join(stack.objects("events/").values())
    assert name not in kept and mobile(7) not in kept
    (notice,) = until("the notice", lambda: stack.notices(member))
    assert notice["event_type"] == "TierChanged"
    assert "to" not in notice
    assert notice["event_id"] == events["TierChanged"]["event_id"]


def test_each_function_ran_from_the_zip(stack: Deployed) -> None:
    stack.call("GET", "/v1/jobs")
    stack.invoke("notices", {"Records": []})
    packed = digest_of(stack.folder / "app.zip")
    unpacked = stack.emulator.folder / "unpacked" / packed
    for function in FUNCTIONS:
        assert stack.code(function) == packed
        until(f"{function} has logged", lambda function=function: stack.told(function))  # type: ignore[misc]
        assert any(line.startswith("START RequestId") for line in stack.log(function)), function
        processes = stack.emulator.workers(f"-{stack.name}-{function}-")
        assert processes, function
        for pid in processes:
            mapped = set(Path(f"/proc/{pid}/maps").read_text().split())
            libraries = [path for path in mapped if "pydantic_core" in path]
            assert libraries
            assert all(Path(path).is_relative_to(unpacked) for path in libraries)


def test_the_members_were_served_with_the_apis_role_and_no_more(stack: Deployed) -> None:
    with pytest.raises(ServiceFault, match="AccessDenied"):
        scan(stack.dynamo_as_api, stack.core.name)


def test_every_account_follows_from_its_entries(stack: Deployed) -> None:
    assert faults_in(stack.core, scan(stack.as_root, stack.core.name)) == []


def mobile(number: int) -> str:
    """A mobile number."""
    return f"+86138000020{number:02d}"
