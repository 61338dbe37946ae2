"""Purchases, and what happened to them, as callers see them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.points import store as points_store
from chalicelib.points.models import Entry
from chalicelib.points.service import why_lines
from chalicelib.points.views import shown_expiry, shown_maturity
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.models import (
    After,
    DeliveryView,
    Discount,
    OrderName,
    PurchaseView,
    RefusedReturn,
    RestatementView,
    ReturnLine,
    ReturnView,
    Sale,
    TierName,
    Waiting,
    WaitingReturn,
)
from chalicelib.purchases.rules import deliveries, returns
from chalicelib.purchases.service import items
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item


def purchase_view(
    entry: Entry, sale: Sale, program: Program, language: Language, *, after: After | None = None
) -> PurchaseView:
    """A purchase as callers see it.

    Args:
        program: the version it was decided by.
        after: what the account had after the returns that were carried out with it.
    """
    channel, order_no = entry.key.parts
    tendered = entry.consumed or 0
    discounts = (Discount(kind="points_tender", points=tendered, amount_minor=sale.tender_minor),) if tendered else ()
    return PurchaseView(
        purchase_id=keys.purchase_id(channel, order_no),
        member_id=MemberId(entry.member_id),
        channel=channel,
        order_no=order_no,
        shop_id=sale.shop_id,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        currency=sale.currency,
        lines=sale.lines,
        paid_minor=sale.paid_minor,
        points_earned=entry.earned or 0,
        points_tendered=tendered,
        points_hold_id=store.hold_id_of(entry),
        expires_on=shown_expiry(entry.expires_on),
        matures_on=shown_maturity(entry.matures_on),
        awaits_delivery=sale.awaits_delivery,
        discounts=discounts,
        **_of_entry(entry, program, language, after=after),
    )


def view_now(item: Item, book: ProgramBook, language: Language) -> PurchaseView:
    """A purchase as it was recorded, and what it is now."""
    view = view_of(item, book, language)
    return view.model_copy(update=items.state_of(items.bought_from(item, book))) if store.version_of(item) else view


def full_view(table: Table, item: Item, book: ProgramBook, language: Language) -> PurchaseView:
    """A purchase with all that happened to it."""
    changes = store.find_changes(table, Key(item["pk"], item["sk"])) if store.version_of(item) else ()
    history = tuple(_change_view(each, book, language) for each in changes)
    return view_now(item, book, language).model_copy(update={"history": history})


def _change_view(item: Item, book: ProgramBook, language: Language) -> ReturnView | RestatementView:
    entry = points_store.entry_from(item)
    if entry.key.kind == "return":
        return returned_view_of(item, book, language)
    sale = store.sale_from(item)
    return restatement_view(entry, sale, item["tp"], book.version(entry.program_version), language)


def restatement_view(entry: Entry, sale: Sale, tender: int, program: Program, language: Language) -> RestatementView:
    """A restatement as callers see it."""
    return RestatementView(
        restatement_id=keys.entry_id(points_store.key_of(entry.key)),
        reason=entry.reason_code or "",
        recorded_at=entry.recorded_at,
        lines=sale.lines,
        paid_minor=sale.paid_minor,
        points_tender=tender,
        points_earned=entry.earned or 0,
        points_spent=entry.consumed or 0,
        **_of_entry(entry, program, language),
    )


def delivery_view(entry: Entry, program: Program, language: Language) -> DeliveryView:
    """A delivery as callers see it."""
    points, first = deliveries.released_by(entry)
    return DeliveryView(
        delivery_id=keys.entry_id(points_store.key_of(entry.key)),
        purchase_id=keys.purchase_id(*entry.key.parts),
        member_id=MemberId(entry.member_id),
        delivered_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        points_released=points,
        spendable_on=first,
        why=why_lines(entry, program, language),
        balance_after=entry.balance_after,
        seq=entry.seq,
        program_version=entry.program_version,
        hash=entry.hash.hex(),
    )


def waiting_view(waiting: Waiting, order: OrderName) -> WaitingReturn:
    """A return that waits as callers see it."""
    return WaitingReturn(**_waited(waiting, order), waits_until=returns.waits_until(waiting))


def refused_view(waiting: Waiting, refusal: Refusal, order: OrderName, *, at: datetime) -> RefusedReturn:
    """A return that waited and was refused as callers see it."""
    facts = {name: fact for name, fact in refusal.facts.items() if fact is not None}
    return RefusedReturn(
        **_waited(waiting, order), refused_at=at, code=refusal.code, detail=refusal.detail, facts=facts
    )


def _waited(waiting: Waiting, order: OrderName) -> dict[str, Any]:
    key = keys.purchase_return(order.channel, order.order_no, waiting.key)
    return {
        "return_id": keys.entry_id(key),
        "purchase_id": keys.purchase_id(order.channel, order.order_no),
        "reason": waiting.command.reason,
        "lines": waiting.command.lines,
        "amount_minor": waiting.command.amount_minor,
        "received_at": waiting.received_at,
    }


def returned_view_of(item: Item, book: ProgramBook, language: Language) -> ReturnView:
    """The return that an item holds as callers see it."""
    entry = points_store.entry_from(item)
    return return_view(entry, item, book.version(entry.program_version), language)


def return_view(entry: Entry, stored: Mapping[str, Any], program: Program, language: Language) -> ReturnView:
    """A return as callers see it.

    Args:
        stored: what the return adds to its entry.
    """
    channel, order_no, _ = entry.key.parts
    return ReturnView(
        return_id=keys.entry_id(points_store.key_of(entry.key)),
        purchase_id=keys.purchase_id(channel, order_no),
        member_id=MemberId(entry.member_id),
        reason=entry.reason_code or "",
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        currency=stored["cu"],
        lines=tuple(ReturnLine(sku=sku, quantity=quantity) for sku, quantity in stored.get("rl") or ()),
        amount_minor=stored["am"],
        refund_minor=stored["mb"],
        points_taken_back=-(entry.earned or 0),
        points_given_back=-(entry.consumed or 0),
        **_of_entry(entry, program, language),
    )


def view_of(item: Item, book: ProgramBook, language: Language) -> PurchaseView:
    """A purchase as it was recorded."""
    entry = points_store.entry_from(item)
    program = book.version(entry.program_version)
    return purchase_view(entry, store.sale_from(item), program, language, after=store.after_from(item))


def _of_entry(entry: Entry, program: Program, language: Language, *, after: After | None = None) -> dict[str, Any]:
    """What the entry of a purchase, a return or a restatement says alike.

    Args:
        after: see `purchase_view`.
    """
    after = after or After(entry.balance_after - (entry.lapsed or 0), entry.tier_after or "")
    return {
        "points_expired": entry.lapsed or 0,
        "why": why_lines(entry, program, language),
        "tier_before": _tier_name(entry.tier_before, program, language),
        "tier_after": _tier_name(after.tier_id, program, language),
        "balance_after": after.balance,
        "seq": entry.seq,
        "program_version": entry.program_version,
        "hash": entry.hash.hex(),
    }


def _tier_name(tier_id: str | None, program: Program, language: Language) -> TierName:
    tier = program.tier(tier_id or "")
    return TierName(tier_id=tier.tier_id, name=tier.name.in_(language))
