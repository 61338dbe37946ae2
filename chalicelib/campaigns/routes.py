"""HTTP of campaigns."""

from collections.abc import Callable

from chalicelib.api.routing import Call, Routes
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import ApprovalKind, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.campaigns.errors import (
    CampaignChanged,
    CampaignDiffers,
    CampaignNotDraft,
    CampaignNotLaunched,
    CampaignOver,
    CampaignUnfit,
    CampaignUnknown,
    EstimateSilent,
    GiftForbidden,
    ResultsSilent,
    ScheduleOver,
    TestsSilent,
    TestsTooMany,
    TestVariantUnknown,
)
from chalicelib.campaigns.models import (
    CampaignDetail,
    CampaignResults,
    CampaignView,
    ChangeCampaign,
    CopyCampaign,
    EditCampaign,
    Estimate,
    LaunchCampaign,
    MakeCampaign,
    SendTest,
    TestSends,
)
from chalicelib.campaigns.ports import Shelf
from chalicelib.campaigns.service import commands, estimating, results, testing
from chalicelib.campaigns.service.neighbours import TableShelf
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import CampaignId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.service import book_of
from chalicelib.segments.errors import RfmNotReady

campaigns = Routes("campaigns")

_AT_WORK = (CampaignUnknown, CampaignNotLaunched, CampaignOver)


class CampaignPage(Page[CampaignView]):
    """A page of campaigns."""


@campaigns.post("/campaigns", keyed=True, status=201, refuses=(CampaignDiffers, CampaignUnfit))
def make_campaign(body: MakeCampaign, call: Call) -> Outcome[CampaignView]:
    """Make a campaign: a draft, until it is launched."""
    house = call.house
    return commands.make_campaign(
        house.table, _shelf(call), book_of(house.table), call.key, body,
        by=call.signed_in.subject, draw=house.draw, now=call.now,
    )  # fmt: skip


@campaigns.get("/campaigns", refuses=(CursorInvalid,))
def list_campaigns(query: Paging, call: Call) -> CampaignPage:
    """All campaigns, newest first."""
    table = call.house.table
    after = call.position(query.cursor, "campaigns")
    part = commands.list_campaigns(table, book_of(table), after=after, limit=query.limit, now=call.now)
    return call.page(part, CampaignPage, "campaigns")


@campaigns.get("/campaigns/{campaign_id}", refuses=(CampaignUnknown,))
def get_campaign(campaign_id: CampaignId, call: Call) -> CampaignDetail:
    """A campaign with its latest runs, and how far they are just now."""
    house = call.house
    return commands.find_campaign(house.table, house.ops, book_of(house.table), campaign_id, now=call.now)


@campaigns.patch(
    "/campaigns/{campaign_id}", refuses=(CampaignUnknown, CampaignNotDraft, CampaignChanged, CampaignUnfit)
)
def edit_campaign(campaign_id: CampaignId, body: EditCampaign, call: Call) -> CampaignView:
    """Replace what a draft does. What was launched stays as it is: make a copy."""
    call.require_version(body.version)
    table = call.house.table
    return commands.edit_campaign(table, _shelf(call), book_of(table), campaign_id, body, now=call.now)


@campaigns.post("/campaigns/{campaign_id}/copies", keyed=True, status=201, refuses=(CampaignUnknown, CampaignDiffers))
def copy_campaign(campaign_id: CampaignId, body: CopyCampaign, call: Call) -> Outcome[CampaignView]:
    """Make a draft that does the same."""
    house = call.house
    return commands.copy_campaign(
        house.table, book_of(house.table), campaign_id, call.key, body,
        by=call.signed_in.subject, draw=house.draw, now=call.now,
    )  # fmt: skip


@campaigns.post(
    "/campaigns/{campaign_id}/launch",
    status=201,
    waits=ApprovalView,
    refuses=(
        ApprovalNeeded, ApprovalDiffers, ApprovalOutgrown, CampaignUnknown, CampaignNotDraft, CampaignChanged,
        CampaignUnfit, GiftForbidden, ScheduleOver,
    ),
)  # fmt: skip
def launch_campaign(
    campaign_id: CampaignId, body: LaunchCampaign, call: Call
) -> Outcome[CampaignView] | Outcome[ApprovalView]:
    """Let a draft go. It is planned within a minute of its time; the version that was looked at is the key.

    One that gives each member more points than the program lets one person adjust, with all that the same person
    launched within a day, waits for a second one, for 72 hours: 202. What was not approved can be asked again.
    """
    table, book = call.house.table, book_of(call.house.table)

    def do(clearance: Clearance) -> Outcome[CampaignView]:
        return commands.launch_campaign(
            table, _shelf(call), book, campaign_id, body, call.signed_in, now=call.now, clearance=clearance
        )

    key = f"{campaign_id} {body.version}"
    asked = asking(ApprovalKind.LAUNCH, campaign_id, key, body, call.signed_in, Permission.CAMPAIGNS_GIFT)
    return alone_or_asked(
        table, call.words, asked, limit=book.current(call.now).approvals.adjustment_points_max, dry_run=body.dry_run,
        do=do, now=call.now, again=True,
    )  # fmt: skip


@campaigns.post("/campaigns/{campaign_id}/pause", status=201, refuses=_AT_WORK)
def pause_campaign(campaign_id: CampaignId, body: ChangeCampaign, call: Call) -> Outcome[CampaignView]:  # noqa: ARG001 - audited
    """Stop a campaign where it is. What a provider is being asked just now still goes out, and nothing after it."""
    return _changed(commands.pause_campaign, campaign_id, call)


@campaigns.post("/campaigns/{campaign_id}/resume", status=201, refuses=_AT_WORK)
def resume_campaign(campaign_id: CampaignId, body: ChangeCampaign, call: Call) -> Outcome[CampaignView]:  # noqa: ARG001 - audited
    """Let a paused campaign go on, within a minute."""
    return _changed(commands.resume_campaign, campaign_id, call)


@campaigns.post("/campaigns/{campaign_id}/cancel", status=201, refuses=_AT_WORK)
def cancel_campaign(campaign_id: CampaignId, body: ChangeCampaign, call: Call) -> Outcome[CampaignView]:  # noqa: ARG001 - audited
    """End a campaign for good. What a provider is being asked just now still goes out, and nothing after it."""
    return _changed(commands.cancel_campaign, campaign_id, call)


@campaigns.post(
    "/campaigns/{campaign_id}/test-sends",
    keyed=True,
    status=201,
    refuses=(
        CampaignUnknown,
        CampaignUnfit,
        CampaignDiffers,
        TestVariantUnknown,
        TestsTooMany,
        TestsSilent,
        WriteContended,
    ),
)
def send_tests(campaign_id: CampaignId, body: SendTest, call: Call) -> TestSends:
    """Send a campaign's message, as it is now, to a few members who agreed to its purpose.

    Its subject says that it is a test, and a mail's first line that nothing in it is promised: no gift is given.
    """
    table = call.house.table
    shelf = _shelf(call)
    book, by = book_of(table), call.signed_in.subject

    def count() -> None:
        testing.count_tests(call.house.ops, book, campaign_id, call.key, body.member_ids, by=by, now=call.now)

    return commands.ask_tests(
        table, shelf, book, call.house.functions, campaign_id, call.key, body, count=count, now=call.now
    )


@campaigns.get("/campaigns/{campaign_id}/results", refuses=(CampaignUnknown, ResultsSilent, LakeMissing))
def get_results(campaign_id: CampaignId, call: Call) -> CampaignResults:
    """What a campaign has brought so far, by variant, and beside those who were held out."""
    return results.ask_results(call.house.table, call.house.functions, campaign_id)


@campaigns.get(
    "/campaigns/{campaign_id}/estimate",
    refuses=(CampaignUnknown, CampaignNotDraft, CampaignUnfit, ScheduleOver, RfmNotReady, EstimateSilent, LakeMissing),
)
def get_estimate(campaign_id: CampaignId, call: Call) -> Estimate:
    """What a draft would reach and cost if it were launched now: counted as its plan will be, with nothing sent."""
    table = call.house.table
    return estimating.ask_estimate(table, _shelf(call), book_of(table), call.house.functions, campaign_id, now=call.now)


def _shelf(call: Call) -> Shelf:
    table = call.house.table
    return TableShelf(table, book_of(table), lambda: call.now)


def _changed(
    change: Callable[..., Outcome[CampaignView]], campaign_id: CampaignId, call: Call
) -> Outcome[CampaignView]:
    table = call.house.table
    return change(table, book_of(table), campaign_id, now=call.now)
