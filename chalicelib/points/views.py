"""What callers see of accounts, lots, tiers and reasons. Pure."""

from datetime import date, datetime

from chalicelib.kernel.calendar import NEVER, from_milliseconds, last_day, zone
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
from chalicelib.points.fold import standing_of
from chalicelib.points.models import (
    Account,
    ExpiringNext,
    PointsSummary,
    PointsView,
    TierNext,
    TierRetain,
    TierView,
    Why,
)
from chalicelib.points.rules import derive
from chalicelib.programs.models import Program
from chalicelib.tiers.rules import next_tier


def summary(account: Account, on: date, at: datetime | None = None) -> PointsSummary:
    """A member's points in one line, on a day.

    Args:
        at: an instant of that day; holds that are over by then count no more. Without it, all count.
    """
    position = derive(account, on, at)
    first = next((lot for lot in position.lots if lot.expires_on), None)
    return PointsSummary(
        available=position.available,
        pending=position.pending,
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
        pending=position.pending,
        held=position.held,
        owed=position.owed,
        lots=position.lots,
        lifetime=life.model_copy(update={"expired": position.lapsed}),
    )


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
    if why.rule_id == "base":
        rate, paid = program.earn_rate, shown(why.args[0], program.currency)
        per = shown(rate.per_minor, program.currency)
        if chinese:
            return f"消费 {paid}，每 {per} 积 {rate.points} 分，得 {why.points} 分"
        return f"{_count(rate.points)} for each {per} paid: {paid} gives {_count(why.points)}"
    if why.rule_id == "return":
        goods = shown(why.args[0], program.currency)
        return f"退货 {goods}，收回 {-why.points} 分" if chinese else f"Returned {goods}: -{_count(-why.points)}"
    if why.rule_id == "restated":
        was, now = (shown(paid, program.currency) for paid in why.args)
        count = f"{why.points:+,}"
        return (
            f"订单由 {was} 改为 {now}，积分 {count}" if chinese else f"Order restated, {was} to {now}: {count} points"
        )
    if why.rule_id == "write_off":
        gone = -why.points
        return f"此前核销的 {gone} 分一并收回" if chinese else f"{_count(gone)} written off before, taken back with it"
    if why.rule_id == "pooled" or why.rule_id.startswith("pool."):
        return _pooled(why, chinese=chinese)
    if why.rule_id == "qualifying":
        count = f"{why.args[0]:+,}"
        return f"成长值 {count}" if chinese else f"Qualifying points {count}"
    if why.rule_id in _HOLDS:
        return _hold_explained(why, program, chinese=chinese)
    if why.rule_id in _TRANSFERS:
        return _transfer_explained(why, chinese=chinese)
    kind, _, tier_id = why.rule_id.partition(".")
    name = program.tier(tier_id).name.in_(language)
    if kind == "review":
        return f"等级评定：{name}" if chinese else f"Tier reviewed: {name}"
    if kind == "birthday":
        return f"{name}生日礼，送 {why.points} 分" if chinese else f"{name} birthday gift: {_count(why.points)}"
    times = _times(why.args[0])
    if why.points < 0:
        return (
            f"{name}按 {times} 倍积分，少 {-why.points} 分"
            if chinese
            else f"{name} earns ×{times}: {_count(why.points)}"
        )
    return (
        f"{name}享 {times} 倍积分，另得 {why.points} 分" if chinese else f"{name} earns ×{times}: +{_count(why.points)}"
    )


def _pooled(why: Why, *, chinese: bool) -> str:
    """Points that went between a member and a pool; on the pool's side they came when they are not taken."""
    count, came = abs(why.points), why.points > 0
    if why.rule_id == "pooled":
        if chinese:
            return f"成员转入 {count} 分" if came else f"转给会员 {count} 分"
        return f"{_count(count)} from a member" if came else f"{_count(count)} to a member"
    if chinese:
        return f"积分池转回 {count} 分" if came else f"转入积分池 {count} 分"
    return f"{_count(count)} back from the pool" if came else f"{_count(count)} given to the pool"


_HOLDS = ("hold", "capture", "release", "time_out")


def _hold_explained(why: Why, program: Program, *, chinese: bool) -> str:
    """What happened to points that were reserved; the first argument is how many there were, or are left."""
    points, *rest = why.args
    if why.rule_id == "hold":
        until = from_milliseconds(rest[0]).astimezone(zone(program.time_zone)).strftime("%Y-%m-%d %H:%M")
        return f"预留 {points} 分，保留至 {until}" if chinese else f"Held {_count(points)} until {until}"
    if why.rule_id == "capture":
        paid = rest[0]
        return f"从预留的 {points} 分中使用 {paid} 分" if chinese else f"Used {paid:,} of {_count(points)} held"
    if why.rule_id == "time_out":
        return f"预留的 {points} 分已超时，可再使用" if chinese else f"A hold of {_count(points)} timed out"
    return f"取消预留 {points} 分，可再使用" if chinese else f"A hold of {_count(points)} was released"


_TRANSFERS = {
    "offer": ("转赠 {} 分，待对方接收", "Offered {} to another member"),
    "sent": ("转赠给其他会员 {} 分", "Gave {} to another member"),
    "transfer_fee": ("转赠手续费 {} 分", "Transfer fee: {}"),
    "received": ("收到其他会员转赠 {} 分", "Received {} from another member"),
    "cancelled": ("已撤回转赠，{} 分可再使用", "A transfer was cancelled: {} free again"),
    "declined": ("对方未接收转赠，{} 分可再使用", "A transfer was declined: {} free again"),
}
"""What a transfer's steps are called, in Chinese and English."""


def _transfer_explained(why: Why, *, chinese: bool) -> str:
    zh, en = _TRANSFERS[why.rule_id]
    points = why.args[0]
    return zh.format(points) if chinese else en.format(_count(points))


def shown_expiry(expires_on: date | None) -> date | None:
    """An expiry day as callers see it: none for points that do not expire."""
    return None if expires_on == NEVER else expires_on


def _count(points: int) -> str:
    return f"{points:,} point" + ("" if abs(points) == 1 else "s")


def _times(percent: int) -> str:
    return f"{percent // 100}.{percent % 100:02d}".rstrip("0").rstrip(".")
