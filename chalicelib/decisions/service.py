"""Use cases of decisions: a second person approves or rejects.

Approving carries the command out through its own use case, under its own key, in one transaction with the approval:
it happens once, or not at all, whoever approves how often.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from chalicelib.approvals import store
from chalicelib.approvals.models import Approval, ApprovalKind, ApprovalStatus, ApprovalView
from chalicelib.approvals.rules import status_of, view_of
from chalicelib.approvals.service import Approved, Clearance, decided
from chalicelib.campaigns.models import LaunchCampaign
from chalicelib.campaigns.service import commands as campaigns
from chalicelib.campaigns.service.neighbours import TableShelf as CampaignShelf
from chalicelib.cards import service as cards
from chalicelib.cards.models import RefundCard
from chalicelib.corrections import service as corrections
from chalicelib.corrections.models import ReverseEntry
from chalicelib.decisions.errors import ApprovalOver, ApprovalOwn, ApprovalUnknown
from chalicelib.decisions.models import Approve, Reject
from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller, Kind, Owner, reaches
from chalicelib.identity.permissions import Permission, Scope
from chalicelib.journeys.models import TurnJourney
from chalicelib.journeys.service.managing import Bureau, activate_journey
from chalicelib.journeys.service.neighbours import TableShelf as JourneyShelf
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import ApprovalId, CampaignId, CardId, EntryId, JourneyId, MemberId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members.models import CloseMember
from chalicelib.points import service as points
from chalicelib.points.models import AdjustPoints
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.functions import Functions
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words

ATTEMPTS_MAX = 8

READS_MAX = 8
"""How many pages of the list are read for one page of it."""

_HEAD_OFFICE = ShopId("")
"""The shop of what was asked by somebody who reaches all: nobody's, so that only who reaches all decides on it."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What launches need besides: they ask who fits, and write files."""

    ops: Table
    objects: Objects
    functions: Functions


@dataclass(frozen=True, slots=True)
class Place:
    """Where what waits is carried out."""

    table: Table
    keyring: Keyring
    book: ProgramBook
    desk: Desk | None = None


@dataclass(frozen=True, slots=True)
class Carrying:
    """How to carry out what waits, when it is approved.

    Attributes:
        needs: what whoever approves must be allowed themselves, besides.
        owner: whose it is about, for whoever approves.
        do: its use case; gives the id of what it booked, where that is known besides.
    """

    needs: Permission
    owner: Callable[[Table, Approval, Caller], Owner | None]
    do: Callable[[Place, Approval, Clearance, datetime, Language], EntryId | None]


def _adjust(
    place: Place, approval: Approval, clearance: Clearance, now: datetime, language: Language
) -> EntryId | None:
    command = AdjustPoints.model_validate_json(approval.command)
    member_id, key = MemberId(approval.about), approval.key
    done = points.adjust_points(
        place.table, place.book, member_id, key, command, now=now, language=language, clearance=clearance
    )
    return done.value.entry_id


def _reverse(
    place: Place, approval: Approval, clearance: Clearance, now: datetime, language: Language
) -> EntryId | None:
    command, entry_id = ReverseEntry.model_validate_json(approval.command), EntryId(approval.about)
    done = corrections.reverse_entry(
        place.table, place.book, entry_id, command, now=now, language=language, clearance=clearance
    )
    return done.value.entry_id


def _refund(
    place: Place, approval: Approval, clearance: Clearance, now: datetime, language: Language
) -> EntryId | None:
    command = RefundCard.model_validate_json(approval.command)
    card_id, key = CardId(approval.about), approval.key
    done = cards.refund_card(
        place.table, place.book, card_id, key, command, now=now, language=language, clearance=clearance
    )
    return done.value.entry_id


def _close(place: Place, approval: Approval, clearance: Clearance, now: datetime, language: Language) -> EntryId | None:
    command, member_id = CloseMember.model_validate_json(approval.command), MemberId(approval.about)
    cards.close_owner(
        place.table, place.keyring, place.book, member_id, command, now=now, language=language, clearance=clearance
    )
    return None


def _launch(place: Place, approval: Approval, clearance: Clearance, now: datetime, language: Language) -> None:  # noqa: ARG001 - as its siblings
    command, campaign_id = LaunchCampaign.model_validate_json(approval.command), CampaignId(approval.about)
    shelf = CampaignShelf(place.table, place.book, lambda: now)
    who = _asker(approval, Permission.CAMPAIGNS_GIFT)
    campaigns.launch_campaign(place.table, shelf, place.book, campaign_id, command, who, now=now, clearance=clearance)


def _activate(place: Place, approval: Approval, clearance: Clearance, now: datetime, language: Language) -> None:  # noqa: ARG001 - as its siblings
    assert place.desk is not None, "whoever lets journeys be approved has a desk"
    command, journey_id = TurnJourney.model_validate_json(approval.command), JourneyId(approval.about)
    desk = place.desk
    shelf = JourneyShelf(place.table, desk.ops, desk.objects, desk.functions, place.book, now)
    bureau, who = Bureau(place.table, place.book, shelf, now), _asker(approval, Permission.JOURNEYS_GIFT)
    activate_journey(bureau, journey_id, command, who, clearance)


def _asker(approval: Approval, permission: Permission) -> Caller:
    """Whoever asked, with the one permission that they had to have to ask: who answers for what is launched."""
    own = MemberId(approval.own_id) if approval.own_id is not None else None
    return Caller(Kind.STAFF, approval.asked_by, (), {permission: Scope.ALL}, membership=own)


KINDS = {
    ApprovalKind.ADJUSTMENT: Carrying(
        Permission.POINTS_ADJUST, lambda _, approval, __: Owner(frozenset({MemberId(approval.about)})), _adjust
    ),
    ApprovalKind.REVERSAL: Carrying(
        Permission.POINTS_ADJUST,
        lambda table, approval, caller: corrections.owner_of(table, EntryId(approval.about), caller),
        _reverse,
    ),
    ApprovalKind.CARD_REFUND: Carrying(
        Permission.CARDS_REFUND, lambda table, approval, _: cards.owner_of(table, CardId(approval.about)), _refund
    ),
    ApprovalKind.CLOSURE: Carrying(
        Permission.POINTS_ADJUST, lambda _, approval, __: Owner(frozenset({MemberId(approval.about)})), _close
    ),
    ApprovalKind.LAUNCH: Carrying(Permission.CAMPAIGNS_GIFT, lambda *_: Owner(shop_id=_HEAD_OFFICE), _launch),
    ApprovalKind.ACTIVATION: Carrying(Permission.JOURNEYS_GIFT, lambda *_: Owner(shop_id=_HEAD_OFFICE), _activate),
}


def owner_of(shop_ids: Collection[ShopId], caller: Caller) -> Owner:
    """To whom an approval belongs: to the shops of whoever asked; else to who reaches all."""
    own = caller.shop_ids.intersection(shop_ids)
    return Owner(shop_id=min(own or shop_ids, default=_HEAD_OFFICE))


def find_owner(table: Table, approval_id: ApprovalId, caller: Caller) -> Owner | None:
    """To whom an approval belongs; None when there is none."""
    shop_ids = store.find_asker(table, approval_id)
    return owner_of(shop_ids, caller) if shop_ids is not None else None


def find_approval(table: Table, words: Words, approval_id: ApprovalId, *, now: datetime) -> ApprovalView:
    """What waits for a second person, or did.

    Raises:
        ApprovalUnknown: there is nothing of that id.
    """
    return view_of(_load(table, words, approval_id), now)


def list_approvals(
    table: Table,
    words: Words,
    caller: Caller,
    status: ApprovalStatus | None,
    *,
    after: str | None,
    limit: int,
    now: datetime,
) -> Slice[ApprovalView]:
    """A page of what waits, or did, as far as it reaches for the caller, newest first.

    A page may hold fewer than `limit`, or none, and still not be the last: only so many others are passed over for it.
    """
    scope = caller.grants[Permission.APPROVALS_READ]
    shown: list[ApprovalView] = []
    position = after
    for _ in range(READS_MAX):
        found, position = store.list_approvals(table, words, after=position, limit=limit - len(shown))
        for approval in found:
            fits = status in (None, status_of(approval, now))
            if fits and reaches(caller, scope, owner_of(approval.shop_ids, caller)):
                shown.append(view_of(approval, now))
        if position is None or len(shown) >= limit:
            break
    return Slice(tuple(shown), position)


def approve(
    table: Table,
    words: Words,
    keyring: Keyring,
    book: ProgramBook,
    caller: Caller,
    approval_id: ApprovalId,
    command: Approve,
    *,
    now: datetime,
    language: Language,
    desk: Desk | None = None,
) -> Outcome[ApprovalView]:
    """Approve what somebody else asked for, and carry it out.

    Raises:
        ApprovalUnknown: there is nothing of that id.
        ApprovalOwn: the caller asked for it.
        ApprovalOver: it was decided on before, or nobody did in time.
        PermissionMissing: the caller may not do it themselves.
        ApprovalOutgrown: it would come to more than was asked for.
        WriteContended: other writes kept getting there first; safe to try again.
        Refusal: whatever its use case refuses; it waits on.
    """
    for _ in range(ATTEMPTS_MAX):
        approval = _load(table, words, approval_id)
        if approval.status is ApprovalStatus.APPROVED and approval.decided_by == caller.subject:
            return Outcome(view_of(approval, now), replayed=True)
        _require_second(table, caller, approval, now)
        cleared = Approved(approval, caller.subject, command.reason, now, words, caller.membership)
        try:
            booked = KINDS[approval.kind].do(Place(table, keyring, book, desk), approval, cleared, now, language)
            after = _load(table, words, approval_id)
            if after.status is ApprovalStatus.WAITING:
                # It had been carried out without: its key was sent when it was no longer too much for one.
                settled = cleared.settled(booked)
                table.commit([store.replace(after, settled, words)])
                after = settled
        except store.ApprovalMoved:
            continue
        if after.decided_by != caller.subject:
            raise ApprovalOver(status=after.status.value, by=after.decided_by)
        return Outcome(view_of(after, now))
    raise WriteContended


def reject(
    table: Table, words: Words, caller: Caller, approval_id: ApprovalId, command: Reject, *, now: datetime
) -> Outcome[ApprovalView]:
    """Reject what somebody else asked for. Nothing is carried out.

    Raises:
        ApprovalUnknown: there is nothing of that id.
        ApprovalOwn: the caller asked for it.
        ApprovalOver: it was decided on before, or nobody did in time.
        PermissionMissing: the caller may not do it themselves.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        approval = _load(table, words, approval_id)
        if approval.status is ApprovalStatus.REJECTED and approval.decided_by == caller.subject:
            return Outcome(view_of(approval, now), replayed=True)
        _require_second(table, caller, approval, now)
        rejected = decided(approval, ApprovalStatus.REJECTED, caller.subject, command.reason, now, None)
        try:
            table.commit([store.replace(approval, rejected, words)])
        except store.ApprovalMoved:
            continue
        return Outcome(view_of(rejected, now))
    raise WriteContended


def _require_second(table: Table, caller: Caller, approval: Approval, now: datetime) -> None:
    """See that it waits, and that the caller may decide on it."""
    if caller.subject == approval.asked_by:
        raise ApprovalOwn
    status = status_of(approval, now)
    if status is not ApprovalStatus.WAITING:
        raise ApprovalOver(status=status.value, by=approval.decided_by)
    carrying = KINDS[approval.kind]
    scope, owner = caller.scope(carrying.needs), carrying.owner(table, approval, caller)
    if scope is None or (owner is not None and not reaches(caller, scope, owner)):
        raise PermissionMissing(permission=carrying.needs.value)


def _load(table: Table, words: Words, approval_id: ApprovalId) -> Approval:
    approval = store.find_approval(table, words, approval_id)
    if approval is None:
        raise ApprovalUnknown(approval_id=approval_id)
    return approval
