"""What a journey does, as a sentence for each step. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.journeys.models import (
    BirthdayComes,
    Branch,
    ByHand,
    Enrolled,
    FirstPurchased,
    Fits,
    For,
    GiftGiven,
    GivePoints,
    Happened,
    HasPoints,
    HasTag,
    HoldsTier,
    JourneyDefinition,
    Lapsed,
    PointsExpire,
    PointsSpent,
    Purchased,
    Retag,
    SegmentEntered,
    Send,
    Step,
    TierChanged,
    UntilBirthday,
    UntilTime,
    Wait,
)
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
from chalicelib.programs.models import Bucket, Program

Said = Callable[[Any], str]
"""A segment's definition as a clause: in English what follows "they"."""

Names = Mapping[str, str]
"""How tiers, segments and templates are called."""


def sentence(definition: JourneyDefinition, language: Language, said: Said, names: Names, program: Program) -> str:
    """A journey in words, a line for how members come in and one for each step."""
    zh = language is Language.ZH
    w = _Words(zh, said, names, program)
    begin = w.happening(definition.entry)
    who = f"，且{said(definition.who)}" if zh and definition.who else ""
    if definition.who and not zh:
        who = f", and they {said(definition.who)}"
    again = {None: "，一次为限", 0: "，每次都进"}.get(definition.again_after_days) if zh else (
        {None: ", once", 0: ", every time"}.get(definition.again_after_days)
    )  # fmt: skip
    if again is None:
        days = definition.again_after_days
        again = f"，{days}天后可再进" if zh else f", again after {days} days"
    lines = [f"进入：{begin}{who}{again}。" if zh else f"Comes in: {begin}{who}{again}."]
    if definition.goal is not None:
        goal = w.happening(definition.goal)
        lines.append(f"目标：{goal}，达到即离开。" if zh else f"Goal: {goal}; who reaches it leaves at once.")
    number = {each.step: at + 1 for at, each in enumerate(definition.steps)}
    for at, step in enumerate(definition.steps):
        lines.append(f"{at + 1}. {w.step(step)}{w.ways(step, at, number)}")
    return "\n".join(lines)


class _Words:
    def __init__(self, zh: bool, said: Said, names: Names, program: Program) -> None:
        self.zh, self.said, self.names, self.program = zh, said, names, program

    def named(self, *ids: str) -> str:
        return ("、" if self.zh else ", ").join(self.names.get(each, each) for each in ids)

    def happening(self, what: Any) -> str:
        zh = self.zh
        match what:
            case Enrolled():
                return "成为会员" if zh else "a person becomes a member"
            case Purchased() | FirstPurchased():
                return self._purchase(what)
            case PointsSpent():
                return "使用积分" if zh else "points are spent"
            case TierChanged(tier_ids=None):
                return "等级变化" if zh else "the tier changes"
            case TierChanged():
                tiers = self.named(*(what.tier_ids or ()))
                return f"等级变为{tiers}" if zh else f"the tier becomes {tiers}"
            case PointsExpire():
                return "积分即将过期" if zh else "points are about to lapse"
            case GiftGiven():
                return "获得生日礼" if zh else "the birthday gift is given"
            case SegmentEntered():
                name = self.named(what.segment_id)
                return f"进入人群“{name}”" if zh else f"they come into the segment “{name}”"
            case Lapsed():
                return f"{what.days}天未消费" if zh else f"nothing is bought for {what.days} days"
            case BirthdayComes(days_before=0):
                return "生日当天" if zh else "it is their birthday"
            case BirthdayComes():
                return f"生日前{what.days_before}天" if zh else f"their birthday is {what.days_before} days ahead"
            case ByHand():
                return "手动加入" if zh else "somebody lets them in by hand"
        raise AssertionError(what)

    def _purchase(self, what: Purchased | FirstPurchased) -> str:
        first = isinstance(what, FirstPurchased)
        if self.zh:
            amount = f"满{self._money(what.paid_min_minor)}" if what.paid_min_minor else ""
            shops = f"在{self.named(*what.shop_ids)}" if what.shop_ids else ""
            return f"{shops}{'首次' if first else ''}消费{amount}"
        amount = f" for {self._money(what.paid_min_minor)} or more" if what.paid_min_minor else ""
        shops = f" at {self.named(*what.shop_ids)}" if what.shop_ids else ""
        return f"they buy{' for the first time' if first else ''}{shops}{amount}"

    def _money(self, minor: int) -> str:
        return shown(minor, self.program.currency)

    def step(self, step: Step) -> str:
        zh = self.zh
        match step:
            case Wait():
                return self._wait(step)
            case Branch():
                return f"如果{self._test(step.on)}" if zh else f"If {self._test(step.on)}"
            case Send():
                name = self.named(step.template_id)
                return f"发送“{name}”" if zh else f"Send “{name}”"
            case GivePoints():
                given = f"赠送{step.points:,}积分" if zh else f"Give {step.points:,} points"
                return given + self._good_for(step.expires_after_days)
            case Retag():
                if zh:
                    return f"{'添加' if step.give else '移除'}标签“{step.tag}”"
                return f"{'Add' if step.give else 'Remove'} the tag “{step.tag}”"

    def _good_for(self, days: int | None) -> str:
        """How long points are good: where those of a month lapse together, that is the end of the month."""
        if days is None:
            return ""
        zh, number = self.zh, "1 day" if days == 1 else f"{days} days"
        match self.program.expiry.bucket:
            case Bucket.DAY:
                return f"（{days}天有效）" if zh else f", good for {number}"
            case Bucket.MONTH:
                if zh:
                    return f"（至少{days}天有效，到期满当月的月底为止）"
                ends = "it ends" if days == 1 else "they end"
                return f", good for at least {number}, to the end of the month in which {ends}"

    def _wait(self, step: Wait) -> str:
        match step.until:
            case For(days=days, hours=hours, minutes=minutes):
                if self.zh:
                    parts = [f"{days}天" * bool(days), f"{hours}小时" * bool(hours), f"{minutes}分钟" * bool(minutes)]
                    return "等待" + "".join(parts)
                named = [(days, "day"), (hours, "hour"), (minutes, "minute")]
                return "Wait " + " ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in named if n)
            case UntilTime(at=at, days=days):
                if self.zh:
                    return f"等到{f'{days}天后的' if days else ''}{at}"
                return f"Wait until {at}{f', {days} days on' if days else ''}"
            case UntilBirthday(days_before=days, at=at):
                if self.zh:
                    when = f"生日前{days}天" if days > 0 else f"生日后{-days}天" if days else "生日当天"
                    return f"等到{when}{at}"
                when = f"{days} days before" if days > 0 else f"{-days} days after" if days else "on"
                return f"Wait until {at} {when} their birthday"

    def _test(self, test: Any) -> str:
        zh = self.zh
        match test:
            case Fits():
                return self.said(test.definition) if zh else f"they {self.said(test.definition)}"
            case Happened():
                what = self.happening(test.what)
                return f"进入后已{what}" if zh else f"since they came in {what}"
            case HoldsTier():
                tiers = self.named(*test.tier_ids)
                return f"等级为{tiers}" if zh else f"their tier is {tiers}"
            case HasPoints():
                return f"可用积分不少于{test.at_least:,}" if zh else f"they can spend {test.at_least:,} points or more"
            case HasTag():
                return f"有标签“{test.tag}”" if zh else f"they have the tag “{test.tag}”"
        raise AssertionError(test)

    def ways(self, step: Step, at: int, number: Mapping[str, int]) -> str:
        """Where a step leads to; nothing where that is the next line."""
        zh = self.zh
        if isinstance(step, Branch):
            then, otherwise = self._to(step.then, number), self._to(step.otherwise, number)
            return f"：{then}；否则：{otherwise}。" if zh else f": {then}; else: {otherwise}."
        if step.next is not None and number[step.next] == at + 2:
            return "。" if zh else "."
        to = self._to(step.next, number)
        return f"，然后{to}。" if zh else f", then {to}."

    def _to(self, name: str | None, number: Mapping[str, int]) -> str:
        if name is None:
            return "结束" if self.zh else "the end"
        return f"第{number[name]}步" if self.zh else f"step {number[name]}"
