"""What callers see of accounts, lots, tiers and reasons. Pure."""

from collections.abc import Callable, Mapping
from datetime import date, datetime

from chalicelib.kernel.calendar import NEVER, day_after, from_milliseconds, last_day, zone
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
from chalicelib.points.fold import is_lifelong, last_of_pending, standing_of
from chalicelib.points.models import (
    Account,
    ExpiringNext,
    PointsSummary,
    PointsView,
    Position,
    TierNext,
    TierRetain,
    TierView,
    Why,
)
from chalicelib.points.rules.balances import derive
from chalicelib.programs.models import Program
from chalicelib.tiers.rules import next_tier

Sentence = Callable[[Why, Program, bool], str]
"""Says a rule's arithmetic, by the program version that decided it, in Chinese or else in English."""


def summary(account: Account, on: date, at: datetime | None = None) -> PointsSummary:
    """A member's points in one line, on a day.

    Args:
        at: an instant of that day; holds that are over by then count no more. Without it, all count.
    """
    position = derive(account, on, at)
    first = next((lot for lot in position.lots if lot.expires_on), None)
    return PointsSummary(
        available=position.available,
        pending=_pending(position),
        held=position.held,
        owed=position.owed,
        expiring_next=ExpiringNext(points=first.points, on=first.expires_on) if first and first.expires_on else None,
    )


def points_view(account: Account, on: date, at: datetime | None = None) -> PointsView:
    """A member's points in full, on a day; expiries count from the day they happen, booked or not.

    Args:
        at: an instant of that day; holds that are over by then count no more. Without it, all count.
    """
    position = derive(account, on, at)
    life = account.lifetime
    return PointsView(
        available=position.available,
        pending=_pending(position),
        held=position.held,
        owed=position.owed,
        lots=position.lots,
        lifetime=life.model_copy(update={"expired": position.lapsed}),
    )


def _pending(position: Position) -> int:
    """Points that are there and cannot be spent yet: those among the lots that nobody reserved.

    The account counts all that came and has not matured. Some of that may have paid a debt since, or was returned.
    """
    return min(position.pending, max(position.balance - position.held, 0))


def tier_view(account: Account, program: Program, on: date, language: Language) -> TierView:
    """The tier held on a day, what is missing to the next, and what it takes to keep this one."""
    held = standing_of(account, program, on)
    tier = program.tier(held.tier_id)
    above = next_tier(program, held.tier_id)
    return TierView(
        tier_id=tier.tier_id,
        name=tier.name.in_(language),
        multiplier_percent=tier.multiplier_percent,
        qualifying_points=held.qualifying_points,
        next=TierNext(
            tier_id=above.tier_id,
            name=above.name.in_(language),
            missing=max(above.threshold - held.qualifying_points, 0),
        )
        if above
        else None,
        retain=TierRetain(missing=max(tier.threshold - held.judged_points, 0), held_through=last_day(held.review_after))
        if held.review_after is not None
        else None,
    )


def explained(why: Why, program: Program, language: Language) -> str:
    """A rule's arithmetic in one plain sentence.

    Args:
        program: the version that the entry was decided by.
    """
    chinese = language is Language.ZH
    kind, _, tier_id = why.rule_id.partition(".")
    sentence = _SENTENCES.get(kind)
    if sentence is not None:
        return sentence(why, program, chinese)
    name = program.tier(tier_id).name.in_(language)
    if kind == "review":
        return f"等级评定：{name}" if chinese else f"Tier reviewed: {name}"
    if kind == "birthday":
        return f"{name}生日礼，送 {why.points} 分" if chinese else f"{name} birthday gift: {_count(why.points)}"
    return _multiplied(why, name, chinese=chinese)


def _multiplied(why: Why, name: str, *, chinese: bool) -> str:
    """What a tier's multiplier gave more, or less."""
    times = _times(why.args[0])
    if why.points < 0:
        less = f"{name}按 {times} 倍积分，少 {-why.points} 分"
        return less if chinese else f"{name} earns ×{times}: {_count(why.points)}"
    more = f"{name}享 {times} 倍积分，另得 {why.points} 分"
    return more if chinese else f"{name} earns ×{times}: +{_count(why.points)}"


def _base(why: Why, program: Program, chinese: bool) -> str:
    rate, paid = program.earn_rate, shown(why.args[0], program.currency)
    per = shown(rate.per_minor, program.currency)
    if chinese:
        return f"消费 {paid}，每 {per} 积 {rate.points} 分，得 {why.points} 分"
    return f"{_count(rate.points)} for each {per} paid: {paid} gives {_count(why.points)}"


def _returned(why: Why, program: Program, chinese: bool) -> str:
    goods = shown(why.args[0], program.currency)
    if chinese:
        return f"退货 {goods}，收回 {-why.points} 分"
    return f"Returned {goods}: {'-' if why.points else ''}{_count(-why.points)}"


def _restated(why: Why, program: Program, chinese: bool) -> str:
    was, now = (shown(paid, program.currency) for paid in why.args)
    count = f"{why.points:+,}"
    return f"订单由 {was} 改为 {now}，积分 {count}" if chinese else f"Order restated, {was} to {now}: {count} points"


def _written_off(why: Why, _: Program, chinese: bool) -> str:
    gone = -why.points
    return f"此前核销的 {gone} 分一并收回" if chinese else f"{_count(gone)} written off before, taken back with it"


def _awaiting(_: Why, __: Program, chinese: bool) -> str:
    return "送达后积分方可使用" if chinese else "Points can be spent once it is delivered"


def _delivered(why: Why, _: Program, chinese: bool) -> str:
    """How many points a delivery freed, and from which day on, as an ordinal."""
    points, day = why.args[0], date.fromordinal(why.args[1])
    return f"已送达，{points} 分自 {day} 起可用" if chinese else f"Delivered: {_count(points)} free from {day}"


def _qualifying(why: Why, _: Program, chinese: bool) -> str:
    count = f"{why.args[0]:+,}"
    return f"成长值 {count}" if chinese else f"Qualifying points {count}"


def _of_pool(why: Why, _: Program, chinese: bool) -> str:
    """Points that a member gave to a pool, or got back from it."""
    count, came = abs(why.points), why.points > 0
    if chinese:
        return f"积分池转回 {count} 分" if came else f"转入积分池 {count} 分"
    return f"{_count(count)} back from the pool" if came else f"{_count(count)} given to the pool"


def _pooled(why: Why, _: Program, chinese: bool) -> str:
    """The same on the pool's side."""
    count, came = abs(why.points), why.points > 0
    if chinese:
        return f"成员转入 {count} 分" if came else f"转给会员 {count} 分"
    return f"{_count(count)} from a member" if came else f"{_count(count)} to a member"


def _hold(why: Why, program: Program, chinese: bool) -> str:
    """Points that were reserved, and until when."""
    points, until = why.args[0], from_milliseconds(why.args[1]).astimezone(zone(program.time_zone))
    shown_until = until.strftime("%Y-%m-%d %H:%M")
    return f"预留 {points} 分，保留至 {shown_until}" if chinese else f"Held {_count(points)} until {shown_until}"


def _captured(why: Why, _: Program, chinese: bool) -> str:
    points, paid = why.args
    return f"从预留的 {points} 分中使用 {paid} 分" if chinese else f"Used {paid:,} of {_count(points)} held"


def _counted(zh: str, en: str) -> Sentence:
    """A sentence that says nothing but how many points."""

    def sentence(why: Why, _: Program, chinese: bool) -> str:
        points = why.args[0]
        return zh.format(points) if chinese else en.format(_count(points))

    return sentence


_SENTENCES: Mapping[str, Sentence] = {
    "base": _base,
    "return": _returned,
    "restated": _restated,
    "write_off": _written_off,
    "awaits_delivery": _awaiting,
    "delivered": _delivered,
    "qualifying": _qualifying,
    "pool": _of_pool,
    "pooled": _pooled,
    "hold": _hold,
    "capture": _captured,
    "release": _counted("取消预留 {} 分，可再使用", "A hold of {} was released"),
    "time_out": _counted("预留的 {} 分已超时，可再使用", "A hold of {} timed out"),
    "offer": _counted("转赠 {} 分，待对方接收", "Offered {} to another member"),
    "sent": _counted("转赠给其他会员 {} 分", "Gave {} to another member"),
    "transfer_fee": _counted("转赠手续费 {} 分", "Transfer fee: {}"),
    "received": _counted("收到其他会员转赠 {} 分", "Received {} from another member"),
    "cancelled": _counted("已撤回转赠，{} 分可再使用", "A transfer was cancelled: {} free again"),
    "declined": _counted("对方未接收转赠，{} 分可再使用", "A transfer was declined: {} free again"),
}
"""What says a rule's arithmetic, by the first part of its id; what a tier gives is named after the tier besides."""


def shown_maturity(matures_on: date | None) -> date | None:
    """The first day of pending points as callers see it: none for points that wait for an event.

    Of points that could be spent only after their last day it is the day after that.
    """
    if matures_on is None:
        return None
    last = last_of_pending(matures_on)
    return matures_on if last is None else day_after(last) if is_lifelong(matures_on) else None


def shown_expiry(expires_on: date | None) -> date | None:
    """An expiry day as callers see it: none for points that do not expire."""
    return None if expires_on == NEVER else expires_on


def _count(points: int) -> str:
    return f"{points:,} point" + ("" if abs(points) == 1 else "s")


def _times(percent: int) -> str:
    return f"{percent // 100}.{percent % 100:02d}".rstrip("0").rstrip(".")
