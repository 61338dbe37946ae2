"""HTTP of points: what a member has, the statement, and commands."""

from chalicelib.api.routing import Call, Routes
from chalicelib.api.ways import carried_out
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import ApprovalKind, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.errors import LaneSlow
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.points import service
from chalicelib.points.errors import (
    AdjustmentEmpty,
    BalanceTooLarge,
    EntryDiffers,
    ExpiryPast,
    ExpiryTooFar,
    InstantInFuture,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    OccurredInFuture,
    OccurredTooLongAgo,
    PointsInsufficient,
    VelocityExceeded,
)
from chalicelib.points.models import AdjustPoints, EntryView, OtherShopEntry, PointsView, SpendPoints, Then, TierView
from chalicelib.programs.service import book_of

points = Routes("points")


class EntryPage(Page[EntryView | OtherShopEntry]):
    """A page of a statement."""


@points.get("/members/{member_id}/points", me="/me/points", refuses=(MemberUnknown, InstantInFuture))
def get_points(member_id: MemberId, query: Then, call: Call) -> PointsView:
    """A member's points: what can be spent, when it expires, what ever happened; now, or at another time."""
    return service.find_points(call.house.table, book_of(call.house.table), member_id, now=call.now, then=query)


@points.get("/members/{member_id}/tier", me="/me/tier", refuses=(MemberUnknown, InstantInFuture))
def get_tier(member_id: MemberId, query: Then, call: Call) -> TierView:
    """The tier a member holds and what is missing to the next; now, or at another time."""
    book = book_of(call.house.table)
    return service.find_tier(
        call.house.table, book, member_id, now=call.now, language=book.language(call.language, call.now), then=query
    )


@points.get("/members/{member_id}/point-entries", me="/me/point-entries", refuses=(MemberUnknown, CursorInvalid))
def list_point_entries(member_id: MemberId, query: Paging, call: Call) -> EntryPage:
    """A member's statement, newest first.

    Who works in some shops only sees of the purchases of others what they did to the points, and no more.
    """
    scope = ("point-entries", member_id)
    book = book_of(call.house.table)
    part = service.list_statement_within(
        call.house.table,
        book,
        member_id,
        call.signed_in.within(Permission.POINTS_READ),
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        language=book.language(call.language, call.now),
    )
    return call.page(part, EntryPage, *scope)


@points.post(
    "/members/{member_id}/point-spends",
    keyed=True,
    status=201,
    refuses=(
        MemberUnknown,
        MemberSuspended,
        MemberClosed,
        PointsInsufficient,
        OccurredInFuture,
        OccurredTooLongAgo,
        EntryDiffers,
        BalanceTooLarge,
        LaneSlow,
    ),
)
def spend_points(member_id: MemberId, body: SpendPoints, call: Call) -> Outcome[EntryView]:
    """Spend a member's points, soonest expiry first."""
    table, book = call.house.table, book_of(call.house.table)
    language = book.language(call.language, call.now)

    def directly() -> Outcome[EntryView]:
        return service.spend_points(table, book, member_id, call.key, body, now=call.now, language=language)

    def find(token: str) -> Outcome[EntryView] | None:
        return service.find_spend(table, book, member_id, call.key, body, token=token, language=language)

    if body.dry_run:
        return directly()
    return carried_out(call, "spend", member_id, body, language, directly=directly, find=find)


@points.post(
    "/members/{member_id}/point-adjustments",
    keyed=True,
    status=201,
    waits=ApprovalView,
    refuses=(
        ApprovalNeeded,
        ApprovalDiffers,
        ApprovalOutgrown,
        MemberUnknown,
        MemberClosed,
        AdjustmentEmpty,
        ExpiryPast,
        ExpiryTooFar,
        PointsInsufficient,
        OccurredInFuture,
        EntryDiffers,
        BalanceTooLarge,
        VelocityExceeded,
    ),
)
def adjust_points(member_id: MemberId, body: AdjustPoints, call: Call) -> Outcome[EntryView] | Outcome[ApprovalView]:
    """Correct a member's balance, up or down, and say why.

    More than the program lets one person do for one member within a day, or give to all together, waits for a second
    one, for 72 hours: 202. Once that was approved, the same request is answered with the entry.
    """
    table, book = call.house.table, book_of(call.house.table)
    language, limits = book.language(call.language, call.now), book.current(call.now).approvals

    def do(clearance: Clearance) -> Outcome[EntryView]:
        return service.adjust_points(
            table, book, member_id, call.key, body,
            now=call.now, language=language, clearance=clearance, by=call.signed_in.subject,
        )  # fmt: skip

    asked = asking(ApprovalKind.ADJUSTMENT, member_id, call.key, body, call.signed_in, Permission.POINTS_ADJUST)
    return alone_or_asked(
        table, call.words, asked, limit=limits.adjustment_points_max, given_limit=limits.given_points_max,
        dry_run=body.dry_run, do=do, now=call.now,
    )  # fmt: skip
