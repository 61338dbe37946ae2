"""HTTP of approvals."""

from chalicelib.api.routing import Call, Routes
from chalicelib.approvals.errors import ApprovalOutgrown
from chalicelib.approvals.models import ApprovalStatus, ApprovalView
from chalicelib.campaigns.errors import (
    CampaignChanged,
    CampaignNotDraft,
    CampaignUnfit,
    CampaignUnknown,
    ScheduleOver,
)
from chalicelib.cards.errors import (
    CardClosed,
    CardEmpty,
    CardRefundTooLarge,
    CardRefundTooWide,
    CardsHoldValue,
    UsesInsufficient,
)
from chalicelib.corrections.errors import EntryNotReversible, ReversalDiffers
from chalicelib.decisions import service
from chalicelib.decisions.errors import ApprovalOver, ApprovalOwn, ApprovalUnknown
from chalicelib.decisions.models import ApprovalsAsked, Approve, Reject
from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller, Owner
from chalicelib.journeys.errors import JourneyMoved, JourneyStands, JourneysTooMany, JourneyUnfit, JourneyUnknown
from chalicelib.kernel.ids import ApprovalId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page
from chalicelib.members.errors import BalanceRemaining
from chalicelib.points.errors import (
    BalanceTooLarge,
    EntryDiffers,
    ExpiryPast,
    HoldsOpen,
    MemberClosed,
    PointsInsufficient,
)
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House
from chalicelib.segments.errors import SegmentsTooMany

decisions = Routes("decisions")


def _owner(house: House, approval_id: ApprovalId, caller: Caller) -> Owner | None:
    return service.find_owner(house.table, approval_id, caller)


decisions.owned("approval", "approval_id", _owner, lambda approval_id: ApprovalUnknown(approval_id=approval_id))


class ApprovalPage(Page[ApprovalView]):
    """A page of what waits, or did."""


@decisions.get("/approvals", refuses=(CursorInvalid,))
def list_approvals(query: ApprovalsAsked, call: Call) -> ApprovalPage:
    """What waits for a second person, or did, newest first; of your shops, where you reach no further."""
    scope = ("approvals", query.status or "")
    part = service.list_approvals(
        call.house.table,
        call.words,
        call.signed_in,
        ApprovalStatus(query.status) if query.status else None,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        now=call.now,
    )
    return call.page(part, ApprovalPage, *scope)


@decisions.get("/approvals/{approval_id}", refuses=(ApprovalUnknown,))
def get_approval(approval_id: ApprovalId, call: Call) -> ApprovalView:
    """What waits for a second person, or did."""
    return service.find_approval(call.house.table, call.words, approval_id, now=call.now)


@decisions.post(
    "/approvals/{approval_id}/approvals",
    status=201,
    refuses=(
        ApprovalUnknown,
        ApprovalOwn,
        ApprovalOver,
        PermissionMissing,
        ApprovalOutgrown,
        MemberClosed,
        PointsInsufficient,
        BalanceTooLarge,
        ExpiryPast,
        EntryDiffers,
        EntryNotReversible,
        ReversalDiffers,
        CardClosed,
        CardEmpty,
        CardRefundTooLarge,
        CardRefundTooWide,
        UsesInsufficient,
        HoldsOpen,
        BalanceRemaining,
        CardsHoldValue,
        CampaignUnknown,
        CampaignNotDraft,
        CampaignChanged,
        CampaignUnfit,
        ScheduleOver,
        JourneyUnknown,
        JourneyMoved,
        JourneyStands,
        JourneyUnfit,
        JourneysTooMany,
        SegmentsTooMany,
    ),
)
def approve(approval_id: ApprovalId, body: Approve, call: Call) -> Outcome[ApprovalView]:
    """Approve what somebody else asked for: it is carried out at once, and once.

    It needs the permission of what was asked for, besides. What is refused by then, because the balance has changed,
    waits on.
    """
    table, book = call.house.table, book_of(call.house.table)
    language = book.language(call.language, call.now)
    house = call.house
    return service.approve(
        table, call.words, house.keyring, book, call.signed_in, approval_id, body,
        now=call.now, language=language, desk=service.Desk(house.ops, house.objects, house.functions),
    )  # fmt: skip


@decisions.post(
    "/approvals/{approval_id}/rejections",
    status=201,
    refuses=(ApprovalUnknown, ApprovalOwn, ApprovalOver, PermissionMissing),
)
def reject(approval_id: ApprovalId, body: Reject, call: Call) -> Outcome[ApprovalView]:
    """Reject what somebody else asked for: nothing is carried out."""
    return service.reject(call.house.table, call.words, call.signed_in, approval_id, body, now=call.now)
