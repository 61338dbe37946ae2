"""HTTP of cards."""

from chalicelib.api.routing import Call, Routes
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import ApprovalKind, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.cards import service
from chalicelib.cards.errors import (
    CardBalanceInsufficient,
    CardClosed,
    CardDiffers,
    CardEmpty,
    CardEntryUnknown,
    CardGiftForbidden,
    CardGiftUnexplained,
    CardKindWrong,
    CardLimitExceeded,
    CardNotEmpty,
    CardNumberTaken,
    CardRefundTooLarge,
    CardRefundTooWide,
    CardsHoldValue,
    CardSuspended,
    CardUnknown,
    ExtensionNotLater,
    RefundUnclear,
    UsesInsufficient,
)
from chalicelib.cards.models import (
    CardEntryView,
    CardList,
    CardView,
    CloseCard,
    ExtendCard,
    LookUpCard,
    OpenCard,
    RefundCard,
    RefundCardSpend,
    ReinstateCard,
    ReverseCardUse,
    SpendCard,
    SuspendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.identity.models import Caller, Owner
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.ids import CardId, MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.members.errors import BalanceRemaining, LookUpsTooMany
from chalicelib.members.models import CloseMember, MemberView
from chalicelib.members.rules import Misses
from chalicelib.members.service import counted
from chalicelib.points.errors import (
    EntryDiffers,
    ExpiryPast,
    ExpiryTooFar,
    HoldsOpen,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    OccurredInFuture,
    OccurredTooLongAgo,
)
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.runtime.wiring import House

cards = Routes("cards")


def _owner(house: House, card_id: CardId, _: Caller) -> Owner | None:
    return service.owner_of(house.table, card_id)


cards.owned("card", "card_id", _owner, lambda card_id: CardUnknown(card_id=card_id))


class CardPage(Page[CardView]):
    """A page of cards."""


class CardEntryPage(Page[CardEntryView]):
    """A page of a card's statement."""


def _speaking(call: Call) -> tuple[ProgramBook, Language]:
    book = book_of(call.house.table)
    return book, book.language(call.language, call.now)


@cards.post(
    "/members/{member_id}/cards",
    keyed=True,
    status=201,
    refuses=(
        MemberUnknown,
        MemberSuspended,
        MemberClosed,
        CardNumberTaken,
        CardGiftForbidden,
        CardGiftUnexplained,
        ExpiryPast,
        ExpiryTooFar,
        CardDiffers,
    ),
)
def open_card(member_id: MemberId, body: OpenCard, call: Call) -> Outcome[CardView]:
    """Open a card for a member: one that holds money (储值卡), or one that is sold with visits (次卡).

    Visits below the least price that the program names are given: that needs `cards:gift` and a reason.
    """
    return service.open_card(
        call.house.table, book_of(call.house.table), member_id, call.key, body, now=call.now, by=call.signed_in
    )


@cards.get("/members/{member_id}/cards", me="/me/cards", refuses=(MemberUnknown, CursorInvalid))
def list_cards(member_id: MemberId, query: Paging, call: Call) -> CardPage:
    """A member's cards, newest first, closed ones too."""
    scope = ("cards", member_id)
    book = book_of(call.house.table)
    part = service.list_cards(
        call.house.table,
        book,
        member_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        now=call.now,
    )
    return call.page(part, CardPage, *scope)


MISSES = Misses()
"""What this process remembers of look-ups that found no card."""


@cards.get("/cards", refuses=(LookUpsTooMany,))
def look_up_card(query: LookUpCard, call: Call) -> CardList:
    """Find a card by its number: a list of one, or of none. What finds none is counted as look-ups of members are."""
    house, book = call.house, book_of(call.house.table)

    def look() -> tuple[CardView, ...]:
        return service.look_up_card(house.table, book, query.card_number, now=call.now)

    return CardList(items=counted(house.ops, book, MISSES, look, by=call.signed_in, now=call.now))


@cards.get("/cards/{card_id}", refuses=(CardUnknown,))
def get_card(card_id: CardId, call: Call) -> CardView:
    """A card and what it holds now; what expires counts from the day it happens."""
    return service.find_card(call.house.table, book_of(call.house.table), card_id, now=call.now)


@cards.get("/cards/{card_id}/entries", refuses=(CardUnknown, CursorInvalid))
def list_card_entries(card_id: CardId, query: Paging, call: Call) -> CardEntryPage:
    """A card's statement, newest first."""
    scope = ("card-entries", card_id)
    _, language = _speaking(call)
    part = service.list_entries(
        call.house.table,
        card_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        language=language,
    )
    return call.page(part, CardEntryPage, *scope)


@cards.post(
    "/cards/{card_id}/top-ups",
    keyed=True,
    status=201,
    refuses=(
        CardUnknown,
        CardSuspended,
        CardClosed,
        CardKindWrong,
        CardLimitExceeded,
        CardGiftForbidden,
        CardGiftUnexplained,
        ExpiryPast,
        ExpiryTooFar,
        OccurredInFuture,
        EntryDiffers,
    ),
)
def top_up_card(card_id: CardId, body: TopUpCard, call: Call) -> Outcome[CardEntryView]:
    """Pay money into a card, with or without a bonus.

    A bonus over the share of what is paid that the program names is a gift: that needs `cards:gift` and a reason.
    """
    book, language = _speaking(call)
    return service.top_up_card(
        call.house.table, book, card_id, call.key, body, now=call.now, language=language, by=call.signed_in
    )


@cards.post(
    "/cards/{card_id}/spends",
    keyed=True,
    status=201,
    refuses=(
        CardUnknown,
        CardSuspended,
        CardClosed,
        CardKindWrong,
        CardBalanceInsufficient,
        OccurredInFuture,
        OccurredTooLongAgo,
        EntryDiffers,
    ),
)
def spend_card(card_id: CardId, body: SpendCard, call: Call) -> Outcome[CardEntryView]:
    """Pay with a card: principal and bonus are taken in the proportion in which they are there."""
    book, language = _speaking(call)
    return service.spend_card(call.house.table, book, card_id, call.key, body, now=call.now, language=language)


@cards.post(
    "/cards/{card_id}/spend-refunds",
    keyed=True,
    status=201,
    refuses=(
        CardUnknown,
        CardClosed,
        CardKindWrong,
        CardEntryUnknown,
        CardRefundTooLarge,
        OccurredInFuture,
        EntryDiffers,
    ),
)
def refund_card_spend(card_id: CardId, body: RefundCardSpend, call: Call) -> Outcome[CardEntryView]:
    """Give a spend back to its card, in part or whole: principal and bonus come back as they were taken."""
    book, language = _speaking(call)
    return service.refund_card_spend(call.house.table, book, card_id, call.key, body, now=call.now, language=language)


@cards.post(
    "/cards/{card_id}/refunds",
    keyed=True,
    status=201,
    waits=ApprovalView,
    refuses=(
        ApprovalNeeded,
        ApprovalDiffers,
        ApprovalOutgrown,
        CardUnknown,
        CardClosed,
        CardEmpty,
        CardEntryUnknown,
        CardRefundTooLarge,
        CardRefundTooWide,
        CardsHoldValue,
        UsesInsufficient,
        RefundUnclear,
        EntryDiffers,
    ),
)
def refund_card(card_id: CardId, body: RefundCard, call: Call) -> Outcome[CardEntryView] | Outcome[ApprovalView]:
    """Pay back what is left on a card (退卡), in part or whole; `means` says what goes back by which means.

    Of money the newest top-up goes back first, and the bonus that belongs to it is withdrawn. Visits that were not used
    are paid back by their share of the price. More than the program lets one person pay back within a day waits for a
    second one, for 72 hours: 202.
    """
    table, (book, language) = call.house.table, _speaking(call)
    limit = book.current(call.now).approvals.card_refund_minor_max

    def do(clearance: Clearance) -> Outcome[CardEntryView]:
        return service.refund_card(
            table, book, card_id, call.key, body, now=call.now, language=language, clearance=clearance
        )

    asked = asking(ApprovalKind.CARD_REFUND, card_id, call.key, body, call.signed_in, Permission.CARDS_REFUND)
    return alone_or_asked(table, call.words, asked, limit=limit, dry_run=body.dry_run, do=do, now=call.now)


@cards.post(
    "/cards/{card_id}/uses",
    keyed=True,
    status=201,
    refuses=(
        CardUnknown,
        CardSuspended,
        CardClosed,
        CardKindWrong,
        UsesInsufficient,
        OccurredInFuture,
        OccurredTooLongAgo,
        EntryDiffers,
    ),
)
def use_card(card_id: CardId, body: UseCard, call: Call) -> Outcome[CardEntryView]:
    """Use a count card, once or several times."""
    book, language = _speaking(call)
    return service.use_card(call.house.table, book, card_id, call.key, body, now=call.now, language=language)


@cards.post(
    "/cards/{card_id}/use-reversals",
    keyed=True,
    status=201,
    refuses=(CardUnknown, CardClosed, CardKindWrong, CardEntryUnknown, CardRefundTooLarge, EntryDiffers),
)
def reverse_card_use(card_id: CardId, body: ReverseCardUse, call: Call) -> Outcome[CardEntryView]:
    """Take a use back, because it was a mistake: as if it had never been."""
    book, language = _speaking(call)
    return service.reverse_card_use(call.house.table, book, card_id, call.key, body, now=call.now, language=language)


@cards.post(
    "/cards/{card_id}/extensions",
    keyed=True,
    status=201,
    refuses=(
        CardUnknown,
        CardClosed,
        CardKindWrong,
        CardEmpty,
        ExtensionNotLater,
        ExpiryPast,
        ExpiryTooFar,
        EntryDiffers,
    ),
)
def extend_card(card_id: CardId, body: ExtendCard, call: Call) -> Outcome[CardEntryView]:
    """Let a count card live longer; visits that had expired come to life again."""
    book, language = _speaking(call)
    return service.extend_card(call.house.table, book, card_id, call.key, body, now=call.now, language=language)


@cards.post("/cards/{card_id}/suspensions", status=201, refuses=(CardUnknown, CardClosed))
def suspend_card(card_id: CardId, body: SuspendCard, call: Call) -> Outcome[CardView]:
    """Suspend a card, because it was lost: nothing is paid in or spent until it is reinstated."""
    return service.change_status(call.house.table, book_of(call.house.table), card_id, body, now=call.now)


@cards.post("/cards/{card_id}/reinstatements", status=201, refuses=(CardUnknown, CardClosed))
def reinstate_card(card_id: CardId, body: ReinstateCard, call: Call) -> Outcome[CardView]:
    """End a card's suspension."""
    return service.change_status(call.house.table, book_of(call.house.table), card_id, body, now=call.now)


@cards.post("/cards/{card_id}/closures", status=201, refuses=(CardUnknown, CardNotEmpty))
def close_card(card_id: CardId, body: CloseCard, call: Call) -> Outcome[CardView]:
    """Close a card for good. It must hold nothing that was paid for."""
    return service.close_card(call.house.table, book_of(call.house.table), card_id, body, now=call.now)


@cards.post(
    "/members/{member_id}/closures",
    status=201,
    waits=ApprovalView,
    refuses=(
        ApprovalNeeded,
        ApprovalDiffers,
        ApprovalOutgrown,
        MemberUnknown,
        HoldsOpen,
        BalanceRemaining,
        CardsHoldValue,
    ),
)
def close_member(member_id: MemberId, body: CloseMember, call: Call) -> Outcome[MemberView] | Outcome[ApprovalView]:
    """Close a membership for good, with its cards; none of them may hold what was paid for.

    A debt that it forgives is like points given by hand: more than the program lets one person give within a day waits
    for a second one, for 72 hours: 202.
    """
    table, (book, language) = call.house.table, _speaking(call)
    limits = book.current(call.now).approvals

    def do(clearance: Clearance) -> Outcome[MemberView]:
        return service.close_owner(
            table, call.house.keyring, book, member_id, body, now=call.now, language=language, clearance=clearance
        )

    asked = asking(ApprovalKind.CLOSURE, member_id, member_id, body, call.signed_in, Permission.MEMBERS_STATUS)
    return alone_or_asked(
        table, call.words, asked, limit=limits.adjustment_points_max, given_limit=limits.given_points_max,
        dry_run=body.dry_run, do=do, now=call.now, again=True,
    )  # fmt: skip
