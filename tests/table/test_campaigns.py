"""Campaigns as staff command them: each command once, twice, two at once, and with a crash at every call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.campaigns.errors import (
    CampaignChanged,
    CampaignDiffers,
    CampaignNotDraft,
    CampaignNotLaunched,
    CampaignOver,
    CampaignUnfit,
    CampaignUnknown,
    GiftForbidden,
    ScheduleOver,
    TestVariantUnknown,
)
from chalicelib.campaigns.models import CampaignState, CopyCampaign, EditCampaign, SendTest
from chalicelib.campaigns.ports import Title
from chalicelib.campaigns.service import commands, sending
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import RunStatus
from chalicelib.kernel.ids import CampaignId
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable, Table
from tests.fair import EMAIL, MARKETER, OTHER, SMS, Fair, a_campaign, member
from tests.makers import Clock
from tests.table.stand import Crashed, CrashingTable, at_once

STATES = (commands.pause_campaign, commands.resume_campaign, commands.cancel_campaign)


@pytest.fixture
def fair(tmp_path: Path, clock: Clock, table: DynamoTable, ops: DynamoTable) -> Fair:
    """A fair over tables of DynamoDB."""
    made = Fair(tmp_path / "files", clock, table, ops)
    made.book.current(clock())
    return made


def edit(fair: Fair, campaign_id: CampaignId, version: int, **fields: Any) -> Any:
    """Replace what a draft does."""
    command = EditCampaign.model_validate({**a_campaign(**fields).model_dump(), "version": version}, strict=False)
    return commands.edit_campaign(fair.table, fair.shelf, fair.book, campaign_id, command, now=fair.clock())


def turn(fair: Fair, change: Callable[..., Any], campaign_id: CampaignId, table: Table | None = None) -> Any:
    """Pause, resume or cancel."""
    core = table or fair.table
    return change(core, ProgramBook(core), campaign_id, now=fair.clock())


# ---------------------------------------------------------------- drafts


def test_a_campaign_is_made_once_for_its_key(fair: Fair) -> None:
    first, again = fair.made(a_campaign()), fair.made(a_campaign())
    assert first.value == again.value
    assert (first.replayed, again.replayed) == (False, True)
    assert first.value.state is CampaignState.DRAFT
    with pytest.raises(CampaignDiffers):
        fair.made(a_campaign(name="Autumn"))


def test_a_campaign_that_is_made_by_two_at_once_is_one(fair: Fair, dynamo: Dynamo) -> None:
    answers = at_once(dynamo, lambda: fair.made(a_campaign()), lambda: fair.made(a_campaign()))
    assert {answer.value.campaign_id for answer in answers} == {CampaignId.of("k1")}  # type: ignore[union-attr]
    assert fair.campaign(CampaignId.of("k1")).version == 1


def test_what_does_not_fit_is_refused_with_its_place(fair: Fair) -> None:
    unknown = "tpl_" + "z" * 16
    fair.shelf.titles[OTHER] = Title(OTHER, 1, "sms", "marketing", frozenset({"gift_points"}))
    with pytest.raises(CampaignUnfit) as refused:
        fair.make(
            segment_id="seg_" + "z" * 16,
            variants=[
                {"name": "a", "template_ids": [SMS, unknown]},
                {"name": "b", "template_ids": [OTHER, SMS]},
            ],
        )
    assert [each["pointer"] for each in refused.value.errors] == [
        "/segment_id",
        "/variants/0/template_ids/1",
        "/variants/1/template_ids/0",
        "/variants/1/template_ids/1",
    ]
    with pytest.raises(CampaignUnfit, match="/variants: all variants try the same channels"):
        fair.make(variants=[{"name": "a", "template_ids": [SMS]}, {"name": "b", "template_ids": [EMAIL]}])
    with pytest.raises(CampaignUnfit, match="/purpose"):
        fair.make(purpose="notices")
    with pytest.raises(CampaignUnfit, match="/purpose: members are written to for"):
        fair.make(purpose="id_number")


def test_a_draft_is_edited_by_who_has_read_it(fair: Fair) -> None:
    campaign_id = fair.make()
    assert edit(fair, campaign_id, 1, name="Summer").version == 2
    assert fair.campaign(campaign_id).definition.name == "Summer"
    with pytest.raises(CampaignChanged):
        edit(fair, campaign_id, 1, name="Autumn")
    fair.launch(campaign_id, version=2)
    with pytest.raises(CampaignNotDraft):
        edit(fair, campaign_id, 3, name="Autumn")


def test_a_copy_does_the_same_under_another_name(fair: Fair) -> None:
    source = fair.make(holdout_percent=15)

    def copied(name: str) -> Any:
        return commands.copy_campaign(
            fair.table, fair.book, source, "c1", CopyCampaign(name=name), by="stf_admin", draw=lambda: 9,
            now=fair.clock(),
        )  # fmt: skip

    copy = copied("Spring again").value
    assert copy.definition == fair.campaign(source).definition.model_copy(update={"name": "Spring again"})
    assert copy.state is CampaignState.DRAFT
    edit(fair, source, 1, holdout_percent=0)
    assert copied("Spring again").value == copy
    with pytest.raises(CampaignDiffers):
        copied("Another")
    assert fair.campaign(copy.campaign_id).salt != fair.campaign(source).salt


# ---------------------------------------------------------------- launching


def test_a_launch_twice_is_one_and_pins_what_was_looked_at(fair: Fair) -> None:
    campaign_id = fair.make()
    first, again = fair.launch(campaign_id), fair.launch(campaign_id)
    assert (first.replayed, again.replayed) == (False, True)
    assert first.value == again.value
    fair.shelf.titles[SMS] = Title(SMS, 2, "sms", "marketing", frozenset())
    assert fair.campaign(campaign_id).pinned["a"][0].version == 1
    with pytest.raises(CampaignNotDraft):
        fair.launch(campaign_id, version=2)


def test_a_launch_of_what_was_changed_since_is_refused(fair: Fair) -> None:
    campaign_id = fair.make()
    edit(fair, campaign_id, 1, name="Summer")
    with pytest.raises(CampaignChanged):
        fair.launch(campaign_id, version=1)
    assert fair.campaign(campaign_id).state is CampaignState.DRAFT


def test_a_launch_and_an_edit_at_once_are_one_after_the_other(fair: Fair, dynamo: Dynamo) -> None:
    campaign_id = fair.make()
    at_once(dynamo, lambda: fair.launch(campaign_id), lambda: edit(fair, campaign_id, 1, name="Summer"))
    after = fair.campaign(campaign_id)
    assert after.version == 2
    assert (after.state is CampaignState.SCHEDULED) == (after.definition.name == "Spring")


def test_a_dry_run_of_a_launch_changes_nothing(fair: Fair) -> None:
    campaign_id = fair.make()
    before = fair.campaign(campaign_id)
    assert fair.launch(campaign_id, dry_run=True).value.state is CampaignState.SCHEDULED
    assert fair.campaign(campaign_id) == before


def test_who_may_not_give_points_launches_no_campaign_that_does(fair: Fair) -> None:
    campaign_id = fair.make(gift={"points": 100})
    with pytest.raises(GiftForbidden):
        fair.launch(campaign_id, MARKETER)
    assert fair.campaign(campaign_id).state is CampaignState.DRAFT
    fair.launch(campaign_id)
    fair.launch(fair.make("k2"), MARKETER)


def test_a_campaign_whose_time_has_passed_is_not_launched(fair: Fair) -> None:
    campaign_id = fair.make(schedule={"kind": "once", "on": "2026-03-14", "at": "10:00"})
    with pytest.raises(ScheduleOver):
        fair.launch(campaign_id)
    over = fair.make("k2", schedule={"kind": "birthday", "at": "10:00", "until_on": "2026-03-01"})
    with pytest.raises(ScheduleOver):
        fair.launch(over)


# ---------------------------------------------------------------- pause, resume, cancel


def test_a_run_is_paused_resumed_and_cancelled_with_its_campaign(fair: Fair) -> None:
    fair.people(40)
    campaign_id, run_id = fair.go()

    def states() -> tuple[CampaignState, RunStatus]:
        run = deliveries.find_run(fair.table, run_id)
        assert run is not None
        return fair.campaign(campaign_id).state, run.status

    assert states() == (CampaignState.SENDING, RunStatus.SENDING)
    for change, state, status in (
        (commands.pause_campaign, CampaignState.PAUSED, RunStatus.PAUSED),
        (commands.resume_campaign, CampaignState.SENDING, RunStatus.SENDING),
        (commands.cancel_campaign, CampaignState.CANCELLED, RunStatus.CANCELLED),
    ):
        assert not turn(fair, change, campaign_id).replayed
        assert states() == (state, status)
        assert turn(fair, change, campaign_id).replayed
        assert states() == (state, status)
    with pytest.raises(CampaignOver):
        turn(fair, commands.pause_campaign, campaign_id)


def test_parts_that_were_dropped_in_a_pause_are_handed_on_after_it(fair: Fair) -> None:
    fair.people(1100)
    campaign_id, _ = fair.go()
    turn(fair, commands.pause_campaign, campaign_id)
    assert len(fair.work()) == 3  # a worker looks at them while the run is paused, and lets them go
    sending.advance(fair.works, campaign_id)
    assert fair.tray.bodies == []
    turn(fair, commands.resume_campaign, campaign_id)
    sending.advance(fair.works, campaign_id)
    assert sorted(each.part for each in fair.work()) == [0, 1, 2]
    sending.advance(fair.works, campaign_id)
    assert fair.campaign(campaign_id).state is CampaignState.SENT
    assert fair.tray.bodies == []


def test_a_cancelled_run_is_closed_by_whoever_gets_its_parts(fair: Fair) -> None:
    fair.people(600)
    campaign_id, _ = fair.go(throttle_per_minute=500)
    fair.tray.taken()
    turn(fair, commands.cancel_campaign, campaign_id)
    sending.advance(fair.works, campaign_id)
    assert len(fair.tray.bodies) == 2
    sending.advance(fair.works, campaign_id)
    assert len(fair.tray.bodies) == 2
    assert fair.campaign(campaign_id).open_runs == ()


@pytest.mark.parametrize("change", STATES)
def test_a_draft_is_not_at_work(fair: Fair, change: Callable[..., Any]) -> None:
    with pytest.raises(CampaignNotLaunched):
        turn(fair, change, fair.make())
    with pytest.raises(CampaignUnknown):
        turn(fair, change, CampaignId.of("none"))


def test_a_pause_and_a_cancellation_at_once_end_cancelled(fair: Fair, dynamo: Dynamo) -> None:
    fair.people(10)
    campaign_id, run_id = fair.go()
    at_once(
        dynamo,
        lambda: turn(fair, commands.pause_campaign, campaign_id),
        lambda: turn(fair, commands.cancel_campaign, campaign_id),
    )
    run = deliveries.find_run(fair.table, run_id)
    assert run is not None
    assert (fair.campaign(campaign_id).state, run.status) == (CampaignState.CANCELLED, RunStatus.CANCELLED)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("change", STATES)
def test_a_crash_at_any_call_leaves_campaign_and_run_together(
    fair: Fair, change: Callable[..., Any], after: bool
) -> None:
    fair.people(5)
    campaign_id, run_id = fair.go()
    if change is commands.resume_campaign:
        turn(fair, commands.pause_campaign, campaign_id)
    together = {
        (CampaignState.SENDING, RunStatus.SENDING),
        (CampaignState.PAUSED, RunStatus.PAUSED),
        (CampaignState.CANCELLED, RunStatus.CANCELLED),
    }
    for call in range(1, 9):
        table = CrashingTable(fair.table, call, after=after)
        try:
            turn(fair, change, campaign_id, table)
        except Crashed:
            run = deliveries.find_run(fair.table, run_id)
            assert run is not None
            assert (fair.campaign(campaign_id).state, run.status) in together
            continue
        break
    else:
        raise AssertionError("it makes more calls than were crashed")
    assert turn(fair, change, campaign_id).replayed


# ---------------------------------------------------------------- tests


def test_a_test_goes_to_the_first_channel_that_reaches_and_once_for_its_key(fair: Fair) -> None:
    campaign_id = fair.make(variants=[{"name": "a", "template_ids": [SMS, EMAIL]}])

    def send(variant: str | None = None) -> Any:
        return commands.send_tests(
            fair.table, fair.shelf, fair.book, fair, campaign_id, "t1",
            SendTest(member_ids=(member(1), member(2)), variant=variant), now=fair.clock(),
        )  # fmt: skip

    found = send()
    assert [(each.channel, each.outcome) for each in found.items] == [("sms", "sent"), ("sms", "sent")]
    assert fair.tested == [("test t1", member(1), "sms"), ("test t1", member(2), "sms")]
    with pytest.raises(TestVariantUnknown):
        send("b")


# ---------------------------------------------------------------- looking


def test_a_list_has_the_newest_first_and_goes_on(fair: Fair) -> None:
    ids = []
    for number in range(3):
        ids.append(fair.make(f"k{number}"))
        fair.clock.forward(seconds=1)
    first = commands.list_campaigns(fair.table, fair.book, after=None, limit=2, now=fair.clock())
    second = commands.list_campaigns(fair.table, fair.book, after=first.next_position, limit=2, now=fair.clock())
    assert [each.campaign_id for each in (*first.items, *second.items)] == ids[::-1]


def test_progress_is_live(fair: Fair) -> None:
    fair.people(700)
    campaign_id, run_id = fair.go(throttle_per_minute=500)
    fair.work(cost_micro=50_000)
    found = commands.find_campaign(fair.table, fair.ops, fair.book, campaign_id, now=fair.clock())
    assert [each.run_id for each in found.latest_runs] == [run_id]
    progress = found.latest_runs[0].progress
    assert (progress.parts, progress.parts_done, progress.sent, progress.cost_minor) == (2, 1, 500, 2500)
    assert found.latest_runs[0].planned.targeted == 700
