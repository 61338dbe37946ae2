"""What callers see of cards and their statements. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from chalicelib.cards.models import BonusLot, Card, CardBalance, CardKind, CardLine, CardView, Payout
from chalicelib.cards.rules.holding import UNDATED, figure, last_day_of, uses_left, value_of
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
from chalicelib.points.models import Account, Entry

LINES = {
    "card": CardLine.OPENED,
    "top_up": CardLine.TOP_UP,
    "card_spend": CardLine.SPEND,
    "card_spend_refund": CardLine.SPEND_REFUND,
    "card_refund": CardLine.REFUND,
    "card_use": CardLine.USE,
    "card_use_reversal": CardLine.USE_REVERSAL,
    "card_extension": CardLine.EXTENSION,
    "expire": CardLine.EXPIRY,
    "card_close": CardLine.CLOSURE,
}
"""What an entry of a card is, by the kind of its key."""


def card_view(card: Card, account: Account, on: date, *, owner_id: MemberId | None = None) -> CardView:
    """A card and what it holds on a day; what expires counts from the day it happens, booked or not.

    Args:
        owner_id: who answers for its owner by now, where that is asked for.
    """
    counts = card.kind is CardKind.COUNT
    value = value_of(account, on)
    last = last_day_of(account) if counts else None
    return CardView(
        card_id=card.card_id,
        card_number=card.card_number,
        member_id=owner_id or card.member_id,
        kind=card.kind,
        name=card.name,
        status=account.status,
        currency=card.currency,
        balance=None if counts else CardBalance(principal_minor=value.principal, bonus_minor=value.bonus_total),
        bonus_lots=()
        if counts
        else tuple(
            BonusLot(amount_minor=minor, expires_on=day if day < UNDATED else None)
            for day, minor in sorted(value.bonus.items())
        ),
        uses_left=uses_left(account, on) if counts else None,
        uses=card.uses if counts else None,
        expires_on=last if last != NEVER else None,
        price_minor=card.price_minor if counts else None,
        product=card.product,
        opened_at=card.opened_at,
    )


def last_day_set(entry: Entry) -> date | None:
    """The last day that an entry set: of a bonus, or of the card's visits."""
    if entry.key.kind not in ("card", "top_up", "card_extension"):
        return None
    numbers = [why.args[0] for why in entry.why if why.rule_id in ("bonus", "uses") and why.args]
    return date(numbers[0] // 10_000, numbers[0] // 100 % 100, numbers[0] % 100) if numbers else None


def money_of(entry: Entry) -> int:
    """What an entry brought in by the means, or, below nought, paid back."""
    came = sum(why.args[0] for why in entry.why if why.rule_id.startswith("paid."))
    return came - sum(why.args[0] for why in entry.why if why.rule_id.startswith("back."))


def changes(entry: Entry, kind: CardKind) -> tuple[int, int, int]:
    """What an entry changes of principal, bonus and visits. An expiry says it by its points alone."""
    if entry.key.kind == "expire":
        return (0, 0, entry.points) if kind is CardKind.COUNT else (0, entry.points, 0)
    return figure(entry, "principal"), figure(entry, "bonus"), figure(entry, "uses")


def worded(entry: Entry, card: Card, payouts: Sequence[Payout], language: Language) -> str:
    """What an entry is, in one sentence."""
    principal, bonus, uses = changes(entry, card.kind)
    last, line = last_day_set(entry), LINES[entry.key.kind]

    def money(minor: int) -> str:
        return shown(abs(minor), card.currency)

    if language is Language.ZH:
        return _zh(line, card, money(principal + bonus), money(principal), money(bonus), bonus, uses, last, payouts)
    return _en(line, card, money(principal + bonus), money(principal), money(bonus), bonus, uses, last, payouts)


def _zh(
    line: CardLine,
    card: Card,
    total: str,
    principal: str,
    bonus: str,
    has_bonus: int,
    uses: int,
    last: date | None,
    payouts: Sequence[Payout],
) -> str:
    split = f"（本金 {principal}，赠金 {bonus}）" if has_bonus else ""
    until = f"，有效期至 {last}" if last else ""
    back = "、".join(f"{each.kind} {shown(each.amount_minor, card.currency)}" for each in payouts)
    counts = card.kind is CardKind.COUNT
    words: dict[CardLine, Any] = {
        CardLine.OPENED: f"开卡，共 {uses} 次{until}" if counts else "开卡",
        CardLine.TOP_UP: f"充值 {principal}" + (f"，赠送 {bonus}{until}" if has_bonus else ""),
        CardLine.SPEND: f"消费 {total}{split}",
        CardLine.SPEND_REFUND: f"消费退回 {total}{split}",
        CardLine.REFUND: (f"退卡 {-uses} 次" if counts else f"退款 {principal}")
        + (f"，原路退回 {back}" if back else "")
        + (f"，收回赠金 {bonus}" if has_bonus else ""),
        CardLine.USE: f"使用 {-uses} 次",
        CardLine.USE_REVERSAL: f"撤销使用 {uses} 次",
        CardLine.EXTENSION: f"延期{until}",
        CardLine.EXPIRY: (f"过期 {-uses} 次" if uses <= 0 else f"恢复过期 {uses} 次")
        if counts
        else (f"赠金过期 {bonus}" if has_bonus <= 0 else f"恢复过期赠金 {bonus}"),
        CardLine.CLOSURE: f"销卡，收回赠金 {bonus}",
    }
    return str(words[line])


def _en(
    line: CardLine,
    card: Card,
    total: str,
    principal: str,
    bonus: str,
    has_bonus: int,
    uses: int,
    last: date | None,
    payouts: Sequence[Payout],
) -> str:
    split = f" ({principal} paid in, {bonus} bonus)" if has_bonus else ""
    until = f", good through {last}" if last else ""
    back = ", ".join(f"{each.kind} {shown(each.amount_minor, card.currency)}" for each in payouts)
    counts = card.kind is CardKind.COUNT
    words: dict[CardLine, Any] = {
        CardLine.OPENED: f"Opened with {_visits(uses)}{until}" if counts else "Opened",
        CardLine.TOP_UP: f"Topped up {principal}" + (f", bonus {bonus}{until}" if has_bonus else ""),
        CardLine.SPEND: f"Spent {total}{split}",
        CardLine.SPEND_REFUND: f"Spend refunded: {total}{split}",
        CardLine.REFUND: (f"Refunded {_visits(-uses)}" if counts else f"Refunded {principal}")
        + (f" by {back}" if back else "")
        + (f"; bonus withdrawn: {bonus}" if has_bonus else ""),
        CardLine.USE: f"Used {_visits(-uses)}",
        CardLine.USE_REVERSAL: f"Use taken back: {_visits(uses)}",
        CardLine.EXTENSION: f"Extended{until}",
        CardLine.EXPIRY: (f"{_visits(-uses)} expired" if uses <= 0 else f"{_visits(uses)} no longer expired")
        if counts
        else (f"Bonus expired: {bonus}" if has_bonus <= 0 else f"Bonus no longer expired: {bonus}"),
        CardLine.CLOSURE: f"Closed; bonus withdrawn: {bonus}",
    }
    return str(words[line])


def _visits(count: int) -> str:
    return f"{count:,} visit" + ("" if count == 1 else "s")
