"""Makes a purchase what it is said to be now."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib.kernel.ids import PurchaseId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import store as points_store
from chalicelib.points.models import Account
from chalicelib.points.service import content_digest, once
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.errors import OrderMoved, PurchaseMoved
from chalicelib.purchases.models import PurchaseView, RestatePurchase
from chalicelib.purchases.rules import buying, orders, restatements
from chalicelib.purchases.service import items, views
from chalicelib.purchases.service.writing_off import find_turns
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write


def restate_purchase(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    command: RestatePurchase,
    *,
    now: datetime,
    language: Language,
    may_be_large: bool = True,
) -> Outcome[PurchaseView]:
    """Make a purchase what it is said to be now: the difference is one entry; none where there is no difference.

    Args:
        may_be_large: whoever sends it may record more than the program lets anybody.

    Raises:
        PurchaseUnknown: there is no such purchase.
        PurchaseFixed: another member, order number, shop, time or currency is named than it was recorded with.
        PurchaseMoved: it was returned or restated since the version that is named.
        TenderTooSmall, TenderUneven, TenderTooLarge: the points pay nothing, no whole amount, or more than the lines.
        PurchaseTooLarge: more is paid than before, and than the program lets anybody record.
        PointsInsufficient, OccurredTooLongAgo: more points would pay than there are, or pay for too old a purchase.
        MemberSuspended, MemberClosed: the account takes no such commands.
        BalanceTooLarge: the balance or the qualifying points would pass their limit.
        WriteContended: other writes kept getting there first; safe to try again.
    """

    def change(item: Item) -> Outcome[PurchaseView]:
        return _restate(table, book, purchase_id, item, command, now=now, language=language, may_be_large=may_be_large)

    return items.on_purchase(table, purchase_id, change)


def _restate(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    item: Item,
    command: RestatePurchase,
    *,
    now: datetime,
    language: Language,
    may_be_large: bool,
) -> Outcome[PurchaseView]:
    """Restate a purchase as it was read.

    Raises:
        OrderMoved: another return or restatement got there first.
    """
    bought, program = items.bought_from(item, book), book.current(now)
    restatements.require_same_order(bought, command)
    after = restatements.restated(bought, command, program.negative_balance, today_of(program, now))
    before = views.full_view(table, item, book, language)
    if after is None:
        return Outcome(before)
    if command.version is not None and command.version != bought.version:
        raise PurchaseMoved(asked=command.version, version=bought.version)
    if not may_be_large:
        buying.require_likely(command.paid_minor, program, kept_minor=orders.kept_of(bought).paid_minor)
    content = content_digest(bought.entry.member_id, command, purchase_id=purchase_id)

    def decide(account: Account) -> tuple[PurchaseView, Sequence[Write]]:
        turns = find_turns(table, item, account, restatements.brought_by(bought, after))
        posting = restatements.assess_restatement(
            account, bought, after, command, program, content=content, now=now, turns=turns
        )
        more = store.restatement_item(after.sale, after.entry.consumed or 0)
        writes = points_store.post(account, posting, more=more)
        own = views.restatement_view(posting.main, after.sale, more["tp"], program, language)
        view = before.model_copy(update={**items.state_of(after), "history": (*before.history, own)})
        return view, [*writes, store.restate(item, points_store.figures_item(after.entry), after.sale)]

    def recall(other: Item) -> PurchaseView:  # noqa: ARG001 - another restatement made this version
        raise OrderMoved

    key = restatements.restatement_key(bought)
    member_id = bought.entry.member_id
    return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)
